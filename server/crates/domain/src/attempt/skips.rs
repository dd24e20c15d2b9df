//! Why a run whose attempt has begun is skipped.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    super::{LocationId, LocationIssue, MAX_OVERWRITES, RunKind, RunOptions, Skip, SkipReason, Strategy, TenantId},
    sync_tracker::SyncTracker,
};

/// Returns why a run has to wait for the cooldown, if it does. `since_success` is the time since the last success of a real run of the same
/// tenant, strategy and location; a negative one counts as zero, because clocks are set back.
#[must_use]
pub fn cooldown_skip(
    kind: RunKind,
    options: &RunOptions,
    since_success: Option<TimeDelta>,
    cooldown: Duration,
) -> Option<Skip> {
    // A person who reverts a run, or decides, has seen the state of the tenant and does not have to wait.
    if kind.dry_run || options.is_decided() {
        return None;
    }
    let is_cooling = since_success.is_some_and(|since| since.to_std().unwrap_or_default() < cooldown);
    is_cooling.then(|| {
        let cooldown = humantime::format_duration(cooldown).to_string();
        let message = format!("a real run of the tenant and strategy succeeded less than {cooldown} ago");
        Skip { reason: SkipReason::Cooldown, message, metadata: [("cooldown".to_owned(), cooldown)].into() }
    })
}

/// Returns why nothing is written to a location that Google calls permanently closed. A dry run plans all the same, and the platform's side
/// of a closed location may be written.
#[must_use]
pub fn closed_location_skip(kind: RunKind, issues: &[LocationIssue], location: Option<&LocationId>) -> Option<Skip> {
    let writes_gbp = kind == RunKind { strategy: Strategy::PlatformToGbp, dry_run: false };
    if !writes_gbp || !issues.contains(&LocationIssue::Closed) {
        return None;
    }
    let location = location?.resource_name();
    let message = format!("{location} is closed for good, says Google, so nothing is written to it");
    let metadata = BTreeMap::from([("location".to_owned(), location)]);
    Some(Skip { reason: SkipReason::LocationClosed, message, metadata })
}

/// Returns why nothing is written to Google for a tenant before a person decides, if that is so. `read_at` is when the tenant was read.
/// Without an assessment there are no differences, and so there is no conflict.
#[must_use]
pub fn conflict_skip(
    kind: RunKind,
    options: &RunOptions,
    tracker: &SyncTracker,
    tenant: &TenantId,
    read_at: DateTime<Utc>,
) -> Option<Skip> {
    if kind.strategy != Strategy::PlatformToGbp || options.is_decided() {
        return None;
    }
    let assessment = tracker.assessment()?;
    let conflicts = &assessment.known.as_ref()?.conflicts;
    let tenant = tenant.resource_name();
    let decide = "DecideTenantSync with ACCEPT_GOOGLE, PUSH_AGAIN or IGNORE decides";
    let mut metadata =
        BTreeMap::from([("tenant".to_owned(), tenant.clone()), ("cause".to_owned(), tracker.cause().to_string())]);
    let reaches_limit = assessment.is_overwrite && conflicts.reaches_limit_with_next(read_at);
    let message = if let Some(ignoring) = conflicts.ignoring() {
        metadata.insert("decided_by".to_owned(), ignoring.caller.clone());
        format!("{tenant} is left as it is, as {} decided ({}); {decide} otherwise", ignoring.caller, ignoring.reason)
    } else if conflicts.conflict_at.is_some() || reaches_limit {
        let overwrites = conflicts.recent(read_at) + usize::from(assessment.is_overwrite);
        metadata.insert("overwrite_count".to_owned(), overwrites.to_string());
        format!(
            "what was written to the location of {tenant} was changed back more than {MAX_OVERWRITES} times within 7 days, so nothing was \
             written; {decide}"
        )
    } else {
        return None;
    };
    Some(Skip { reason: SkipReason::EditConflict, message, metadata })
}

#[cfg(test)]
#[path = "skips_tests.rs"]
mod tests;
