//! What watches read by themselves: by tasks of their own, and a few at once.
//!
//! A stream whose client does not read is not polled, not even while a statement of it is running: the statement would keep its
//! connection for as long, and a few such streams would take the database from all callers. So a read runs in a task, which ends whatever
//! becomes of the watch. A watch that is dropped leaves its read behind, and its caller may open the next one at once: so each read has a
//! permit of its own, which its connection holds, too.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    admission::{HeldPermits, Shares},
    error::Error,
};

/// Watches may use this part of the connections of calls, and those of one caller half of that.
const CONNECTIONS_SHARE: u32 = 4;
const CALLER_SHARE: u32 = 2 * CONNECTIONS_SHARE;

/// How many reads of watches there are at once. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct WatchReads(Arc<Permits>);

#[derive(Debug)]
struct Permits {
    callers: Shares,
    total: Shares,
}

impl WatchReads {
    /// Creates permits for a part of so many connections.
    pub(super) fn new(connections: u32) -> Self {
        let shares = |part: u32| {
            let permits = usize::try_from(connections / part).unwrap_or(usize::MAX).max(1);
            // As many wait as there are streams, which are bounded.
            Shares::new(permits, usize::MAX, "too many reads of streams at once")
        };
        Self(Arc::new(Permits { callers: shares(CALLER_SHARE), total: shares(CONNECTIONS_SHARE) }))
    }

    /// Reads for a watch of `caller`. A read that has begun ends by itself, whatever becomes of this future; one that waits is forgotten.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        caller: &str,
        read: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        // Dropped with this future: a read that still waits for its permits is then forgotten, while one that has begun ends by itself.
        let given_up = CancellationToken::new();
        let _give_up = given_up.clone().drop_guard();
        let (permits, caller) = (self.0.clone(), caller.to_owned());
        // The wait is the task's, too: a permit must not be given to a stream that is not polled.
        let task = tokio::spawn(async move {
            let permits = async {
                // Always in this order: two reads that each held what the other one waits for would wait indefinitely.
                let of_caller = permits.callers.wait(&caller).await?;
                Ok(vec![of_caller, permits.total.wait("").await?])
            };
            match given_up.run_until_cancelled(permits).await? {
                Ok(permits) => Some(HeldPermits::of(permits).within(read).await),
                Err(error) => Some(Err(error)),
            }
        });
        let read = task.await.map_err(|panicked| Error::Internal(panicked.into()))?;
        read.unwrap_or(Err(Error::Draining))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::{sync::Semaphore, task::yield_now};

    use super::*;

    async fn settle() {
        for _ in 0..100 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn reads_that_were_given_up_hold_their_permits_and_those_that_wait_are_forgotten() {
        // 5 permits, 2 of each caller.
        let reads = WatchReads::new(20);
        let (reading, may_end) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let read = |caller: &'static str| {
            let (reads, reading, may_end) = (reads.clone(), reading.clone(), may_end.clone());
            async move {
                let read = async move {
                    reading.fetch_add(1, Ordering::Relaxed);
                    may_end.acquire().await.expect("open").forget();
                    reading.fetch_sub(1, Ordering::Relaxed);
                    Ok(())
                };
                reads.read(caller, read).await
            }
        };
        for _ in 0..10 {
            // Each caller opens ten, and gives them up.
            let opened = tokio::spawn(join_all(["a", "b", "c", "d"].map(read)));
            settle().await;
            assert!(reading.load(Ordering::Relaxed) <= 5);
            opened.abort();
            settle().await;
        }
        assert_eq!(reading.load(Ordering::Relaxed), 5);
        let next = tokio::spawn(read("a"));
        settle().await;
        may_end.add_permits(6);
        next.await.expect("no panic").expect("read");
        settle().await;
        assert!(reads.0.callers.is_idle() && reads.0.total.is_idle());
        assert_eq!(
            (reading.load(Ordering::Relaxed), may_end.available_permits()),
            (0, 0),
            "none but these six has read"
        );
    }
}
