//! Parses requests of `ListSyncLogs`.

use category_mirror_proto::v1::{self as proto, run::State};
use chrono::{DateTime, Utc};

use crate::api::decode::request;
use crate::{
    app::PageRequest,
    domain::{
        RunFilter, RunState, TenantId, batch_name, parse_batch_name,
        text::{is_direction_mark, is_hidden},
    },
    error::{Error, Violations},
};

/// Maximum length of a reason code, in characters.
const MAX_REASON_CODE: usize = 64;
const MAX_CALLER: usize = 256;

/// Parses the filter and the page, whose token is bound to the filter.
pub(in crate::api) fn parse_filter(message: &proto::ListSyncLogsRequest) -> Result<(RunFilter, PageRequest), Error> {
    let mut violations = Violations::default();
    let filter = RunFilter {
        tenant: request::tenant_filter(&mut violations, &message.tenant),
        organization: request::organization(&mut violations, "organization", &message.organization),
        batch: request::optional(&mut violations, "batch", &message.batch, parse_batch_name),
        strategy: request::strategy(&mut violations, message.strategy),
        states: states(&mut violations, &message.states),
        dry_run: message.dry_run,
        reason: text(&mut violations, "reason", &message.reason, MAX_REASON_CODE),
        caller: text(&mut violations, "caller", &message.caller, MAX_CALLER),
        accepted_from: time(&mut violations, "start_time", message.start_time),
        accepted_before: time(&mut violations, "end_time", message.end_time),
        out_of_sync: message.out_of_sync_only,
        ..RunFilter::default()
    };
    if filter.accepted_from.zip(filter.accepted_before).is_some_and(|(from, before)| from >= before) {
        violations.add("end_time", "must be after start_time");
    }
    let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
    let times = format!("{:?} {:?}", filter.accepted_from, filter.accepted_before);
    let filters = [
        "logs",
        filter.tenant.as_ref().map_or("", TenantId::as_str),
        filter.organization.as_ref().map_or("", |organization| organization.as_str()),
        &filter.batch.map(batch_name).unwrap_or_default(),
        filter.strategy.map_or("", |strategy| strategy.as_str()),
        &states.join(","),
        filter.dry_run.map_or("", |dry| if dry { "dry" } else { "real" }),
        filter.reason.as_deref().unwrap_or_default(),
        filter.caller.as_deref().unwrap_or_default(),
        &times,
        if filter.out_of_sync { "out of sync" } else { "" },
    ];
    let page = PageRequest::new(violations, message.page_size, &message.page_token, &filters)?;
    Ok((filter, page))
}

/// Returns each state once, in a fixed order: the order of the states in a request has no meaning.
fn states(violations: &mut Violations, numbers: &[i32]) -> Vec<RunState> {
    let mut parse_filter = Vec::new();
    for number in numbers {
        match State::try_from(*number) {
            Ok(State::Queued) => parse_filter.push(RunState::Queued),
            Ok(State::Running) => parse_filter.push(RunState::Running),
            Ok(State::Succeeded) => parse_filter.push(RunState::Succeeded),
            Ok(State::Failed) => parse_filter.push(RunState::Failed),
            Ok(State::Skipped) => parse_filter.push(RunState::Skipped),
            Ok(State::Cancelled) => parse_filter.push(RunState::Cancelled),
            Ok(State::Unspecified) | Err(_) => {
                violations.add("states", format!("{number} is no state of a run"));
                return Vec::new();
            }
        }
    }
    RunState::ALL.iter().copied().filter(|state| parse_filter.contains(state)).collect()
}

/// Parses a text to compare with. Rejects a text that no run can have: PostgreSQL accepts no NUL, and an index no text
/// of arbitrary length.
fn text(violations: &mut Violations, field: &str, text: &str, longest: usize) -> Option<String> {
    if text.len() > longest || text.chars().any(|c| c.is_control() || is_hidden(c) || is_direction_mark(c)) {
        violations
            .add(field, format!("must be at most {longest} bytes, without control characters and invisible ones"));
    }
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn time(violations: &mut Violations, field: &str, time: Option<prost_types::Timestamp>) -> Option<DateTime<Utc>> {
    let time = time?;
    let parsed = u32::try_from(time.nanos).ok().and_then(|nanos| DateTime::from_timestamp(time.seconds, nanos));
    violations.take(field, parsed.filter(|time| time.timestamp() >= 0).ok_or("must be a time after 1970"))
}
