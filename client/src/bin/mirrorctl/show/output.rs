//! What is printed: text for people, JSON for programs.

use std::{
    env,
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};
use category_mirror_client::{Printable, Run, RunState};
use chrono::{DateTime, Local, Utc};
use serde::Serialize;

use crate::{
    args::{OutputArgs, OutputFormat},
    show::{
        ids,
        table::{Cell, Table},
    },
};

/// Standard output, in the form that was asked for.
pub(crate) struct Output {
    format: OutputFormat,
    color: bool,
    /// Whether times are UTC's, and not those of the local zone.
    utc: bool,
    full_ids: bool,
    /// The terminal's; `None` in a pipe, where nothing is cut.
    width: Option<usize>,
}

impl Output {
    pub(crate) fn new(args: &OutputArgs) -> Self {
        // https://no-color.org: present and not empty.
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_terminal = io::stdout().is_terminal();
        Self {
            format: args.output,
            color: args.output == OutputFormat::Text && !no_color && is_terminal,
            utc: args.utc,
            full_ids: args.full_ids,
            width: is_terminal.then(terminal_width),
        }
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

    /// A name and its time, where there is one.
    pub(crate) fn time_field(&mut self, name: &str, time: Option<DateTime<Utc>>) -> io::Result<()> {
        let time = self.time(time);
        self.field(name, Some(time).filter(|time| !time.is_empty()))
    }

    /// A line for people beside what was asked for; programs get none.
    pub(crate) fn note(&mut self, name: &str, value: impl Display) -> io::Result<()> {
        if self.format == OutputFormat::Json { Ok(()) } else { self.field(name, Some(value)) }
    }

    /// Lines of changes, each in the color of its sign.
    pub(crate) fn changes(&mut self, lines: impl Display) -> io::Result<()> {
        for line in lines.to_string().lines() {
            let color = match line.chars().next() {
                Some('+') => AnsiColor::Green,
                Some('-' | 'x') => AnsiColor::Red,
                Some('=') => AnsiColor::BrightBlack,
                _ => AnsiColor::Yellow,
            };
            self.line(self.paint(Some(color), line))?;
        }
        Ok(())
    }

    /// The rows that wait in a table.
    pub(crate) fn rows(&mut self, table: &mut Table) -> io::Result<()> {
        for line in table.take(self.width) {
            let cells: Vec<String> = line.iter().map(|cell| self.paint(cell.color, &cell.text)).collect();
            self.line(cells.join("  "))?;
        }
        Ok(())
    }

    /// The one form of times: RFC 3339 to the second, with a space in its middle. Nothing where there is none.
    pub(crate) fn time(&self, time: Option<DateTime<Utc>>) -> String {
        let Some(time) = time else { return String::new() };
        if self.utc {
            time.format("%Y-%m-%d %H:%M:%SZ").to_string()
        } else {
            time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S%:z").to_string()
        }
    }

    /// The id in a resource name: shortened where it is a long one, unless full ids are wanted.
    pub(crate) fn id(&self, name: &str) -> String {
        let id = ids::of(name);
        Printable(if self.full_ids { id } else { ids::short(id) }).to_string()
    }

    /// A run's state, and whether it is dry, in the state's color.
    pub(crate) fn state(&self, run: &Run) -> Cell {
        let color = match run.state {
            RunState::Succeeded => AnsiColor::Green,
            RunState::Failed => AnsiColor::Red,
            RunState::Running => AnsiColor::Yellow,
            _ => AnsiColor::BrightBlack,
        };
        let dry = if run.dry_run { " (dry)" } else { "" };
        Cell { text: format!("{}{dry}", run.state), color: Some(color) }
    }

    /// Ends the output: what cannot be written is known now at the latest.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }

    pub(crate) fn paint(&self, color: Option<AnsiColor>, text: impl Display) -> String {
        match color.filter(|_| self.color) {
            None => text.to_string(),
            Some(color) => {
                let style = Style::new().fg_color(Some(color.into()));
                format!("{style}{text}{style:#}")
            }
        }
    }
}

/// Columns of the terminal; 80 where it does not say.
pub(crate) fn terminal_width() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| width.0.into())
}

/// Whether a text for people has an escape instead of this character.
fn is_escaped(character: char) -> bool {
    let mut utf8 = [0; 4];
    let text: &str = character.encode_utf8(&mut utf8);
    Printable(text).to_string() != text
}
