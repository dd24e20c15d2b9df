//! Strings of others, made safe to show.

use std::fmt::{self, Write};

/// Shows a string without anything that a terminal or a log would obey: control characters, line breaks and marks that
/// turn the direction of text appear as escapes such as `\u{1b}`.
///
/// ```
/// # use category_mirror_client::Printable;
/// assert_eq!(Printable("Café\u{1b}[2J\n").to_string(), r"Café\u{1b}[2J\n");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(
    /// The string as it came.
    pub &'a str,
);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\n' | '\r' | '\t' => write!(f, "{}", character.escape_default())?,
                c if c.is_control() || steers_text(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Invisible characters that reorder or break the text around them.
fn steers_text(character: char) -> bool {
    matches!(character, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
