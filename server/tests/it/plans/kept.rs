//! A dry run's plan is kept, and applied as it is or not at all.

use category_mirror::domain::GuardLimits;
use category_mirror_client::{GbpView, Run, RunState, Strategy};
use serde_json::Value;

use super::{guarded, guards_of, reason};
use crate::{
    replica::{idle, replica},
    service::{self, Service, Setup},
};

const NO_WRITES: [Value; 0] = [];

#[tokio::test]
async fn a_plan_is_applied_as_it_was_made() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "bar", &[]).await;
    let dry_runs = service.mirror("store", true).await;

    let run = service.apply(&dry_runs).await;

    assert_eq!((run.state, run.applied_plan.as_deref()), (RunState::Succeeded, Some(dry_runs.name.as_str())));
    let (planned, applied) = (dry_runs.plan.expect("a plan"), run.plan.expect("a plan"));
    assert_eq!((&applied.hash, &applied.canonical_form), (&planned.hash, &planned.canonical_form));
    assert_eq!(run.written_changes, planned.changes);
    assert_eq!(service.google.merchant("77").await, ["cafe", "bakery"]);
}

#[tokio::test]
async fn the_hash_is_that_of_the_canonical_form() {
    let service = guarded().await;
    service.with_store(&["cafe", "yoga"], "bar", &[]).await;
    for dry_runs in [service.mirror("store", true).await, service.adopt(true).await] {
        let plan = dry_runs.plan.expect("a plan");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, plan.canonical_form.as_bytes());
        let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(plan.hash, hash);
        assert_eq!(plan.guard_verdicts.len(), 4);
        assert!(!plan.source_categories.is_empty());
    }
}

/// What can happen between a plan and its application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edit {
    Nothing,
    PlatformCategories,
    PlatformOrder,
    PlatformName,
    Mapping,
    UnrelatedMapping,
    PrimaryUnmapped,
    Merchant,
    Google,
    GuardLimit,
}

const EDITS: [Edit; 10] = [
    Edit::Nothing,
    Edit::PlatformCategories,
    Edit::PlatformOrder,
    Edit::PlatformName,
    Edit::Mapping,
    Edit::UnrelatedMapping,
    Edit::PrimaryUnmapped,
    Edit::Merchant,
    Edit::Google,
    Edit::GuardLimit,
];

impl Edit {
    async fn happens(self, service: &Service) {
        match self {
            Self::Nothing | Self::GuardLimit => {}
            Self::PlatformCategories => service.set("store", &["cafe", "bakery"]).await,
            Self::PlatformOrder => service.set("store", &["cafe", "deli", "bakery"]).await,
            Self::PlatformName => {
                service.client.update_platform_category("cafe").display_name("Kaffee").send().await.expect("renamed");
            }
            Self::Mapping => {
                let mapping = service.client.update_platform_category("bakery").gbp_category("gcid:wine_bar");
                mapping.send().await.expect("mapped");
            }
            Self::UnrelatedMapping => {
                let mapping = service.client.update_platform_category("yoga").gbp_category("gcid:yoga_studio");
                mapping.send().await.expect("mapped");
            }
            Self::PrimaryUnmapped => {
                service.client.update_platform_category("cafe").gbp_category("").send().await.expect("unmapped");
            }
            Self::Merchant => service.google.edit("77", "owner", "cafe", &["bakery"]).await,
            Self::Google => service.google.edit("77", "google", "cafe", &["bar"]).await,
        }
    }
}

/// Makes a plan, lets something happen, and applies the plan.
async fn after(edit: Edit, strategy: Strategy, view: GbpView) -> (Service, Run) {
    let limits = GuardLimits { primary_changes: 1, removals: 9, removed_percent: 100, first_run_removals: 9 };
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe", "bakery", "deli"], "cafe", &["bakery", "bar"]).await;
    let first = replica(&service, guards_of(Setup::default(), limits), &service.google.endpoint).await;
    let request = service.client.mirror("store", strategy).dry_run(true);
    let request = if strategy == Strategy::GbpToPlatform { request.view(view) } else { request };
    let dry_runs = service.end_of(request).await;
    assert_eq!(dry_runs.state, RunState::Succeeded, "{dry_runs:?}");
    first.stop().await;

    edit.happens(&service).await;
    let now = if edit == Edit::GuardLimit { GuardLimits { removals: 8, ..limits } } else { limits };
    replica(&service, guards_of(Setup::default(), now), &service.google.endpoint).await;
    let run = service.apply(&dry_runs).await;
    (service, run)
}

fn moved(run: &Run) -> &str {
    match run.state {
        RunState::Succeeded => {
            // It was carried out: what was planned, and nothing else.
            let planned = &run.plan.as_ref().expect("a plan").changes;
            assert!(!planned.is_empty() && run.written_changes == *planned, "{run:?}");
            ""
        }
        _ => {
            assert_eq!((run.state, reason(run)), (RunState::Skipped, "PLAN_STALE"), "{run:?}");
            assert!(run.written_changes.is_empty());
            let error = run.error.as_ref().expect("it says what moved");
            assert!(error.message.contains("no longer holds"), "{}", error.message);
            assert!(error.metadata["plan"].starts_with("tenants/store/runs/"));
            error.metadata["moved"].as_str()
        }
    }
}

