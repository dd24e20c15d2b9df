//! A connection in use.

use std::{sync::Arc, time::Duration};

use futures::{
    TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Connection as _, Either, Execute, Executor, PgConnection, Postgres, Row, SqlStr,
    postgres::{PgDatabaseError, PgRow, PgSeverity, PgStatement, PgTypeInfo},
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};

use super::{
    epoch::Epoch,
    hosts::{SERVER_IDENTITY, read_only},
    pool_state::{ConnectionPermit, Opened, PoolState},
    repeatable::{Repeatable, Step},
    sql_state::is_of_server,
};

/// How long a statement that was given up keeps its connection, and the place of the connection, from being used otherwise. One that is
/// nearly done is waited for; behind one that hangs, the connection would be missing for as long as it does.
const ABANDONED_STATEMENT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the rollback of a transaction that was given up between two statements may take.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection in use. Dropping it returns it to its pool, unless its state is in doubt: then it is closed.
#[derive(Debug)]
pub(in crate::store) struct Connection {
    /// Both are there until the drop.
    held: Option<(Opened, ConnectionPermit)>,
    pool: Arc<PoolState>,
    state: State,
    in_transaction: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The last statement was answered.
    Ready,
    /// A statement was sent and not answered. In a drop: its caller was given up.
    Asking,
    /// An error, or an answer that did not come, has ended it.
    Broken,
}

impl Connection {
    pub(super) fn new(opened: Opened, pool: Arc<PoolState>, permit: ConnectionPermit) -> Self {
        Self { held: Some((opened, permit)), pool, state: State::Ready, in_transaction: false }
    }

    /// Sends a statement that is a transaction of its own.
    pub(super) async fn steps_alone(&mut self, statement: Repeatable) -> Result<Vec<Step>, sqlx::Error> {
        if self.pool.hosts().lend_sessions() {
            // Within a transaction no plan is outgrown: it is made there, and what it is for is locked until the end.
            return self.steps_in_own_transaction(statement).await;
        }
        let (raw, epoch) = self.ask()?;
        let answer = epoch.bounded(statement.send_alone(raw)).await;
        self.answered(answer)
    }

    /// Sends a statement that is a transaction of its own, and returns its first row.
    ///
    /// Invariant: that there is none is believed of a server that takes writes only. A primary that a standby has taken
    /// over from may answer for some seconds more, most likely behind a pooler, and knows nothing of what was accepted
    /// since.
    pub(super) async fn row_alone(&mut self, statement: Repeatable) -> Result<Option<PgRow>, sqlx::Error> {
        if !self.pool.hosts().lend_sessions() {
            let row = first_row(self.steps_alone(statement).await?);
            return if row.is_none() { self.takes_writes().await.map(|()| None) } else { Ok(row) };
        }
        // In one transaction, because the next one may go to another server.
        let steps = match self.begin("begin").await {
            Ok(()) => self.send(statement.unnamed()).await,
            Err(error) => Err(error),
        };
        let row = match steps.map(first_row) {
            Ok(None) => self.takes_writes().await.map(|()| None),
            found => found,
        };
        self.conclude(row).await
    }

    /// # Errors
    /// Where the server takes no writes: then no connection to it is used again.
    async fn takes_writes(&mut self) -> Result<(), sqlx::Error> {
        let answer = self.send(Repeatable::simple(SqlStr::from_static(SERVER_IDENTITY))).await?;
        let is_read_only = first_row(answer).ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
        self.answered(if is_read_only { Err(read_only()) } else { Ok(()) })
    }

    async fn steps(&mut self, statement: Repeatable) -> Result<Vec<Step>, sqlx::Error> {
        match (self.pool.hosts().lend_sessions(), self.in_transaction) {
            (true, true) => self.send(statement.unnamed()).await,
            (true, false) => self.steps_in_own_transaction(statement).await,
            (false, _) => self.send(statement).await,
        }
    }

    /// Makes the statement a transaction of its own, which sets its settings.
    async fn steps_in_own_transaction(&mut self, statement: Repeatable) -> Result<Vec<Step>, sqlx::Error> {
        let done = match self.begin("begin").await {
            Ok(()) => self.send(statement.unnamed()).await,
            Err(error) => Err(error),
        };
        self.conclude(done).await
    }

