//! The guards of a batch's runs: what they would stop is counted, and they are overridden for as many runs as that.

use category_mirror::domain::GuardLimits;
use category_mirror_client::{Batch, MirrorBatch, RunState};
use category_mirror_proto::v1::{self as proto, mirror_categories_request::Target};

use super::{WINS, chain, is_over};
use crate::{
    replica::idle,
    service::{self, Service, Setup},
    wire::{Wire, contents, refusal},
};

const RULES: [&str; 3] = ["first_run_removals", "primary_change", "removed_share"];

async fn guarded() -> Service {
    let mut setup = Setup::default();
    setup.runner.guards = GuardLimits::default();
    service::start_with(setup).await
}

/// Eight stores that want `cafe`: three lose `bar`, which a first run may not; two lose their primary category besides; three have it.
async fn stores(service: &Service) {
    service.categories(&[("cafe", "gcid:cafe")]).await;
    chain(service, "chain", 8).await;
    for n in 0..8 {
        service.set(&format!("chain-{n:03}"), &["cafe"]).await;
        match n {
            0..3 => service.google.put(&format!("chain{n}"), "cafe", &["bar"]).await,
            3..5 => service.google.put(&format!("chain{n}"), "deli", &["bar"]).await,
            _ => service.google.put(&format!("chain{n}"), "cafe", &[]).await,
        }
    }
}

async fn ended(service: &Service, request: MirrorBatch) -> Batch {
    is_over(&service.client, &request.send().await.expect("accepted")).await
}

/// A request for a real batch of the chain that overrides these guards.
fn overriding(service: &Service, guards: &[&str], runs: u32) -> MirrorBatch {
    let request = service.client.mirror_organization("chain", WINS);
    request.override_guards(guards.iter().copied(), "seen in the dry batch").confirm_overrides(runs)
}

async fn dry_runs(service: &Service) -> Batch {
    ended(service, service.client.mirror_organization("chain", WINS).dry_run(true)).await
}

fn stopped(batch: &Batch) -> (i64, Vec<(&str, i64)>) {
    (batch.stopped_count, batch.stopped_counts.iter().map(|count| (count.rule.as_str(), count.run_count)).collect())
}

fn failures(batch: &Batch) -> Vec<(&str, i64)> {
    batch.failure_counts.iter().map(|count| (count.reason.as_str(), count.run_count)).collect()
}

#[tokio::test]
async fn a_dry_batch_counts_what_the_guards_of_its_runs_would_stop_and_the_real_one_stops_just_that() {
    let service = guarded().await;
    stores(&service).await;
    let by_rule = vec![("first_run_removals", 5), ("primary_change", 2), ("removed_share", 2)];

    let dry_runs = dry_runs(&service).await;
    assert_eq!((dry_runs.succeeded_count, dry_runs.out_of_sync_count, failures(&dry_runs)), (8, 5, vec![]));
    assert_eq!(stopped(&dry_runs), (5, by_rule.clone()));

    let real = ended(&service, service.client.mirror_organization("chain", WINS)).await;
    assert_eq!((real.succeeded_count, real.failed_count), (3, 5));
    assert_eq!((stopped(&real), failures(&real)), ((5, by_rule), vec![("GUARD", 5)]));
    let logs =
        service.client.list_sync_logs().batch(&real.name).reason("GUARD").send().collect().await.expect("listed");
    assert_eq!(logs.len(), 5);
    assert!(logs.iter().all(|run| run.state == RunState::Failed && run.batch.as_ref() == Some(&real.name)));
    let all = service.client.list_sync_logs().batch(&real.name).send().collect().await.expect("listed");
    assert_eq!(all.len(), 8);
}

#[tokio::test]
async fn guards_of_runs_are_overridden_for_the_runs_that_the_dry_batch_has_shown() {
    let service = guarded().await;
    stores(&service).await;
    let dry_runs = dry_runs(&service).await;
    for (guards, wrong, expected) in
        [(&["first_run_removals"][..], 5, "3"), (&["primary_change"], 2, "0"), (&RULES, 3, "5")]
    {
        let refused = overriding(&service, guards, wrong).send().await.expect_err("another number");
        assert_eq!(refused.reason(), Some("CONFIRMATION_MISMATCH"));
        assert_eq!((refused.metadata()["expected"].as_str(), &refused.metadata()["batch"]), (expected, &dry_runs.name));
        assert_eq!(
            refused.to_string().contains(&format!("confirm {expected},")),
            expected != "0",
            "0 is no number to confirm: {refused}"
        );
    }

    let some = ended(&service, overriding(&service, &["first_run_removals"], 3)).await;
    assert_eq!((some.succeeded_count, some.failed_count), (6, 2), "{some:?}");
    assert_eq!((some.confirmed_override_count, some.override_count), (Some(3), 3));
    assert_eq!(stopped(&some), (2, vec![("primary_change", 2), ("removed_share", 2)]));
    assert_eq!(some.overridden_guards, ["first_run_removals"]);
    assert_eq!(service.google.writes().await.len(), 3);
    let run = service.client.get_last_run("chain-000", WINS).send().await.expect("its run");
    assert_eq!((run.overridden_guards, run.override_reason), (some.overridden_guards, some.override_reason));

    let dry_runs = self::dry_runs(&service).await;
    assert_eq!(stopped(&dry_runs).0, 2);
    let rest = overriding(&service, &["first_run_removals", "primary_change", "removed_share", "batch_primary"], 2);
    let rest = ended(&service, rest).await;
    assert_eq!((rest.succeeded_count, rest.failed_count, rest.override_count), (8, 0, 2), "{rest:?}");
    assert_eq!(service.google.writes().await.len(), 5);
}

