//! What a caller is told to do: one order after the other, in a task of its own.

use std::sync::{Arc, atomic::Ordering};

use tokio::{sync::mpsc, task::JoinHandle};

use crate::stage::Stage;

/// Gives orders.
pub(crate) struct Orders {
    stage: Arc<Stage>,
    /// Who gets them.
    who: String,
    /// How many runs an order is.
    runs: u64,
    sender: mpsc::UnboundedSender<()>,
    task: JoinHandle<()>,
}

/// Gets orders.
pub(crate) struct Ordered {
    stage: Arc<Stage>,
    runs: u64,
    receiver: mpsc::UnboundedReceiver<()>,
}

impl Orders {
    /// Starts the task.
    pub(crate) fn start<F>(stage: &Arc<Stage>, who: String, runs: u64, work: impl FnOnce(Ordered) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        #[expect(
            clippy::disallowed_methods,
            reason = "the storm bounds its orders, and an order must not wait for its reader"
        )]
        let (sender, receiver) = mpsc::unbounded_channel();
        let task = tokio::spawn(work(Ordered { stage: stage.clone(), runs, receiver }));
        Self { stage: stage.clone(), who, runs, sender, task }
    }

    /// Gives another one.
    pub(crate) fn order(&self) {
        self.stage.open.fetch_add(self.runs, Ordering::Relaxed);
        // Who panicked is found when their end is waited for.
        let _ = self.sender.send(());
    }

    /// Waits until all that was ordered has ended.
    pub(crate) async fn finish(self) {
        drop(self.sender);
        if let Err(error) = self.task.await {
            panic!("{} broke off: {error}", self.who);
        }
    }
}

impl Ordered {
    /// Waits for the next one. False: there is none any more.
    pub(crate) async fn next(&mut self) -> bool {
        self.receiver.recv().await.is_some()
    }

    /// It is carried out.
    pub(crate) fn done(&self) {
        self.stage.open.fetch_sub(self.runs, Ordering::Relaxed);
    }
}
