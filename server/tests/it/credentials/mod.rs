//! Accounts' own credentials: whose name a run goes in, and what becomes of credentials that Google refuses.

mod keys;
mod refused;
mod requests;

use category_mirror_client::{Client, Credentials, Run, RunState, Strategy};
use serde_json::json;

use crate::service::{self, Service, Setup};

/// What no answer and no log may hold.
pub(crate) const HUSH: &str = "hush-hush";

/// A service with tenant `one` of account 1 and tenant `two` of account 2, both in sync.
async fn two_accounts(setup: Setup) -> Service {
    let service = service::start_with(setup).await;
    service.categories(&[("cafe", "gcid:cafe")]).await;
    for (tenant, account) in [("one", "1"), ("two", "2")] {
        tenant_of(&service, tenant, account).await;
    }
    service
}

async fn tenant_of(service: &Service, tenant: &str, account: &str) {
    let created = service.client.create_tenant(tenant).display_name(tenant).location(account, format!("at-{tenant}"));
    created.region_code("US").language_code("en").send().await.expect("created");
    service.set(tenant, &["cafe"]).await;
    service.google.put(&format!("at-{tenant}"), "cafe", &[]).await;
}

/// Sets an account's credentials, whose refresh token is `hush-hush-{token}`.
async fn set(client: &Client, account: &str, token: &str) -> Credentials {
    let set =
        client.set_credentials(account, "1234567-client.apps.googleusercontent.com", HUSH, format!("{HUSH}-{token}"));
    set.send().await.expect("set")
}

async fn revoke(service: &Service, token: &str) {
    service.google.tokens(json!({"revoke_refresh": [format!("{HUSH}-{token}")]})).await;
}

/// How often a token was asked for.
async fn renewals(service: &Service) -> u64 {
    service.google.count("token").await
}

async fn dry_run(service: &Service, client: &Client, tenant: &str) -> Run {
    let run = client.mirror(tenant, Strategy::PlatformToGbp).dry_run(true).send().await.expect("accepted").run;
    service.ended(&run.name).await
}

fn is_rejected(run: &Run) -> bool {
    (run.state, run.reason.as_deref(), run.attempt) == (RunState::Failed, Some("CREDENTIALS_REJECTED"), 1)
}

#[tokio::test]
async fn a_run_goes_in_the_name_of_its_tenants_account() {
    let service = two_accounts(Setup::default()).await;
    assert_eq!(dry_run(&service, &service.client, "one").await.state, RunState::Succeeded);
    assert_eq!(renewals(&service).await, 0, "the server's own token is a fixed one");

    let set = set(&service.client, "1", "good").await;
    assert_eq!((set.name.as_str(), set.client_id_suffix.as_str()), ("accounts/1/credentials", "client"));
    assert_eq!((set.updated_by.as_str(), set.reject_time), ("tester", None));
    for _ in 0..2 {
        assert_eq!(dry_run(&service, &service.client, "one").await.state, RunState::Succeeded);
        assert_eq!(dry_run(&service, &service.client, "two").await.state, RunState::Succeeded);
        assert_eq!(renewals(&service).await, 1, "one renewal is for all of the account's runs, and for no other's");
    }
    service.client.delete_credentials("1").send().await.expect("deleted");
    assert_eq!(dry_run(&service, &service.client, "one").await.state, RunState::Succeeded);
    assert_eq!(renewals(&service).await, 1, "in the server's name again");
}

#[tokio::test]
async fn runs_at_once_share_one_renewal_for_each_account() {
    let service = two_accounts(Setup::default()).await;
    for n in 0..8 {
        tenant_of(&service, &format!("more-{n}"), ["1", "2"][n % 2]).await;
    }
    set(&service.client, "1", "good").await;
    set(&service.client, "2", "better").await;
    let tenants: Vec<String> = (0..8).map(|n| format!("more-{n}")).collect();
    let runs = tenants.iter().map(|tenant| dry_run(&service, &service.client, tenant));
    let runs = futures::future::join_all(runs).await;
    assert!(runs.iter().all(|run| run.state == RunState::Succeeded), "{runs:?}");
    assert_eq!(renewals(&service).await, 2);
}
