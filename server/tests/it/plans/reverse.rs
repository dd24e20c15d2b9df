//! `gbp_to_platform`, from the call to what the tenant has.

use std::time::Duration;

use category_mirror::domain::GuardLimits;
use category_mirror_client::{GbpView, Operation, Run, RunState, Strategy};
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};

use super::{counts, guards_of, reason};
use crate::{
    flags::until,
    replica::{Replica, idle, replica},
    service::{self, Service, Setup},
};

#[tokio::test]
async fn d2_each_strategy_writes_to_its_own_target_only() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "bar", &["deli"]).await;

    let run = service.adopt(false).await;

    assert_eq!((run.state, run.strategy, counts(&run)), (RunState::Succeeded, Strategy::GbpToPlatform, (1, 1, 1)));
    assert_eq!(service.platform().await, ["bar", "deli"]);
    assert_eq!(service.google.merchant("77").await, ["bar", "deli"], "as it was");
    assert_eq!(service.google.calls().await, json!({"locations.get": 1, "writes": []}), "read once, and nothing else");

    let before = service.platform().await;
    service.google.edit("77", "owner", "cafe", &[]).await;
    service.mirror("store", false).await;
    assert_eq!(service.platform().await, before, "and the other strategy leaves the platform alone");
}

#[tokio::test]
async fn d1_a_dry_run_of_the_reverse_strategy_writes_to_neither_side() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &["wine_bar"]).await;

    let run = service.adopt(true).await;

    assert_eq!((run.state, counts(&run), run.written_changes.len()), (RunState::Succeeded, (1, 1, 0), 0));
    assert_eq!(service.platform().await, ["cafe"]);
    let known = service.client.list_platform_categories().send().collect().await.expect("listed");
    assert!(known.iter().all(|category| !category.imported), "not even the category that it would import");
    assert_eq!(service.google.calls().await, json!({"locations.get": 1, "writes": []}));
}

#[tokio::test]
async fn d8_the_tenant_is_never_without_categories_and_what_did_not_change_is_not_touched() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery", "yoga", "deli"], "cafe", &["bakery", "bar"]).await;
    // Whoever would empty the tenant first would meet this, at any moment of the transaction.
    let guard = "create function never_empty() returns trigger language plpgsql as $$ begin
            if old.slug in ('cafe', 'bakery', 'yoga') then raise exception 'touched %', old.slug; end if;
            return old;
        end $$;
        create trigger never_empty before delete or update on tenant_category for each row execute function never_empty()";
    sqlx::raw_sql(guard).execute(&service.pool).await.expect("made");

    let run = service.adopt(false).await;

    assert_eq!((run.state, counts(&run)), (RunState::Succeeded, (1, 0, 1)), "{run:?}");
    assert_eq!(service.platform().await, ["cafe", "bakery", "yoga", "bar"]);
    let unmapped = run.plan.expect("a plan").unmapped_categories;
    assert_eq!(unmapped.len(), 1, "what is unmapped says nothing about Google: it is told, and stays");
}

#[tokio::test]
async fn d8_a_write_that_fails_in_the_middle_leaves_everything_as_it_was() {
    let service = service::start().await;
    service.with_store(&["cafe", "deli"], "wine_bar", &["bar"]).await;
    let broken =
        "create function broken() returns trigger language plpgsql as $$ begin raise exception 'broken'; end $$;
        create trigger broken before insert on tenant_category for each row execute function broken()";
    sqlx::raw_sql(broken).execute(&service.pool).await.expect("made");

    let run = service.adopt(false).await;

    assert_eq!((run.state, reason(&run)), (RunState::Failed, "ATTEMPTS_EXHAUSTED"));
    assert!(run.written_changes.is_empty());
    assert_eq!(service.platform().await, ["cafe", "deli"]);
    service.client.get_platform_category("gbp-wine_bar").send().await.expect_err("nothing was imported");
}

#[tokio::test]
async fn d3_a_location_without_categories_empties_no_tenant() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "bar", &[]).await;
    let empty = json!({"method": "locations.get", "status": 200, "body": {"name": "locations/77", "title": "Store"}});
    service.google.fault(empty).await;

    for dry_run in [true, false] {
        let run = service.adopt(dry_run).await;
        assert_eq!((run.state, reason(&run)), (RunState::Failed, "EMPTY_SOURCE"));
        assert!(run.plan.is_none());
    }
    assert_eq!(service.platform().await, ["cafe", "bakery"]);
}

#[tokio::test]
async fn d3_a_location_that_cannot_be_read_empties_no_tenant() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "bar", &[]).await;
    for fault in [
        json!({"status": 404}),
        json!({"status": 403}),
        json!({"status": 500}),
        json!({"status": 200, "body": {}}),
        json!({"status": 200, "body": {"name": "locations/77", "categories": {}}}),
        json!({"status": 200, "body": "<html>sign in</html>"}),
        json!({"drop": "truncate"}),
    ] {
        for (method, view) in [("locations.get", GbpView::Merchant), ("locations.getGoogleUpdated", GbpView::Public)] {
            let mut scripted = fault.clone();
            scripted["method"] = json!(method);
            service.google.fault(scripted).await;
            let run = service.adopt_view(view).await;
            assert_eq!(run.state, RunState::Failed, "{method} {fault}");
            assert!(run.plan.is_none(), "{method} {fault}");
            service.google.heal().await;
        }
    }
    assert_eq!(service.platform().await, ["cafe", "bakery"]);
}

