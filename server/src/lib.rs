#![doc = include_str!("../../README.md")]
// The modules in their order: each imports from those above it only.

// What it is about: no I/O, no clock.
pub mod domain;

pub mod error;

pub mod spans;

// Permits of calls, which connections to the database hold as well.
pub mod admission;

// Files with keys in them, which everything below may have.
pub mod key_files;

// The outside: the machine, PostgreSQL, Google, tokens, keys. None of them knows another.
pub mod auth;
pub mod credential_cipher;
pub mod data_dir;
pub mod gbp;
pub mod postgres;
pub mod store;
pub mod tls;
pub mod wake;

// What stands for Google where there is none.
pub mod emulator;

// Connections of callers, before anything is called over them.
pub mod connections;

// The use cases.
pub mod app;

// Who uses them. These meet in PostgreSQL, never here.
pub mod api;
pub mod runner;
pub mod web;

// The whole: the service, its settings, its commands.
pub mod serve;

pub mod config;

pub mod commands;

/// The examples of `docs/api.md`, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/api.md")]
pub struct ApiPage;
