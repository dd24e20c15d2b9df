//! Moves finished spans to their export, without blocking any other task. Spans that do not fit into the queue, or that
//! the collector does not accept, are dropped and counted, and logged at most once a minute.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Maximum number of spans in the queue; a span takes about a kilobyte.
const MAX_QUEUED_SPANS: usize = 4096;
/// Maximum number of spans per export.
const EXPORT_BATCH_SIZE: usize = 512;
/// Maximum time that the first span of an export waits for more.
const EXPORT_DELAY: Duration = Duration::from_secs(1);
/// Minimum interval between two log lines about dropped spans.
const WARN_INTERVAL: Duration = Duration::from_secs(60);
/// Maximum length of an error in the log.
const MAX_ERROR_CHARS: usize = 300;

/// The sending half of the queue.
#[derive(Debug)]
pub(super) struct SpanSender {
    queue: mpsc::Sender<SpanData>,
    overflow: Arc<AtomicU64>,
}

/// The receiving half of the queue.
pub(super) struct SpanExportTask {
    queue: mpsc::Receiver<SpanData>,
    overflow: Arc<AtomicU64>,
    losses: DroppedSpans,
}

/// Dropped spans that have not been logged yet.
#[derive(Default)]
struct DroppedSpans {
    spans: u64,
    why: String,
    told: Option<Instant>,
}

/// Creates a queue of spans.
pub(super) fn queue() -> (SpanSender, SpanExportTask) {
    let (sender, receiver) = mpsc::channel(MAX_QUEUED_SPANS);
    let overflow = Arc::new(AtomicU64::new(0));
    let sender = SpanSender { queue: sender, overflow: overflow.clone() };
    (sender, SpanExportTask { queue: receiver, overflow, losses: DroppedSpans::default() })
}

impl SpanProcessor for SpanSender {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.queue.try_send(span).is_err() {
            self.overflow.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl SpanExportTask {
    /// Exports until `end`, and then the remaining spans.
    pub(super) async fn export(mut self, exporter: impl SpanExporter, end: CancellationToken) {
        let mut batch = Vec::with_capacity(EXPORT_BATCH_SIZE);
        loop {
            tokio::select! {
                count = self.queue.recv_many(&mut batch, EXPORT_BATCH_SIZE) => if count == 0 { return },
                () = end.cancelled(), if !self.queue.is_closed() => {
                    self.queue.close();
                    continue;
                }
            }
            // At the end, there is no wait for more spans.
            let gathered = tokio::time::timeout(EXPORT_DELAY, gather(&mut self.queue, &mut batch));
            let _ = end.run_until_cancelled(gathered).await;
            let count = batch.len();
            let result = exporter.export(std::mem::take(&mut batch)).await;
            self.tell(count, &result);
        }
    }

    fn tell(&mut self, count: usize, result: &OTelSdkResult) {
        let overflow = self.overflow.swap(0, Ordering::Relaxed);
        if overflow > 0 {
            self.losses.add(overflow, "too many spans were waiting");
        }
        if let Err(error) = result {
            let why = match error {
                OTelSdkError::InternalFailure(why) => why.clone(),
                other => other.to_string(),
            };
            self.losses.add(u64::try_from(count).unwrap_or(u64::MAX), &why);
        }
        if let Some((spans, why)) = self.losses.due(Instant::now()) {
            tracing::warn!(spans, error = why, "could not export spans");
        }
    }
}

async fn gather(queue: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>) {
    while batch.len() < EXPORT_BATCH_SIZE {
        let room = EXPORT_BATCH_SIZE - batch.len();
        if queue.recv_many(batch, room).await == 0 {
            return;
        }
    }
}

impl DroppedSpans {
    fn add(&mut self, spans: u64, why: &str) {
        metrics::counter!("category_mirror_spans_dropped_total").increment(spans);
        self.spans += spans;
        self.why = why.chars().take(MAX_ERROR_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    }

    /// Returns what has to be logged now.
    fn due(&mut self, now: Instant) -> Option<(u64, String)> {
        let is_quiet = self.told.is_none_or(|told| now.duration_since(told) >= WARN_INTERVAL);
        if self.spans == 0 || !is_quiet {
            return None;
        }
        self.told = Some(now);
        Some((std::mem::take(&mut self.spans), std::mem::take(&mut self.why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_told_at_most_once_a_minute_and_none_of_it_is_forgotten() {
        let mut losses = DroppedSpans::default();
        let start = Instant::now();
        assert_eq!(losses.due(start), None);
        losses.add(512, "no connection");
        assert_eq!(losses.due(start), Some((512, "no connection".to_owned())));
        for second in 1..60 {
            losses.add(1, "503");
            assert_eq!(losses.due(start + Duration::from_secs(second)), None);
        }
        assert_eq!(losses.due(start + WARN_INTERVAL), Some((59, "503".to_owned())));
        assert_eq!(losses.due(start + 3 * WARN_INTERVAL), None);
    }

    /// A collector that accepts no spans, or all.
    #[derive(Debug)]
    struct Collector {
        takes: bool,
        batches: Arc<std::sync::Mutex<Vec<usize>>>,
    }

    impl SpanExporter for Collector {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.batches.lock().expect("not poisoned").push(batch.len());
            if self.takes { Ok(()) } else { Err(OTelSdkError::InternalFailure("no".to_owned())) }
        }
    }

    fn end_spans(sender: SpanSender, count: usize) {
        use opentelemetry::trace::{Tracer, TracerProvider};
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().with_span_processor(sender).build();
        let tracer = provider.tracer("test");
        for _ in 0..count {
            drop(tracer.start("span"));
        }
    }

    #[tokio::test]
    async fn a_full_queue_loses_spans_and_the_end_exports_what_there_is() {
        for takes in [true, false] {
            let (sender, exit) = queue();
            let overflow = exit.overflow.clone();
            end_spans(sender, MAX_QUEUED_SPANS + 7);
            assert_eq!(overflow.load(Ordering::Relaxed), 7);
            let batches = Arc::default();
            let end = CancellationToken::new();
            end.cancel();
            exit.export(Collector { takes, batches: Arc::clone(&batches) }, end).await;
            let batches = batches.lock().expect("not poisoned");
            assert_eq!(batches.iter().sum::<usize>(), MAX_QUEUED_SPANS);
            assert!(batches.iter().all(|batch| *batch <= EXPORT_BATCH_SIZE));
        }
    }
}
