//! From the arguments of the process to a command, and the words to speak of it.

use clap::{ArgMatches, CommandFactory, FromArgMatches, parser::ValueSource};

use crate::{
    args::{Args, ConnectionArgs},
    examples,
    words::Words,
};

/// A command line that was understood.
pub(crate) struct Parsed {
    pub(crate) args: Args,
    pub(crate) words: Words,
    /// The connection's options without those of the environment.
    pub(crate) given: ConnectionArgs,
}

/// The whole command, with examples in its help texts.
pub(crate) fn command() -> clap::Command {
    examples::added(Args::command())
}

pub(crate) fn parse() -> Result<Parsed, clap::Error> {
    let mut command = command();
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let mut words = Words::of(leaf(&command, &matches));
    let sources = leaf_matches(&matches);
    let is_given = |id: &str| sources.value_source(id) == Some(ValueSource::CommandLine);
    let [endpoint, token_file, ca_file] = ["endpoint", "token_file", "ca_file"].map(is_given);
    let args = Args::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
    let mut given = args.connection.clone();
    given.endpoint = given.endpoint.filter(|_| endpoint);
    given.token_file = given.token_file.filter(|_| token_file);
    given.ca_file = given.ca_file.filter(|_| ca_file);
    words.endpoint = args.connection.endpoint.clone().unwrap_or_default();
    Ok(Parsed { args, words, given })
}

/// The command that the matches end in.
fn leaf<'a>(command: &'a clap::Command, matches: &ArgMatches) -> &'a clap::Command {
    match matches.subcommand() {
        Some((name, matches)) => command.find_subcommand(name).map_or(command, |below| leaf(below, matches)),
        None => command,
    }
}

fn leaf_matches(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, below)| leaf_matches(below))
}
