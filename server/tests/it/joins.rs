//! What `joined` promises through the API: what was asked for, as things are now, is done by that run; or the call names the run to wait for.

use category_mirror_client::{AcceptedRun, Error, RunState, Strategy};
use serde_json::Value;

use super::{
    flags::until,
    replica::{Door, idle, replica},
    service::{self, Service, Setup},
};

const WINS: Strategy = Strategy::PlatformToGbp;

async fn press(service: &Service) -> Result<AcceptedRun, Error> {
    service.client.mirror("store", WINS).send().await
}

/// A service whose runs wait before their update until the door is opened, and a run of `store` that waits there.
async fn waiting() -> (Service, Door, AcceptedRun) {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let door = Door::closed(&service.google.endpoint).await;
    replica(&service, Setup::default(), &door.endpoint).await;
    let first = press(&service).await.expect("accepted");
    door.update_waits().await;
    (service, door, first)
}

fn refused(answer: Result<AcceptedRun, Error>, run: &str) -> String {
    let error = answer.expect_err("it cannot be joined");
    assert_eq!((error.code().as_str(), error.reason()), ("FAILED_PRECONDITION", Some("RUN_IN_PROGRESS")));
    assert_eq!(error.metadata()["run"], run, "the run to wait for");
    assert!(error.to_string().contains(run), "{error}");
    error.metadata()["join_refusal"].clone()
}

#[tokio::test]
async fn pressed_twice_while_the_update_is_under_way_it_is_joined() {
    let (service, door, first) = waiting().await;
    let second = press(&service).await.expect("joined");
    assert_eq!((second.joined, &second.run.name), (true, &first.run.name));
    door.open();
    let run = service.ended(&first.run.name).await;
    assert_eq!((run.state, run.attempt, service.google.writes().await.len()), (RunState::Succeeded, 1, 1));
}

#[tokio::test]
async fn a_run_that_writes_what_has_changed_since_is_named_and_not_joined() {
    let (service, door, first) = waiting().await;
    service.set("store", &["bakery"]).await;
    assert_eq!(refused(press(&service).await, &first.run.name), "SOURCE_CHANGED");
    door.open();
    service.ended(&first.run.name).await;
    let next = press(&service).await.expect("a run of its own");
    assert!(!next.joined);
    service.ended(&next.run.name).await;
    assert_eq!(service.google.merchant("77").await, ["bakery"]);
}

/// The other half is the runner's: an attempt that read its source before it was joined plans anew.
#[tokio::test]
async fn what_was_changed_before_the_press_is_what_the_joined_run_writes() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    // An attempt asks for Google's list when it has read both sides, and waits here.
    let mut holder = service.pool.begin().await.expect("begun");
    sqlx::query("lock table taxonomy_version in access exclusive mode").execute(&mut *holder).await.expect("locked");
    replica(&service, Setup::default(), &service.google.endpoint).await;
    let first = press(&service).await.expect("accepted");
    super::batches::somebody_waits(&service.pool).await;

    service.set("store", &["bakery"]).await;
    let second = press(&service).await.expect("joined");
    assert_eq!((second.joined, &second.run.name), (true, &first.run.name));
    holder.rollback().await.expect("let go");

    let run = service.ended(&first.run.name).await;
    assert_eq!((run.state, run.attempt), (RunState::Succeeded, 1), "the attempt that planned anew is not counted");
    assert_eq!(service.google.merchant("77").await, ["bakery"]);
    assert_eq!(service.google.writes().await.len(), 1, "the old set was never written");
}

/// A run that has found nothing to do has read Google's side before it was joined, and the owner has edited it since.
#[tokio::test]
async fn what_the_owner_changed_before_the_press_is_set_right_by_the_joined_run() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "cafe", &[]).await;
    let door = Door::closed_to_answers(&service.google.endpoint).await;
    replica(&service, Setup::default(), &door.endpoint).await;
    let first = press(&service).await.expect("accepted");
    door.somebody_waits().await;

    service.google.edit("77", "owner", "bar", &[]).await;
    let second = press(&service).await.expect("joined");
    assert_eq!((second.joined, &second.run.name), (true, &first.run.name));
    door.open();

    let run = service.ended(&first.run.name).await;
    assert_eq!((run.state, run.attempt), (RunState::Succeeded, 1), "the attempt that began anew is not counted");
    assert_eq!(service.google.merchant("77").await, ["cafe"]);
}

