//! What the end of a run records of its tenant, for each end and for all that may be known before.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    super::{
        Baseline, CategoryRole, CategorySet, ConflictHistory, DesiredState, DriftCause, Failure, FailureReason,
        GbpCategory, GbpState, Gcid, Observation, ResolvedCategory, RunId, RunKind, RunResult, RunStamp, Skip,
        SkipReason, Slug, Stamped, Strategy, Tenant, TenantCategory, TenantId, TenantSync, WriteIntent, WrittenSet,
        observation_digest,
    },
    sync_conclusion::{RecordedSync, SyncConclusion, SyncEnd, SyncRecord},
    sync_tracker::SyncTracker,
};

const REAL: RunKind = RunKind { strategy: Strategy::PlatformToGbp, dry_run: false };
const DRY: RunKind = RunKind { strategy: Strategy::PlatformToGbp, dry_run: true };
const TO_PLATFORM: RunKind = RunKind { strategy: Strategy::GbpToPlatform, dry_run: false };

fn at(days: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(days)
}

fn gcid(slug: char) -> Gcid {
    Gcid::parse(&format!("gcid:{slug}")).expect("valid")
}

fn set(slugs: &str) -> CategorySet {
    let mut categories = slugs.chars().map(|slug| GbpCategory::new(gcid(slug), ""));
    CategorySet::new(categories.next().expect("a primary"), categories.collect()).expect("a set")
}

/// Categories that each map to the GBP category of the same name.
fn resolved(slugs: &str) -> Vec<ResolvedCategory> {
    let role = |n| if n == 0 { CategoryRole::Primary } else { CategoryRole::Additional };
    let category = |(n, slug): (usize, char)| ResolvedCategory {
        role: role(n),
        slug: Slug::parse(&slug.to_string()).expect("a slug"),
        gcid: Some(gcid(slug)),
    };
    slugs.chars().enumerate().map(category).collect()
}

fn desired(slugs: &str) -> DesiredState {
    DesiredState { categories: resolved(slugs), set: Ok(set(slugs)) }
}

fn google(slugs: &str) -> GbpState {
    GbpState { merchant: Some(set(slugs)), public: None, in_review: false, issues: vec![] }
}

fn baseline(slugs: &str) -> Baseline {
    Baseline { categories: resolved(slugs), set: set(slugs) }
}

fn stamped<T>(what: T) -> Stamped<T> {
    Stamped { what, by: RunStamp { run: RunId::nil(), at: at(1) } }
}

/// A tenant for which a real run has left `slugs` on both sides on day 1.
fn left(slugs: &str) -> TenantSync {
    let tenant = Tenant {
        id: TenantId::parse("t").expect("an id"),
        display_name: "t".to_owned(),
        organization: None,
        account: None,
        location: None,
        region_code: "US".to_owned(),
        language_code: "en".to_owned(),
        created_at: at(0),
        updated_at: at(0),
    };
    TenantSync { baseline: Some(stamped(baseline(slugs))), ..TenantSync::unseen(&tenant) }
}

/// A tracker that has read both sides.
fn read(platform: &str, at_google: &str) -> SyncTracker {
    let mut tracker = SyncTracker::after(None);
    tracker.observed(google(at_google));
    tracker.set_desired(desired(platform));
    tracker
}

fn failed(reason: FailureReason) -> RunResult {
    RunResult::Failed(Failure::permanent(reason, ""))
}

fn skipped() -> RunResult {
    RunResult::Skipped(Skip { reason: SkipReason::EditConflict, message: String::new(), metadata: [].into() })
}

fn intent() -> WriteIntent {
    WriteIntent { before: Some(set("a")), after: set("b"), changes: vec![], location: None, account: None }
}

