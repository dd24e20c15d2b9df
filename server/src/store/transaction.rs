//! Transactions, and the statements in them.
//!
//! Behind a pooler that hands each transaction to another session, a prepared statement with a name is one that another session has, or
//! that another client has given this name. Statements without one are prepared and carried out in two round trips, between which
//! another client may have replaced them: outside of a transaction they would answer another client's question. So there, every statement
//! is sent without a name, and within a transaction. It is a type of its own so that no statement can be sent otherwise.

use std::ops::{Deref, DerefMut};

use futures::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    Either, Execute, Executor, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

/// A transaction, which is rolled back unless it is committed.
#[derive(Debug)]
pub(super) struct Transaction(OpenTransaction);

/// The connection of a transaction, for those who send statements and leave its end to others.
#[derive(Debug)]
pub(super) struct OpenTransaction {
    transaction: sqlx::Transaction<'static, Postgres>,
    /// Whether the session keeps prepared statements.
    keeps_statements: bool,
}

impl Transaction {
    pub(super) fn new(transaction: sqlx::Transaction<'static, Postgres>, keeps_statements: bool) -> Self {
        Self(OpenTransaction { transaction, keeps_statements })
    }

    /// Commits it.
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        self.0.transaction.commit().await
    }

    /// Rolls it back.
    pub(super) async fn rollback(self) -> Result<(), sqlx::Error> {
        self.0.transaction.rollback().await
    }
}

impl Deref for Transaction {
    type Target = OpenTransaction;

    fn deref(&self) -> &OpenTransaction {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut OpenTransaction {
        &mut self.0
    }
}

impl<'c> Executor<'c> for &'c mut OpenTransaction {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let query = Sent { query, keeps_statements: self.keeps_statements };
        (*self.transaction).fetch_many(query)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let query = Sent { query, keeps_statements: self.keeps_statements };
        (*self.transaction).fetch_optional(query)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        (*self.transaction).prepare_with(sql, parameters)
    }
}

/// A statement as this connection sends it.
struct Sent<E> {
    query: E,
    keeps_statements: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Sent<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.keeps_statements && self.query.persistent()
    }
}