#[tokio::test]
async fn the_caller_chooses_what_the_merchant_says_or_what_the_public_sees() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.google.edit("77", "google", "deli", &[]).await;

    let public = service.adopt_view(GbpView::Public).await;
    assert_eq!((public.state, public.view), (RunState::Succeeded, Some(GbpView::Public)));
    assert_eq!(service.platform().await, ["deli"]);
    let merchant = service.adopt(false).await;
    assert_eq!((merchant.state, merchant.view), (RunState::Succeeded, Some(GbpView::Merchant)));
    assert_eq!(service.platform().await, ["bar"]);
    assert_eq!(service.google.writes().await, Vec::<Value>::new());

    let error = service.client.mirror("store", Strategy::PlatformToGbp).view(GbpView::Public).send().await;
    assert_eq!(error.expect_err("no source of that strategy").field_violations()[0].field, "view");
}

#[tokio::test]
async fn what_the_platform_does_not_know_is_imported_and_follows_googles_name() {
    let service = service::start().await;
    service.with_store(&["cafe"], "cafe", &["wine_bar"]).await;

    let run = service.adopt(false).await;

    assert_eq!(service.platform().await, ["cafe", "gbp-wine_bar"]);
    let created = run.written_changes[0].after.clone().expect("a category");
    assert_eq!(created.platform_category.as_deref(), Some("platformCategories/gbp-wine_bar"));
    assert!(created.imported);
    let get = async || service.client.get_platform_category("gbp-wine_bar").send().await.expect("there");
    let imported = get().await;
    assert_eq!((imported.display_name.as_str(), imported.imported), ("Wine bar", true));
    assert_eq!(imported.gbp_category.as_deref(), Some("categories/gcid:wine_bar"));

    service.google.rename("wine_bar", "Wine tavern").await;
    let renamed = service.adopt(false).await;
    assert_eq!((renamed.state, counts(&renamed)), (RunState::Succeeded, (0, 1, 0)));
    assert_eq!(renamed.written_changes[0].operation, Operation::Update);
    assert_eq!(get().await.display_name, "Wine tavern");
    assert!(service.adopt(false).await.plan.expect("a plan").is_in_sync());

    // Somebody names it: from then on it is the platform's own.
    service.client.update_platform_category("gbp-wine_bar").display_name("Wine").send().await.expect("renamed");
    assert!(service.adopt(false).await.plan.expect("a plan").is_in_sync());
    assert_eq!((get().await.display_name.as_str(), get().await.imported), ("Wine", false));
    service.client.update_platform_category("gbp-wine_bar").gbp_category("").send().await.expect("unmapped");
}

/// A run that has written, and whose server died before it could say so: it waits for another one. In a batch, where it is told.
async fn written_and_untold(in_batch: bool) -> (Service, Run) {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &["deli"]).await;
    service.client.update_tenant("store").organization("organizations/chain").send().await.expect("updated");
    // The end of a run cannot be recorded, while what it writes can.
    let deaf = "create function deaf() returns trigger language plpgsql as
            $$ begin raise exception 'away' using errcode = '57P01'; end $$;
        create trigger deaf before delete on run for each row execute function deaf()";
    sqlx::raw_sql(deaf).execute(&service.pool).await.expect("made");
    let mut setup = Setup::default();
    // Where the end that is under way holds the run, it is not handed back, and its lease has to expire.
    (setup.runner.grace, setup.runner.lease) = (Duration::ZERO, Duration::from_secs(2));
    let first = replica(&service, setup, &service.google.endpoint).await;
    if in_batch {
        let batch = first.client.mirror_organization("chain", Strategy::GbpToPlatform);
        batch.override_guards(["batch_primary"], "one store is all").send().await.expect("accepted");
    } else {
        first.client.mirror("store", Strategy::GbpToPlatform).send().await.expect("accepted");
    }
    service.database_says("select exists (select from run where written <> '[]')").await;
    assert_eq!(service.platform().await, ["bar", "deli"]);
    first.stop().await;
    service.database_says("select state = 'queued' from run").await;
    sqlx::raw_sql("drop trigger deaf on run").execute(&service.pool).await.expect("dropped");
    let run = service.client.get_last_run("store", Strategy::GbpToPlatform).send().await.expect("the run");
    (service, run)
}

