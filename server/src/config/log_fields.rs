//! Fields of a log line in text format: `key=value`. A value is one word or quoted, so that it cannot imitate another
//! field or another line.

use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

use crate::domain::text::{is_direction_mark, is_hidden};

/// The field of an event that contains its message.
const MESSAGE: &str = "message";

/// Formats the fields of events and spans.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextFields;

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line { writer, is_empty: true, written: Ok(()) };
        fields.record(&mut line);
        line.written
    }
}

struct Line<'writer> {
    writer: Writer<'writer>,
    is_empty: bool,
    written: fmt::Result,
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }
}

impl Line<'_> {
    fn add(&mut self, name: &str, value: &str) {
        // Fields of records of the `log` crate, which are already part of the line.
        if name.starts_with("log.") || self.written.is_err() {
            return;
        }
        self.written = self.write(name, value);
    }

    fn write(&mut self, name: &str, value: &str) -> fmt::Result {
        if !std::mem::take(&mut self.is_empty) {
            self.writer.write_char(' ')?;
        }
        if name == MESSAGE {
            return escaped(&mut self.writer, value, false);
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        if self.writer.has_ansi_escapes() {
            write!(self.writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?;
        } else {
            write!(self.writer, "{name}=")?;
        }
        if is_word(value) || is_quoted(value) {
            return self.writer.write_str(value);
        }
        self.writer.write_char('"')?;
        escaped(&mut self.writer, value, true)?;
        self.writer.write_char('"')
    }
}

/// Writes a text on one line, without characters that a terminal interprets or a reader does not see.
fn escaped(writer: &mut Writer<'_>, text: &str, in_quotes: bool) -> fmt::Result {
    for character in text.chars() {
        match character {
            '"' | '\\' if in_quotes => write!(writer, "\\{character}")?,
            '\n' | '\r' | '\t' => write!(writer, "{}", character.escape_default())?,
            character if is_unsafe(character) => write!(writer, "{}", character.escape_unicode())?,
            character => writer.write_char(character)?,
        }
    }
    Ok(())
}

fn is_unsafe(character: char) -> bool {
    character.is_control() || is_hidden(character) || is_direction_mark(character)
}

/// Whether a value is unambiguous without quotation marks.
fn is_word(value: &str) -> bool {
    let is_part = |c: char| !c.is_whitespace() && c != '"' && c != '=' && !is_unsafe(c);
    !value.is_empty() && value.chars().all(is_part)
}

/// Whether a value is already quoted, as values logged with `?` are.
fn is_quoted(value: &str) -> bool {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else { return false };
    let mut is_escape = false;
    for character in inner.chars() {
        if is_unsafe(character) || (character == '"' && !is_escape) {
            return false;
        }
        is_escape = character == '\\' && !is_escape;
    }
    !is_escape
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Sink {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// Returns the line that `log` writes, from the message on.
    fn line(log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(sink.clone())
            .with_ansi(false)
            .without_time()
            .with_level(false)
            .with_target(false)
            .fmt_fields(TextFields);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        let bytes = sink.0.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_value_is_one_word_or_in_quotation_marks() {
        let forged = "x\" state=succeeded\nERROR forged \u{1b}[2J\u{202e}";
        let said = line(|| tracing::info!(tenant = %"store-1", count = 3, reason = %forged, "a run ended"));
        let shown =
            r#"a run ended tenant=store-1 count=3 reason="x\" state=succeeded\nERROR forged \u{1b}[2J\u{202e}""#;
        assert_eq!(said, format!("{shown}\n"));
    }

    #[test]
    fn every_way_to_log_a_value_is_quoted_alike() {
        for hostile in ["a b", "a=b", "a\"b", "a\nb", "", "a\u{2028}b", "\"a\" b=\"c\"", "a\u{85}b", "\u{200f}"] {
            let error = io::Error::other(hostile);
            let error: &(dyn std::error::Error + 'static) = &error;
            let by_text = line(|| tracing::info!(key = hostile, "m"));
            let by_display = line(|| tracing::info!(key = %hostile, "m"));
            let by_error = line(|| tracing::info!(key = error, "m"));
            let by_span = line(|| tracing::info_span!("s", key = %hostile).in_scope(|| tracing::info!("m")));
            assert_eq!(by_text, by_display);
            assert_eq!(by_text, by_error);
            let value = by_text.strip_prefix("m key=").and_then(|rest| rest.strip_suffix('\n')).expect("the field");
            assert!(is_quoted(value), "{value}");
            assert!(by_span.contains(&format!("s{{key={value}}}")), "{by_span}");
            let by_debug = line(|| tracing::info!(key = ?hostile, "m"));
            let value = by_debug.strip_prefix("m key=").and_then(|rest| rest.strip_suffix('\n')).expect("the field");
            assert!(is_quoted(value), "{value}");
        }
    }

    #[test]
    fn a_message_stays_on_its_line() {
        let said = line(|| tracing::warn!("google said {}", "a\nb \u{1b}[31m\u{2066}"));
        assert_eq!(said, "google said a\\nb \\u{1b}[31m\\u{2066}\n");
    }
}
