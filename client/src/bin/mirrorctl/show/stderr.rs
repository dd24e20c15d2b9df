//! What is said beside the output, on standard error.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};

/// Writes a line for a person. Where it cannot be written, the output and the exit code are all that is left.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "mirrorctl: {text}");
}

/// A line that is written again and again, in its place.
pub(crate) struct MovingLine {
    is_terminal: bool,
}

impl MovingLine {
    pub(crate) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal() }
    }

    /// Whether there is a terminal to move it on; elsewhere each text is a line of its own.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    pub(crate) fn show(&self, text: &str) {
        // Carriage return, then erase to the end of the line.
        let _ =
            if self.is_terminal { write!(io::stderr(), "\r\u{1b}[K{text}") } else { writeln!(io::stderr(), "{text}") };
        let _ = io::stderr().flush();
    }

    /// Leaves the place to what follows.
    pub(crate) fn end(&self) {
        if self.is_terminal {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}
