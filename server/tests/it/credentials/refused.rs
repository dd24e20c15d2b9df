//! Credentials that Google refuses stop their account's runs, everywhere and at once, and nobody else's.

use category_mirror_client::{CredentialsOutcome, CredentialsState, Run, RunState, Strategy};
use serde_json::json;

use super::{dry_run, is_rejected, renewals, revoke, set, tenant_of, two_accounts};
use crate::{
    replica::{idle, renewing_replica, replica, replica_with_keys},
    service::{Service, Setup},
};

async fn execute(service: &Service, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&service.pool).await.expect("executed");
}

async fn state(service: &Service) -> (CredentialsState, Option<String>) {
    let credentials = service.client.get_credentials("1").send().await.expect("told");
    assert_eq!(credentials.reject_time.is_some(), credentials.reject_reason.is_some());
    (credentials.state, credentials.reject_reason)
}

const REVOKED: (CredentialsState, &str) = (CredentialsState::Rejected, "invalid_grant");

#[tokio::test]
async fn revoked_ones_stop_the_account_at_once_and_others_go_on() {
    let service = two_accounts(Setup::default()).await;
    let other = replica(&service, Setup::default(), &service.google.endpoint).await;
    set(&service.client, "1", "gone").await;
    set(&service.client, "2", "good").await;
    revoke(&service, "gone").await;

    let run = dry_run(&service, &service.client, "one").await;
    assert!(is_rejected(&run), "{run:?}");
    let (known, cause) = state(&service).await;
    assert_eq!((known, cause.as_deref()), (REVOKED.0, Some(REVOKED.1)));
    let asked = renewals(&service).await;
    // More of them than open the circuit, on whichever server.
    for n in 0..12 {
        tenant_of(&service, &format!("more-{n}"), "1").await;
        let client = [&service.client, &other.client][n % 2];
        let run = dry_run(&service, client, &format!("more-{n}")).await;
        assert!(is_rejected(&run), "{run:?}");
        assert_eq!(run.error.expect("why").metadata["oauth_error"], "invalid_grant");
    }
    assert_eq!(renewals(&service).await, asked, "google is left alone");
    assert_eq!(dry_run(&service, &service.client, "two").await.state, RunState::Succeeded);
    assert_eq!(service.google.count("locations.get").await, 1, "only the good one's");
    let listed = service.client.list_credentials().send().collect().await.expect("listed");
    let states: Vec<_> = listed.iter().map(|one| (one.name.as_str(), one.state)).collect();
    assert_eq!(states, [("accounts/1/credentials", REVOKED.0), ("accounts/2/credentials", CredentialsState::Active)]);
}

#[tokio::test]
async fn a_replacement_is_effective_on_every_server_at_once() {
    let service = two_accounts(idle()).await;
    set(&service.client, "1", "gone").await;
    revoke(&service, "gone").await;
    let worker = replica(&service, Setup::default(), &service.google.endpoint).await;
    assert!(is_rejected(&dry_run(&service, &service.client, "one").await));

    // The service does no work itself: the worker has to find out.
    let before = service.client.get_credentials("1").send().await.expect("told").revision;
    let after = set(&service.client, "1", "new").await;
    assert!(after.revision > before && after.state == CredentialsState::Active, "{after:?}");
    assert_eq!(dry_run(&service, &service.client, "one").await.state, RunState::Succeeded);

    // Deleted and set again: what the worker remembers of the former is not theirs.
    service.client.delete_credentials("1").send().await.expect("deleted");
    set(&service.client, "1", "gone").await;
    assert!(is_rejected(&dry_run(&service, &service.client, "one").await));
    worker.stop().await;
}

#[tokio::test]
async fn they_are_tried_again_after_a_while_and_what_comes_of_it_is_noted() {
    let service = two_accounts(Setup::default()).await;
    set(&service.client, "1", "good").await;
    execute(&service, "update gbp_credentials set rejected_at = now(), reject_reason = 'invalid_grant'").await;
    assert!(is_rejected(&dry_run(&service, &service.client, "one").await));
    assert_eq!(renewals(&service).await, 0, "not yet");

    execute(&service, "update gbp_credentials set rejected_at = now() - interval '61 s'").await;
    assert_eq!(dry_run(&service, &service.client, "one").await.state, RunState::Succeeded);
    assert_eq!(state(&service).await, (CredentialsState::Active, None));
}

