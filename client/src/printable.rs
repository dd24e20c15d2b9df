//! Strings from elsewhere, made safe to print.

use std::fmt::{self, Write};

/// Displays a string without anything that a terminal or log would interpret, or that a reader would not see: control
/// characters, line breaks, invisible characters, and characters that reorder the text around them are escaped, such as
/// `\u{1b}`.
///
/// ```
/// # use category_mirror_client::Printable;
/// assert_eq!(Printable("Café\u{1b}[2J\n").to_string(), r"Café\u{1b}[2J\n");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(
    /// The unescaped string.
    pub &'a str,
);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\n' | '\r' | '\t' => write!(f, "{}", character.escape_default())?,
                c if c.is_control() || is_hidden(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Characters that a reader does not see, or that reorder or break the text around them. The server rejects them in
/// names, but older names and Google's may contain them. U+200C and U+200D are allowed: words and emoji need them.
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}'
    )
}
