//! What a command writes to standard output, and to standard error when it ends.

use std::{
    fmt::Display,
    io::{self, Write},
};

use super::command_error::CommandError;

/// Says on standard error why a command ended. Where that cannot be written either, the exit code is all that is left.
pub(super) fn complain(error: impl Display) {
    let _ = writeln!(io::stderr(), "error: {error}");
}

/// Prints a line of what a command was asked for. `println!` would panic where nobody reads on or the disk is full.
///
/// # Errors
/// The output cannot be written.
pub fn print(line: impl Display) -> Result<(), CommandError> {
    // Flushed by its end.
    writeln!(io::stdout(), "{line}").map_err(|error| unwritten(&error))
}

/// The error of output that could not be written.
pub(super) fn unwritten(error: &io::Error) -> CommandError {
    CommandError::failed("cannot write the output", error)
}
