//! The way to the database: which URL leads where, and what a session there keeps.

use sqlx::{
    ConnectOptions, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{connection_pool::ConnectionPool, pool, session::Session};

/// How connections are made: the one place that both URLs share. Made by [`super::check`], which finds out what the database is like.
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
    pub(super) fn without_startup_settings(self) -> Self {
        Self { sessions: self.sessions.extra_float_digits(None), names_settings: false, ..self }
    }

    /// Opens a connection and sets nothing there: it may turn out to be one through a pooler, whose sessions are others' as well.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn open_untouched(&self) -> Result<PgConnection, sqlx::Error> {
        self.session_options(&self.session).connect().await
    }

    /// Sets the settings on a connection that was left alone so far.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn prepare(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.session.set(connection).await
    }

    /// Opens a connection with a session of its own, and with these settings beside the usual ones.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn open(&self, settings: &[(&'static str, &'static str)]) -> Result<PgConnection, sqlx::Error> {
        let session = self.session.with(settings);
        let mut connection = self.session_options(&session).connect().await?;
        session.set(&mut connection).await?;
        Ok(connection)
    }

    /// Makes the pool of calls and runs, and with it everything that is connected. Nothing is connected yet.
    #[must_use]
    pub fn connect(self, max_connections: u32) -> Pools {
        let main = self.pool(&[], pool::settings(max_connections));
        Pools { route: self, main }
    }

    /// A pool for statements that are transactions, with settings beside the usual ones.
    pub(super) fn pool(&self, settings: &[(&'static str, &'static str)], options: PgPoolOptions) -> ConnectionPool {
        match &self.pooler {
            Some(pooler) => {
                let pool = options.connect_lazy_with(pooler.clone());
                ConnectionPool::through_pooler(pool, self.session.with(settings))
            }
            None => ConnectionPool::new(self.session_pool(settings, options)),
        }
    }

    /// A pool of connections that have a session of their own.
    pub(super) fn session_pool(&self, settings: &[(&'static str, &'static str)], options: PgPoolOptions) -> PgPool {
        let session = self.session.with(settings);
        let connect = self.session_options(&session);
        pool::with_session(options, session).connect_lazy_with(connect)
    }

    fn session_options(&self, session: &Session) -> PgConnectOptions {
        if self.names_settings { session.at_startup(self.sessions.clone()) } else { self.sessions.clone() }
    }
}

fn named(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("category-mirror")
}

/// Everything that is connected to the database on the route of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pools {
    route: Route,
    main: ConnectionPool,
}

impl From<PgPool> for Pools {
    /// Those of a pool that [`super::connect`] has made.
    fn from(pool: PgPool) -> Self {
        let route = Route::direct(PgConnectOptions::clone(&pool.connect_options()));
        Self { route, main: ConnectionPool::new(pool) }
    }
}

impl Pools {
    /// The pool that calls and runs share.
    pub(super) fn main(&self) -> &ConnectionPool {
        &self.main
    }

    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// Makes a pool of one connection that stays open and has a session of its own, for LISTEN.
    #[must_use]
    pub fn for_listening(&self) -> PgPool {
        let one = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        self.route.session_pool(&[], one)
    }

    /// Gives the pool for NOTIFY, whose statement is sent by name.
    #[must_use]
    pub fn for_notifying(&self) -> PgPool {
        match self.route.pooler {
            Some(_) => self.route.session_pool(&[], pool::settings(1)),
            None => PgPool::clone(&self.main),
        }
    }

    /// A pool for what cannot run in a transaction: the main one, or one connection with a session of its own.
    pub(super) fn for_definitions(&self) -> ConnectionPool {
        match self.route.pooler {
            Some(_) => ConnectionPool::new(self.route.session_pool(&[], pool::settings(1))),
            None => self.main.clone(),
        }
    }

    /// Closes the pool of calls and runs.
    pub async fn close(&self) {
        self.main.close().await;
    }
}
