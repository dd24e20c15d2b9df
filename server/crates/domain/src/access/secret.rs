//! Texts that nobody may see.

use std::fmt;

use zeroize::Zeroize;

/// A text that never shows: its `Debug` is a constant, there is no `Display`, and it is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for what sends it to Google or encrypts it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A URL as messages may show it: without user, password, query and fragment, of which each can be a secret. What cannot be told apart is
/// left out, too: a URL that is refused may be one whose `@` was forgotten.
#[must_use]
pub fn public_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let scheme =
        if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) { scheme } else { "…" };
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("…@", rest));
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (shown, query) = (&rest[..end], if end < rest.len() { "?…" } else { "" });
    let (host, path) = shown.find('/').map_or((shown, ""), |slash| shown.split_at(slash));
    let port = host.rfind(':').filter(|colon| host.rfind(']').is_none_or(|bracket| bracket < *colon));
    let host = match port {
        // `https://user:password`: no port is a word. Without a scheme, `localhost:80` and `word:word` look alike.
        Some(colon) if !host[colon + 1..].bytes().all(|byte| byte.is_ascii_digit()) => format!("{}:…", &host[..colon]),
        _ => host.to_owned(),
    };
    let separator = if url.contains("://") { "://" } else { "" };
    format!("{scheme}{separator}{user}{host}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_where_it_leads_and_no_secret() {
        for (url, shown) in [
            ("https://id.example/keys", "https://id.example/keys"),
            ("http://[::1]:8080/keys", "http://[::1]:8080/keys"),
            ("http://[::1]", "http://[::1]"),
            ("ftp://x", "ftp://x"),
            ("localhost:80", "localhost:80"),
            ("collector", "collector"),
            ("", ""),
            ("https://user:hush@id.example/keys", "https://…@id.example/keys"),
            ("https://hush@id.example", "https://…@id.example"),
            ("https://user:hu/sh@id.example/keys", "https://…@id.example/keys"),
            ("https://user:hu?sh#hush@id.example/keys", "https://…@id.example/keys"),
            ("https://user:hush@hush@id.example", "https://…@id.example"),
            ("https://id.example/keys?token=hush", "https://id.example/keys?…"),
            ("https://id.example?hush", "https://id.example?…"),
            ("https://id.example/keys#hush", "https://id.example/keys?…"),
            ("https://id.example/keys?a=hush@b", "https://…@b"),
            ("https://user:hush", "https://user:…"),
            ("https://user:hush/path", "https://user:…/path"),
            ("user:hush@id.example", "…@id.example"),
            ("user:hush", "user:…"),
            ("hush stuff://id.example", "…://id.example"),
        ] {
            assert_eq!(public_url(url), shown, "{url}");
        }
    }

    #[test]
    fn a_secret_does_not_show() {
        assert_eq!(format!("{:?}", Secret::from("hush")), "[redacted]");
    }
}
