//! A pool whose statements survive a change of the schema, and whose connections are in no transaction that was given up.
//!
//! PostgreSQL refuses a prepared statement whose result columns have changed since it was prepared, on that connection, for as long as the
//! connection keeps it. Statements of the store name their columns, so a column more changes no result; a column of another type does.
//! Here is the one place where a connection forgets its statements and the refused one is sent again, once.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{
    TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Connection, Database, Either, Execute, Executor, PgConnection, PgPool, Postgres, SqlStr,
    error::BoxDynError,
    pool::MaybePoolConnection,
    postgres::{PgArguments, PgDatabaseError, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

use super::{
    session::{Session, explicit},
    transaction::Transaction,
};

/// What a statement gives, as sqlx has it.
type Step = Either<PgQueryResult, PgRow>;

/// When a transaction last met a plan that the schema has outgrown. Process-wide, because the error is recognized where no pool is known.
static OUTGROWN_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// A pool whose statements are sent again when the schema has outgrown their plan. A statement within a transaction is not, because the
/// error has ended the transaction; its connection, and every older one, is closed instead of being used again.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPool {
    pool: PgPool,
    /// The settings of each transaction, where a pooler hands it to a session that has others; see [`super::transaction`].
    pooled: Option<Arc<Session>>,
}

impl ConnectionPool {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, pooled: None }
    }

    /// A pool of connections to a pooler in transaction mode.
    pub(super) fn through_pooler(pool: PgPool, session: Session) -> Self {
        Self { pool, pooled: Some(Arc::new(session)) }
    }

    /// Whether a pooler in transaction mode is between.
    pub(super) fn is_pooled(&self) -> bool {
        self.pooled.is_some()
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        self.begin_with("begin").await
    }

    /// Begins a transaction with this statement.
    ///
    /// In a task of its own, so that it has its answer although its caller may be given up meanwhile, as at a deadline: what nobody takes is
    /// then rolled back. sqlx rolls nothing back whose beginning it has no answer to, and the connection would be in that transaction when
    /// it is used next: statements that are transactions of their own would be answered there, and never be committed.
    pub(super) async fn begin_with(&self, statement: &'static str) -> Result<Transaction, sqlx::Error> {
        let statement = explicit(statement);
        let begin = match &self.pooled {
            Some(session) => session.begin(statement),
            None => SqlStr::from_static(statement),
        };
        let connection = MaybePoolConnection::PoolConnection(self.pool.acquire().await?);
        let begun = tokio::spawn(sqlx::Transaction::begin(connection, Some(begin)));
        // It ends without an answer only with the program.
        let begun = begun.await.unwrap_or(Err(sqlx::Error::PoolClosed))?;
        Ok(Transaction::new(begun, !self.is_pooled()))
    }

    /// What a statement that is a transaction of its own gives.
    async fn steps(&self, statement: &Repeatable) -> Result<Vec<Step>, sqlx::Error> {
        if !self.is_pooled() {
            return steps(&mut *self.pool.acquire().await?, statement).await;
        }
        match self.in_transaction(statement).await {
            Err(error) if is_outgrown(&error) => self.in_transaction(statement).await,
            done => done,
        }
    }

    async fn in_transaction(&self, statement: &Repeatable) -> Result<Vec<Step>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let steps = transaction.fetch_many(statement.clone()).try_collect().await?;
        transaction.commit().await?;
        Ok(steps)
    }
}

impl Deref for ConnectionPool {
    type Target = PgPool;

    fn deref(&self) -> &PgPool {
        &self.pool
    }
}

impl<'p> Executor<'p> for &'_ ConnectionPool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (pool, statement) = (self.clone(), Repeatable::of(query));
        let steps = async move { pool.steps(&statement?).await };
        // What is refused is refused before its first row, so nothing is sent twice. No list of the store is too long to be collected.
        Box::pin(stream::once(steps).map_ok(|steps| stream::iter(steps.into_iter().map(Ok))).try_flatten())
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (pool, statement) = (self.clone(), Repeatable::of(query));
        Box::pin(async move { Ok(pool.steps(&statement?).await?.into_iter().find_map(Either::right)) })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        let pool = self.pool.clone();
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
