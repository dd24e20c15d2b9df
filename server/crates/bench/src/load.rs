//! Callers that ask as fast as they are answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

/// What a window of load came to.
#[derive(Default)]
pub(crate) struct Measured {
    elapsed: Duration,
    /// Waits for an answer, sorted.
    latencies: Vec<Duration>,
}

impl Measured {
    /// Answers a second.
    pub(crate) fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a window has far fewer calls than 2^53")]
        let answers = self.latencies.len() as f64;
        answers / self.elapsed.as_secs_f64()
    }

    /// Adds another piece of the window.
    pub(crate) fn add(&mut self, piece: Self) {
        self.elapsed += piece.elapsed;
        self.latencies.extend(piece.latencies);
        self.latencies.sort_unstable();
    }

    /// A percentile of the waits, in milliseconds.
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        percentile_ms(&self.latencies, percent)
    }
}

/// A percentile of sorted waits, in milliseconds.
pub(crate) fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(0.0, |wait| wait.as_secs_f64() * 1000.0)
}

/// Lets `callers` tasks call again and again for `window`. A call is given its caller's number, and a number of its own.
pub(crate) async fn measure<C, F>(callers: usize, window: Duration, call: C) -> Measured
where
    C: Fn(usize, u64) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (call, next) = (call.clone(), next.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while begun.elapsed() < window {
                let asked = Instant::now();
                call(caller, next.fetch_add(1, Ordering::Relaxed)).await;
                latencies.push(asked.elapsed());
            }
            latencies
        });
    }
    let mut latencies: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let elapsed = begun.elapsed();
    latencies.sort_unstable();
    Measured { elapsed, latencies }
}
