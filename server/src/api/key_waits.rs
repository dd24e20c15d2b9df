//! Calls that wait for the keys of the identity provider, before it is known who makes them.
//!
//! A token that names a key that is known and fresh is verified at once. Any other one waits for a fetch, and anybody can send those: so few
//! of them wait, and the others are refused at once. Callers whose key is known are never among them.

use std::{pin::pin, task::Poll};

use futures::poll;

use super::open_places::{Displaces, OpenPlaces, PlaceLimits};
use crate::{
    auth::Rejected,
    connections::{Connection, ConnectionLimits},
    domain::Caller,
    error::Error,
};

/// Calls that wait for keys at once. With the longest headers that is 8 MiB.
const MAX_WAITING: usize = 256;

/// The calls that wait. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct KeyWaits {
    waiting: OpenPlaces,
}

impl KeyWaits {
    pub(super) fn new(connections: &ConnectionLimits) -> Self {
        let limits = PlaceLimits::new(MAX_WAITING, connections);
        Self { waiting: OpenPlaces::new(limits, Displaces::Heavier, "too many calls that wait for keys") }
    }

    /// Waits for the verification of a token that came over `connection`.
    ///
    /// # Errors
    /// [`Error::KeysUnavailable`] if no keys are known, or too many calls wait for them; [`Error::Unauthenticated`].
    pub(super) async fn verified(
        &self,
        connection: Option<&Connection>,
        verification: impl Future<Output = Result<Caller, Rejected>>,
    ) -> Result<Caller, Error> {
        let mut verification = pin!(verification);
        let verified = match poll!(verification.as_mut()) {
            Poll::Ready(verified) => verified,
            // The fetch that it has asked for goes on without it.
            Poll::Pending => {
                let place = self.waiting.take(connection).map_err(|_| Error::KeysUnavailable)?;
                let displaced = place.displaced();
                tokio::select! {
                    verified = verification => verified,
                    () = displaced.cancelled() => Err(Rejected::KeysUnavailable),
                }
            }
        };
        verified.map_err(|rejected| match rejected {
            Rejected::KeysUnavailable => Error::KeysUnavailable,
            rejected => Error::Unauthenticated(rejected.to_string()),
        })
    }
}
