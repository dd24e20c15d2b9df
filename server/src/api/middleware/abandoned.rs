//! Calls that continue although their callers have abandoned them.
//!
//! A statement that has been sent keeps its database connection busy until it has completed, even if no task waits for
//! the result, and closing a connection in the middle of a statement costs more than the result. So a call that has
//! begun to work is not dropped when its caller resets the stream, closes the connection, or has set a shorter deadline
//! than the server's: it keeps its permits and its memory until its work is done. Otherwise one caller could occupy all
//! connections with calls that it abandons immediately. Only the response is lost; a write can be retried with the same
//! `request_id`.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, Span};

use crate::admission::HeldPermits;

/// Shutdown of a server.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    /// Cancelled when the drain begins: ends streams, and refuses new calls.
    pub begins: CancellationToken,
    /// The calls that continue, for which the server waits.
    pub abandoned: AbandonedCalls,
}

/// The abandoned calls of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AbandonedCalls {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl AbandonedCalls {
    /// Waits until all abandoned calls have ended, or until `deadline`. Then ends those that are left, and all later
    /// ones.
    pub async fn finish(&self, deadline: Instant) {
        self.tasks.close();
        if timeout_at(deadline, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                calls = self.tasks.len(),
                "cut off abandoned calls that did not end within the grace period"
            );
        }
        self.stop.cancel();
        self.tasks.wait().await;
    }

    /// Wraps the work of a call, whose permits are in `held`. If the work is dropped before its end, it continues until
    /// `ends_at`, provided that the call was admitted.
    pub(in crate::api) fn outliving<T>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        held: HeldPermits,
        span: Span,
        ends_at: Instant,
    ) -> Outliving<T> {
        let work: BoxFuture<'static, T> = Box::pin(held.clone().within(work));
        Outliving { work: Some(work), held, span, ends_at, calls: self.clone() }
    }
}

/// The work of a call.
pub(in crate::api) struct Outliving<T: 'static> {
    /// `None` once it has ended or panicked.
    work: Option<BoxFuture<'static, T>>,
    held: HeldPermits,
    span: Span,
    ends_at: Instant,
    calls: AbandonedCalls,
}

impl<T: 'static> Future for Outliving<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out while it is polled: work that panics must not be polled again by the drop that follows.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: 'static> Drop for Outliving<T> {
    fn drop(&mut self) {
        // A call without a permit has not begun any work. Nothing can continue if the runtime is shutting down.
        if let Some(work) = self.work.take()
            && self.held.is_admitted()
            && let Ok(runtime) = Handle::try_current()
        {
            self.held.abandon();
            let (stop, ends_at) = (self.calls.stop.clone(), self.ends_at);
            let work = async move {
                // No caller waits for the result. Work that is dropped here releases its permits together with the
                // connections that it used.
                drop(stop.run_until_cancelled(timeout_at(ends_at, work)).await);
            };
            self.calls.tasks.spawn_on(work.instrument(self.span.clone()), &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::{sync::Semaphore, time::sleep};

    use super::*;
    use crate::admission::Shares;

    const LIMIT: Duration = Duration::from_secs(30);

    struct CallFixture {
        calls: AbandonedCalls,
        shares: Shares,
        done: Arc<Semaphore>,
    }

    impl CallFixture {
        fn new() -> Self {
            let (calls, done) = (AbandonedCalls::default(), Arc::new(Semaphore::new(0)));
            Self { calls, shares: Shares::new(1, 0, "too many"), done }
        }

        /// Begins a call that works for `duration`, and abandons it.
        async fn give_up(&self, held: &HeldPermits, duration: Duration) {
            let done = self.done.clone();
            let work = async move {
                sleep(duration).await;
                done.add_permits(1);
            };
            let mut call = self.calls.outliving(work, held.clone(), Span::none(), Instant::now() + LIMIT);
            assert!(futures::poll!(&mut call).is_pending());
        }

        async fn admitted(&self) -> HeldPermits {
            let held = HeldPermits::default();
            held.wait_for(async { Ok(vec![self.shares.take("me").await?]) }).await.expect("a permit");
            held
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_admitted_runs_on_with_its_permits_and_another_starts_nothing() {
        let site = CallFixture::new();
        site.give_up(&site.admitted().await, Duration::from_secs(1)).await;
        site.give_up(&HeldPermits::default(), Duration::from_secs(1)).await;
        assert_eq!(site.calls.tasks.len(), 1);
        assert!(site.shares.take("me").await.is_err(), "the share is the abandoned call's");
        site.done.acquire().await.expect("open").forget();
        site.calls.finish(Instant::now()).await;
        assert!(site.shares.is_idle());
        assert_eq!(site.done.available_permits(), 0, "the other one never ran");
    }

    #[tokio::test(start_paused = true)]
    async fn none_runs_longer_than_a_call_may_and_a_drain_waits_for_no_longer_than_it_may() {
        let site = CallFixture::new();
        site.give_up(&site.admitted().await, 2 * LIMIT).await;
        let began = Instant::now();
        site.calls.finish(began + 3 * LIMIT).await;
        assert_eq!(began.elapsed(), LIMIT);

        let site = CallFixture::new();
        site.give_up(&site.admitted().await, LIMIT).await;
        let began = Instant::now();
        site.calls.finish(began + LIMIT / 2).await;
        assert_eq!((began.elapsed(), site.done.available_permits()), (LIMIT / 2, 0));
        assert!(site.shares.is_idle());
        site.give_up(&site.admitted().await, LIMIT).await;
        site.calls.tasks.wait().await;
        assert_eq!(began.elapsed(), LIMIT / 2, "after the drain, nothing runs on");
    }

    #[tokio::test]
    async fn a_panic_ends_the_call_and_frees_its_permits() {
        let site = CallFixture::new();
        let held = site.admitted().await;
        let call = site.calls.outliving(async { panic!("on purpose") }, held, Span::none(), Instant::now() + LIMIT);
        assert!(tokio::spawn(call).await.is_err_and(|error| error.is_panic()));
        assert!(site.shares.is_idle() && site.calls.tasks.is_empty());
    }
}
