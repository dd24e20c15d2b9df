//! The end of a runner: what it holds ends within the grace period, or goes back into the queue.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    MIN_POLL_INTERVAL, Runner, RunnerContext, error_chain, log_end,
    prefetch::{self, PrefetchedRun},
};
use crate::{store::LeaseKey, wake::WakeUp};

/// How long a claim that the database has not answered is waited for, and the last hand-back repeated, once the grace period has ended.
/// Short, because a supervisor kills what stays longer; longer than one wait for a connection (3 s), so that it is tried once more.
const FINAL_RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

impl Runner {
    /// Hands back what got no place here.
    pub(super) async fn release(&self, prefetched: Vec<PrefetchedRun>) {
        if !prefetched.is_empty() {
            release_until(&self.context, &prefetch::held(&prefetched), Instant::now()).await;
        }
    }

    pub(super) async fn drain(&mut self) {
        let deadline = Instant::now() + self.context.settings.grace;
        let prefetched = self.prefetched.take_all();
        if !prefetched.is_empty() {
            release_until(&self.context, &prefetch::held(&prefetched), deadline).await;
        }
        drop(prefetched);
        let in_progress = self.claims.len();
        if in_progress > 0 {
            tracing::info!(runs = in_progress, "waiting for attempts under way");
        }
        let Self { context, claims, attempts, claiming, .. } = self;
        let all_ended = async {
            while let Some(ended) = attempts.join_next().await {
                log_end(ended);
            }
        };
        let late_deadline = deadline.max(Instant::now() + FINAL_RELEASE_TIMEOUT);
        let late_claims = async {
            while let Some(claimed) = claiming.join_next().await {
                let Ok(Ok(prefetched)) = claimed else { continue };
                if !prefetched.is_empty() {
                    release_until(context, &prefetch::held(&prefetched), late_deadline).await;
                }
            }
            if let Err(error) = context.return_unanswered_claims().await {
                tracing::warn!(error = %error_chain(&error), "could not return runs whose claim had no answer");
            }
        };
        let (all_ended, _late_claims) =
            tokio::join!(timeout_at(deadline, all_ended), timeout_at(late_deadline, late_claims));
        if all_ended.is_ok() {
            return;
        }
        // What they were writing is in their intents: the next attempt checks whether it took effect.
        let held = claims.held();
        attempts.shutdown().await;
        tracing::warn!(runs = held.len(), "runs did not end within the grace period");
        release_until(context, &held, Instant::now() + FINAL_RELEASE_TIMEOUT).await;
    }
}

/// Returns claims to the queue. A statement that fails is repeated until `deadline`: without it the runs would lie idle until their leases
/// expire. Repeating is safe, because a claim that was returned no longer matches its fencing token and state.
async fn release_until(context: &RunnerContext, held: &[LeaseKey], deadline: Instant) {
    loop {
        match context.store.release(held).await {
            Ok(runs) => {
                tracing::info!(runs = runs.len(), "released runs that got no slot or no time here");
                context.wake.send(WakeUp::RunsReady);
                context.wake.send(WakeUp::RunsChanged(runs.into()));
                return;
            }
            Err(error) if Instant::now() < deadline => {
                tracing::warn!(error = %error_chain(&error), "could not hand runs back; trying again");
                sleep(MIN_POLL_INTERVAL).await;
            }
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "could not hand runs back; their leases will expire");
                return;
            }
        }
    }
}
