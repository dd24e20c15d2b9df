//! The servers that a connection may go to, and which of them takes writes.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, PgConnection, Row, SqlStr, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::session::Session;

/// How long one of several servers may take to let a connection in, before the next one is tried. Within the time that a call waits for a
/// connection.
const HOST_CONNECT_TIMEOUT: Duration = Duration::from_millis(1200);

/// Whether writes are refused: by a standby, or by a setting of the server, the database or the role. And which server this is: one that
/// was started anew, or another one, has another time of its start.
pub(super) const SERVER_IDENTITY: &str =
    "select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean, pg_postmaster_start_time()::text";

/// What the sessions behind connections are like.
#[derive(Debug, Clone)]
pub(in crate::store) enum Sessions {
    /// Nothing is known of them yet, so nothing is set: they may be others' as well.
    Untouched,
    /// Each connection has its own, with these settings for its life.
    Own(Session),
    /// A pooler lends one to each transaction, which sets these settings at its begin.
    Lent(Session),
}

/// The servers of a URL, in its order, and what is to be set there. They are kept in the host of the connection options, `a:5432,b:5433`,
/// because sqlx knows one host only. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::store) struct Hosts {
    hosts: Arc<[PgConnectOptions]>,
    sessions: Arc<Sessions>,
    /// Which of them took writes last.
    last: Arc<AtomicUsize>,
}

impl Hosts {
    pub(in crate::store) fn new(options: &PgConnectOptions, sessions: Sessions) -> Self {
        let one = |entry: &str| {
            let (host, port) = split(entry, options.get_port());
            options.clone().host(host).port(port)
        };
        let hosts = match options.get_host() {
            hosts if options.get_socket().is_none() && hosts.contains(',') => hosts.split(',').map(one).collect(),
            _ => [options.clone()].into(),
        };
        Self { hosts, sessions: Arc::new(sessions), last: Arc::default() }
    }

    /// Whether a pooler lends a session to each transaction.
    pub(super) fn lend_sessions(&self) -> bool {
        matches!(*self.sessions, Sessions::Lent(_))
    }

    /// The message that begins a transaction on a connection to them.
    pub(super) fn begin(&self, statement: &'static str) -> SqlStr {
        match &*self.sessions {
            Sessions::Lent(session) => session.begin(statement),
            Sessions::Untouched | Sessions::Own(_) => SqlStr::from_static(statement),
        }
    }

    /// Connects to a server that takes writes, as libpq does with `target_session_attrs=read-write`: tries the one that did so last, and
    /// then the others. Also returns the identity of its server.
    ///
    /// # Errors
    /// The last server's; a server that refuses writes is [`io::ErrorKind::ReadOnlyFilesystem`].
    pub(in crate::store) async fn connect(&self) -> Result<(PgConnection, String), sqlx::Error> {
        Ok(self.connect_to_any().await?.0)
    }

    /// Finds the server that accepts writes now. Returns how to connect to it alone.
    ///
    /// # Errors
    /// As [`Hosts::connect`].
    pub(in crate::store) async fn writable(&self) -> Result<PgConnectOptions, sqlx::Error> {
        Ok(self.connect_to_any().await?.1.clone())
    }

    /// Connects to a server that accepts writes or, if there is none, to any of them, so that the caller can examine it.
    ///
    /// # Errors
    /// The last server's.
    pub(in crate::store) async fn connect_anyway(&self) -> Result<PgConnection, sqlx::Error> {
        match self.connect_to_any().await {
            Ok(((connection, _), _)) => Ok(connection),
            Err(error) if is_read_only(&error) => {
                // The one that was tried last.
                let first = self.last.load(Ordering::Relaxed);
                self.hosts[(first + self.hosts.len() - 1) % self.hosts.len()].connect().await
            }
            Err(error) => Err(error),
        }
    }

    /// Makes what [`Sessions::Own`] promises of a connection that was opened otherwise than by [`Hosts::connect`].
    ///
    /// # Errors
    /// The database's.
    pub(in crate::store) async fn set_up(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        match &*self.sessions {
            Sessions::Own(session) => session.set(connection).await,
            Sessions::Untouched | Sessions::Lent(_) => Ok(()),
        }
    }

    async fn connect_to_any(&self) -> Result<((PgConnection, String), &PgConnectOptions), sqlx::Error> {
        let (count, first) = (self.hosts.len(), self.last.load(Ordering::Relaxed));
        let mut failure = sqlx::Error::PoolTimedOut;
        for index in (first..first + count).map(|index| index % count) {
            let host = &self.hosts[index];
            let connecting = self.connect_to(host);
            let connected = match count {
                1 => connecting.await,
                _ => timeout(HOST_CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)),
            };
            match connected {
                Ok(connection) => {
                    self.last.store(index, Ordering::Relaxed);
                    return Ok((connection, host));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn connect_to(&self, host: &PgConnectOptions) -> Result<(PgConnection, String), sqlx::Error> {
        let mut connection = host.connect().await?;
        // Not prepared: a pooler might lose it.
        let row = sqlx::raw_sql(SERVER_IDENTITY).fetch_one(&mut connection).await?;
        if row.try_get::<bool, _>(0)? {
            return Err(read_only());
        }
        self.set_up(&mut connection).await?;
        Ok((connection, row.try_get(1)?))
    }
}

/// A host and its port. An IPv6 address has brackets, which are not part of it, where a port may follow.
fn split(entry: &str, default_port: u16) -> (&str, u16) {
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => {
            (host, port.parse().unwrap_or(default_port))
        }
        _ => (entry, default_port),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// The error of a server that takes no writes.
pub(super) fn read_only() -> sqlx::Error {
    let message = "the server is in recovery or read-only; one that takes writes is needed";
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, message).into()
}

fn is_read_only(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem)
}

/// Whether a server that refuses a connection may let one in a moment later: it starts, has too many, or is a standby
/// that is being promoted.
pub(super) fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => {
            matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ReadOnlyFilesystem)
        }
        sqlx::Error::Database(error) => error.is_transient_in_connect_phase(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_ports() {
        let options = PgConnectOptions::new_without_pgpass().host("a:1,b,[::1]:3,[::1],::1").port(2);
        let hosts = Hosts::new(&options, Sessions::Untouched);
        let all: Vec<_> = hosts.hosts.iter().map(|host| (host.get_host().to_owned(), host.get_port())).collect();
        let expected = [
            ("a".to_owned(), 1),
            ("b".to_owned(), 2),
            ("::1".to_owned(), 3),
            ("::1".to_owned(), 2),
            ("::1".to_owned(), 2),
        ];
        assert_eq!(all, expected);
        let one = Hosts::new(&options.host("a"), Sessions::Untouched);
        assert_eq!(one.hosts.len(), 1);
    }
}