#[test]
fn only_what_is_not_recorded_yet_is_new() {
    use FailureReason::{Guard, NotRevertible, UpstreamUnavailable};
    let digest = observation_digest(&desired("a"), Some(&google("a")));
    let recorded = |digest, matches_baseline, failed| Some(RecordedSync { digest, matches_baseline, failed });
    let same = |matches_baseline| recorded(Some(digest.as_str()), matches_baseline, false);
    let failure_before = recorded(None, false, true);
    let (nothing_read, in_sync) = (|| SyncTracker::after(None), || read("a", "a"));
    let wrote = || {
        let mut tracker = read("a", "b");
        tracker.wrote(Some(&set("a")), false);
        tracker
    };
    let overwritten = || {
        let mut tracker = read("a", "b");
        tracker.assess(Some(left("a")), BTreeSet::new(), true);
        assert!(tracker.assessment().is_some_and(|assessment| assessment.is_overwrite));
        tracker
    };
    let overwritten_digest = observation_digest(&desired("a"), Some(&google("b")));
    let (intent, success) = (intent(), RunResult::Succeeded);
    for (name, tracker, kind, result, write_intent, before, expected) in [
        ("an unknown write hides all else", in_sync(), REAL, success.clone(), Some(&intent), same(true), "unresolved"),
        ("also after a failed read", nothing_read(), REAL, failed(Guard), Some(&intent), None, "unresolved"),
        ("a read that failed", nothing_read(), REAL, failed(UpstreamUnavailable), None, None, "failed"),
        ("after another that is recorded", nothing_read(), REAL, failed(Guard), None, failure_before, "nothing"),
        ("after a success", nothing_read(), REAL, failed(UpstreamUnavailable), None, same(true), "failed"),
        ("a refused revert reads nothing", nothing_read(), REAL, failed(NotRevertible), None, None, "nothing"),
        ("a cancelled run", nothing_read(), REAL, RunResult::Cancelled, None, None, "nothing"),
        ("a skipped run", nothing_read(), REAL, skipped(), None, None, "nothing"),
        ("a first read", in_sync(), DRY, success.clone(), None, None, "changed"),
        ("the same again, as it was left", in_sync(), REAL, success.clone(), None, same(true), "nothing"),
        (
            "the same, which a real run now leaves",
            in_sync(),
            REAL,
            success.clone(),
            None,
            same(false),
            "changed baseline",
        ),
        ("the same, by a dry run", in_sync(), DRY, success.clone(), None, same(false), "nothing"),
        ("the same after a failed read", in_sync(), DRY, success.clone(), None, failure_before, "changed"),
        ("something else", read("a", "b"), DRY, success.clone(), None, same(true), "changed"),
        ("a stop by a guard", read("a", "b"), REAL, failed(Guard), None, same(true), "changed"),
        ("a write of what was there before", wrote(), REAL, success.clone(), None, same(true), "changed baseline"),
        ("a mismatch after a write", wrote(), REAL, failed(FailureReason::VerifyMismatch), None, same(true), "changed"),
        (
            "an overwrite, though it looks as it did",
            overwritten(),
            REAL,
            skipped(),
            None,
            recorded(Some(overwritten_digest.as_str()), false, false),
            "changed",
        ),
        ("Google's side alone is no baseline", read("a", "b"), TO_PLATFORM, success.clone(), None, None, "changed"),
        ("both sides agree", in_sync(), TO_PLATFORM, success.clone(), None, None, "changed baseline"),
    ] {
        let end = SyncEnd { kind, result: &result, write_intent, recorded: before };
        let found = match SyncConclusion::of(&tracker, &end) {
            SyncConclusion::Nothing => "nothing",
            SyncConclusion::Failed => "failed",
            SyncConclusion::Unresolved(written) => {
                assert_eq!(written.set, set("b"), "{name}");
                "unresolved"
            }
            SyncConclusion::Changed(change) if change.leaves_a_baseline() => "changed baseline",
            SyncConclusion::Changed(_) => "changed",
        };
        assert_eq!(found, expected, "{name}");
    }
}

