//! What was to strike, and how often it did: nobody shall believe a test of what was not there.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{evidence::Evidence, failovers::Failover, journal::Entry, options::Options, record::Notes};

/// Each kind, by its key in the report, and what it is tallied as.
const BLOWS: [(&str, &str); 11] = [
    ("kills", "kills"),
    ("drains", "drains"),
    ("pauses", "pauses"),
    ("connection_cuts", "cuts"),
    ("database_silences", "silences"),
    ("postgresql_restarts", "restarts"),
    ("postgresql_crashes", "crashes"),
    ("failovers", "failovers"),
    ("pooler_kills", "pooler kills"),
    ("pooler_restarts", "pooler restarts"),
    ("pooler_reloads", "pooler reloads"),
];

/// What struck, in numbers.
pub(crate) struct Blows(Map<String, Value>);

impl Blows {
    /// Counts.
    pub(crate) fn of(evidence: &Evidence) -> Self {
        let notes = &evidence.notes;
        let tally = |what: &str| notes.tally.get(what).copied().unwrap_or_default();
        let mut all: Map<String, Value> =
            BLOWS.iter().map(|(key, what)| ((*key).to_owned(), json!(tally(what)))).collect();
        all.insert("claims_behind_the_pooler".to_owned(), json!(claims_behind_pooler(evidence)));
        all.insert("processes_with_a_fast_clock".to_owned(), json!(clocks(notes, |found| found > 0)));
        all.insert("processes_with_a_slow_clock".to_owned(), json!(clocks(notes, |found| found < 0)));
        all.insert("switches_off".to_owned(), json!(tally("switches off for all") + tally("switches off for some")));
        all.insert("columns_added".to_owned(), json!(tally("columns added")));
        all.insert("episodes".to_owned(), json!(notes.troubles.len()));
        Self(all)
    }

    /// What never happened, whether or not it was to.
    pub(crate) fn never(&self) -> Vec<&str> {
        self.0.iter().filter(|(_, count)| count.as_u64() == Some(0)).map(|(key, _)| key.as_str()).collect()
    }

    /// All, as the report has it.
    pub(crate) fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

/// Each failover in words: what happened to the primary, and after how many seconds each server took a write.
pub(crate) fn failovers(notes: &Notes) -> Vec<String> {
    let mut all: Vec<_> = notes.failovers.iter().collect();
    all.sort_by_key(|failover| failover.number);
    let seconds =
        |well: &Option<Duration>| well.map_or("never".to_owned(), |well| format!("{:.1} s", well.as_secs_f64()));
    let words = |failover: &&Failover| {
        let well: Vec<String> = failover.well.iter().map(seconds).collect();
        format!("{}: {}", failover.loss, well.join(", "))
    };
    all.iter().map(words).collect()
}

/// Where nobody calls through it, a pooler tests nothing.
pub(crate) fn pooled_place(options: &Options, notes: &Notes) -> Option<usize> {
    options.pooled_place().filter(|_| !notes.pooled.is_empty())
}

fn claims_behind_pooler(evidence: &Evidence) -> usize {
    let attempt = |entry: &Entry| entry.after.as_ref().map_or(0, |side| side.attempt);
    let is_claim = |entry: &&Entry| entry.before.as_ref().is_some_and(|before| before.attempt < attempt(entry));
    let is_pooled = |entry: &&Entry| entry.process.as_ref().is_some_and(|name| evidence.notes.pooled.contains(name));
    evidence.journal.iter().filter(is_claim).filter(is_pooled).count()
}

/// Processes that came to serve, by what their own logs say of the time.
fn clocks(notes: &Notes, is_meant: impl Fn(i64) -> bool) -> usize {
    let off = notes.clocks.values().filter(|clock| clock.wanted != 0).filter_map(|clock| clock.found);
    off.filter(|found| is_meant(*found)).count()
}
