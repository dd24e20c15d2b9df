//! A transaction on a connection.

use std::ops::{Deref, DerefMut};

use super::connection::Connection;

/// A transaction. Dropping it rolls it back, by a task of its own.
#[derive(Debug)]
pub(in crate::store) struct Transaction(Connection);

impl Transaction {
    pub(super) async fn begin(mut connection: Connection, statement: &'static str) -> Result<Self, sqlx::Error> {
        connection.begin(statement).await?;
        Ok(Self(connection))
    }

    /// Commits it.
    ///
    /// # Errors
    /// The database's. Where there was no answer, it is not known whether it was committed.
    pub(in crate::store) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.0.end("commit").await
    }

    /// Rolls it back.
    ///
    /// # Errors
    /// The database's; it is rolled back all the same.
    pub(in crate::store) async fn rollback(mut self) -> Result<(), sqlx::Error> {
        self.0.end("rollback").await
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}
