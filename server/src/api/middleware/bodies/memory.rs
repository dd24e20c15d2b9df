//! Memory of requests: per caller, per connection and in total. It is reserved before it is used.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::HeaderMap;

use crate::{
    connections::{Account, Connection},
    error::Error,
};

/// A caller or a connection may hold at most this part of the memory, so that it leaves room for others.
const MEMORY_SHARE_DIVISOR: usize = 3;
/// Part of the memory for all calls without a token together: each needs a few hundred bytes.
const OPEN_MEMORY_SHARE_DIVISOR: usize = 8;
/// Bytes that a call holds apart from its message: its task, the decoder's first buffer, and what HTTP/2 keeps of it (measured).
const CALL_BYTES: usize = 16 * 1024;
/// Time after which a refused caller may retry: calls end within seconds.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The memory of all requests of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::api) struct RequestMemory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    share: usize,
    total: Account,
    open: Arc<Account>,
    /// Contains only callers that currently have a request.
    callers: Mutex<HashMap<String, Arc<Account>>>,
}

/// Returns the number of bytes of `total` that the requests of one caller, or of one connection, may hold.
pub(in crate::api) fn share(total: usize) -> usize {
    total / MEMORY_SHARE_DIVISOR
}

impl RequestMemory {
    /// Creates the accounts; `limit` is the number of bytes for the process.
    pub(in crate::api) fn new(limit: usize) -> Self {
        let inner = Inner {
            share: share(limit),
            total: Account::new(limit),
            open: Arc::new(Account::new(limit / OPEN_MEMORY_SHARE_DIVISOR)),
            callers: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Begins an empty reservation for a request whose caller is not known yet. It counts for the connection and the
    /// total.
    pub(in crate::api) fn reservation(&self, connection: Option<Arc<Connection>>) -> Reservation {
        Reservation { memory: self.clone(), caller: None, account: None, connection, bytes: 0 }
    }

    /// Reserves what a call costs in any case.
    pub(in crate::api) fn reserve(
        &self,
        headers: &HeaderMap,
        connection: Option<&Arc<Connection>>,
    ) -> Result<Reservation, Error> {
        let mut reservation = self.reservation(connection.cloned());
        let headers: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        reservation.grow(CALL_BYTES + headers)?;
        Ok(reservation)
    }

    fn account(&self, caller: Option<&str>) -> Arc<Account> {
        let Some(caller) = caller else { return self.inner.open.clone() };
        let mut callers = self.callers();
        let account = callers.entry(caller.to_owned());
        account.or_insert_with(|| Arc::new(Account::new(self.inner.share))).clone()
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<String, Arc<Account>>> {
        // No code panics while holding the lock.
        self.inner.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory that one request holds. It is freed on drop.
#[derive(Debug)]
pub(in crate::api) struct Reservation {
    memory: RequestMemory,
    caller: Option<String>,
    /// `None` until the caller is known.
    account: Option<Arc<Account>>,
    connection: Option<Arc<Connection>>,
    bytes: usize,
}

impl Reservation {
    /// Assigns the reservation, now and later, to a caller; `None` for a call without a token.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the caller would hold too much. The reservation is kept.
    pub(in crate::api) fn assign(&mut self, caller: Option<&str>) -> Result<(), Error> {
        self.caller = caller.map(str::to_owned);
        let account = self.memory.account(caller);
        let added = account.add(self.bytes);
        if added.is_err() {
            self.forget_caller(&account);
        }
        added.map_err(|full| refused(self.whose(), full.limit))?;
        self.account = Some(account);
        Ok(())
    }

    /// Returns the number of reserved bytes.
    pub(in crate::api) fn bytes(&self) -> usize {
        self.bytes
    }

    fn whose(&self) -> &'static str {
        if self.caller.is_some() { "of one caller" } else { "without a token" }
    }

    /// Reserves more.
    ///
    /// # Errors
    /// [`Error::RateLimited`], which names the limit; nothing is reserved.
    pub(in crate::api) fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        if let Some(account) = &self.account {
            account.add(bytes).map_err(|full| refused(self.whose(), full.limit))?;
        }
        if let Some(connection) = &self.connection
            && let Err(full) = connection.request_bytes().add(bytes)
        {
            if let Some(account) = &self.account {
                account.remove(bytes);
            }
            return Err(refused("of one connection", full.limit));
        }
        if let Err(full) = self.memory.inner.total.add(bytes) {
            self.release(bytes);
            return Err(refused("in all", full.limit));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Frees all but `bytes`.
    pub(in crate::api) fn shrink_to(&mut self, bytes: usize) {
        let freed = self.bytes.saturating_sub(bytes);
        self.bytes -= freed;
        self.memory.inner.total.remove(freed);
        self.release(freed);
    }

    /// Frees bytes of the caller and the connection.
    fn release(&self, bytes: usize) {
        if let Some(account) = &self.account {
            account.remove(bytes);
        }
        if let Some(connection) = &self.connection {
            connection.request_bytes().remove(bytes);
        }
    }
}

impl Reservation {
    /// Removes the account of a caller that has no other reservation.
    fn forget_caller(&self, account: &Arc<Account>) {
        let Some(caller) = &self.caller else { return };
        let mut callers = self.memory.callers();
        // One reference is the map's, one is this one. New ones are created under the same lock.
        if Arc::strong_count(account) <= 2 {
            callers.remove(caller);
        }
    }
}

fn refused(whose: &str, limit: usize) -> Error {
    let problem = match whose {
        "of one caller" => "the requests of one caller hold too much memory",
        "of one connection" => "the requests of one connection hold too much memory",
        "without a token" => "calls without a token hold too much memory",
        _ => "requests hold too much memory",
    };
    Error::RateLimited { problem, limit, wait: FULL_RETRY_AFTER }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
        if let Some(account) = self.account.take() {
            self.forget_caller(&account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::{ConnectionLimits, Connections, Port};

    fn limit(grown: Result<(), Error>) -> usize {
        match grown {
            Err(Error::RateLimited { limit, .. }) => limit,
            other => panic!("not refused, but {other:?}"),
        }
    }

    #[test]
    fn nobody_holds_more_than_a_share_and_a_refusal_reserves_nothing() {
        let memory = RequestMemory::new(300);
        let connections = Connections::new(Port::Grpc, ConnectionLimits::default(), share(300));
        let permit = connections.admit([192, 0, 2, 1].into()).expect("room");
        let shared = || Some(permit.connection().clone());
        let of = |caller, connection| {
            let mut reservation = memory.reservation(connection);
            reservation.assign(caller).expect("it is empty");
            reservation
        };
        let mut mine = of(Some("me"), shared());
        let mut more = of(Some("me"), None);
        mine.grow(60).expect("below the share");
        assert_eq!(limit(more.grow(41)), 100, "of one caller");
        more.grow(40).expect("the rest of it");
        let mut yours = of(Some("you"), shared());
        assert_eq!(limit(yours.grow(41)), 100, "of one connection");
        yours.grow(40).expect("the rest of it");
        let mut open = of(None, None);
        assert_eq!(limit(open.grow(38)), 37, "without a token");
        let mut third = of(Some("she"), None);
        third.grow(100).expect("a share");
        let mut fourth = of(Some("he"), None);
        assert_eq!(limit(fourth.grow(61)), 300, "in all");
        fourth.grow(60).expect("the rest");
        mine.shrink_to(10);
        more.grow(50).expect("free again");

        // Counted before its caller is known, and afterwards for the caller, too.
        let mut unknown = memory.reservation(None);
        mine.shrink_to(0);
        unknown.grow(10).expect("of nobody");
        assert_eq!(limit(unknown.assign(Some("she"))), 100, "of one caller");
        unknown.assign(Some("me")).expect("as much as was freed");
        assert_eq!(memory.callers()["me"].used(), 100);

        drop((mine, more, yours, open, third, fourth, unknown));
        assert_eq!((memory.inner.total.used(), memory.inner.open.used()), (0, 0));
        assert_eq!(permit.connection().request_bytes().used(), 0);
        assert!(memory.callers().is_empty());
    }
}
