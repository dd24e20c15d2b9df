//! Where Google is.

use std::{fmt, net::IpAddr};

use reqwest::Url;

/// A base URL to which requests may carry a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// A text that is no [`Endpoint`]. The text is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// It is no absolute URL.
    #[error("must be a URL such as `https://mybusinessbusinessinformation.googleapis.com`")]
    Url,
    /// Another protocol.
    #[error("must begin with `https://` or `http://`")]
    Scheme,
    /// A user or password: they would show in logs, and go out beside the token.
    #[error("must not contain a user or password")]
    UserInfo,
    /// A query or fragment.
    #[error("must not have a query or fragment")]
    Query,
}

impl Endpoint {
    /// Parses a base URL; a path in it is kept as a prefix.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] says which part of the URL cannot be.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let url = Url::parse(text).map_err(|_| InvalidEndpoint::Url)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidEndpoint::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidEndpoint::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidEndpoint::Query);
        }
        Ok(Self(url))
    }

    /// Google's own Business Information API.
    #[must_use]
    pub fn google() -> Self {
        Self::parse("https://mybusinessbusinessinformation.googleapis.com").expect("a constant URL")
    }

    /// Google's own token endpoint.
    #[must_use]
    pub fn google_token() -> Self {
        Self::parse("https://oauth2.googleapis.com/token").expect("a constant URL")
    }

    /// Whether what is sent there, the token included, is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether what is sent there can be read on its way: it leaves this machine, and is not encrypted.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        // An IPv6 address stands in brackets.
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        !self.is_encrypted() && host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
    }

    /// The URL itself.
    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }

    /// The URL with these segments after its path, each percent-encoded as one segment.
    pub(crate) fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut().expect("an http URL has a path").pop_if_empty().extend(segments);
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_prefix() {
        for base in ["http://h:1/base", "http://h:1/base/"] {
            let url = Endpoint::parse(base).expect("valid").join(&["v1", "locations", "1"]);
            assert_eq!(url.as_str(), "http://h:1/base/v1/locations/1");
        }
        let url = Endpoint::parse("http://h").expect("valid").join(&["v1"]);
        assert_eq!(url.as_str(), "http://h/v1");
    }

    #[test]
    fn what_could_leak_or_surprise_is_refused() {
        for (text, why) in [
            ("", InvalidEndpoint::Url),
            ("localhost", InvalidEndpoint::Url),
            ("https://", InvalidEndpoint::Url),
            ("localhost:80", InvalidEndpoint::Scheme),
            ("file:///etc/passwd", InvalidEndpoint::Scheme),
            ("https://user@h", InvalidEndpoint::UserInfo),
            ("https://:secret@h", InvalidEndpoint::UserInfo),
            ("https://h?key=1", InvalidEndpoint::Query),
            ("https://h/#a", InvalidEndpoint::Query),
        ] {
            assert_eq!(Endpoint::parse(text), Err(why), "{text:?}");
        }
    }
}
