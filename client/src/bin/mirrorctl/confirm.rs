//! Asking before something is deleted.

use std::io::{self, IsTerminal, Write};

use crate::exit::Exit;

/// Asks whether `what` is to be deleted, unless `yes` says so already.
pub(crate) fn deletion(what: &str, yes: bool) -> Result<(), Exit> {
    if yes {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Exit::usage(format!(
            "there is no terminal to ask on whether to delete {what}: confirm with --yes"
        )));
    }
    let mut answer = String::new();
    let _ = write!(io::stderr(), "Delete {what}? [y/N] ");
    let _ = io::stderr().flush();
    io::stdin().read_line(&mut answer).map_err(|error| Exit::usage(format!("standard input: {error}")))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Exit::Declined),
    }
}
