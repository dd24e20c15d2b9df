//! The end of a runner: what it holds ends within the grace period, or goes back into the queue.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    BREATH, Runner, Tools, cause, log_end,
    ready::{self, Waiting},
};
use crate::{store::Held, wake::Hint};

/// How long a claim that the database has not answered is waited for, and the last hand-back repeated, once the grace period has ended.
/// Short, because a supervisor kills what stays longer; longer than one wait for a connection (3 s), so that it is tried once more.
const LAST_TIMEOUT: Duration = Duration::from_secs(5);

impl Runner {
    /// Hands back what got no place here.
    pub(super) async fn hand_back(&self, waiting: Vec<Waiting>) {
        if !waiting.is_empty() {
            hand_back_until(&self.tools, &ready::held(&waiting), Instant::now()).await;
        }
    }

    pub(super) async fn drain(&mut self) {
        let deadline = Instant::now() + self.tools.settings.grace;
        let waiting = self.ready.take_all();
        if !waiting.is_empty() {
            hand_back_until(&self.tools, &ready::held(&waiting), deadline).await;
        }
        drop(waiting);
        let under_way = self.claims.len();
        if under_way > 0 {
            tracing::info!(runs = under_way, "waiting for attempts under way");
        }
        let Self { tools, claims, attempts, claiming, .. } = self;
        let all_ended = async {
            while let Some(ended) = attempts.join_next().await {
                log_end(ended);
            }
        };
        let late_deadline = deadline.max(Instant::now() + LAST_TIMEOUT);
        let late_claims = async {
            while let Some(claimed) = claiming.join_next().await {
                let Ok(Ok(waiting)) = claimed else { continue };
                if !waiting.is_empty() {
                    hand_back_until(tools, &ready::held(&waiting), late_deadline).await;
                }
            }
            if let Err(error) = tools.return_unanswered_claims().await {
                tracing::warn!(error = %cause(&error), "could not return runs whose claim had no answer");
            }
        };
        let (all_ended, _late_claims) =
            tokio::join!(timeout_at(deadline, all_ended), timeout_at(late_deadline, late_claims));
        if all_ended.is_ok() {
            return;
        }
        // What they were writing is in their intents: the next attempt looks whether it took effect.
        let held = claims.held();
        attempts.shutdown().await;
        tracing::warn!(runs = held.len(), "runs did not end within the grace period");
        hand_back_until(tools, &held, Instant::now() + LAST_TIMEOUT).await;
    }
}

/// Returns claims to the queue. A statement that fails is repeated until `deadline`: without it the runs would lie idle until their leases
/// expire. Repeating is safe, because a claim that was returned no longer matches its fence and state.
async fn hand_back_until(tools: &Tools, held: &[Held], deadline: Instant) {
    loop {
        match tools.store.hand_back(held).await {
            Ok(runs) => {
                tracing::info!(runs = runs.len(), "handed back runs that got no place or no time here");
                tools.wake.hint(Hint::Queued);
                tools.wake.hint(Hint::Changed(runs.into()));
                return;
            }
            Err(error) if Instant::now() < deadline => {
                tracing::warn!(error = %cause(&error), "could not hand runs back; trying again");
                sleep(BREATH).await;
            }
            Err(error) => {
                tracing::error!(error = %cause(&error), "could not hand runs back; their leases will expire");
                return;
            }
        }
    }
}