#[tokio::test]
async fn an_access_token_that_is_refused_although_it_is_new_for_two_different_calls_is_the_credentials_end() {
    let service = two_accounts(Setup::default()).await;
    set(&service.client, "1", "good").await;
    let asked = async || {
        let google = &service.google;
        (renewals(&service).await, google.count("locations.get").await, google.count("categories.list").await)
    };
    // For one location alone: its run fails, and nobody else's does.
    tenant_of(&service, "neighbor", "1").await;
    service.google.fault(json!({"method": "locations.get", "location": "at-one", "status": 401})).await;
    let run = dry_run(&service, &service.client, "one").await;
    assert!(is_rejected(&run), "{run:?}");
    let error = run.error.expect("why");
    assert!(error.message.contains("it takes the same access token elsewhere"), "{}", error.message);
    assert_eq!(state(&service).await, (CredentialsState::Active, None));
    assert_eq!(asked().await, (2, 2, 1), "renewed once, and asked elsewhere once");
    assert_eq!(dry_run(&service, &service.client, "neighbor").await.state, RunState::Succeeded);

    service.google.fault(json!({"method": "categories.list", "status": 401})).await;
    assert!(is_rejected(&dry_run(&service, &service.client, "one").await));
    assert_eq!(state(&service).await, (CredentialsState::Rejected, Some("unauthenticated".to_owned())));
    let before = asked().await;
    assert!(is_rejected(&dry_run(&service, &service.client, "neighbor").await));
    assert_eq!(asked().await, before);
}

/// Runs of tenants `one`, `one-more-0` and so on of account 1 that are accepted while nobody carries them out.
async fn queued(service: &Service, more: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    for tenant in std::iter::once("one".to_owned()).chain((0..more).map(|n| format!("one-more-{n}"))) {
        if tenant != "one" {
            tenant_of(service, &tenant, "1").await;
        }
        let run = service.client.mirror(&tenant, Strategy::PlatformToGbp).dry_run(true).send().await;
        runs.push(run.expect("accepted").run);
    }
    runs
}

/// Exactly one of eight runs has ended, and the others wait for a time, for want of credentials, without having used up an attempt.
const SEVEN_WAIT: &str = "select count(*) = 7 and bool_and(state = 'queued' and next_attempt_at > now() + interval '30 s'
                                                           and reason = 'CREDENTIALS_REJECTED' and fencing_token = uncounted_attempts)
                            from run";

async fn ended_as_rejected(service: &Service) -> i64 {
    let count = "select count(*) from run_history where state = 'failed' and reason = 'CREDENTIALS_REJECTED'";
    sqlx::query_scalar(count).fetch_one(&service.pool).await.expect("counted")
}

#[tokio::test]
async fn runs_that_were_accepted_before_wait_until_the_credentials_are_replaced() {
    let service = two_accounts(idle()).await;
    set(&service.client, "1", "gone").await;
    let runs = queued(&service, 7).await;
    revoke(&service, "gone").await;
    let worker = replica(&service, Setup::default(), &service.google.endpoint).await;
    service.database_says(SEVEN_WAIT).await;
    assert_eq!((ended_as_rejected(&service).await, renewals(&service).await), (1, 1), "one found out");

    // Their time comes before the credentials are good again: they wait on, and one of them asks.
    execute(
        &service,
        "update gbp_credentials set rejected_at = now() - interval '61 s', rejected_since = now() - interval '10 min'",
    )
    .await;
    execute(&service, "update run set next_attempt_at = now(), created_at = created_at - interval '20 min'").await;
    service.database_says("select count(*) = 7 and bool_and(state = 'queued' and next_attempt_at > now() + interval '9 min' and fencing_token >= 2) from run").await;
    assert_eq!(ended_as_rejected(&service).await, 1, "nobody fails for what was known");

    set(&service.client, "1", "new").await;
    let mut ends = Vec::new();
    for run in &runs {
        ends.push(service.ended(&run.name).await.state);
    }
    ends.sort_by_key(|state| state.to_string());
    assert_eq!(ends.iter().filter(|state| **state == RunState::Succeeded).count(), 7, "{ends:?}");
    worker.stop().await;
}

#[tokio::test]
async fn the_wait_ends_after_a_day_and_with_a_cancellation() {
    let service = two_accounts(idle()).await;
    set(&service.client, "1", "gone").await;
    let runs = queued(&service, 7).await;
    revoke(&service, "gone").await;
    let worker = replica(&service, Setup::default(), &service.google.endpoint).await;
    service.database_says(SEVEN_WAIT).await;
    let mut waiting = Vec::new();
    for run in runs {
        let run = service.client.get_run(&run.name).send().await.expect("a run");
        if !run.is_terminal() {
            waiting.push(run);
        }
    }
    let cancelled = service.client.cancel_run(&waiting[0].name).send().await.expect("cancelled");
    assert_eq!(cancelled.state, RunState::Cancelled);
    execute(&service, "update gbp_credentials set rejected_since = now() - interval '24 h'").await;
    execute(&service, "update run set next_attempt_at = now(), created_at = created_at - interval '25 h'").await;
    for run in &waiting[1..] {
        let run = service.ended(&run.name).await;
        assert_eq!((run.state, run.reason.as_deref()), (RunState::Failed, Some("CREDENTIALS_REJECTED")));
    }
    worker.stop().await;
}

