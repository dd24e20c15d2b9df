//! Epochs: which connections belong to the server that takes writes now, as far as the process knows.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// How long an answer is waited for, whatever else is known: longer than `statement_timeout`, so that a server that is there ends the
/// statement by itself. It is for a single connection that a firewall has forgotten; the watchdog finds a silent server sooner.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);

/// The epoch in which a connection was opened.
#[derive(Debug, Clone, Default)]
pub(super) struct Epoch {
    number: u64,
    /// Ends every statement in progress on the connections of this epoch.
    cut: CancellationToken,
}

impl Epoch {
    /// Waits for an answer of a connection of this epoch. After an error the connection must not be used again.
    pub(super) async fn bounded<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        tokio::select! {
            biased;
            answer = timeout(ANSWER_TIMEOUT, answer) => answer.unwrap_or_else(|_| Err(no_answer())),
            () = self.cut.cancelled() => Err(no_answer()),
        }
    }
}

/// The error of an answer that was not waited for any longer. Whether the statement took effect is not known.
pub(super) fn no_answer() -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time").into()
}

/// The current epoch of a store, shared by its pools. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::store) struct Epochs(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    current: Epoch,
    /// The server that the last connection was opened to.
    server: Option<String>,
    /// Which connections count as old.
    opened_before: Instant,
    /// When one of the old ones had its last answer.
    answered_at: Option<Instant>,
}

impl Default for Epochs {
    fn default() -> Self {
        let state = State { current: Epoch::default(), server: None, opened_before: Instant::now(), answered_at: None };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl Epochs {
    pub(super) fn current(&self) -> Epoch {
        self.state().current.clone()
    }

    pub(super) fn is_current(&self, epoch: &Epoch) -> bool {
        self.state().current.number == epoch.number
    }

    /// Begins a new epoch, unless one has begun since `epoch`: connections opened so far are not used again. Statements in progress go on.
    pub(super) fn retire(&self, epoch: &Epoch) {
        let mut state = self.state();
        if state.current.number == epoch.number {
            state.current.number += 1;
        }
    }

    /// Begins a new epoch, and ends every statement in progress with an error.
    pub(super) fn cut(&self) {
        self.state().cut();
    }

    /// The epoch of a connection that was begun in epoch `began`, and leads to this server. Where that is another one than before, a new
    /// epoch begins with it: whatever is still said to the old one is said to a server that may take no writes, or whose writes are lost.
    /// `None`: an epoch has begun since, and the connection may lead to the server of the one before.
    pub(super) fn enter(&self, began: &Epoch, server: &str) -> Option<Epoch> {
        let mut state = self.state();
        if state.current.number != began.number {
            return None;
        }
        if state.server.as_deref().is_some_and(|before| before != server) {
            tracing::warn!("another database server answers; connections to the one before are closed");
            state.cut();
        }
        state.server = Some(server.to_owned());
        Some(state.current.clone())
    }

    /// Notes an answer of a connection that was opened at `opened_at`.
    pub(super) fn answered(&self, opened_at: Instant) {
        let mut state = self.state();
        if opened_at < state.opened_before {
            state.answered_at = Some(Instant::now());
        }
    }

    /// Answers of connections that were opened before this moment are noted from now on.
    pub(super) fn watch_opened_before(&self, opened_at: Instant) {
        self.state().opened_before = opened_at;
    }

    /// Whether an old connection has had an answer since then.
    pub(super) fn has_answered_since(&self, since: Instant) -> bool {
        self.state().answered_at.is_some_and(|at| at >= since)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn cut(&mut self) {
        let next = Epoch { number: self.current.number + 1, cut: CancellationToken::new() };
        // Whoever waits is woken, and goes on in a task of its own.
        std::mem::replace(&mut self.current, next).cut.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_begins_an_epoch_and_connections_to_it_stay() {
        let epochs = Epochs::default();
        let began = epochs.current();
        let first = epochs.enter(&began, "one").expect("the first");
        assert!(epochs.is_current(&first));
        let second = epochs.enter(&began, "two").expect("another");
        assert!(epochs.is_current(&second) && first.cut.is_cancelled());
        assert!(epochs.enter(&began, "one").is_none(), "late: it leads to the server before");
        let third = epochs.enter(&second, "two").expect("the same");
        assert!(epochs.is_current(&second) && epochs.is_current(&third) && !second.cut.is_cancelled());
    }

    #[tokio::test]
    async fn a_cut_ends_what_is_under_way_in_every_epoch_before_it() {
        let epochs = Epochs::default();
        let first = epochs.current();
        epochs.retire(&first);
        let second = epochs.current();
        assert!(!epochs.is_current(&first) && epochs.is_current(&second));
        epochs.retire(&first);
        assert!(epochs.is_current(&second), "a late failure of an old connection retires no new one");

        let silence = std::future::pending::<Result<(), sqlx::Error>>;
        let mut waiting = std::pin::pin!(async { tokio::join!(first.bounded(silence()), second.bounded(silence())) });
        assert!(futures::poll!(&mut waiting).is_pending());
        epochs.cut();
        let (first, second) = waiting.await;
        assert!(first.is_err() && second.is_err());
        assert!(epochs.current().bounded(async { Ok(()) }).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_comes_is_given_up() {
        let silence = std::future::pending::<Result<(), sqlx::Error>>();
        assert!(matches!(Epoch::default().bounded(silence).await, Err(sqlx::Error::Io(_))));
    }
}
