//! Why a command ended early, and its exit code.

use std::{fmt::Display, process::ExitCode};

use crate::config::ConfigError;

/// A setting is missing or wrong (`EX_USAGE` of sysexits.h).
pub(super) const EXIT_CONFIGURATION: u8 = 64;
/// Ctrl-C (128 and SIGINT, as shells have it).
const EXIT_INTERRUPTED: u8 = 130;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// Somebody ended it before it was done.
    #[error("interrupted")]
    Interrupted,
    /// Something else.
    #[error("{0}")]
    Failed(String),
}

impl CommandError {
    /// An error of something that was tried.
    #[must_use]
    pub fn failed(what: &str, error: impl Display) -> Self {
        Self::Failed(format!("{what}: {error}"))
    }

    /// 64 for configuration, 130 for an interruption, else 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::from(EXIT_CONFIGURATION),
            Self::Interrupted => ExitCode::from(EXIT_INTERRUPTED),
            Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}