#[tokio::test]
async fn a_plan_for_google_is_stale_exactly_when_something_it_was_made_from_has_moved() {
    for edit in EDITS {
        let expected = match edit {
            // What Google shows the public is neither source nor target here, and names and order decide nothing.
            Edit::Nothing | Edit::Google | Edit::PlatformName | Edit::PlatformOrder | Edit::UnrelatedMapping => "",
            Edit::PlatformCategories | Edit::PrimaryUnmapped => "source",
            Edit::Mapping => "mapping",
            Edit::Merchant => "target",
            Edit::GuardLimit => "guard_limits",
        };
        let (service, run) = after(edit, Strategy::PlatformToGbp, GbpView::Merchant).await;
        assert_eq!(moved(&run), expected, "{edit:?}: {:?}", run.error);
        if !expected.is_empty() {
            assert_eq!(service.google.writes().await, NO_WRITES, "{edit:?}");
        }
    }
}

#[tokio::test]
async fn a_plan_for_the_platform_is_stale_exactly_when_something_it_was_made_from_has_moved() {
    for view in [GbpView::Merchant, GbpView::Public] {
        for edit in EDITS {
            let expected = match edit {
                Edit::Nothing | Edit::PlatformName | Edit::PlatformOrder | Edit::UnrelatedMapping => "",
                Edit::PlatformCategories => "target",
                // Another category than before stands for what the location has.
                Edit::Mapping | Edit::PrimaryUnmapped => "mapping",
                // The owner's edit is what the public sees, too.
                Edit::Merchant => "source",
                Edit::Google if view == GbpView::Public => "source",
                Edit::Google => "",
                Edit::GuardLimit => "guard_limits",
            };
            let (service, run) = after(edit, Strategy::GbpToPlatform, view).await;
            assert_eq!(moved(&run), expected, "{edit:?} {view}: {:?}", run.error);
            assert_eq!(service.google.writes().await, NO_WRITES, "{edit:?}");
        }
    }
}

#[tokio::test]
async fn a_stale_plan_says_what_was_and_what_is() {
    let (_service, run) = after(Edit::Merchant, Strategy::PlatformToGbp, GbpView::Merchant).await;
    let error = run.error.expect("an error");
    assert_eq!(error.metadata["target_planned"], "gcid:cafe [gcid:bakery, gcid:bar]");
    assert_eq!(error.metadata["target_now"], "gcid:cafe [gcid:bakery]");
    assert!(error.message.contains("was gcid:cafe [gcid:bakery, gcid:bar] and is gcid:cafe [gcid:bakery]"));
}

#[tokio::test]
async fn only_a_dry_runs_plan_of_the_same_tenant_and_strategy_can_be_applied() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.tenant("other", "78").await;
    service.set("other", &["cafe"]).await;
    let dry_runs = service.mirror("store", true).await;
    let real = service.mirror("store", false).await;
    let failed = service.mirror("other", true).await;
    assert_eq!(failed.state, RunState::Failed, "Google does not know the location");

    let mirror = |tenant, strategy| service.client.mirror(tenant, strategy);
    for (request, why) in [
        (mirror("other", Strategy::PlatformToGbp).plan(&dry_runs.name), "not a run of tenants/other"),
        (mirror("store", Strategy::GbpToPlatform).plan(&dry_runs.name), "a run of platform_to_gbp"),
        (mirror("store", Strategy::PlatformToGbp).plan(&real.name), "no dry run"),
        (mirror("other", Strategy::PlatformToGbp).plan(&failed.name), "has made no plan"),
        (
            mirror("store", Strategy::PlatformToGbp).plan(&dry_runs.name).dry_run(true),
            "a dry run makes a plan of its own",
        ),
        (mirror("store", Strategy::PlatformToGbp).plan("7"), "must be"),
    ] {
        let error = request.send().await.expect_err("refused");
        let [violation] = error.field_violations() else { panic!("{error}") };
        assert!(violation.field == "plan" && violation.description.contains(why), "{why}: {error}");
    }
    let unknown = "0190163d-8694-739b-aea5-966c26f8ad91";
    let error = mirror("store", Strategy::PlatformToGbp).plan(unknown).send().await.expect_err("unknown");
    assert_eq!(error.reason(), Some("RUN_NOT_FOUND"));
}

#[tokio::test]
async fn a_request_joins_a_live_run_that_was_asked_for_the_same_and_no_other() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let overriding = |why: &str| {
        service.client.mirror("store", Strategy::PlatformToGbp).override_guards(["primary_change", "removals"], why)
    };
    let live = overriding("ticket 7").send().await.expect("accepted");

    let same = service.client.mirror("store", Strategy::PlatformToGbp);
    let same = same.override_guards(["removals", "primary_change"], "ticket 7").send().await.expect("joined");
    assert_eq!((same.joined, &same.run.name), (true, &live.run.name), "in whatever order");
    for other in [overriding("ticket 8"), service.client.mirror("store", Strategy::PlatformToGbp)] {
        let error = other.send().await.expect_err("asked for something else");
        assert_eq!(
            (error.reason(), error.metadata()["run"].as_str()),
            (Some("RUN_IN_PROGRESS"), live.run.name.as_str())
        );
    }
}

#[tokio::test]
async fn a_repeated_request_is_the_same_with_its_orders_and_another_without() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let request = || service.client.mirror("store", Strategy::PlatformToGbp).request_id("r");
    let first = request().override_guards(["removals"], "why").send().await.expect("accepted");
    let again = request().override_guards(["removals"], "why").send().await.expect("the first answer");
    assert_eq!((again.run.name, again.joined), (first.run.name, false));
    assert_eq!(request().send().await.expect_err("other arguments").reason(), Some("REQUEST_ID_REUSED"));
}
