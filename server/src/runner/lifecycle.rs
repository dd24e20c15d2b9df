//! The life of a runner: what it starts, in which order, and how it stops.

use std::sync::Arc;

use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    circuit_breaker::CircuitBreaker,
    config::RunnerConfig,
    context::RunnerContext,
    dispatcher::{self, DUE_BATCH_SIZE, Dispatcher},
    leases::{self, HeldLeases},
    maintenance,
};
use crate::{
    app::{AccountClients, FlagCache},
    error::Error,
    store::{Finisher, StatementTime, Store},
    wake::{Topic, WakeUpBus},
};

/// A runner of one process.
pub struct Runner {
    context: Arc<RunnerContext>,
    leases: HeldLeases,
    dispatcher: Dispatcher,
    /// The last to be dropped: while attempts end, there is a committer for their ends.
    _finisher_stop: DropGuard,
}

impl Runner {
    /// Creates a runner; nothing happens before [`Runner::run`] or [`Runner::tick`].
    #[must_use]
    pub fn new(
        store: Store,
        accounts: AccountClients,
        wake: WakeUpBus,
        flags: FlagCache,
        settings: RunnerConfig,
    ) -> Self {
        let finisher_stop = CancellationToken::new();
        let finisher = Finisher::start(&store, &finisher_stop);
        let circuit = CircuitBreaker::new();
        let context = Arc::new(RunnerContext { store, finisher, accounts, circuit, wake, flags, settings });
        let leases = HeldLeases::default();
        let dispatcher = Dispatcher::new(context.clone(), leases.clone());
        Self { context, leases, dispatcher, _finisher_stop: finisher_stop.drop_guard() }
    }

    /// Works until `stop`: then claims nothing more, lets attempts end within the grace period, releases the rest, and stops the renewal
    /// of leases last.
    pub async fn run(mut self, stop: CancellationToken) {
        self.dispatcher.work_until(stop.clone());
        // A token of its own, not `stop`: an attempt that ends within the grace period needs its lease until it has ended.
        let renewal_stop = CancellationToken::new();
        let renewal =
            tokio::spawn(leases::keep_renewing(self.context.clone(), self.leases.clone(), renewal_stop.clone()));
        let reclaiming = leases::keep_reclaiming_expired(self.context.clone());
        tokio::spawn(renewal_stop.clone().run_until_cancelled_owned(reclaiming));
        // Stops both even if this future is dropped before its end.
        let renewal_stop = renewal_stop.drop_guard();
        tokio::spawn(stop.clone().run_until_cancelled_owned(maintenance::keep_house(self.context.clone())));
        tokio::spawn(
            stop.clone().run_until_cancelled_owned(maintenance::keep_processing_batches(self.context.clone())),
        );
        // Subscribed before the first poll: a wake-up that comes between the poll and the wait is not missed.
        let mut wake_ups = self.context.wake.subscribe(Topic::Work);
        let grace = self.context.settings.grace;
        while !stop.is_cancelled() {
            // A stop does not cut a poll short, but a database that hangs does. The drain releases what its claim still brings.
            let is_late = async {
                stop.cancelled().await;
                sleep(grace).await;
            };
            let next = tokio::select! {
                next = self.dispatcher.poll() => next,
                () = is_late => break,
            };
            stop.run_until_cancelled(self.dispatcher.wait(next, &mut wake_ups)).await;
        }
        dispatcher::drain(&mut self.dispatcher).await;
        // Only now: until here, an attempt may have been about to write.
        drop(renewal_stop);
        if let Err(error) = renewal.await {
            tracing::error!(%error, "the heartbeat did not end well");
        }
    }

    /// Claims what is due at `now` and executes it, to the end of each attempt. For tests, which own the clock.
    ///
    /// # Errors
    /// The database's.
    pub async fn tick(&mut self, now: StatementTime) -> Result<usize, Error> {
        leases::reclaim_expired(&self.context, now).await?;
        self.context.store.enqueue_due(now, DUE_BATCH_SIZE).await?;
        self.dispatcher.execute_ready(now).await
    }
}
