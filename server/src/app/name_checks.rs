//! Limits concurrent look-ups of names.
//!
//! Whether a name without results is known is looked up over the few connections for the history, even for calls that
//! otherwise do not use them. The permits of these calls only cover other connections, so without a limit here, one
//! caller could occupy all of the history's.

use std::sync::Arc;

use crate::{
    admission::Shares,
    domain::Caller,
    error::Error,
    store::{HISTORY_CONNECTIONS, Store},
};

/// Maximum number of calls that wait for a look-up: as many as may wait for their own permits.
const MAX_WAITING: usize = 1024;

/// The look-ups of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct NameChecks {
    store: Store,
    permits: Arc<Permits>,
}

#[derive(Debug)]
struct Permits {
    callers: Shares,
    total: Shares,
}

impl NameChecks {
    pub(super) fn new(store: Store) -> Self {
        let shares = |permits| Shares::new(permits, MAX_WAITING, "too many names to look up at once");
        // Half of the connections in total, and one per caller.
        let permits = Permits { callers: shares(1), total: shares(HISTORY_CONNECTIONS / 2) };
        Self { store, permits: Arc::new(permits) }
    }

    /// Looks up a name for a caller.
    ///
    /// # Errors
    /// Those of `check`; [`Error::RateLimited`] if too many calls wait, or [`Error::DatabaseUnavailable`] if the cause
    /// is that the database is unavailable.
    pub(super) async fn check<T>(
        &self,
        caller: &Caller,
        check: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let permits = async {
            // Always in this order: otherwise two calls could each wait indefinitely for a permit that the other one
            // holds.
            let of_caller = self.permits.callers.take(&caller.subject).await?;
            Ok((of_caller, self.permits.total.take("").await?))
        };
        let _permits = permits.await.map_err(|error| match error {
            Error::RateLimited { .. } if self.store.is_away() => {
                Error::DatabaseUnavailable("the database does not answer the calls before".into())
            }
            error => error,
        })?;
        check.await
    }
}