    /// Ends the transaction of one statement. Where that has broken the connection, there is none to end it on.
    async fn conclude<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if self.state != State::Ready {
            return done;
        }
        let ended = self.end(if done.is_ok() { "commit" } else { "rollback" }).await;
        done.and_then(|value| ended.map(|()| value))
    }

    pub(super) async fn begin(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        // Before it is sent: a connection whose `begin` was given up may be in a transaction.
        self.in_transaction = true;
        let begin = self.pool.hosts().begin(statement);
        self.send(Repeatable::simple(begin)).await.map(drop)
    }

    pub(super) async fn end(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        self.send(Repeatable::simple(SqlStr::from_static(statement))).await?;
        self.in_transaction = false;
        Ok(())
    }

    async fn send(&mut self, statement: Repeatable) -> Result<Vec<Step>, sqlx::Error> {
        let (raw, epoch) = self.ask()?;
        let answer = epoch.bounded(statement.send(raw)).await;
        self.answered(answer)
    }

    /// When it was opened.
    pub(super) fn opened_at(&self) -> Instant {
        self.held.as_ref().map_or_else(Instant::now, |(opened, _)| opened.at)
    }

    fn ask(&mut self) -> Result<(&mut PgConnection, Epoch), sqlx::Error> {
        // What was given up, or is broken, would answer to another statement than the next one.
        let (State::Ready, Some((opened, _))) = (self.state, &mut self.held) else {
            return Err(sqlx::Error::WorkerCrashed);
        };
        self.state = State::Asking;
        Ok((&mut opened.raw, opened.epoch.clone()))
    }

    fn answered<T>(&mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let Some((opened, _)) = &self.held else { return answer };
        let epochs = self.pool.epochs();
        match &answer {
            Err(error) if !leaves_sound(error) => {
                self.state = State::Broken;
                // What ended this one has ended the others, too, and each would cost its caller an error.
                if is_of_server(error) {
                    epochs.retire(&opened.epoch);
                }
            }
            _ => {
                self.state = State::Ready;
                epochs.answered(opened.at);
            }
        }
        answer
    }
}

fn first_row(steps: Vec<Step>) -> Option<PgRow> {
    steps.into_iter().find_map(Either::right)
}

/// Whether a connection can be used after this error: yes after PostgreSQL's own errors of severity `ERROR`, unless the
/// server accepts no writes.
fn leaves_sound(error: &sqlx::Error) -> bool {
    let database = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    database.is_some_and(|error| error.severity() == PgSeverity::Error) && !is_of_server(error)
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some((opened, permit)) = self.held.take() else { return };
        match (self.state, self.in_transaction) {
            (State::Ready, false) => self.pool.put(opened, permit),
            (State::Broken, _) => {}
            // The last store may be dropped after the runtime has stopped.
            (state, in_transaction) => {
                if let Ok(runtime) = Handle::try_current() {
                    let pool = self.pool.clone();
                    runtime.spawn(wind_down(opened, permit, pool, state, in_transaction));
                }
            }
        }
    }
}

/// Ends what was left unfinished on a connection. It is used again only if the server has confirmed that it is in no transaction.
async fn wind_down(
    mut opened: Opened,
    permit: ConnectionPermit,
    pool: Arc<PoolState>,
    state: State,
    in_transaction: bool,
) {
    let epoch = opened.epoch.clone();
    let is_free = match state {
        State::Ready => {
            let rollback = epoch.bounded(Repeatable::simple(SqlStr::from_static("rollback")).send(&mut opened.raw));
            timeout(ROLLBACK_TIMEOUT, rollback).await.is_ok_and(|rolled_back| rolled_back.is_ok())
        }
        // A `begin`, a `commit` or a `rollback` may be what was given up: sqlx would go on within the transaction, and never commit.
        State::Asking | State::Broken => {
            let flushed = timeout(ABANDONED_STATEMENT_TIMEOUT, epoch.bounded(opened.raw.flush())).await;
            flushed.is_ok_and(|flushed| flushed.is_ok()) && !in_transaction
        }
    };
    if is_free {
        pool.put(opened, permit);
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let statement = Repeatable::of(query);
        let steps = async move { self.steps(statement?).await };
        Box::pin(stream::once(steps).map_ok(|steps| stream::iter(steps.into_iter().map(Ok))).try_flatten())
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let statement = Repeatable::of(query);
        Box::pin(async move { Ok(first_row(self.steps(statement?).await?)) })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(async move {
            let (raw, epoch) = self.ask()?;
            let prepared = epoch.bounded(raw.prepare_with(sql, parameters)).await;
            self.answered(prepared)
        })
    }
}