/// What is recorded at the end of a run that has read both sides, has assessed them with what was `known`, and has then perhaps written.
fn record(
    mut tracker: SyncTracker,
    known: Option<TenantSync>,
    written: Option<(&str, bool)>,
    (kind, result): (RunKind, &RunResult),
) -> SyncRecord {
    tracker.assess(known, BTreeSet::new(), kind.strategy == Strategy::PlatformToGbp);
    if let Some((actual, in_review)) = written {
        tracker.wrote(Some(&set(actual)), in_review);
    }
    let end = SyncEnd { kind, result, write_intent: None, recorded: None };
    let SyncConclusion::Changed(change) = SyncConclusion::of(&tracker, &end) else { panic!("nothing new") };
    change.record(&tracker, at(9)).expect("assessed")
}

#[test]
fn the_record_names_the_cause_after_the_run_and_what_it_left() {
    use DriftCause::{EditInReview, InSync, MerchantEdited, NeverSynced, PlatformChanged};
    let conflicts = |days: &[i64]| ConflictHistory {
        overwritten_at: days.iter().map(|day| at(*day)).collect(),
        ..ConflictHistory::default()
    };
    // The one that is counted was of an earlier write.
    let known = |slugs| Some(TenantSync { conflicts: conflicts(&[1]), ..left(slugs) });
    let counted = || Some(TenantSync { conflicts: conflicts(&[2]), ..left("a") });
    let (success, guard) = (RunResult::Succeeded, failed(FailureReason::Guard));
    let (dry, real, stopped, mismatch) = ((DRY, &success), (REAL, &success), (REAL, &guard), (REAL, &guard));
    let (differ, overwrites) = (|| read("a", "b"), (MerchantEdited, false, false, true));
    for (name, tracker, before, written, end, expected) in [
        ("a first dry run", differ(), None, None, dry, (NeverSynced, false, false, false)),
        ("a first real run", differ(), None, Some(("a", false)), real, (InSync, true, true, false)),
        ("a write in review", differ(), None, Some(("a", true)), real, (EditInReview, true, true, false)),
        ("in sync, as it was left", read("a", "a"), known("a"), None, dry, (InSync, false, true, false)),
        ("in sync, otherwise", read("b", "b"), known("a"), None, dry, (InSync, false, false, false)),
        ("the platform changed", read("b", "a"), known("a"), None, dry, (PlatformChanged, false, false, false)),
        ("another actor's edit", differ(), known("a"), None, dry, overwrites),
        ("that is counted already", differ(), counted(), None, dry, (MerchantEdited, false, false, false)),
        ("not written over", differ(), known("a"), None, stopped, overwrites),
        ("written over", differ(), known("a"), Some(("a", false)), real, (InSync, true, true, true)),
        ("a write that did not stay", differ(), known("a"), Some(("c", false)), mismatch, overwrites),
        (
            "not this strategy's to count",
            differ(),
            known("a"),
            None,
            (TO_PLATFORM, &guard),
            (MerchantEdited, false, false, false),
        ),
    ] {
        let record = record(tracker, before, written, end);
        let is_overwrite = record.overwritten_at == Some(at(9));
        assert_eq!(record.overwritten_at.is_some(), is_overwrite, "{name}");
        let found = (record.cause, record.baseline.is_some(), record.matches_baseline, is_overwrite);
        assert_eq!(found, expected, "{name}");
        assert!(!record.in_conflict && record.digest.is_some(), "{name}");
        assert_eq!(record.written.map(|written| written.set), written.map(|(slugs, _)| set(slugs)), "{name}");
    }
    // The fourth overwrite within seven days is one too many.
    let disputed = TenantSync { conflicts: conflicts(&[-1, 0, 1]), ..left("a") };
    let in_conflict = |read_at| {
        let mut tracker = differ();
        tracker.assess(Some(disputed.clone()), BTreeSet::new(), true);
        let end = SyncEnd { kind: DRY, result: &success, write_intent: None, recorded: None };
        let SyncConclusion::Changed(change) = SyncConclusion::of(&tracker, &end) else { panic!("nothing new") };
        change.record(&tracker, read_at).expect("assessed").in_conflict
    };
    assert_eq!((in_conflict(at(2)), in_conflict(at(9))), (true, false));
}