/// Ends as what it was, and says what it wrote.
async fn ends_as_written(service: &Service, run: &Run) {
    let asked = service.google.count("locations.get").await;
    replica(service, Setup::default(), &service.google.endpoint).await;
    let run = service.ended(&run.name).await;
    assert_eq!((run.state, counts(&run)), (RunState::Succeeded, (1, 1, 0)));
    assert_eq!(run.written_changes, run.plan.expect("the plan that was carried out").changes);
    assert_eq!(service.google.count("locations.get").await, asked, "what was recorded was done: nobody is asked again");
}

#[tokio::test]
async fn d16_a_run_tells_what_it_wrote_also_when_its_server_dies_right_after() {
    let (service, run) = written_and_untold(false).await;
    ends_as_written(&service, &run).await;
}

#[tokio::test]
async fn d16_a_run_that_has_written_is_not_cancelled_while_it_waits_to_say_so() {
    let (service, run) = written_and_untold(false).await;
    let cancelled = service.client.cancel_run(&run.name).send().await.expect("answered");
    assert_eq!((cancelled.state, cancelled.cancel_requested), (RunState::Queued, true));
    ends_as_written(&service, &run).await;
}

#[tokio::test]
async fn d16_a_run_that_has_written_is_not_cancelled_with_its_batch_either() {
    let (service, run) = written_and_untold(true).await;
    let batch = run.batch.as_deref().expect("a batch");
    service.client.cancel_batch(batch).send().await.expect("cancelled");
    service.database_says("select bool_or(cancel_requested) from all_runs").await;
    ends_as_written(&service, &run).await;
    let get = async || service.client.get_batch(batch).send().await.expect("the batch");
    until("the batch is over", async || get().await.is_terminal()).await;
    let over = get().await;
    assert_eq!((over.succeeded_count, over.cancelled_count, over.change_counts.created), (1, 0, 1));
}

/// A run that has read both sides, and whose write waits for an edit that is not committed yet.
struct Waiting {
    service: Service,
    worker: Replica,
    run: Run,
    edit: Transaction<'static, Postgres>,
}

async fn waiting() -> Waiting {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let run = service.client.mirror("store", Strategy::GbpToPlatform).send().await.expect("accepted").run;
    let mut edit = service.pool.begin().await.expect("begun");
    let other = "update tenant set categories_updated_at = now();
        delete from tenant_category;
        insert into tenant_category values ('store', 0, 'bakery'), ('store', 1, 'deli')";
    sqlx::raw_sql(other).execute(&mut *edit).await.expect("edited");
    let worker = replica(&service, Setup::default(), &service.google.endpoint).await;
    service
        .database_says(
            "select exists (select from pg_stat_activity
                             where datname = current_database() and wait_event_type = 'Lock' and query like 'update tenant%')",
        )
        .await;
    Waiting { service, worker, run, edit }
}

#[tokio::test]
async fn an_edit_between_the_read_and_the_write_is_not_overwritten_unseen() {
    let Waiting { service, run, edit, worker } = waiting().await;
    edit.commit().await.expect("committed");

    let run = service.ended(&run.name).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(service.platform().await, ["bar"]);
    let lost = run.written_changes.iter().filter_map(|change| change.before.as_ref()?.platform_category.clone());
    let lost: Vec<String> = lost.collect();
    assert_eq!(lost, ["platformCategories/bakery", "platformCategories/deli"], "it knew what it replaced");
    worker.stop().await;
}

#[tokio::test]
async fn a_run_that_is_cancelled_before_its_write_writes_nothing() {
    let Waiting { service, run, edit, .. } = waiting().await;
    assert!(service.client.cancel_run(&run.name).send().await.expect("cancelled").cancel_requested);
    edit.rollback().await.expect("rolled back");

    let run = service.ended(&run.name).await;
    assert_eq!((run.state, run.written_changes.len()), (RunState::Cancelled, 0));
    assert_eq!(service.platform().await, ["cafe"]);
}

#[tokio::test]
async fn a_run_in_other_hands_writes_nothing() {
    let Waiting { service, run, edit, .. } = waiting().await;
    sqlx::raw_sql("update run set fencing_token = fencing_token + 1").execute(&service.pool).await.expect("taken over");
    edit.rollback().await.expect("rolled back");
    service
        .database_says(
            "select not exists (select from pg_stat_activity
                                 where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'
                                   and xact_start < now() - interval '1 millisecond')",
        )
        .await;
    assert_eq!(service.platform().await, ["cafe"]);
    let run = service.client.get_run(&run.name).send().await.expect("there");
    assert_eq!((run.state, run.written_changes.len()), (RunState::Running, 0));
}

#[tokio::test]
async fn a_tenants_platform_categories_are_guarded_too() {
    let service = service::start_with(guards_of(Setup::default(), GuardLimits::default())).await;
    service.with_store(&["cafe", "bakery"], "cafe", &[]).await;

    let run = service.adopt(false).await;

    assert_eq!((run.state, reason(&run)), (RunState::Failed, "GUARD"));
    assert_eq!(run.error.expect("an error").metadata["rule"], "first_run_removals");
    assert_eq!(service.platform().await, ["cafe", "bakery"]);
}