#[tokio::test]
async fn no_more_runs_are_let_through_than_were_confirmed_however_many_have_come_since() {
    let service = guarded().await;
    stores(&service).await;
    dry_runs(&service).await;
    for n in 5..8 {
        service.google.edit(&format!("chain{n}"), "owner", "cafe", &["bar"]).await;
    }

    let real = ended(&service, overriding(&service, &["first_run_removals"], 3)).await;

    assert_eq!((real.succeeded_count, real.failed_count, real.override_count), (3, 5, 3), "{real:?}");
    assert_eq!(service.google.writes().await.len(), 3);
    let failed = service.client.list_sync_logs().batch(&real.name).state(RunState::Failed).send();
    let beyond: Vec<String> = failed
        .collect()
        .await
        .expect("listed")
        .into_iter()
        .filter_map(|run| {
            let error = run.error.expect("an error");
            error.metadata.contains_key("confirmed").then_some(error.message)
        })
        .collect();
    assert_eq!(beyond.len(), 3);
    assert!(beyond.iter().all(|message| message.contains("for 3 runs, as confirmed")), "{beyond:?}");
}

#[tokio::test]
async fn what_no_dry_batch_of_the_same_tenants_and_strategy_has_shown_is_not_overridden() {
    let service = guarded().await;
    stores(&service).await;
    chain(&service, "other", 1).await;
    ended(&service, service.client.mirror_organization("other", WINS).dry_run(true)).await;
    let reverse = category_mirror_client::Strategy::GbpToPlatform;
    ended(&service, service.client.mirror_organization("chain", reverse).dry_run(true)).await;
    let batches = async || service.client.list_batches().send().collect().await.expect("listed").len();
    let before = batches().await;

    let refused = overriding(&service, &["first_run_removals"], 3).send().await.expect_err("no dry batch");

    assert_eq!((refused.code().as_str(), refused.reason()), ("FAILED_PRECONDITION", Some("DRY_BATCH_REQUIRED")));
    assert_eq!(batches().await, before);
}

#[tokio::test]
async fn the_number_of_runs_is_part_of_a_request() {
    let service = guarded().await;
    stores(&service).await;
    dry_runs(&service).await;
    let ask = |guards: &[&str], runs| overriding(&service, guards, runs).request_id("once").send();
    let first = ask(&["first_run_removals"], 3).await.expect("accepted");
    assert_eq!(ask(&["first_run_removals"], 3).await.expect("repeated").name, first.name);
    for (guards, runs) in [(&["first_run_removals"][..], 5), (&RULES, 3)] {
        assert_eq!(ask(guards, runs).await.expect_err("another request").reason(), Some("REQUEST_ID_REUSED"));
    }
}

#[tokio::test]
async fn a_number_belongs_to_guards_of_runs_and_to_real_batches() {
    let service = service::start_with(idle()).await;
    chain(&service, "chain", 1).await;
    let before = contents(&service.pool).await;
    let organization = || Some(Target::Organization("organizations/chain".to_owned()));
    let tenant = || Some(Target::Tenant("tenants/chain-000".to_owned()));
    for (target, dry_run, guards, number, field) in [
        (organization(), false, vec!["primary_change"], None, "confirm_override_count"),
        (organization(), false, vec!["primary_change"], Some(0), "confirm_override_count"),
        (organization(), false, vec!["primary_change"], Some(-1), "confirm_override_count"),
        (organization(), false, vec!["batch_primary"], Some(1), "confirm_override_count"),
        (organization(), false, vec![], Some(1), "confirm_override_count"),
        (organization(), true, vec!["primary_change"], Some(1), "override_guards"),
        (organization(), false, vec!["no_such"], None, "override_guards[0]"),
        (tenant(), false, vec!["primary_change"], Some(1), "confirm_override_count"),
        (tenant(), false, vec![], Some(1), "confirm_override_count"),
    ] {
        let message = proto::MirrorCategoriesRequest {
            strategy: proto::Strategy::PlatformToGbp.into(),
            target,
            dry_run,
            reason: if guards.is_empty() { String::new() } else { "why".to_owned() },
            override_guards: guards.iter().map(|guard| (*guard).to_owned()).collect(),
            confirm_override_count: number,
            ..Default::default()
        };
        let refused = refusal(Wire::admin(&service).mirror.mirror_categories(message).await);
        assert!(refused.fields.contains(&field.to_owned()), "{guards:?} {number:?}: {:?}", refused.fields);
    }
    assert_eq!(contents(&service.pool).await, before);
}
