//! Which PostgreSQL to run, and where.

use std::path::PathBuf;

/// Whether a commit is on disk when it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Yes: survives a power failure.
    #[default]
    Durable,
    /// No: for tests, whose data nobody wants back.
    Volatile,
}

/// Which PostgreSQL to run, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program that the folder belongs to, such as `category-mirror`. The database and its only role have this name, with `_` for `-`.
    pub program: String,
    /// `DATA_DIR`: new, empty, or made by an earlier start.
    pub data_dir: PathBuf,
    /// `PG_BIN_DIR`: the folder of `postgres` and `initdb`; `None` looks for the newest, or for the one that fits existing data.
    pub bin_dir: Option<PathBuf>,
    /// Whether commits are durable.
    pub durability: Durability,
    /// Connections at once.
    pub max_connections: u16,
}

impl Options {
    /// A durable PostgreSQL for 100 connections, from the machine's newest binaries.
    #[must_use]
    pub fn new(program: &str, data_dir: impl Into<PathBuf>) -> Self {
        let (program, data_dir) = (program.to_owned(), data_dir.into());
        Self { program, data_dir, bin_dir: None, durability: Durability::Durable, max_connections: 100 }
    }

    /// The name of the database, and of its only role.
    pub(crate) fn role(&self) -> String {
        self.program.replace('-', "_")
    }
}
