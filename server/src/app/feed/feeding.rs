//! The task that feeds all watches of a process: by wake-ups, and by scans of everything that may have changed.

use std::{
    collections::BTreeSet,
    future::ready,
    time::{Duration, Instant},
};

use tokio::time::{sleep, sleep_until};

use super::{
    registry::ScanRange,
    shared::{FeedState, READ_BATCH_SIZE},
    subscription_queue::CloseReason,
};
use crate::{
    domain::{RunFilter, RunId},
    error::Error,
    wake::{WakeUp, WakeUpReceiver},
};

/// Ids whose revisions one statement reads.
const REVISIONS_BATCH_SIZE: usize = 10_000;
/// Changed runs that wait to be read. Beyond, a scan finds them again.
const MAX_WANTED: usize = 100_000;
/// The shortest time between two scans.
const MIN_SCAN_INTERVAL: Duration = Duration::from_millis(200);
/// Between tries while the database is away.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long the database may be away before watchers are sent to another server.
const OUTAGE_TOLERANCE: Duration = Duration::from_secs(5);

/// What the task has to do.
struct Work {
    /// Runs that changed, and were not read since.
    wanted: BTreeSet<RunId>,
    scanned: Instant,
    /// When to scan everything again.
    next_scan: Instant,
    /// Since when the database is away.
    failing: Option<Instant>,
}

/// Feeds the watches, with a scan once an `interval`. Never ends.
pub(super) async fn keep_fed(state: FeedState, mut wake_ups: WakeUpReceiver, interval: Duration) {
    let now = Instant::now();
    let mut work = Work { wanted: BTreeSet::new(), scanned: now, next_scan: now + interval, failing: None };
    loop {
        // In this order: a scan is due even while wake-ups come without a pause, and all wake-ups that are there are noted before one
        // statement reads for them.
        let done = tokio::select! {
            biased;
            () = sleep_until(work.next_scan.into()) => {
                work.scanned = Instant::now();
                work.next_scan = work.scanned + interval;
                scan(&state, &mut work.wanted).await
            }
            wake_up = wake_ups.next() => {
                note(&state, wake_up, &mut work);
                continue;
            }
            () = ready(()), if !work.wanted.is_empty() => read(&state, &mut work.wanted).await,
        };
        match done {
            Ok(()) => work.failing = None,
            Err(error) => handle_outage(&state, &error, &mut work).await,
        }
    }
}

fn note(state: &FeedState, wake_up: WakeUp, work: &mut Work) {
    match wake_up {
        WakeUp::Resync => work.scan_soon(),
        WakeUp::RunsChanged(ids) => {
            let registry = state.registry();
            // A batch is reported as a run is, by its id.
            ids.iter().for_each(|id| registry.notify_batch(*id));
            work.wanted.extend(ids.iter().copied().filter(|id| registry.concerns(*id)));
        }
        // The others are for the runner and the flags.
        _ => {}
    }
    if work.wanted.len() > MAX_WANTED {
        work.wanted.clear();
        work.scan_soon();
    }
}

/// Reads some of the runs that changed, and publishes them.
async fn read(state: &FeedState, wanted: &mut BTreeSet<RunId>) -> Result<(), Error> {
    let ids: Vec<RunId> = wanted.iter().copied().take(READ_BATCH_SIZE).collect();
    let runs = state.store.runs(&RunFilter::default(), &ids).await?;
    // Only after the read has succeeded. Nothing else changes the set in the meantime: a wake-up for one of them that comes now is noted
    // after this, and has it read again.
    for id in &ids {
        wanted.remove(id);
    }
    state.publish(runs);
    Ok(())
}

/// Scans everything that may have changed since the last scan.
async fn scan(state: &FeedState, wanted: &mut BTreeSet<RunId>) -> Result<(), Error> {
    // The lock is not held while the database is asked: watches come and go. What is published in the meantime is no news afterwards.
    let Some(ScanRange { ended_after, new_after, named, is_broad }) = state.registry().scan_range() else {
        return Ok(());
    };
    // Before the scan, so that the next one begins where this one did.
    let time = state.store.time(None).await?;
    let mut found = Vec::new();
    for named in named.chunks(REVISIONS_BATCH_SIZE) {
        found.extend(state.store.revisions(named).await?);
    }
    let there: BTreeSet<RunId> = found.iter().map(|(id, _)| *id).collect();
    let gone: Vec<RunId> = named.into_iter().filter(|id| !there.contains(id)).collect();
    if is_broad {
        found.extend(state.store.changed_runs(ended_after, new_after).await?);
    }
    let mut registry = state.registry();
    // First what is new, and then what may be forgotten: a forgotten run would be news again.
    wanted.extend(registry.news(&found));
    registry.scanned(time, &gone, Instant::now());
    registry.notify_all_batches();
    Ok(())
}

/// What to do when the database does not answer: wait, and at last send the watchers to a server that has one.
async fn handle_outage(state: &FeedState, error: &Error, work: &mut Work) {
    let now = Instant::now();
    if work.failing.is_none() {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(%error, cause, "cannot read the changes of runs; trying again");
    }
    if now.saturating_duration_since(*work.failing.get_or_insert(now)) >= OUTAGE_TOLERANCE {
        state.registry().end_all(CloseReason::Unavailable);
    }
    work.scan_soon();
    sleep(RETRY_DELAY).await;
}

impl Work {
    fn scan_soon(&mut self) {
        self.next_scan = self.next_scan.min(self.scanned + MIN_SCAN_INTERVAL);
    }
}
