//! Classes of database errors, by SQLSTATE.

/// Classes and codes of SQLSTATE that end a connection: connection exceptions, shutdown, crash, start-up, and having
/// been idle for too long.
const CONNECTION_LOST_CODES: [&str; 5] = ["08", "57P01", "57P02", "57P03", "57P05"];
/// Codes of other errors that pass by themselves: serialization failures and deadlocks, a lack of resources, a
/// statement or transaction that took too long, and a standby that was promoted away.
const TRANSIENT_CODES: [&str; 6] = ["40001", "40P01", "53", "57014", "25P03", READ_ONLY];
/// A write to a server that accepts none.
const READ_ONLY: &str = "25006";

/// Whether the error has ended the connection.
pub(in crate::store) fn is_cut(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_))
        || is_one_of(error, &CONNECTION_LOST_CODES)
}

/// Whether the server behind the connection is gone or no longer accepts writes, so that its other connections are of no use.
pub(super) fn is_of_server(error: &sqlx::Error) -> bool {
    is_cut(error) || is_one_of(error, &[READ_ONLY])
}

/// Whether the same statement may succeed when it is sent again.
pub(in crate::store) fn is_transient(error: &sqlx::Error) -> bool {
    is_one_of(error, &TRANSIENT_CODES)
}

fn is_one_of(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(|database| database.code());
    code.is_some_and(|code| codes.iter().any(|prefix| code.starts_with(prefix)))
}
