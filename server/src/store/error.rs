//! From database errors to ours.

use crate::error::Error;

/// Classes and codes of SQLSTATE that pass by themselves: connection exceptions, serialization failures and deadlocks, a lack of
/// resources, a statement or transaction that took too long, shutdown, crash, start-up, and a standby that was promoted away.
const PASSING: [&str; 11] =
    ["08", "40001", "40P01", "53", "57014", "57P01", "57P02", "57P03", "57P05", "25P03", "25006"];

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let passes = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => true,
            sqlx::Error::Database(database) => {
                database.code().is_some_and(|code| PASSING.iter().any(|prefix| code.starts_with(prefix)))
            }
            _ => false,
        };
        if passes { Self::DatabaseUnavailable(error.into()) } else { Self::Internal(error.into()) }
    }
}

/// Turns the violation of a named constraint into an error of the domain, at the call site.
pub(super) trait OnConstraint<T> {
    /// Maps the violation of `name`; every other error keeps its meaning.
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T, Error>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T, Error> {
        self.map_err(|cause| match cause.as_database_error() {
            Some(database) if database.constraint() == Some(name) => error(),
            _ => cause.into(),
        })
    }
}
