//! The integration tests: one binary, so that they share one PostgreSQL. Each test has a database of its own, and everything speaks
//! real HTTP to real processes on loopback.
#![expect(clippy::print_stderr, reason = "figures for people, and why a test did not run here")]

mod access;
mod architecture;
mod bad_input;
mod batches;
mod cancel;
mod credentials;
mod database;
mod deploy;
mod documentation;
mod drift;
mod emulator;
mod fitness;
mod flags;
mod floods;
mod gbp;
mod glossary;
mod habits;
mod idempotency;
mod joins;
mod limits;
mod methods;
mod migrations;
mod mirroring;
mod one_build;
mod plans;
mod pooler;
mod postgres;
mod processes;
mod replica;
mod rolling;
mod rows;
mod runner;
mod schema_growth;
mod service;
mod state_machine;
mod store;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod taxonomy;
mod texts;
mod trace;
mod unknown;
mod wake;
mod wire;
