//! Statements that survive a change of the schema.
//!
//! PostgreSQL refuses a prepared statement whose result columns have changed since it was prepared, on that connection, for as long as the
//! connection keeps it. Statements of the store name their columns, so a column more changes no result; a column of another type does.
//! Here is the one place where a connection forgets its statements and the refused one is sent again, once.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::TryStreamExt;
use sqlx::{
    Connection, Database, Either, Execute, Executor, PgConnection, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgDatabaseError, PgQueryResult, PgRow},
};

/// What a statement gives, as sqlx has it.
pub(super) type Step = Either<PgQueryResult, PgRow>;

/// When a transaction last met a plan that the schema has outgrown. Process-wide, because the error is recognized where no pool is known.
static OUTGROWN_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// A statement that can be sent again.
#[derive(Clone)]
pub(super) struct Repeatable {
    sql: SqlStr,
    arguments: Option<PgArguments>,
    persistent: bool,
}

impl Repeatable {
    /// # Errors
    /// An argument that cannot be encoded.
    pub(super) fn of<'q>(mut query: impl Execute<'q, Postgres>) -> Result<Self, sqlx::Error> {
        let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?;
        let persistent = query.persistent();
        Ok(Self { sql: query.sql(), arguments, persistent })
    }

    /// A statement without arguments and results, which is not prepared.
    pub(super) fn simple(sql: SqlStr) -> Self {
        Self { sql, arguments: None, persistent: false }
    }

    /// The same, prepared without a name if it is.
    pub(super) fn unnamed(self) -> Self {
        Self { persistent: false, ..self }
    }

    /// Sends it once. What is refused within a transaction cannot be sent again, because the error has ended the transaction.
    pub(super) async fn send(self, connection: &mut PgConnection) -> Result<Vec<Step>, sqlx::Error> {
        connection.fetch_many(self).try_collect().await
    }

    /// Sends a statement that is a transaction of its own, and again where the schema has outgrown its plan. What is refused is refused
    /// before its first row, so nothing is done twice.
    pub(super) async fn send_alone(self, connection: &mut PgConnection) -> Result<Vec<Step>, sqlx::Error> {
        match self.clone().send(connection).await {
            Err(error) if is_outgrown(&error) => {
                tracing::info!("the schema has changed: prepared statements are planned again");
                connection.clear_cached_statements().await?;
                self.send(connection).await
            }
            done => done,
        }
    }
}

impl Execute<'_, Postgres> for Repeatable {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&<Postgres as Database>::Statement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

/// Whether a plan was prepared for a schema that has changed since. By the routine: the message is in the server's language, and the code
/// (`0A000`) is that of everything that PostgreSQL does not support.
pub(in crate::store) fn is_outgrown(error: &sqlx::Error) -> bool {
    let database = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    database.is_some_and(|error| error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery"))
}

/// Notes that a transaction met such a plan: connections that are as old may have it, too.
pub(in crate::store) fn note_outgrown() {
    *OUTGROWN_AT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Whether a connection of this age was opened after the last such plan.
pub(super) fn is_newer_than_outgrown(age: Duration) -> bool {
    let outgrown_at = *OUTGROWN_AT.lock().unwrap_or_else(PoisonError::into_inner);
    outgrown_at.is_none_or(|at| at.elapsed() > age)
}
