//! The way to the database: which URL leads where, and what a session there keeps.

use sqlx::{PgConnection, postgres::PgConnectOptions};

use super::{
    hosts::{Hosts, Sessions},
    session::Session,
};

/// How connections are made: the one place that both URLs share. Made by [`check`][crate::store::check], which
/// finds out what the database is like.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where a connection has a session of its own: for LISTEN, locks, and what cannot run in a transaction.
    sessions: PgConnectOptions,
    /// A pooler that hands each transaction to another session, where calls and runs go through one.
    pooler: Option<PgConnectOptions>,
    session: Session,
    /// Whether the startup may name settings; some poolers refuse such a connection.
    names_settings: bool,
}

impl Route {
    /// A database that is reached directly, with its tables in the default schema.
    #[must_use]
    pub fn direct(options: PgConnectOptions) -> Self {
        Self { sessions: named(options), pooler: None, session: Session::default(), names_settings: true }
    }

    /// Leads calls and runs through a pooler in transaction mode.
    #[must_use]
    pub fn through(self, pooler: PgConnectOptions) -> Self {
        // A pooler refuses settings that it does not keep apart for its clients. Without a cache, no statement is kept either.
        let pooler = named(pooler).extra_float_digits(None).statement_cache_capacity(0);
        Self { pooler: Some(pooler), ..self }
    }

    /// The same, with other settings.
    #[must_use]
    pub fn with_session(self, session: Session) -> Self {
        Self { session, ..self }
    }

    /// The same, with startups that name no settings.
    #[must_use]
    pub(in crate::store) fn without_startup_settings(self) -> Self {
        Self { sessions: self.sessions.extra_float_digits(None), names_settings: false, ..self }
    }

    /// Opens a connection and sets nothing there: it may turn out to be one through a pooler, whose sessions are
    /// others' as well. Of several servers the one that takes writes, if there is one.
    ///
    /// # Errors
    /// Those of the connection.
    pub(in crate::store) async fn open_untouched(&self) -> Result<PgConnection, sqlx::Error> {
        Hosts::new(&self.startup(), Sessions::Untouched).connect_anyway().await
    }

    /// Sets the settings on a connection that was left alone so far.
    ///
    /// # Errors
    /// Those of the connection.
    pub(in crate::store) async fn prepare(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.session.set(connection).await
    }

    /// Opens a connection with a session of its own, and with these settings beside the usual ones.
    ///
    /// # Errors
    /// Those of the connection, or that no server takes writes.
    pub(in crate::store) async fn open(
        &self,
        settings: &[(&'static str, &'static str)],
    ) -> Result<PgConnection, sqlx::Error> {
        Ok(self.direct_hosts(settings).connect().await?.0)
    }

    /// Whether calls and runs go through a pooler that lends a session to each transaction.
    pub(in crate::store) fn has_pooler(&self) -> bool {
        self.pooler.is_some()
    }

    /// The servers of calls and runs, with settings beside the usual ones.
    pub(in crate::store) fn hosts(&self, settings: &[(&'static str, &'static str)]) -> Hosts {
        match &self.pooler {
            Some(pooler) => Hosts::new(pooler, Sessions::Lent(self.session.with(settings))),
            None => self.direct_hosts(settings),
        }
    }

    /// The servers where each connection has a session of its own, with settings beside the usual ones.
    pub(in crate::store) fn direct_hosts(&self, settings: &[(&'static str, &'static str)]) -> Hosts {
        let session = self.session.with(settings);
        Hosts::new(&self.session_options(&session), Sessions::Own(session))
    }

    /// What a connection with a session of its own is opened with.
    pub(super) fn startup(&self) -> PgConnectOptions {
        self.session_options(&self.session)
    }

    fn session_options(&self, session: &Session) -> PgConnectOptions {
        if self.names_settings { session.at_startup(self.sessions.clone()) } else { self.sessions.clone() }
    }
}

fn named(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("category-mirror")
}
