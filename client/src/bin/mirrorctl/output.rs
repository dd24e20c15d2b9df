//! What is printed: text for people, JSON for programs.

use std::{
    env,
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};
use category_mirror_client::{Printable, Run, RunState};
use serde::Serialize;

use crate::args::OutputFormat;

/// Standard output, in the form that was asked for.
pub(crate) struct Output {
    format: OutputFormat,
    colour: bool,
}

impl Output {
    pub(crate) fn new(format: OutputFormat) -> Self {
        // https://no-color.org: present and not empty.
        let no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { format, colour: format == OutputFormat::Text && !no_colour && io::stdout().is_terminal() }
    }

    /// The form that was asked for.
    pub(crate) fn format(&self) -> OutputFormat {
        self.format
    }

    /// One thing: its JSON, or what `text` writes.
    pub(crate) fn show<T: Serialize>(
        &mut self,
        item: &T,
        text: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.format == OutputFormat::Json { self.json(&serde_json::to_string(item)?) } else { text(self) }
    }

    /// A line of JSON. Programs read the same texts, and a terminal executes nothing: JSON may have any character as an escape.
    pub(crate) fn json(&mut self, json: &str) -> io::Result<()> {
        let mut line = String::with_capacity(json.len());
        for character in json.chars() {
            if character.is_ascii() && !character.is_ascii_control() || !is_escaped(character) {
                line.push(character);
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    line += &format!("\\u{unit:04x}");
                }
            }
        }
        self.line(line)
    }

    pub(crate) fn line(&mut self, line: impl Display) -> io::Result<()> {
        // Locked for a line, and flushed by its end: a watch is read while it goes on.
        writeln!(io::stdout().lock(), "{line}")
    }

    /// A name and its value, where there is one.
    pub(crate) fn field(&mut self, name: &str, value: Option<impl Display>) -> io::Result<()> {
        value.map_or(Ok(()), |value| self.line(format_args!("{name:<14}{value}")))
    }

    /// A line for people beside what was asked for; programs get none.
    pub(crate) fn note(&mut self, name: &str, value: impl Display) -> io::Result<()> {
        if self.format == OutputFormat::Json { Ok(()) } else { self.field(name, Some(value)) }
    }

    /// Lines of changes, each in the colour of its sign.
    pub(crate) fn changes(&mut self, lines: impl Display) -> io::Result<()> {
        for line in lines.to_string().lines() {
            let colour = match line.chars().next() {
                Some('+') => AnsiColor::Green,
                Some('-' | 'x') => AnsiColor::Red,
                Some('=') => AnsiColor::BrightBlack,
                _ => AnsiColor::Yellow,
            };
            self.line(self.paint(colour, line))?;
        }
        Ok(())
    }

    /// A run's state, in its colour and `width` wide.
    pub(crate) fn state(&self, run: &Run, width: usize) -> String {
        let colour = match run.state {
            RunState::Succeeded => AnsiColor::Green,
            RunState::Failed => AnsiColor::Red,
            RunState::Running => AnsiColor::Yellow,
            _ => AnsiColor::BrightBlack,
        };
        // Padded before it is painted: escapes take no room.
        self.paint(colour, format_args!("{:<width$}", run.state)).to_string()
    }

    /// Ends the output: what cannot be written is known now at the latest.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }

    fn paint(&self, colour: AnsiColor, text: impl Display) -> String {
        if !self.colour {
            return text.to_string();
        }
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{style}{text}{style:#}")
    }
}

/// Whether a text for people has an escape instead of this character.
fn is_escaped(character: char) -> bool {
    let mut utf8 = [0; 4];
    let text: &str = character.encode_utf8(&mut utf8);
    Printable(text).to_string() != text
}
