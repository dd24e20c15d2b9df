use std::collections::BTreeSet;

use super::*;
use crate::{Gcid, GuardLimits, PlatformCategory, Slug, map_to_gbp};

fn category(slug: &str, name: &str) -> GbpCategory {
    GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("valid"), name)
}

fn set(primary: GbpCategory, additional: Vec<GbpCategory>) -> CategorySet {
    CategorySet::new(primary, additional).expect("a set")
}

/// Platform categories: slug, name, gcid.
fn platform(categories: &[(&str, &str, Option<&str>)]) -> Complete<Vec<PlatformCategory>> {
    let category = |(slug, name, gcid): &(&str, &str, Option<&str>)| PlatformCategory {
        slug: Slug::parse(slug).expect("valid"),
        display_name: (*name).to_owned(),
        gcid: gcid.map(|gcid| Gcid::parse(&format!("gcid:{gcid}")).expect("valid")),
        imported_locale: None,
        created_at: Utc::now(),
        updated_at: Utc::now(),
    };
    Complete::read(categories.iter().map(category).collect())
}

fn usual() -> GuardContext {
    GuardContext { limits: GuardLimits::default(), overridden: BTreeSet::new(), is_first_run: false }
}

fn plan_within(source: &[(&str, &str, Option<&str>)], observed: Option<CategorySet>, limits: GuardLimits) -> Plan {
    let mapped = map_to_gbp(&platform(source), 9).expect("a source");
    Plan::to_gbp(mapped, Complete::read(observed), &GuardContext { limits, ..usual() }, Utc::now())
}

fn plan(source: &[(&str, &str, Option<&str>)], observed: Option<CategorySet>) -> Plan {
    plan_within(source, observed, GuardLimits::default())
}

#[test]
fn the_hash_is_that_of_a_form_of_always_the_same_bytes() {
    let source = [("cafe", "Café", Some("cafe")), ("yoga", "Yoga", None), ("bread", "Bread", Some("bakery"))];
    let plan = plan(&source, Some(set(category("bar", "Bar"), vec![])));
    let form = r#"["plan/2","platform",[["primary","cafe","gcid:cafe"],["additional","bread","gcid:bakery"],["additional","yoga",null]],["gcid:bar",[]],["gcid:cafe",["gcid:bakery"]],[["primary_change",0],["removals",3],["removed_share",50],["first_run_removals",0]]]"#;
    assert_eq!(plan.canonical(), form);
    assert_eq!(plan.hash(), sha256(form));
    assert_eq!(plan.hash().len(), 64);
    assert_eq!((plan.recorded().canonical().as_str(), plan.recorded().hash()), (form, plan.hash()));
}

#[test]
fn the_hash_depends_on_identifiers_and_not_on_names_or_order() {
    let one = plan(&[("a", "A", Some("a")), ("b", "B", Some("b")), ("c", "", Some("c"))], None);
    let two = plan(&[("a", "Other", Some("a")), ("c", "C", Some("c")), ("b", "", Some("b"))], None);
    assert_eq!(one.hash(), two.hash());
    assert_eq!(two.stale_inputs(&one), []);
}

#[test]
fn what_has_moved_is_named() {
    let source = [("a", "A", Some("a")), ("b", "B", Some("b"))];
    let observed = || Some(set(category("x", "X"), vec![]));
    let kept = plan(&source, observed()).recorded();
    for (now, moved) in [
        (plan(&[("a", "A", Some("a"))], observed()), vec![StaleInput::Source]),
        (plan(&[("b", "B", Some("b")), ("a", "A", Some("a"))], observed()), vec![StaleInput::Source]),
        (plan(&[("a", "A", Some("a")), ("b", "B", Some("c"))], observed()), vec![StaleInput::Mapping]),
        (plan(&[("a", "A", Some("a")), ("b", "B", None)], observed()), vec![StaleInput::Mapping]),
        (plan(&source, Some(set(category("y", ""), vec![]))), vec![StaleInput::Target]),
        (plan(&source, None), vec![StaleInput::Target]),
        (plan(&[("c", "", Some("c"))], None), vec![StaleInput::Source, StaleInput::Target]),
        (
            plan_within(&source, observed(), GuardLimits { removals: 4, ..GuardLimits::default() }),
            vec![StaleInput::GuardLimits],
        ),
        (plan(&[("a", "Another", Some("a")), ("b", "Name", Some("b"))], observed()), vec![]),
    ] {
        assert_eq!(now.stale_inputs(&kept), moved);
    }
}

#[test]
fn names_come_from_google_where_it_gave_them() {
    let observed = set(category("a", "Google's A"), vec![]);
    let plan = plan(&[("a", "Platform's A", Some("a")), ("b", "Platform's B", Some("b"))], Some(observed));
    assert_eq!(plan.desired.primary().display_name, "Google's A");
    assert_eq!(plan.desired.additional()[0].display_name, "Platform's B");
}

#[test]
fn an_equal_set_plans_nothing() {
    let same = set(category("a", ""), vec![category("b", "")]);
    assert!(plan(&[("x", "", Some("a")), ("y", "", Some("b"))], Some(same)).is_empty());
}

#[test]
fn a_plan_from_before_there_were_guards_can_still_be_read() {
    let old = r#"{"changes": [], "observed": null, "desired": {"primary": {"gcid": "gcid:a"}, "additional": []}, "unmapped": [],
        "merged": [], "validation_errors": [], "hash": "00", "observed_at": "2026-01-01T00:00:00Z"}"#;
    let plan: RecordedPlan = serde_json::from_str(old).expect("read");
    assert_eq!((plan.hash(), plan.guards.len()), ("00", 0));
}
