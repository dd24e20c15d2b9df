//! A run for the tests of the feed.

use chrono::{DateTime, Utc};

use crate::domain::{ChangeCounts, Run, RunKind, RunOptions, RunState, Strategy, TenantId};

/// A queued run, in the state in which it was accepted.
pub(super) fn run(created_at: DateTime<Utc>, tenant: &str) -> Run {
    let millis = created_at.timestamp_millis().unsigned_abs();
    Run {
        id: uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid(),
        tenant: TenantId::parse(tenant).expect("an id"),
        organization: None,
        batch: None,
        kind: RunKind { strategy: Strategy::PlatformToGbp, dry_run: false },
        state: RunState::Queued,
        revision: 1,
        attempt: 0,
        max_attempts: 5,
        uncounted_attempts: 0,
        cancel_requested: false,
        options: RunOptions::default(),
        plan: None,
        attempts: Vec::new(),
        attempt_started_at: None,
        write_intent: None,
        written: Vec::new(),
        counts: ChangeCounts::default(),
        unmapped: 0,
        reason: None,
        error: None,
        caller: "tester".to_owned(),
        request_id: None,
        created_at,
        started_at: None,
        ended_at: None,
        next_attempt_at: None,
    }
}
