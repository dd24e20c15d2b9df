//! Google's category identifiers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The slug is far shorter in Google's list; this keeps stored and logged values bounded.
const MAX_SLUG_CHARS: usize = 120;

/// A Google category identifier, such as `gcid:grocery_store`.
///
/// It is parsed once, at the edge, so two spellings of one category cannot both exist: the slug is `[a-z0-9_]+`, nothing else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Gcid(String);

/// A text that is no category identifier of Google's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGcid {
    /// The prefix is missing.
    #[error("must be `gcid:<slug>` or `categories/gcid:<slug>`, such as `gcid:grocery_store`")]
    Prefix,
    /// The made-up spelling with hyphens, which real platforms' data holds.
    #[error("`gcid:{0}` contains hyphens, which Google's identifiers never do")]
    Hyphen(String),
    /// The slug is empty, too long, or has a character that Google does not use.
    #[error("the part after `gcid:` must be 1 to {MAX_SLUG_CHARS} characters of a-z, 0-9 and _")]
    Slug,
}

impl Gcid {
    /// Parses `gcid:<slug>` or `categories/gcid:<slug>`.
    ///
    /// # Errors
    /// [`InvalidGcid`] says what is wrong with the text; nothing is guessed or repaired.
    pub fn parse(text: &str) -> Result<Self, InvalidGcid> {
        let slug = text.strip_prefix("categories/").unwrap_or(text).strip_prefix("gcid:").ok_or(InvalidGcid::Prefix)?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if slug.is_empty() || slug.len() > MAX_SLUG_CHARS {
            return Err(InvalidGcid::Slug);
        }
        if slug.bytes().all(allowed) {
            return Ok(Self(slug.to_owned()));
        }
        if slug.bytes().all(|b| allowed(b) || b == b'-') {
            return Err(InvalidGcid::Hyphen(slug.to_owned()));
        }
        Err(InvalidGcid::Slug)
    }

    /// The part after `gcid:`.
    #[must_use]
    pub fn slug(&self) -> &str {
        &self.0
    }

    /// The canonical resource name, `categories/gcid:<slug>`.
    #[must_use]
    pub fn resource_name(&self) -> String {
        format!("categories/{self}")
    }
}

impl fmt::Display for Gcid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gcid:{}", self.0)
    }
}

impl fmt::Debug for Gcid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Gcid {
    type Error = InvalidGcid;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Gcid> for String {
    fn from(gcid: Gcid) -> Self {
        gcid.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d9_two_spellings_are_one_identifier() {
        let short = Gcid::parse("gcid:grocery_store").expect("valid");
        let long = Gcid::parse("categories/gcid:grocery_store").expect("valid");
        assert_eq!(short, long);
        assert_eq!(long.to_string(), "gcid:grocery_store");
        assert_eq!(long.resource_name(), "categories/gcid:grocery_store");
    }

    #[test]
    fn d9_hyphens_are_refused_with_the_reason() {
        assert_eq!(
            Gcid::parse("gcid:african-grocery-store"),
            Err(InvalidGcid::Hyphen("african-grocery-store".to_owned()))
        );
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["GROCERY STORE", "", "gcid", "grocery_store", "categories/grocery_store"] {
            assert_eq!(Gcid::parse(text), Err(InvalidGcid::Prefix), "{text:?}");
        }
        let long = format!("gcid:{}", "a".repeat(MAX_SLUG_CHARS + 1));
        for text in ["gcid:", "gcid:Cafe", "gcid:caf\u{e9}", "gcid:a b", "gcid:a/b", "gcid:a\n", &long] {
            assert_eq!(Gcid::parse(text), Err(InvalidGcid::Slug), "{text:?}");
        }
    }
}