#[tokio::test]
async fn a_run_that_is_being_cancelled_is_named_and_the_request_id_stays_free() {
    let (service, door, first) = waiting().await;
    service.client.cancel_run(&first.run.name).send().await.expect("asked");
    let ask = || service.client.mirror("store", WINS).request_id("mine").send();
    assert_eq!(refused(ask().await, &first.run.name), "CANCEL_REQUESTED");
    door.open();
    service.ended(&first.run.name).await;
    let own = ask().await.expect("accepted");
    assert!(!own.joined && own.run.name != first.run.name);
}

#[tokio::test]
async fn a_single_request_takes_a_batchs_run_past_the_batchs_guard() {
    let service = service::start_with(idle()).await;
    super::batches::stores(&service, 20, 20).await;
    let batch = service.client.mirror_organization("chain", WINS).send().await.expect("accepted");
    until("its runs are made", async || {
        service.client.get_batch(&batch.name).send().await.expect("the batch").queued_count == 20
    })
    .await;
    let mut joined = Vec::new();
    for n in [7, 13, 19] {
        let answer = service.client.mirror(format!("chain-{n:03}"), WINS).send().await.expect("joined");
        assert_eq!((answer.joined, answer.run.batch.as_ref()), (true, Some(&batch.name)));
        joined.push(answer.run.name);
    }

    replica(&service, Setup::default(), &service.google.endpoint).await;
    for name in &joined {
        assert_eq!(service.ended(name).await.state, RunState::Succeeded, "no guard of the batch concerns it");
    }
    let batch = super::batches::is_over(&service.client, &batch).await;
    assert_eq!((batch.succeeded_count, batch.failed_count), (7, 13), "4 by the batch's guard, and those 3");
    assert_eq!(service.google.writes().await.len(), 7);
}

#[tokio::test]
async fn a_batch_beside_a_live_revert_says_that_it_does_something_else() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let first = replica(&service, Setup::default(), &service.google.endpoint).await;
    let run = service.mirror("store", false).await;
    first.stop().await;
    let revert = service.client.revert_run(&run.name).send().await.expect("accepted").run;

    let batch = service.client.mirror_all(WINS, 1).send().await.expect("accepted");
    let batch = super::batches::is_over(&service.client, &batch).await;
    assert_eq!((batch.joined_count, batch.skipped_count), (0, 1));
    let error: Value = sqlx::query_scalar("select error from run_history where batch_id is not null")
        .fetch_one(&service.pool)
        .await
        .expect("its run");
    assert_eq!(
        (error["reason"].as_str(), error["metadata"]["join_refusal"].as_str()),
        (Some("RUN_IN_PROGRESS"), Some("OTHER_REQUEST"))
    );
    assert_eq!(error["metadata"]["run"], revert.name);
}

#[tokio::test]
async fn a_tenant_that_leaves_the_organization_before_its_run_writes_is_not_written() {
    let service = service::start_with(idle()).await;
    super::batches::stores(&service, 2, 2).await;
    let batch = service.client.mirror_organization("chain", WINS).send().await.expect("accepted");
    until("its runs are made", async || {
        service.client.get_batch(&batch.name).send().await.expect("the batch").queued_count == 2
    })
    .await;
    service.client.update_tenant("chain-000").organization("other").send().await.expect("moved");

    replica(&service, Setup::default(), &service.google.endpoint).await;
    let batch = super::batches::is_over(&service.client, &batch).await;
    assert_eq!((batch.succeeded_count, batch.skipped_count), (1, 1));
    let left = service.client.get_last_run("chain-000", WINS).send().await.expect("its run");
    let error = left.error.expect("why");
    assert_eq!(
        (error.reason.as_str(), error.metadata["organization"].as_str()),
        ("ORGANIZATION_CHANGED", "organizations/chain")
    );
    let writes: Vec<Value> = service.google.writes().await;
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0]["location"], "locations/chain1");
}
