//! The server's address, which is validated before anything is sent.

use std::net::IpAddr;

use tonic::transport::{Endpoint, Uri};

use crate::Error;

/// Parses an endpoint: scheme, host and optional port. Rejects anything else, so that no part is silently ignored.
pub(crate) fn parse(text: &str) -> Result<Endpoint, Error> {
    // The error does not repeat the text, which may contain a password.
    let uri: Uri = text.parse().map_err(|error| Error::setting(format!("endpoint: not a URL: {error}")))?;
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    if authority.contains('@') {
        return Err(Error::setting("endpoint: must not contain a user or a password"));
    }
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(Error::setting(format!("endpoint {:?}: must begin with https:// or http://", shown(text))));
    }
    if uri.host().is_none_or(str::is_empty) || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(Error::setting(format!("endpoint {:?}: must be scheme, host and port only", shown(text))));
    }
    Ok(Endpoint::from(uri))
}

/// Returns the text without its query, which may be secret. A URL with a fragment or a user has been rejected before.
fn shown(text: &str) -> String {
    text.split_once('?').map_or_else(|| text.to_owned(), |(start, _)| format!("{start}?…"))
}

/// Whether everyone on the network path to the server can read the traffic.
pub(crate) fn is_exposed(uri: &Uri) -> bool {
    uri.scheme_str() != Some("https") && !uri.host().is_some_and(is_loopback)
}

fn is_loopback(host: &str) -> bool {
    // A URL has IPv6 addresses in brackets.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposed(text: &str) -> bool {
        is_exposed(parse(text).expect("an endpoint").uri())
    }

    #[test]
    fn only_tls_and_loopback_are_private() {
        for private in [
            "https://mirror.example.com",
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://LocalHost:1",
        ] {
            assert!(!exposed(private), "{private}");
        }
        for public in [
            "http://mirror.example.com",
            "http://10.0.0.1:1",
            "http://localhost.example.com",
            "http://0.0.0.0:1",
            "http://[::]:1",
        ] {
            assert!(exposed(public), "{public}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for wrong in [
            "",
            "localhost:50051",
            "ftp://a",
            "http://",
            "https://a/path",
            "https://a?b=c",
            "unix:/tmp/a",
            "https://a b",
        ] {
            let error = parse(wrong).expect_err(wrong);
            assert!(error.message().starts_with("endpoint"), "{error}");
        }
        let error = parse("https://me:secret@a").expect_err("a password");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
