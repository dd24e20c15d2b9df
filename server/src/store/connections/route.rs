//! The way to the database: which URL leads where, and what a session there keeps.

use sqlx::{
    PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    epoch::Epochs,
    hosts::{Hosts, Sessions},
    limits,
    pool::ConnectionPool,
    session::Session,
};

/// How connections are made: the one place that both URLs share. Made by [`check`][super::requirements::check], which finds out what the database is like.
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

    /// Opens a connection and sets nothing there: it may turn out to be one through a pooler, whose sessions are others' as well. Of several
    /// servers the one that takes writes, if there is one.
    ///
    /// # Errors
    /// Those of the connection.
    pub(in crate::store) async fn open_untouched(&self) -> Result<PgConnection, sqlx::Error> {
        Hosts::new(&self.session_options(&self.session), Sessions::Untouched).connect_anyway().await
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

    /// What a store connects with, which has so many connections for calls and runs. Nothing is connected.
    #[must_use]
    pub fn connect(self, max_connections: u32) -> Pools {
        Pools { route: self, max_connections, given: None }
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

    fn session_options(&self, session: &Session) -> PgConnectOptions {
        if self.names_settings { session.at_startup(self.sessions.clone()) } else { self.sessions.clone() }
    }
}

fn named(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("category-mirror")
}

/// What a store connects with: the route of a server, and how many connections it has. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pools {
    route: Route,
    max_connections: u32,
    /// The pool that the settings are from. It is closed with the store, because its maker may have used it.
    given: Option<PgPool>,
}

impl From<PgPool> for Pools {
    /// With the settings of a pool that [`connect`][limits::connect] has made.
    fn from(pool: PgPool) -> Self {
        let route = Route::direct(PgConnectOptions::clone(&pool.connect_options()));
        Self { route, max_connections: pool.options().get_max_connections(), given: Some(pool) }
    }
}

impl Pools {
    pub(in crate::store) fn route(&self) -> &Route {
        &self.route
    }

    pub(in crate::store) fn given(&self) -> Option<PgPool> {
        self.given.clone()
    }

    /// How many connections calls and runs share.
    #[must_use]
    pub fn max_connections(&self) -> u32 {
        self.max_connections
    }

    /// A pool of one connection that stays open and has a session of its own, for LISTEN at the server that takes writes: a standby gets no
    /// notification.
    ///
    /// # Errors
    /// Those of the connection, or that no server takes writes.
    pub async fn for_listening(&self) -> Result<PgPool, sqlx::Error> {
        let hosts = self.route.direct_hosts(&[]);
        let options = hosts.writable().await?;
        let one = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        Ok(with_session(one.acquire_timeout(limits::ACQUIRE_TIMEOUT), hosts).connect_lazy_with(options))
    }

    /// One connection that has a session of its own, for NOTIFY.
    #[must_use]
    pub fn for_notifying(&self) -> ConnectionPool {
        ConnectionPool::new(self.route.direct_hosts(&[]), Epochs::default(), limits::limits(1))
    }
}

/// Makes sqlx's pool of connections that have a session of their own.
pub(in crate::store) fn session_pool(route: &Route, options: PgPoolOptions) -> PgPool {
    let connect = route.session_options(&route.session);
    with_session(options, route.direct_hosts(&[])).connect_lazy_with(connect)
}

/// Sets the settings of each new session before anybody uses it.
fn with_session(options: PgPoolOptions, hosts: Hosts) -> PgPoolOptions {
    options.after_connect(move |connection, _| {
        let hosts = hosts.clone();
        Box::pin(async move { hosts.set_up(connection).await })
    })
}
