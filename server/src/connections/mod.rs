//! Accepts connections on both ports, and limits their number, the duration of each step, their age, and the bytes that
//! wait to be sent.
//!
//! Invariant: a connection costs a descriptor only while a [`Permit`] exists for it, and permits are bounded. This
//! module knows nothing about calls: the layer above marks a connection as proven once a valid token has arrived over
//! it.

mod account;
mod admin;
mod connection;
mod descriptors;
mod grpc;
mod listener;
mod permits;
mod port;
mod preface;
mod refusals;

use std::time::Duration;

pub use self::{
    account::{Account, Full},
    admin::serve_admin,
    connection::{Connection, UnsentBytes},
    descriptors::{raise_descriptor_limit, reserved_descriptors},
    grpc::{Http2, Parties, serve_grpc},
    permits::{Connections, Permit},
    port::Port,
    refusals::RefusalReason,
};

/// Limits of the connections on one port.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Maximum number of connections in total.
    pub max_connections: usize,
    /// Maximum number of connections per address; for IPv6, per /64 network, because a single host owns that many
    /// addresses.
    pub max_per_address: usize,
    /// Maximum duration of each step of a new connection: the TLS handshake, the HTTP/2 preface, and the headers of the
    /// first call.
    pub handshake_timeout: Duration,
    /// Age at which a connection is closed; each connection gets up to a tenth more or less, at random.
    pub max_age: Duration,
    /// Time that its open calls have after that.
    pub age_grace: Duration,
}

impl ConnectionLimits {
    /// Default of `handshake_timeout`.
    pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
    /// Default of `max_age`.
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(3600);
    /// Default of `age_grace`: the same as the default of `CALL_TIMEOUT`.
    pub const DEFAULT_AGE_GRACE: Duration = Duration::from_secs(30);

    /// Returns the limits of the admin port, which serves scrapers, probes and people.
    pub(crate) fn admin(self) -> Self {
        const MAX_CONNECTIONS: usize = 64;
        const MAX_PER_ADDRESS: usize = 32;
        Self { max_connections: MAX_CONNECTIONS, max_per_address: MAX_PER_ADDRESS, ..self }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_per_address: 1024,
            handshake_timeout: Self::DEFAULT_HANDSHAKE_TIMEOUT,
            max_age: Self::DEFAULT_MAX_AGE,
            age_grace: Self::DEFAULT_AGE_GRACE,
        }
    }
}
