#![doc = include_str!("../../README.md")]
// The modules in their order: each imports from those above it only.

// The crates below: what it is about (no I/O, no clock), Google, an emulator of it, and a PostgreSQL of one's own.
#[doc(inline)]
pub use category_mirror_domain as domain;
#[doc(inline)]
pub use category_mirror_gbp as gbp;
#[doc(inline)]
pub use gbp_emulator as emulator;
#[doc(inline)]
pub use private_postgres as postgres;

pub mod error;

pub mod version;

pub mod spans;

// Permits of calls, which connections to the database hold as well.
pub mod admission;

// Files with keys in them, which everything below may have, and the keys that the program makes itself.
pub mod key_files;
pub mod secret_file;

/// The name of the program: of the folder that it claims, of its database there, and of its only role.
pub const PROGRAM: &str = "category-mirror";

// The outside: the database, tokens, keys. None of them knows another.
pub mod auth;
pub mod credential_cipher;
pub mod store;
pub mod tls;
pub mod wake;

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
