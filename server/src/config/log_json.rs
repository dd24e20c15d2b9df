//! JSON lines on standard error, without characters that a terminal interprets or a reader does not see. JSON allows
//! any character as an escape, so programs read the same text.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

use tracing_subscriber::fmt::MakeWriter;

use crate::domain::text::{is_direction_mark, is_hidden};

/// Standard error, for JSON lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonLines;

impl MakeWriter<'_> for JsonLines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for JsonLines {
    /// Each call writes a whole line.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(line) => io::stderr().write_all(escaped(line).as_bytes())?,
            Err(_) => io::stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn escaped(line: &str) -> Cow<'_, str> {
    // Characters below U+0020 are already escaped, except for the final line break.
    let is_unsafe = |c: char| (c.is_control() && c >= '\u{7f}') || is_hidden(c) || is_direction_mark(c);
    if !line.contains(is_unsafe) {
        return line.into();
    }
    let mut safe = String::with_capacity(line.len() + 32);
    for character in line.chars() {
        if is_unsafe(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    safe.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_escapes_and_means_the_same() {
        let text = "Caf\u{e9} \u{9b}31m\u{202e}\u{200f}\u{e0041}\u{7f} \u{200d}";
        let line = format!("{}\n", serde_json::json!({ "tenant": text }));
        let safe = escaped(&line);
        assert_eq!(safe, "{\"tenant\":\"Caf\u{e9} \\u009b31m\\u202e\\u200f\\udb40\\udc41\\u007f \u{200d}\"}\n");
        let read: serde_json::Value = serde_json::from_str(&safe).expect("JSON");
        assert_eq!(read["tenant"], text);
        assert!(matches!(escaped("{}\n"), Cow::Borrowed(_)));
    }
}
