//! A request id makes asking for a run safe to repeat.

use std::collections::BTreeSet;

use category_mirror::domain::Role;
use category_mirror_client::{Client, Error, Mirrored, RunState, Strategy};

use super::{
    replica::{idle, replica},
    service::{self, Service, Setup},
    wire::contents,
};

async fn ask(client: &Client, id: &str) -> Result<Mirrored, Error> {
    client.mirror("store", Strategy::PlatformToGbp).request_id(id).send().await
}

async fn runs(service: &Service) -> i64 {
    sqlx::query_scalar("select count(*) from every_run").fetch_one(&service.pool).await.expect("counted")
}

#[tokio::test]
async fn the_same_id_gets_the_first_answer_while_the_run_lives_and_after_its_end() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;

    let first = ask(&service.client, "once").await.expect("accepted");
    assert!(!first.joined);
    assert_eq!(first.run.request_id.as_deref(), Some("once"));
    assert_eq!(ask(&service.client, "once").await.expect("repeated"), first);

    replica(&service, Setup::default(), &service.google.endpoint).await;
    let ended = service.ended(&first.run.name).await;
    let again = ask(&service.client, "once").await.expect("repeated");
    assert_eq!((again.run, again.joined), (ended, false));
    assert_eq!(runs(&service).await, 1);

    // Without the id it would have been another run.
    assert_ne!(service.mirror("store", false).await.name, first.run.name);
}

#[tokio::test]
async fn a_request_that_joined_is_answered_so_again() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let first = ask(&service.client, "one").await.expect("accepted");
    let joined = ask(&service.client, "two").await.expect("joined");
    assert_eq!((joined.joined, &joined.run.name), (true, &first.run.name));

    replica(&service, Setup::default(), &service.google.endpoint).await;
    service.ended(&first.run.name).await;
    let again = ask(&service.client, "two").await.expect("repeated");
    assert_eq!((again.joined, &again.run.name, again.run.state), (true, &first.run.name, RunState::Succeeded));
}

#[tokio::test]
async fn the_same_id_with_other_arguments_is_refused() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.tenant("other", "78").await;
    ask(&service.client, "once").await.expect("accepted");
    let before = contents(&service.pool).await;

    let dry = service.client.mirror("store", Strategy::PlatformToGbp).dry_run(true).request_id("once").send();
    let tenant = service.client.mirror("other", Strategy::PlatformToGbp).request_id("once").send();
    for error in [dry.await.expect_err("reused"), tenant.await.expect_err("reused")] {
        assert_eq!((error.code().as_str(), error.reason()), ("INVALID_ARGUMENT", Some("REQUEST_ID_REUSED")));
        assert_eq!(error.metadata()["request_id"], "once");
    }
    assert_eq!(contents(&service.pool).await, before);
}

#[tokio::test]
async fn ids_belong_to_their_caller() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.tenant("other", "78").await;
    let first = ask(&service.client, "once").await.expect("accepted");

    let stranger = service.client_with(&service.token(Role::Admin, "stranger", None));
    let other = stranger.mirror("other", Strategy::PlatformToGbp).request_id("once").send().await.expect("accepted");
    assert_ne!(other.run.name, first.run.name);
    assert_eq!((other.run.caller.as_str(), first.run.caller.as_str()), ("stranger", "tester"));
}

#[tokio::test]
async fn an_id_is_remembered_for_24_hours() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let first = ask(&service.client, "once").await.expect("accepted").run;
    service.ended(&first.name).await;
    let set_back = async |interval: &str| {
        let statement = format!("update mirror_request set created_at = now() - interval '{interval}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&service.pool).await.expect("set back");
    };

    set_back("23 hours 59 minutes").await;
    assert_eq!(ask(&service.client, "once").await.expect("repeated").run.name, first.name);

    set_back("24 hours 1 second").await;
    let dry = service.client.mirror("store", Strategy::PlatformToGbp).dry_run(true).request_id("once");
    let fresh = dry.send().await.expect("forgotten, so also other arguments are accepted").run;
    assert!(fresh.name != first.name && fresh.dry_run);
    service.ended(&fresh.name).await;
    let error = ask(&service.client, "once").await.expect_err("it means the dry run now");
    assert_eq!(error.reason(), Some("REQUEST_ID_REUSED"));
}

#[tokio::test]
async fn repeated_at_once_at_two_servers_an_id_makes_one_run() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let other = replica(&service, Setup::default(), &service.google.endpoint).await.client;

    let calls = (0..40).map(|n| ask(if n % 2 == 0 { &service.client } else { &other }, "once"));
    let answers = futures::future::try_join_all(calls).await.expect("all answered");

    let names: BTreeSet<&str> = answers.iter().map(|answer| answer.run.name.as_str()).collect();
    assert_eq!(names.len(), 1);
    assert!(answers.iter().all(|answer| !answer.joined), "each is the first answer");
    assert_eq!(runs(&service).await, 1);
}

#[tokio::test]
async fn a_refused_request_does_not_use_its_id_up() {
    let service = service::start_with(idle()).await;
    let error = ask(&service.client, "once").await.expect_err("no tenant");
    assert_eq!(error.reason(), Some("TENANT_NOT_FOUND"));

    service.with_store(&["cafe"], "bar", &[]).await;
    assert!(!ask(&service.client, "once").await.expect("accepted").joined);
}
