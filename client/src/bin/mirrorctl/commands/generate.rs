//! Completions and manual pages, made from the command line itself.

use std::{fs, io, path::Path};

use clap_complete::Shell;

use crate::exit::Exit;

/// Prints what a shell reads to complete commands.
pub(crate) fn completions(mut command: clap::Command, shell: Shell) -> Result<(), Exit> {
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "mirrorctl", &mut script);
    Ok(io::Write::write_all(&mut io::stdout().lock(), &script)?)
}

/// Writes a page for each command: `mirrorctl.1`, `mirrorctl-run.1`, `mirrorctl-run-create.1`, and so on.
pub(crate) fn man(command: clap::Command, folder: &Path) -> Result<(), Exit> {
    let wrong = |error: io::Error| Exit::usage(format!("--directory {}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(wrong)?;
    clap_mangen::generate_to(command.disable_help_subcommand(true), folder).map_err(wrong)
}
