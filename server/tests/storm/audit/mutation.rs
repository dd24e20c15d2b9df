//! An auditor that finds nothing may be blind: so the evidence of a clean storm is forged, one lie at a time, and each must be found.

use std::{collections::HashSet, num::NonZero, thread};

use category_mirror_client::RunState;
use chrono::TimeDelta;
use uuid::Uuid;

mod batches;
mod cancels;
mod failovers;
mod fences;
mod life;
mod looks;
mod mirror;
mod platform;
mod reverts;
mod truth;

use super::judge;
use crate::{evidence::Evidence, fleet::LEASE, journal::Entry, record::Stop};

/// A lie, and words of the finding that it must lead to. `None`: this storm has nothing to tell it about.
type Forgery = (&'static str, fn(&mut Evidence) -> Option<()>);

const FORGERIES: [Forgery; 21] = [
    ("is not in the table", |evidence| evidence.rows.pop().map(drop)),
    ("and is lost", |evidence| {
        let answer = evidence.answers.values_mut().next()?;
        *answer = Err("NOT_FOUND".to_owned());
        Some(())
    }),
    ("and is running now", |evidence| {
        let answer = evidence.answers.values_mut().next()?;
        *answer = Ok(RunState::Running);
        Some(())
    }),
    ("made two runs", |evidence| {
        let asked = evidence.rows.iter().find(|row| row.request_id.is_some())?.clone();
        evidence.rows.push(crate::evidence::Row { id: Uuid::nil(), ..asked });
        Some(())
    }),
    ("nobody was told", |evidence| evidence.notes.accepted.pop().map(drop)),
    ("was the answer to two requests, and neither joined", |evidence| {
        let twin = evidence.notes.accepted.iter().find(|accepted| !accepted.joined)?.clone();
        evidence.notes.accepted.push(twin);
        Some(())
    }),
    ("is skipped, and", |evidence| {
        let mut answers = evidence.answers.values_mut();
        *answers.find(|answer| matches!(answer, Ok(RunState::Succeeded)))? = Ok(RunState::Skipped);
        Some(())
    }),
    ("is not the run that", |evidence| {
        evidence.notes.accepted.iter_mut().find(|accepted| !accepted.joined)?.request_id.push('x');
        Some(())
    }),
    ("ended failed", |evidence| {
        evidence.rows.iter_mut().find(|row| row.state == "succeeded")?.state = "failed".to_owned();
        Some(())
    }),
    ("was accepted, and nobody asked for it", |evidence| {
        evidence.answers.clear();
        evidence.notes.accepted.first().map(drop)
    }),
    ("has not ended:", |evidence| evidence.rows.first_mut()?.ended_at.take().map(drop)),
    ("was seen ended, and is another", |evidence| {
        evidence.rows.first_mut()?.fingerprint.push('x');
        Some(())
    }),
    ("and had announced none", |evidence| {
        evidence.patches.first_mut()?.process = Some("another".to_owned());
        Some(())
    }),
    ("and had announced another set", |evidence| {
        let patch = evidence.patches.first_mut()?;
        patch.set = Some(patch.set.clone()?.other(&mut fastrand::Rng::with_seed(1)));
        Some(())
    }),
    ("a second time in attempt", |evidence| {
        let twin = evidence.patches.first()?.clone();
        evidence.patches.insert(1, twin);
        Some(())
    }),
    ("the lease had ended by then", late_after_a_stop),
    ("it came a whole lease after its own", late_without_a_stop),
    ("it had done with the run at", after_the_end),
    ("should have", |evidence| {
        // One of them does not depend on whether its last write came late.
        let desired = evidence.tenants.iter_mut().filter_map(|tenant| tenant.desired.as_mut());
        desired.for_each(|set| *set = set.other(&mut fastrand::Rng::with_seed(1)));
        Some(())
    }),
    ("a full count", |evidence| {
        *evidence.sums[0].values_mut().next_back()? += 1;
        Some(())
    }),
    ("and there is none", |evidence| evidence.sums[1].pop_last().map(drop)),
];

/// Tells each lie, and gives how many were found, and in words those that were not.
pub(crate) fn mutate(evidence: &Evidence) -> (usize, Vec<String>) {
    let before = judge(evidence).findings;
    let all = FORGERIES.iter().chain(&life::FORGERIES).chain(&mirror::FORGERIES);
    let all = all
        .chain(&cancels::FORGERIES)
        .chain(&batches::FORGERIES)
        .chain(&looks::FORGERIES)
        .chain(&platform::FORGERIES)
        .chain(&reverts::FORGERIES)
        .chain(&truth::FORGERIES)
        .chain(&fences::FORGERIES)
        .chain(&failovers::FORGERIES);
    let all: Vec<&Forgery> = all.collect();
    // Each of them costs a judgment of all the evidence.
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = all.len().div_ceil(threads);
    let found: Vec<(&str, Option<bool>)> = thread::scope(|scope| {
        let tell = |lies: &[&Forgery]| lies.iter().map(|lie| (lie.0, is_found(evidence, &before, lie))).collect();
        let liars: Vec<_> = all.chunks(share).map(|lies| scope.spawn(move || -> Vec<_> { tell(lies) })).collect();
        liars.into_iter().flat_map(|liar| liar.join().expect("the auditor does not panic")).collect()
    });
    let missed = found.iter().filter(|(_, is_found)| *is_found == Some(false));
    let missed = missed.map(|(words, _)| format!("auditor: it does not notice when evidence is forged: {words}"));
    (found.iter().filter(|(_, is_found)| *is_found == Some(true)).count(), missed.collect())
}

/// Whether a lie is found; `None`: this storm has nothing to tell it about.
fn is_found(evidence: &Evidence, before: &[String], (words, mutation): &Forgery) -> Option<bool> {
    let mut forged = evidence.clone();
    mutation(&mut forged)?;
    // Also where something is wrong anyhow, each lie has to lead to a finding of its own.
    Some(judge(&forged).findings.iter().any(|finding| finding.contains(words) && !before.contains(finding)))
}

/// A process that announced a write, was stopped before it heard the answer, and went on after its lease to send it.
fn late_after_a_stop(evidence: &mut Evidence) -> Option<()> {
    let (patch, announced) = announced(evidence).next()?;
    // Whoever stands still does nothing more for the tenant.
    let is_later = |entry: &Entry| entry.tenant == announced.tenant && entry.at > announced.at;
    evidence.journal.retain(|entry| !is_later(entry) || entry.process != announced.process);
    let hour = TimeDelta::hours(1);
    evidence.notes.stops.push(Stop {
        process: announced.process?,
        held_from: announced.at - TimeDelta::milliseconds(1),
        stopped: announced.at + TimeDelta::milliseconds(1),
        continued: announced.at + hour,
    });
    evidence.patches[patch].received = announced.at + hour + TimeDelta::milliseconds(1);
    Some(())
}

/// A process that announced a write, was not stopped, and sent it when its lease had long ended.
fn late_without_a_stop(evidence: &mut Evidence) -> Option<()> {
    let (patch, announced) = announced(evidence).next()?;
    evidence.journal.retain(|entry| entry.tenant != announced.tenant || entry.at <= announced.at);
    evidence.notes.stops.clear();
    let until = announced.after?.lease_expires_at?;
    evidence.patches[patch].received = until + LEASE + TimeDelta::milliseconds(1);
    Some(())
}

/// A process that recorded the end of a run, and then sent the run's write.
fn after_the_end(evidence: &mut Evidence) -> Option<()> {
    let (patch, at) = announced(evidence).find_map(|(patch, announced)| {
        let is_its = |entry: &&Entry| entry.run == announced.run && entry.process == announced.process;
        let mut ends = evidence.journal.iter().filter(|entry| is_its(entry) && is_success(entry));
        Some((patch, ends.next()?.at))
    })?;
    evidence.patches[patch].received = at + TimeDelta::milliseconds(1);
    Some(())
}

/// The patches that one of the storm's processes had announced, by their places, and how.
fn announced(evidence: &Evidence) -> impl Iterator<Item = (usize, Entry)> {
    (0..evidence.patches.len()).filter_map(|patch| Some((patch, announcement(evidence, patch)?)))
}

/// How a patch was announced by one of the storm's processes.
fn announcement(evidence: &Evidence, patch: usize) -> Option<Entry> {
    let patch = &evidence.patches[patch];
    let tenant = evidence.tenants.iter().find(|tenant| tenant.address.location == patch.location)?;
    let is_its = |entry: &&Entry| {
        entry.process.is_some() && entry.process == patch.process && entry.tenant == tenant.address.tenant
    };
    let mut announced = evidence.journal.iter().filter(is_its).filter(|entry| entry.begins_to_write().is_some());
    announced.rfind(|entry| entry.at <= patch.received).cloned()
}

/// The tenants for which nobody makes trouble: their runs may end as they should only.
fn calm(evidence: &Evidence) -> HashSet<String> {
    let calm = evidence.tenants.iter().map(|tenant| &tenant.address).filter(|address| !address.is_troubled());
    calm.map(|address| address.tenant.clone()).collect()
}

fn is_end(entry: &Entry) -> bool {
    let was_running = entry.before.as_ref().is_some_and(|before| before.state == "running");
    was_running && entry.after.as_ref().is_some_and(|after| !after.is_live())
}

fn is_success(entry: &Entry) -> bool {
    is_end(entry) && entry.after.as_ref().is_some_and(|after| after.state == "succeeded")
}