#[tokio::test]
async fn the_servers_own_credentials_are_waited_for_too() {
    let service = two_accounts(idle()).await;
    let runs = queued(&service, 7).await;
    let token = "only-for-tests-refresh-token";
    service.google.tokens(json!({"revoke_refresh": [token]})).await;
    let worker = renewing_replica(&service, Setup::default()).await;
    service.database_says(SEVEN_WAIT).await;
    assert_eq!((ended_as_rejected(&service).await, renewals(&service).await), (1, 1));
    worker.stop().await;

    // The replacement is a server with others.
    execute(&service, "update run set next_attempt_at = now()").await;
    let worker = replica(&service, Setup::default(), &service.google.endpoint).await;
    for run in &runs {
        service.ended(&run.name).await;
    }
    assert_eq!(ended_as_rejected(&service).await, 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_trial_tells_what_google_says_and_lets_runs_go_on() {
    let service = two_accounts(Setup::default()).await;
    let verify = async || service.client.verify_credentials("1").send().await.expect("tried");
    set(&service.client, "1", "good").await;
    let verified = verify().await;
    assert_eq!((verified.outcome, verified.problem), (CredentialsOutcome::Accepted, None));

    // A token endpoint that is out of order says nothing of them.
    service.google.fault(json!({"method": "token", "status": 503})).await;
    let verified = verify().await;
    assert_eq!(
        (verified.outcome, verified.credentials.state),
        (CredentialsOutcome::NotKnown, CredentialsState::Active)
    );
    service.google.fault(json!({"method": "token", "status": 503})).await;
    service.google.heal().await;

    execute(&service, "update gbp_credentials set rejected_at = now(), reject_reason = 'invalid_grant'").await;
    assert!(is_rejected(&dry_run(&service, &service.client, "one").await));
    assert_eq!(verify().await.credentials.state, CredentialsState::Active);
    assert_eq!(dry_run(&service, &service.client, "one").await.state, RunState::Succeeded);

    revoke(&service, "good").await;
    let verified = verify().await;
    let (known, problem) = (verified.credentials, verified.problem.expect("a problem"));
    assert_eq!((verified.outcome, known.state), (CredentialsOutcome::Rejected, REVOKED.0));
    assert!(problem.contains("invalid_grant") && !problem.contains(super::HUSH), "{problem}");
    assert!(is_rejected(&dry_run(&service, &service.client, "one").await));
}

#[tokio::test]
async fn without_the_key_an_account_is_not_reached_in_anothers_name() {
    let service = two_accounts(idle()).await;
    set(&service.client, "1", "good").await;
    let keyless = Default::default();
    let worker = replica_with_keys(&service, Setup::default(), &service.google.endpoint, keyless).await;
    let run = dry_run(&service, &worker.client, "one").await;
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Failed, Some("CREDENTIALS_UNREADABLE")));
    assert_eq!(dry_run(&service, &worker.client, "two").await.state, RunState::Succeeded);
    assert_eq!(service.google.count("locations.get").await, 1);
    let shown = worker.client.get_credentials("1").send().await.expect("told");
    assert_eq!(shown.state, CredentialsState::Unreadable);
    let error = worker.client.verify_credentials("1").send().await.expect_err("no key");
    assert_eq!(error.reason(), Some("CREDENTIALS_UNREADABLE"));
    let error = worker.client.set_credentials("1", "id", "secret", "token").send().await.expect_err("no key");
    assert_eq!((error.code().as_str(), error.reason()), ("FAILED_PRECONDITION", Some("CREDENTIALS_KEY_MISSING")));
}

#[tokio::test]
async fn the_end_of_one_accounts_quota_holds_nobody_else_up() {
    let service = two_accounts(Setup::default()).await;
    let tenants: Vec<String> = (0..12).map(|n| format!("more-{n}")).collect();
    for tenant in &tenants {
        tenant_of(&service, tenant, "1").await;
    }
    set(&service.client, "1", "good").await;
    service.google.fault(json!({"method": "token", "status": 429})).await;
    let runs = tenants.iter().map(|tenant| dry_run(&service, &service.client, tenant));
    // While the circuit is open no attempt counts, and none of them would come to its end.
    for run in futures::future::join_all(runs).await {
        assert_eq!((run.state, run.reason.as_deref()), (RunState::Failed, Some("ATTEMPTS_EXHAUSTED")));
    }
    assert_eq!(dry_run(&service, &service.client, "two").await.state, RunState::Succeeded);
}
