//! How far a batch is: one moving line on a terminal, a line at intervals elsewhere.

use std::{fmt::Write, time::Duration};

use category_mirror_client::{Batch, Client};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{
    exit::Exit,
    show::{output::terminal_width, stderr::MovingLine, table::cut},
};

/// How often the line on a terminal moves.
const MOVING_INTERVAL: Duration = Duration::from_secs(1);
/// How often a log gets a line.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Shows the batch's progress until it has ended, and returns it as it is then.
pub(crate) async fn until_ended(client: &Client, accepted: Batch) -> Result<Batch, Exit> {
    let line = MovingLine::new();
    line.show(&fitted(&line, &accepted));
    let ended = watched(client, accepted, &line).await;
    line.end();
    if let (Ok(ended), false) = (&ended, line.is_terminal()) {
        line.show(&text(ended));
    }
    ended
}

async fn watched(client: &Client, accepted: Batch, line: &MovingLine) -> Result<Batch, Exit> {
    let period = if line.is_terminal() { MOVING_INTERVAL } else { PLAIN_INTERVAL };
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The stream says at once when the batch has ended; its counts are read at intervals, however many runs it has.
    let mut snapshots = client.watch_batch(accepted.name.clone()).send();
    loop {
        tokio::select! {
            run = snapshots.next() => match run {
                Some(run) => drop(run?),
                None => return Ok(client.get_batch(accepted.name).send().await?),
            },
            _ = ticks.tick() => {
                let batch = client.get_batch(accepted.name.clone()).send().await?;
                line.show(&fitted(line, &batch));
            }
        }
    }
}

/// Runs that have ended, or will never be created.
pub(crate) fn ended(batch: &Batch) -> i64 {
    batch.tenant_count - batch.pending_count - batch.queued_count - batch.running_count
}

fn text(batch: &Batch) -> String {
    let mut text = format!("{} of {} ended", ended(batch), batch.tenant_count);
    let counts = [
        ("succeeded", batch.succeeded_count),
        ("failed", batch.failed_count),
        ("skipped", batch.skipped_count),
        ("joined", batch.joined_count),
        ("cancelled", batch.cancelled_count),
        ("running", batch.running_count),
    ];
    for (name, count) in counts.iter().filter(|(_, count)| *count > 0) {
        // Writing to a string cannot fail.
        let _ = write!(text, ", {count} {name}");
    }
    text
}

/// A moving line that would be broken could not be erased.
fn fitted(line: &MovingLine, batch: &Batch) -> String {
    if line.is_terminal() { cut(text(batch), terminal_width().saturating_sub(1)) } else { text(batch) }
}
