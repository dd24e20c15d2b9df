//! How many names are looked up at once.
//!
//! Whether a name that nothing was found for is known is asked over the few connections for the history, also by calls that otherwise need
//! none of them. Each of those has a place among the calls that share other connections, and so one caller could take these.

use std::sync::Arc;

use crate::{
    admission::Shares,
    domain::Caller,
    error::Error,
    store::{HISTORY_CONNECTIONS, Store},
};

/// Such calls that wait: as many as may wait for their places.
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
        // Half of the connections in all, and one of a caller.
        let permits = Permits { callers: shares(1), total: shares(HISTORY_CONNECTIONS / 2) };
        Self { store, permits: Arc::new(permits) }
    }

    /// Looks a name up for a caller.
    ///
    /// # Errors
    /// Those of `check`; [`Error::RateLimited`] when too many wait, or [`Error::DatabaseUnavailable`] when that is because the database is away.
    pub(super) async fn check<T>(
        &self,
        caller: &Caller,
        check: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let permits = async {
            // Always in this order: two calls that each held what the other one waits for would wait indefinitely.
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
