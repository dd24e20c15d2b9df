//! Accepts connections on both ports, and bounds what each may cost: how many there are, how long each step takes, how old one gets,
//! and how many bytes wait to be sent.
//!
//! Invariant: a connection costs a descriptor only while a [`Permit`] exists for it, and permits are bounded. This module knows nothing of
//! calls: the layer above marks a connection as proven once a valid token has come over it.

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

/// Bounds of the connections on one port.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Connections in all.
    pub max_connections: usize,
    /// Connections from one address; of IPv6, from one /64 network, because a single host owns that many addresses.
    pub max_per_address: usize,
    /// How long each step of a new connection may take: the TLS handshake, the HTTP/2 preface, and the headers of the first call.
    pub handshake_timeout: Duration,
    /// After how long a connection is asked to move on; each connection gets a random tenth more or less.
    pub max_age: Duration,
    /// How long its open calls may take from then on.
    pub age_grace: Duration,
}

impl ConnectionLimits {
    /// The default of `handshake_timeout`.
    pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
    /// The default of `max_age`.
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(3600);
    /// The default of `age_grace`: as long as the default of `CALL_TIMEOUT`.
    pub const DEFAULT_AGE_GRACE: Duration = Duration::from_secs(30);

    /// The limits of the admin port, which serves a scraper, a probe and a person.
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
