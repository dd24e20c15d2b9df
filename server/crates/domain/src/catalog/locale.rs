//! For whom Google keeps and names its categories.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A CLDR region code: two upper-case letters, such as `US`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegionCode(String);

/// A BCP 47 language code, such as `en` or `pt-BR`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LanguageCode(String);

/// A text that is no code of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct InvalidCode(&'static str);

impl RegionCode {
    /// Parses a region code.
    ///
    /// # Errors
    /// [`InvalidCode`] names the wanted form; `us` is not taken for `US`.
    pub fn parse(text: &str) -> Result<Self, InvalidCode> {
        let is_valid = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidCode("two upper-case letters, such as `US`")) }
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LanguageCode {
    /// Parses a language code.
    ///
    /// # Errors
    /// [`InvalidCode`] names the wanted form.
    pub fn parse(text: &str) -> Result<Self, InvalidCode> {
        let mut parts = text.split('-');
        let is_valid = text.len() <= 35
            && parts
                .next()
                .is_some_and(|part| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase()))
            && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidCode("a BCP 47 code, such as `en` or `pt-BR`")) }
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LanguageCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RegionCode {
    type Error = InvalidCode;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<RegionCode> for String {
    fn from(code: RegionCode) -> Self {
        code.0
    }
}

/// A region and a language: Google has a list of its own for each pair.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Locale {
    /// Where.
    pub region: RegionCode,
    /// In which language.
    pub language: LanguageCode,
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.region, self.language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_taken_as_they_are_written_or_not_at_all() {
        for text in ["US", "IN"] {
            assert_eq!(RegionCode::parse(text).expect("valid").as_str(), text);
        }
        for text in ["", "us", "USA", "U1", "ÜS"] {
            assert!(RegionCode::parse(text).is_err(), "{text:?}");
        }
        for text in ["en", "pt-BR", "zh-Hant-TW", "fil"] {
            assert_eq!(LanguageCode::parse(text).expect("valid").as_str(), text);
        }
        for text in ["", "EN", "english", "en_US", "en-", "e"] {
            assert!(LanguageCode::parse(text).is_err(), "{text:?}");
        }
    }
}
