//! From database errors to ours.

use super::connections::{is_outgrown, note_outgrown};
use crate::error::Error;

/// Classes and codes of SQLSTATE that end a connection: connection exceptions, shutdown, crash, start-up, and having been idle for too long.
const CONNECTION_LOST_CODES: [&str; 5] = ["08", "57P01", "57P02", "57P03", "57P05"];
/// Those that pass by themselves as well: serialization failures and deadlocks, a lack of resources, a statement or transaction that took
/// too long, and a standby that was promoted away.
const TRANSIENT_CODES: [&str; 6] = ["40001", "40P01", "53", "57014", "25P03", READ_ONLY];
/// A write to a server that takes none.
const READ_ONLY: &str = "25006";

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let is_of_pool =
            matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed);
        // Of a transaction: any other statement was sent again already.
        let is_outgrown = is_outgrown(&error);
        if is_outgrown {
            note_outgrown();
        }
        let passes = is_cut(&error) || is_of_pool || is_outgrown || is_one_of(&error, &TRANSIENT_CODES);
        if passes { Self::DatabaseUnavailable(error.into()) } else { Self::Internal(error.into()) }
    }
}

/// Whether the connection did not outlive what was asked on it.
fn is_cut(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_))
        || is_one_of(error, &CONNECTION_LOST_CODES)
}

/// Whether the server behind the connection is gone, or takes no writes any more, so that its other connections are of no more use.
pub(super) fn is_of_server(error: &sqlx::Error) -> bool {
    is_cut(error) || is_one_of(error, &[READ_ONLY])
}

fn is_one_of(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(|database| database.code());
    code.is_some_and(|code| codes.iter().any(|prefix| code.starts_with(prefix)))
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