#[test]
fn a_write_with_an_unknown_outcome_is_resolved_by_a_read_that_finds_it() {
    let unresolved =
        |slugs| Some(TenantSync { unresolved: Some(stamped(WrittenSet { set: set(slugs) })), ..left("x") });
    let dry = |tracker, known| record(tracker, known, None, (DRY, &RunResult::Succeeded));
    assert_eq!(dry(read("a", "a"), unresolved("a")).resolved.map(|earlier| earlier.what.set), Some(set("a")));
    assert_eq!(dry(read("a", "b"), unresolved("a")).resolved, None, "it is not there");
    assert_eq!(dry(read("a", "a"), Some(left("x"))).resolved, None, "nothing was unknown");
}

#[test]
fn retired_categories_and_unusable_sides_are_recorded_as_such() {
    let mut tracker = read("ab", "a");
    tracker.assess(Some(left("a")), [gcid('b'), gcid('x')].into(), true);
    let end = SyncEnd { kind: DRY, result: &RunResult::Succeeded, write_intent: None, recorded: None };
    let SyncConclusion::Changed(change) = SyncConclusion::of(&tracker, &end) else { panic!("nothing new") };
    let record = change.record(&tracker, at(9)).expect("assessed");
    assert_eq!((record.cause, record.desired.retired), (DriftCause::CategoryRetired, [gcid('b')].into()));

    // The platform's own side says that there is nothing to write, so Google was not asked.
    let mut tracker = SyncTracker::after(None);
    let error = super::super::SourceError::Empty;
    tracker.set_desired(DesiredState { categories: vec![], set: Err(error) });
    let end = (REAL, &failed(FailureReason::EmptySource));
    let record = self::record(tracker, Some(left("a")), None, end);
    assert_eq!((record.desired.set, record.desired.error.is_some(), record.google), (None, true, None));
}

#[test]
fn an_attempt_that_only_finds_a_write_done_records_what_the_writer_would_have() {
    // The attempt that wrote had found an overwrite, and has written to the platform.
    let after = DesiredState::by(&tenants("b"));
    let earlier = Observation {
        desired: Some(desired("a")),
        google: Some(google("b")),
        after: Some(after.clone()),
        cause: DriftCause::PlatformChanged,
        is_overwrite: false,
    };
    let mut tracker = SyncTracker::after(Some(earlier.clone()));
    assert_eq!((tracker.cause(), tracker.observation()), (DriftCause::PlatformChanged, None));
    tracker.resume(earlier.clone(), desired("x"), Some(left("a")), BTreeSet::new());
    assert_eq!(tracker.observation(), Some(earlier));
    let result = RunResult::Succeeded;
    let end = SyncEnd { kind: TO_PLATFORM, result: &result, write_intent: None, recorded: None };
    let SyncConclusion::Changed(change) = SyncConclusion::of(&tracker, &end) else { panic!("nothing new") };
    let record = change.record(&tracker, at(9)).expect("assessed");
    let left = record.baseline.expect("it was left");
    assert_eq!((left.categories, left.set, record.cause), (after.categories, set("b"), DriftCause::InSync));
}

fn tenants(slugs: &str) -> CategorySet<TenantCategory> {
    let mut categories = slugs.chars().map(|slug| TenantCategory {
        slug: Slug::parse(&slug.to_string()).expect("a slug"),
        display_name: slug.to_string(),
        gcid: Some(gcid(slug)),
        imported_locale: None,
    });
    CategorySet::new(categories.next().expect("a primary"), categories.collect()).expect("a set")
}
