//! The storm: real processes, a real PostgreSQL, the emulator, and everything that can happen to them; afterwards an auditor.
//!
//! It is a program, not a set of tests, so that it can also be run for an hour: `--help` teaches how. `cargo test` runs the short form.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program: what it prints is its report")]

mod ask;
mod audit;
mod blows;
mod callers;
mod careful;
mod chaos;
mod crowd;
mod database;
mod evidence;
mod failovers;
mod fleet;
mod franchises;
mod gate;
mod google;
mod journal;
mod migration;
mod options;
mod orders;
mod platform;
mod pooler;
mod process;
mod proxy;
mod record;
mod report;
mod seeds;
mod set;
mod settings;
mod shop;
mod skew;
mod stage;
mod storm;
#[path = "../support/mod.rs"]
mod support;
mod switch;
mod troubles;
mod witness;

use std::process::ExitCode;

use options::{Invocation, Options};

fn main() -> ExitCode {
    match Options::from_command_line() {
        Invocation::Storm(options) => {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(storm::rage(*options))
        }
        Invocation::Seeds(options, seeds) => seeds::rage(&options, seeds),
        Invocation::List => {
            println!("storm: test");
            ExitCode::SUCCESS
        }
        Invocation::Nothing => ExitCode::SUCCESS,
    }
}
