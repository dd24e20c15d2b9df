//! Texts that nobody may see.

use std::fmt;

/// A text that never shows: its `Debug` is a constant, and there is no `Display`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for what sends it to Google or seals it.
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

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
