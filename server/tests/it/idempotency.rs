//! A request id makes asking for a run safe to repeat.

use std::collections::BTreeSet;

use category_mirror::domain::Role;
use category_mirror_client::{AcceptedRun, Client, Error, FlagState, Run, RunState, Strategy, SyncDecision};

use super::{
    flags::{MIRRORING, switch},
    replica::{idle, replica},
    service::{self, Service, Setup},
    wire::contents,
};

async fn ask(client: &Client, id: &str) -> Result<AcceptedRun, Error> {
    client.mirror("store", Strategy::PlatformToGbp).request_id(id).send().await
}

async fn runs(service: &Service) -> i64 {
    sqlx::query_scalar("select count(*) from all_runs").fetch_one(&service.pool).await.expect("counted")
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

    let dry_runs = service.client.mirror("store", Strategy::PlatformToGbp).dry_run(true).request_id("once").send();
    let tenant = service.client.mirror("other", Strategy::PlatformToGbp).request_id("once").send();
    for error in [dry_runs.await.expect_err("reused"), tenant.await.expect_err("reused")] {
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
        let statement = format!("update idempotency_key set created_at = now() - interval '{interval}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&service.pool).await.expect("set back");
    };

    set_back("23 hours 59 minutes").await;
    assert_eq!(ask(&service.client, "once").await.expect("repeated").run.name, first.name);

    set_back("24 hours 1 second").await;
    let dry_runs = service.client.mirror("store", Strategy::PlatformToGbp).dry_run(true).request_id("once");
    let fresh = dry_runs.send().await.expect("forgotten, so also other arguments are accepted").run;
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

/// A request in its own words, which the state decides about the second time.
enum Call {
    Mirror,
    Apply(String),
    Revert(String),
    Decide(SyncDecision),
}

impl Call {
    async fn send(&self, client: &Client, id: &str) -> Result<Option<Run>, Error> {
        let mirror = || client.mirror("store", Strategy::PlatformToGbp).request_id(id);
        match self {
            Self::Mirror => mirror().send().await.map(|answer| Some(answer.run)),
            Self::Apply(plan) => mirror().plan(plan).send().await.map(|answer| Some(answer.run)),
            Self::Revert(run) => client.revert_run(run).request_id(id).send().await.map(|answer| Some(answer.run)),
            Self::Decide(decision) => {
                let decide = client.decide_tenant_sync("store", *decision, "why").request_id(id);
                decide.send().await.map(|answer| answer.run)
            }
        }
    }
}

#[tokio::test]
async fn a_repeated_request_gets_its_first_answer_whatever_has_changed_since() {
    let service = service::start().await;
    service.with_store(&["cafe", "deli"], "bar", &[]).await;
    let dry_runs = service.mirror("store", true).await;
    let written = service.mirror("store", false).await;
    let calls = [
        ("mirror", Call::Mirror),
        ("apply", Call::Apply(dry_runs.name.clone())),
        ("revert", Call::Revert(written.name.clone())),
        ("push", Call::Decide(SyncDecision::PushAgain)),
        ("accept", Call::Decide(SyncDecision::AcceptGoogle)),
        ("ignore", Call::Decide(SyncDecision::Ignore)),
    ];
    let mut first = Vec::new();
    for (id, call) in &calls {
        let run = call.send(&service.client, id).await.unwrap_or_else(|error| panic!("{id}: {error}"));
        if let Some(run) = &run {
            service.ended(&run.name).await;
        }
        first.push(run.map(|run| run.name));
    }
    assert_eq!(runs(&service).await, 7, "all but one started a run");

    let statements = [
        "update tenant_sync set cause = 'google_edited'",
        "delete from tenant_category where tenant_id = 'store' and position > 0",
        "update tenant set gbp_account = null, gbp_location = null where id = 'store'",
    ];
    for change in ["nothing", "switched off"].into_iter().chain(statements) {
        match change {
            "nothing" => {}
            "switched off" => switch(&service.client, MIRRORING, FlagState::Off).await,
            statement => {
                sqlx::raw_sql(statement).execute(&service.pool).await.expect("changed");
            }
        }
        for ((id, call), first) in calls.iter().zip(&first) {
            let again = call.send(&service.client, id).await.unwrap_or_else(|error| panic!("{id}, {change}: {error}"));
            assert_eq!(again.map(|run| run.name), *first, "{id}, {change}");
        }
        // The same ids mean nothing else.
        for (n, (id, _)) in calls.iter().enumerate() {
            let (_, other) = &calls[(n + 1) % calls.len()];
            let error = other.send(&service.client, id).await.expect_err("another request");
            assert_eq!(error.reason(), Some("REQUEST_ID_REUSED"), "{id}, {change}");
        }
    }
    assert_eq!(runs(&service).await, 7);
}

#[tokio::test]
async fn a_decision_that_is_repeated_late_does_not_undo_a_newer_one() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.mirror("store", false).await;
    let ignore = || service.client.decide_tenant_sync("store", SyncDecision::Ignore, "for now").request_id("first");
    ignore().send().await.expect("decided");
    let push = service.client.decide_tenant_sync("store", SyncDecision::PushAgain, "no").send().await.expect("decided");
    service.ended(&push.run.expect("a run").name).await;

    let again = ignore().send().await.expect("the first answer");
    assert_eq!(again.run, None);
    let decision = again.tenant_sync.decision.expect("the newer one");
    assert_eq!((decision.decision, decision.reason.as_str()), (SyncDecision::PushAgain, "no"));
}

#[tokio::test]
async fn a_first_answer_is_shown_only_to_whom_it_may_be_shown() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.tenant("other", "78").await;
    sqlx::raw_sql("update tenant set organization_id = 'chain'").execute(&service.pool).await.expect("a chain");
    let of = |tenants: Option<&[&str]>| service.client_with(&service.token(Role::Admin, "me", tenants));
    let batch = |client: &Client, dry_run, confirmed: Option<i64>| {
        let request = client.mirror_organization("chain", Strategy::PlatformToGbp).dry_run(dry_run).request_id("batch");
        confirmed.into_iter().fold(request, |request, count| request.confirm(u32::try_from(count).expect("few"))).send()
    };

    let whole = of(None);
    let first = ask(&whole, "run").await.expect("accepted").run;
    let all = batch(&whole, true, Some(2)).await.expect("accepted");
    // The same caller, with a token for less: its request is another one, or for something that does not exist.
    let error = batch(&of(Some(&["other"])), true, Some(2)).await.expect_err("of others, too");
    assert_eq!(error.reason(), Some("REQUEST_ID_REUSED"));
    assert!(!error.to_string().contains(&all.name));
    let error = ask(&of(Some(&["other"])), "run").await.expect_err("not theirs");
    assert_eq!(error.reason(), Some("TENANT_NOT_FOUND"));
    let error = of(Some(&["other"])).revert_run(&first.name).request_id("new").send().await.expect_err("not theirs");
    assert_eq!(error.reason(), Some("RUN_NOT_FOUND"));

    // In whatever order, and however often, the claim names them.
    let both = of(Some(&["store", "other"]));
    let limited = service.client_with(&service.token(Role::Admin, "limited", Some(&["store", "other"])));
    let again = service.client_with(&service.token(Role::Admin, "limited", Some(&["other", "store", "other"])));
    assert_eq!(ask(&both, "run").await.expect("theirs").run.name, first.name);
    let theirs = batch(&limited, true, None).await.expect("accepted");
    assert_eq!(batch(&again, true, None).await.expect("the first answer").name, theirs.name);
    for confirmed in [Some(2), Some(3)] {
        let error = batch(&limited, true, confirmed).await.expect_err("another number was confirmed");
        assert_eq!(error.reason(), Some("REQUEST_ID_REUSED"), "{confirmed:?}");
    }
    let reasons = ["one", "another"].map(|reason| {
        whole
            .mirror_organization("chain", Strategy::PlatformToGbp)
            .override_guards(["batch_primary"], reason)
            .request_id("why")
            .send()
    });
    let [one, another] = reasons;
    one.await.expect("accepted");
    assert_eq!(another.await.expect_err("another reason").reason(), Some("REQUEST_ID_REUSED"));
}

#[tokio::test]
async fn a_repeated_batch_is_answered_after_a_switch_off_and_when_its_tenants_are_gone() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let ask = || service.client.mirror_all(Strategy::PlatformToGbp, 1).request_id("once").send();
    let first = ask().await.expect("accepted");
    switch(&service.client, MIRRORING, FlagState::Off).await;
    assert_eq!(ask().await.expect("the first answer").name, first.name);
    sqlx::raw_sql("delete from run; delete from tenant").execute(&service.pool).await.expect("deleted");
    assert_eq!(ask().await.expect("the first answer").name, first.name);
}
