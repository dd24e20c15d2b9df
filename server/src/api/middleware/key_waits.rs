//! Calls that wait for the identity provider's keys, before their caller is known.
//!
//! A token whose key is known and fresh is verified immediately. Any other token waits for a fetch, and anyone can send
//! such tokens: so only a few of them wait, and further ones are refused immediately. Callers whose key is known never
//! wait here.

use std::{pin::pin, task::Poll};

use futures::poll;

use crate::api::middleware::open_permits::{Displaces, OpenPermits, PermitLimits};
use crate::{
    auth::Rejected,
    connections::{Connection, ConnectionLimits},
    domain::Caller,
    error::Error,
};

/// Maximum number of calls that wait for keys. With the longest headers, that is 8 MiB.
const MAX_WAITING: usize = 256;

/// The calls that wait. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::api) struct KeyWaits {
    waiting: OpenPermits,
}

impl KeyWaits {
    pub(in crate::api) fn new(connections: &ConnectionLimits) -> Self {
        let limits = PermitLimits::new(MAX_WAITING, connections);
        Self { waiting: OpenPermits::new(limits, Displaces::Heavier, "too many calls that wait for keys") }
    }

    /// Waits for the verification of a token that arrived over `connection`.
    ///
    /// # Errors
    /// [`Error::KeysUnavailable`] if no keys are known, or too many calls wait for them; [`Error::Unauthenticated`] if
    /// the token is invalid.
    pub(in crate::api) async fn verified(
        &self,
        connection: Option<&Connection>,
        verification: impl Future<Output = Result<Caller, Rejected>>,
    ) -> Result<Caller, Error> {
        let mut verification = pin!(verification);
        let verified = match poll!(verification.as_mut()) {
            Poll::Ready(verified) => verified,
            // The fetch that it has triggered continues without it.
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

#[cfg(test)]
mod tests {
    use std::{future::pending, net::IpAddr};

    use futures::FutureExt;

    use super::*;
    use crate::connections::{Connections, Port};

    #[test]
    fn few_wait_and_the_others_are_refused_at_once_whoever_holds_the_places() {
        let limits = ConnectionLimits::default();
        let (waits, connections) = (KeyWaits::new(&limits), Connections::new(Port::Grpc, limits, 0));
        let from = |host| connections.admit(IpAddr::from([192, 0, 2, host])).expect("room");
        let (flood, other, same) = (from(1), from(2), from(1));
        let wait = |connection| Box::pin(waits.verified(Some(connection), pending()));
        let mut waiting = Vec::new();
        let mut refused = 0;
        for _ in 0..1000 {
            let mut one = wait(flood.connection());
            match one.as_mut().now_or_never() {
                None => waiting.push(one),
                Some(Err(Error::KeysUnavailable)) => refused += 1,
                Some(other) => panic!("{other:?}"),
            }
        }
        assert_eq!((waiting.len(), refused), (MAX_WAITING / 4, 1000 - MAX_WAITING / 4), "of one address");
        assert!(wait(other.connection()).now_or_never().is_none(), "another address");
        // Behind the same proxy, the flood has to make room.
        assert!(wait(same.connection()).now_or_never().is_none());
        let left = waiting.iter_mut().filter_map(|one| one.as_mut().now_or_never()).count();
        assert_eq!(left, 1);
        // A token whose key is known needs no permit.
        let rejected = waits.verified(Some(flood.connection()), async { Err(Rejected::Expired) });
        assert!(matches!(rejected.now_or_never(), Some(Err(Error::Unauthenticated(_)))));
        drop(waiting);
        assert_eq!(waits.waiting.taken(), 0);
    }
}
