//! A pool whose statements survive a change of the schema, and whose connections are in no transaction that was given up.
//!
//! PostgreSQL refuses a prepared statement whose result columns have changed since it was prepared, on that connection, for as long as the
//! connection keeps it. Statements of the store name their columns, so a column more changes no result; a column of another type does.
//! Here is the one place where a connection forgets its statements and the refused one is sent again, once.

use std::{
    ops::Deref,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{
    TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Connection, Database, Either, Execute, Executor, PgConnection, PgPool, Postgres, SqlStr, Transaction,
    error::BoxDynError,
    pool::MaybePoolConnection,
    postgres::{PgArguments, PgDatabaseError, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

/// What a statement gives, as sqlx has it.
type Step = Either<PgQueryResult, PgRow>;

/// When a transaction last met a plan that the schema has outgrown. Process-wide, because the error is recognized where no pool is known.
static OUTGROWN_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// A pool whose statements are sent again when the schema has outgrown their plan. A statement within a transaction is not, because the
/// error has ended the transaction; its connection, and every older one, is closed instead of being used again.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPool(PgPool);

impl ConnectionPool {
    pub(super) fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.begin_with("begin").await
    }

    /// Begins a transaction with this statement.
    ///
    /// In a task of its own, so that it has its answer although its caller may be given up meanwhile, as at a deadline: what nobody takes is
    /// then rolled back. sqlx rolls nothing back whose beginning it has no answer to, and the connection would be in that transaction when
    /// it is used next: statements that are transactions of their own would be answered there, and never be committed.
    pub(super) async fn begin_with(
        &self,
        statement: &'static str,
    ) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let connection = MaybePoolConnection::PoolConnection(self.0.acquire().await?);
        let begun = tokio::spawn(Transaction::begin(connection, Some(SqlStr::from_static(statement))));
        // It ends without an answer only with the program.
        begun.await.unwrap_or(Err(sqlx::Error::PoolClosed))
    }
}

impl Deref for ConnectionPool {
    type Target = PgPool;

    fn deref(&self) -> &PgPool {
        &self.0
    }
}

impl<'p> Executor<'p> for &'_ ConnectionPool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (pool, statement) = (self.0.clone(), Repeatable::of(query));
        let steps = async move { steps(&mut *pool.acquire().await?, &statement?).await };
        // What is refused is refused before its first row, so nothing is sent twice. No list of the store is too long to be collected.
        Box::pin(stream::once(steps).map_ok(|steps| stream::iter(steps.into_iter().map(Ok))).try_flatten())
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (pool, statement) = (self.0.clone(), Repeatable::of(query));
        Box::pin(async move { Ok(rows(&mut *pool.acquire().await?, &statement?).await?.into_iter().next()) })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        let pool = self.0.clone();
        Box::pin(async move { pool.acquire().await?.prepare_with(sql, parameters).await })
    }
}

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

/// The rows of a statement that is a transaction of its own, on a connection that keeps its statements.
pub(super) async fn rows(connection: &mut PgConnection, statement: &Repeatable) -> Result<Vec<PgRow>, sqlx::Error> {
    Ok(steps(connection, statement).await?.into_iter().filter_map(Either::right).collect())
}

async fn steps(connection: &mut PgConnection, statement: &Repeatable) -> Result<Vec<Step>, sqlx::Error> {
    match connection.fetch_many(statement.clone()).try_collect().await {
        Err(error) if is_outgrown(&error) => {
            tracing::info!("the schema has changed: prepared statements are planned again");
            connection.clear_cached_statements().await?;
            connection.fetch_many(statement.clone()).try_collect().await
        }
        done => done,
    }
}

/// Whether a plan was prepared for a schema that has changed since. By the routine: the message is in the server's language, and the code
/// (`0A000`) is that of everything that PostgreSQL does not support.
pub(super) fn is_outgrown(error: &sqlx::Error) -> bool {
    let database = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    database.is_some_and(|error| error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery"))
}

/// Notes that a transaction met such a plan: connections that are as old may have it, too.
pub(super) fn note_outgrown() {
    *OUTGROWN_AT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Whether a connection of this age was opened after the last such plan.
pub(super) fn is_current(age: Duration) -> bool {
    let outgrown_at = *OUTGROWN_AT.lock().unwrap_or_else(PoisonError::into_inner);
    outgrown_at.is_none_or(|at| at.elapsed() > age)
}
