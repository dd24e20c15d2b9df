//! Names that the service does not know: each call that names one says so, whatever it would have shown of it, and no stream of it is opened.

use category_mirror::domain::Role;
use category_mirror_client::{Client, Error, Strategy};

use super::{
    replica::idle,
    service::{self, Service},
};

/// What each way to name an organization comes to: the call, and its error.
async fn of_organization(client: &Client, organization: &str) -> Vec<(&'static str, Option<Error>)> {
    let mut watch = client.watch_organization(organization).send();
    // A stream of what there is says nothing while nothing happens: only what it cannot be opened for is asked here.
    let opened =
        if organization == "known" { None } else { Some(watch.next().await.expect("an end").expect_err("an error")) };
    let mirrored = client.mirror_organization(organization, Strategy::PlatformToGbp).dry_run(true).send().await;
    vec![
        ("watch", opened),
        ("logs", client.list_sync_logs().organization(organization).send().collect().await.err()),
        ("stats", client.get_sync_stats().organization(organization).send().await.err()),
        ("tenants", client.list_tenants().organization(organization).send().collect().await.err()),
        ("syncs", client.list_tenant_syncs().organization(organization).send().collect().await.err()),
        ("batch", mirrored.err()),
    ]
}

fn all_not_found(outcomes: &[(&'static str, Option<Error>)], organization: &str) {
    for (call, error) in outcomes {
        let error = error.as_ref().unwrap_or_else(|| panic!("{call} of {organization} found something"));
        assert_eq!((error.is_not_found(), error.reason()), (true, Some("ORGANIZATION_NOT_FOUND")), "{call}: {error}");
        assert!(error.message().contains(&format!("organizations/{organization}")), "{call}: {error}");
    }
}

async fn with_tenants() -> Service {
    let service = service::start_with(idle()).await;
    for (id, organization) in [("mine", "known"), ("theirs", "hidden")] {
        let tenant = service.client.create_tenant(id).display_name(id).organization(organization);
        let tenant = tenant.location("1", id).region_code("US").language_code("en");
        tenant.send().await.expect("created");
    }
    service
}

#[tokio::test]
async fn an_organization_that_is_not_known_is_named_by_every_call() {
    let service = with_tenants().await;
    all_not_found(&of_organization(&service.client, "nobody").await, "nobody");
    for (call, error) in of_organization(&service.client, "known").await {
        assert!(error.is_none(), "{call}: {error:?}");
    }
}

#[tokio::test]
async fn an_organization_without_a_tenant_of_the_callers_does_not_exist_for_them() {
    let service = with_tenants().await;
    let limited = service.client_with(&service.token(Role::Admin, "limited", Some(&["mine"])));
    all_not_found(&of_organization(&limited, "hidden").await, "hidden");
    for (call, error) in of_organization(&limited, "known").await {
        assert!(error.is_none(), "{call}: {error:?}");
    }
}

#[tokio::test]
async fn an_organization_is_known_as_long_as_it_has_runs() {
    let service = with_tenants().await;
    let run = service.client.mirror("mine", Strategy::PlatformToGbp).send().await.expect("accepted").run;
    service.client.cancel_run(&run.name).send().await.expect("cancelled");
    service.client.update_tenant("mine").organization("").send().await.expect("it leaves");
    let logs = service.client.list_sync_logs().organization("known").send().collect().await.expect("listed");
    assert_eq!(logs.len(), 1);
    let none = service.client.list_tenants().organization("known").send().collect().await.expect("known");
    assert_eq!(none, []);
}

#[tokio::test]
async fn tenants_runs_and_batches_that_are_not_known_are_named_by_every_stream_and_list() {
    let service = with_tenants().await;
    let client = &service.client;
    let id = "0190163d-8694-739b-aea5-966c26f8ad91";
    for (call, error, reason) in [
        ("watch", client.watch_tenant("nobody").send().next().await, "TENANT_NOT_FOUND"),
        ("watch", client.watch_run(format!("tenants/-/runs/{id}")).send().next().await, "RUN_NOT_FOUND"),
        ("watch", client.watch_batch(id).send().next().await, "BATCH_NOT_FOUND"),
        ("logs", client.list_sync_logs().tenant("nobody").send().next().await, "TENANT_NOT_FOUND"),
        ("logs", client.list_sync_logs().batch(id).send().next().await, "BATCH_NOT_FOUND"),
    ] {
        let error = error.expect("an end").err().unwrap_or_else(|| panic!("{call} found something"));
        assert_eq!(error.reason(), Some(reason), "{call}: {error}");
    }
    let stats = client.get_sync_stats().tenant("nobody").send().await.expect_err("not known");
    assert_eq!(stats.reason(), Some("TENANT_NOT_FOUND"));
}
