use proptest::prelude::*;

use super::*;
use crate::{GbpCategory, Gcid};

fn set(slugs: &[&str]) -> CategorySet {
    let mut categories =
        slugs.iter().map(|slug| GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("valid"), ""));
    let primary = categories.next().expect("a primary");
    CategorySet::new(primary, categories.collect()).expect("a set")
}

fn usual(is_first_run: bool) -> GuardContext {
    GuardContext { limits: GuardLimits::default(), overridden: BTreeSet::new(), is_first_run }
}

fn stopped(before: &[&str], after: &[&str], now: &GuardContext) -> Vec<String> {
    let verdicts = evaluate_guards(Some(&set(before)), &set(after), now);
    verdicts.iter().filter(|v| v.outcome == GuardOutcome::Stopped).map(ToString::to_string).collect()
}

#[test]
fn another_primary_category_is_stopped_and_an_additional_one_is_not() {
    assert_eq!(stopped(&["a", "b"], &["b", "a"], &usual(false)), ["primary_change 1 (limit 0)"]);
    assert_eq!(stopped(&["a"], &["a", "b"], &usual(true)), [""; 0]);
}

#[test]
fn more_than_three_removals_are_stopped() {
    let before = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    assert_eq!(stopped(&before, &before[..6], &usual(false)), [""; 0]);
    assert_eq!(stopped(&before, &before[..5], &usual(false)), ["removals 4 (limit 3)"]);
}

#[test]
fn more_than_half_is_stopped_and_half_is_not() {
    assert_eq!(stopped(&["a", "b"], &["a"], &usual(false)), [""; 0]);
    assert_eq!(stopped(&["a", "b", "c"], &["a"], &usual(false)), ["removed_share 67 % (limit 50 %)"]);
}

#[test]
fn a_first_run_that_removes_anything_is_stopped() {
    let before = ["a", "b", "c", "d"];
    assert_eq!(stopped(&before, &before[..3], &usual(true)), ["first_run_removals 1 (limit 0)"]);
    assert_eq!(stopped(&before, &before[..3], &usual(false)), [""; 0]);
}

#[test]
fn a_target_without_categories_has_nothing_to_lose() {
    let verdicts = evaluate_guards(None, &set(&["a", "b"]), &usual(true));
    assert!(verdicts.iter().all(|v| v.outcome == GuardOutcome::Passed), "{verdicts:?}");
}

#[test]
fn an_override_lifts_its_own_rule_and_no_other() {
    let mut now = usual(true);
    now.overridden.insert(GuardRule::PrimaryChange);
    let verdicts = evaluate_guards(Some(&set(&["a", "b", "c"])), &set(&["d"]), &now);
    assert_eq!(verdicts[0].outcome, GuardOutcome::Overridden);
    let failure = enforce(&verdicts).expect_err("others stop it");
    assert_eq!((failure.reason, failure.metadata["rule"].as_str()), (FailureReason::Guard, "removed_share"));
    assert_eq!(failure.metadata["rules"], "removed_share,first_run_removals");
    assert!(failure.message.contains("by removed_share 100 % (limit 50 %), first_run_removals 3 (limit 0)"));
    // Another request without the override that is there already would be stopped by its guard.
    let needed = "override_guards primary_change, removed_share, first_run_removals and a reason";
    assert!(failure.message.contains(needed), "{}", failure.message);
    assert_eq!(failure.metadata["override_guards"], "primary_change,removed_share,first_run_removals");

    now.overridden.extend([GuardRule::RemovedShare, GuardRule::FirstRunRemovals]);
    enforce(&evaluate_guards(Some(&set(&["a", "b", "c"])), &set(&["d"]), &now)).expect("all that stopped it is lifted");
}

#[test]
fn open_limits_stop_nothing() {
    let now = GuardContext { limits: GuardLimits::OPEN, ..usual(true) };
    assert_eq!(stopped(&["a", "b", "c", "d", "e"], &["f"], &now), [""; 0]);
}

fn slugs() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"], 1..=10)
        .prop_shuffle()
}

proptest! {
    #[test]
    fn a_verdict_does_not_depend_on_the_order_of_categories(
        before in slugs(), after in slugs(), first in any::<bool>(), seed in any::<u64>(),
    ) {
        let shuffled = |slugs: &[&'static str]| {
            let mut rest = slugs[1..].to_vec();
            fastrand::Rng::with_seed(seed).shuffle(&mut rest);
            set(&std::iter::once(slugs[0]).chain(rest).collect::<Vec<_>>())
        };
        let now = usual(first);
        prop_assert_eq!(
            evaluate_guards(Some(&set(&before)), &set(&after), &now),
            evaluate_guards(Some(&shuffled(&before)), &shuffled(&after), &now)
        );
    }
}
