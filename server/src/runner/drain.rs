//! The end of a runner: what it holds ends within the grace period, or goes back into the queue.

use super::{
    Runner, cause, log_end,
    ready::{self, Waiting},
};
use crate::wake::Hint;

impl Runner {
    /// Hands back what got no place here.
    pub(super) async fn hand_back(&self, waiting: Vec<Waiting>) {
        if waiting.is_empty() {
            return;
        }
        match self.tools.store.hand_back(&ready::held(&waiting)).await {
            Ok(runs) => {
                tracing::info!(runs = runs.len(), "handed back runs that got no place");
                self.tools.wake.hint(Hint::Queued);
                self.tools.wake.hint(Hint::Changed(runs.into()));
            }
            Err(error) => {
                tracing::warn!(error = %cause(&error), "could not hand runs back; their leases will expire");
            }
        }
    }

    pub(super) async fn drain(&mut self) {
        let waiting = self.ready.take_all();
        self.hand_back(waiting).await;
        let under_way = self.claims.len();
        if under_way > 0 {
            tracing::info!(runs = under_way, "waiting for attempts under way");
        }
        let all_ended = async {
            while let Some(ended) = self.attempts.join_next().await {
                log_end(ended);
            }
        };
        if tokio::time::timeout(self.tools.settings.grace, all_ended).await.is_ok() {
            return;
        }
        // What they were writing is in their intents: the next attempt looks whether it took effect.
        let held = self.claims.held();
        self.attempts.shutdown().await;
        match self.tools.store.hand_back(&held).await {
            Ok(runs) => {
                tracing::warn!(runs = runs.len(), "handed back runs that did not end within the grace period");
                self.tools.wake.hint(Hint::Queued);
                self.tools.wake.hint(Hint::Changed(runs.into()));
            }
            Err(error) => {
                tracing::error!(error = %cause(&error), "could not hand runs back; their leases will expire");
            }
        }
    }
}
