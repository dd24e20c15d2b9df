use std::collections::BTreeSet;

use super::{
    super::super::{
        Baseline, ConflictHistory, Decision, DecisionRecord, DecisionState, DesiredState, RunId, RunStamp, Stamped,
        Tenant, TenantSync,
    },
    *,
};

const REAL: RunKind = RunKind { strategy: Strategy::PlatformToGbp, dry_run: false };
const DRY: RunKind = RunKind { strategy: Strategy::PlatformToGbp, dry_run: true };
const TO_PLATFORM: RunKind = RunKind { strategy: Strategy::GbpToPlatform, dry_run: false };

fn reverts() -> RunOptions {
    RunOptions { revert_of: Some(RunId::nil()), ..RunOptions::default() }
}

fn decided() -> RunOptions {
    RunOptions { decision: Some(Decision::PushAgain), ..RunOptions::default() }
}

#[test]
fn a_real_run_waits_for_the_cooldown_unless_a_person_has_decided() {
    let (plain, minute) = (RunOptions::default, Duration::from_secs(60));
    let seconds = |seconds| Some(TimeDelta::seconds(seconds));
    for (kind, options, since_success, cooldown, is_skipped) in [
        (REAL, plain(), None, minute, false),
        (REAL, plain(), seconds(0), minute, true),
        (REAL, plain(), seconds(59), minute, true),
        (REAL, plain(), seconds(60), minute, false),
        // The clock was set back since.
        (REAL, plain(), seconds(-5), minute, true),
        (REAL, plain(), seconds(0), Duration::ZERO, false),
        (TO_PLATFORM, plain(), seconds(1), minute, true),
        (DRY, plain(), seconds(1), minute, false),
        (REAL, reverts(), seconds(1), minute, false),
        (REAL, decided(), seconds(1), minute, false),
    ] {
        let skip = cooldown_skip(kind, &options, since_success, cooldown);
        assert_eq!(skip.is_some(), is_skipped, "{kind:?} {options:?} {since_success:?} {cooldown:?}");
    }
    let skip = cooldown_skip(REAL, &plain(), seconds(1), minute).expect("skipped");
    assert_eq!((skip.reason, skip.metadata["cooldown"].as_str()), (SkipReason::Cooldown, "1m"));
}

#[test]
fn nothing_is_written_to_a_closed_location() {
    let location = LocationId::parse("7").expect("an id");
    let closed = [LocationIssue::Closed, LocationIssue::Duplicate];
    for (kind, issues, location, is_skipped) in [
        (REAL, &closed[..], Some(&location), true),
        (REAL, &closed[1..], Some(&location), false),
        (REAL, &[], Some(&location), false),
        (DRY, &closed, Some(&location), false),
        (TO_PLATFORM, &closed, Some(&location), false),
        (REAL, &closed, None, false),
    ] {
        assert_eq!(closed_location_skip(kind, issues, location).is_some(), is_skipped, "{kind:?} {issues:?}");
    }
    let skip = closed_location_skip(REAL, &closed, Some(&location)).expect("skipped");
    assert_eq!((skip.reason, skip.metadata["location"].as_str()), (SkipReason::LocationClosed, "locations/7"));
}

fn at(days: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(days)
}

fn tenant() -> Tenant {
    Tenant {
        id: TenantId::parse("t").expect("an id"),
        display_name: "t".to_owned(),
        organization: None,
        account: None,
        location: None,
        region_code: "US".to_owned(),
        language_code: "en".to_owned(),
        created_at: at(0),
        updated_at: at(0),
    }
}

fn ignoring() -> DecisionRecord {
    DecisionRecord {
        decision: Decision::Ignore,
        caller: "operator".to_owned(),
        at: at(1),
        reason: "as wanted".to_owned(),
        run: None,
        state: DecisionState::Executed,
        run_reason: None,
    }
}

/// A tracker that has found what was left at day 2 undone, or not, for a tenant with these conflicts.
fn tracker(conflicts: ConflictHistory, is_undone: bool) -> SyncTracker {
    use super::super::super::{CategorySet, GbpCategory, GbpState, Gcid};
    let set = |slug: &str| {
        let gcid = Gcid::parse(&format!("gcid:{slug}")).expect("valid");
        CategorySet::new(GbpCategory::new(gcid, ""), vec![]).expect("a set")
    };
    let baseline = Baseline { categories: vec![], set: set("a") };
    let by = RunStamp { run: RunId::nil(), at: at(2) };
    let known =
        TenantSync { conflicts, baseline: Some(Stamped { what: baseline, by }), ..TenantSync::unseen(&tenant()) };
    let mut tracker = SyncTracker::after(None);
    let merchant = Some(set(if is_undone { "b" } else { "a" }));
    tracker.observed(GbpState { merchant, public: None, in_review: false, issues: vec![] });
    tracker.set_desired(DesiredState { categories: vec![], set: Ok(set("a")) });
    tracker.assess(Some(known), BTreeSet::new(), true);
    tracker
}

#[test]
fn a_conflict_keeps_runs_from_writing_to_google_until_a_person_decides() {
    let overwritten = |days: &[i64]| ConflictHistory {
        overwritten_at: days.iter().map(|day| at(*day)).collect(),
        ..ConflictHistory::default()
    };
    let in_conflict = || ConflictHistory { conflict_at: Some(at(1)), ..overwritten(&[0]) };
    let ignored = || ConflictHistory { decided: Some(ignoring()), ..ConflictHistory::default() };
    let plain = RunOptions::default;
    for (kind, options, conflicts, is_undone, counted) in [
        (REAL, plain(), overwritten(&[]), true, None),
        (REAL, plain(), overwritten(&[0, 1]), true, None),
        // The fourth one within seven days is one too many, and it is the one that this run has found.
        (REAL, plain(), overwritten(&[0, 1, 2]), true, Some("4")),
        (REAL, plain(), overwritten(&[0, 1, 2]), false, None),
        (REAL, plain(), in_conflict(), false, Some("1")),
        (REAL, plain(), in_conflict(), true, Some("2")),
        (REAL, plain(), ignored(), false, Some("ignored")),
        // A person has decided for this run.
        (REAL, decided(), in_conflict(), true, None),
        (REAL, reverts(), ignored(), true, None),
        // The platform's side is not what is quarreled about.
        (TO_PLATFORM, plain(), in_conflict(), true, None),
    ] {
        let tracker = tracker(conflicts.clone(), is_undone);
        let skip = conflict_skip(kind, &options, &tracker, &tenant().id, at(3));
        let found = skip.as_ref().map(|skip| {
            assert_eq!((skip.reason, skip.metadata["tenant"].as_str()), (SkipReason::EditConflict, "tenants/t"));
            skip.metadata.get("overwrite_count").map_or("ignored", String::as_str)
        });
        assert_eq!(found, counted, "{kind:?} {options:?} {conflicts:?} {is_undone}");
    }
    let unseen = SyncTracker::after(None);
    assert_eq!(conflict_skip(REAL, &plain(), &unseen, &tenant().id, at(3)), None, "nothing differs");
}
