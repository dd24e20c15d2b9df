//! D19, D26: whose run it was, and who asked for it, whatever became of the tenant.

use category_mirror::domain::Role;
use category_mirror_client::{Code, RunState, Strategy};

use crate::service;

#[tokio::test]
async fn d19_the_caller_is_recorded_and_history_outlives_the_tenant() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let alice = service.client_with(&service.token(Role::Admin, "alice", None));
    let run = alice.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;
    let run = service.ended(&run.name).await;
    assert_eq!((run.state, run.caller.as_str()), (RunState::Succeeded, "alice"));

    service.client.delete_tenant("store").send().await.expect("deleted");
    service.client.get_tenant("store").send().await.expect_err("gone");

    let kept = service.client.get_run(&run.name).send().await.expect("still there");
    assert_eq!(kept, run, "all of it");
    let last = service.client.get_last_run("store", Strategy::PlatformToGbp).send().await.expect("still there");
    assert_eq!((last.name.as_str(), last.caller.as_str()), (run.name.as_str(), "alice"));
    let listed = service.client.list_sync_logs().tenant("store").send().collect().await.expect("listed");
    assert_eq!(listed.iter().map(|run| run.name.as_str()).collect::<Vec<_>>(), [run.name.as_str()]);
    let stats = service.client.get_sync_stats().tenant("store").send().await.expect("counted");
    assert_eq!(stats.total_runs, 1);
    let limited = service.client_with(&service.token(Role::Viewer, "bob", Some(&["other"])));
    limited.get_run(&run.name).send().await.expect_err("nobody else sees it for that");

    // Whoever comes under the same name has a history before it, and none of it counts as its own first success.
    service.tenant("store", "77").await;
    let listed = service.client.list_sync_logs().tenant("store").send().collect().await.expect("listed");
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn d26_the_last_run_is_the_tenants_own_and_of_the_strategy() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.tenant("other", "78").await;
    service.set("other", &["bar"]).await;
    service.google.put("78", "cafe", &[]).await;
    let last = async |tenant: &str, strategy| {
        service.client.get_last_run(tenant, strategy).send().await.map(|run| (run.name, run.tenant))
    };
    for strategy in [Strategy::PlatformToGbp, Strategy::GbpToPlatform] {
        for tenant in ["store", "other"] {
            last(tenant, strategy).await.expect_err("none yet, whatever others have");
            let name = service.client.mirror(tenant, strategy).send().await.expect("accepted").run.name;
            service.ended(&name).await;
            assert_eq!(last(tenant, strategy).await.expect("its own"), (name, format!("tenants/{tenant}")));
        }
    }
    let first = last("store", Strategy::PlatformToGbp).await.expect("its own").0;
    assert!(first.starts_with("tenants/store/runs/"), "as before: {first}");
}

/// A name that was misspelt is told, and nothing else: neither a tenant without runs, nor the runs of one that is gone.
#[tokio::test]
async fn what_is_asked_of_a_tenant_that_never_was_is_not_found() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let asked = async |tenant: &str| {
        let client = &service.client;
        let logs = client.list_sync_logs().tenant(tenant).send().collect().await.map(|runs| runs.len());
        let stats = client.get_sync_stats().tenant(tenant).send().await.map(|stats| stats.total_runs);
        let old =
            client.get_sync_stats().tenant(tenant).window(std::time::Duration::from_secs(86_400 * 30)).send().await;
        (logs, stats, old.map(|stats| stats.total_runs))
    };
    let (logs, stats, old) = asked("stroe").await;
    for error in [logs.expect_err("no such tenant"), stats.expect_err("none"), old.expect_err("none")] {
        assert_eq!((error.code(), error.reason()), (Code::NotFound, Some("TENANT_NOT_FOUND")), "{error}");
        assert!(error.message().contains("tenants/stroe"), "{error}");
    }
    let counts = async |tenant: &str| {
        let (logs, stats, old) = asked(tenant).await;
        (logs.expect("listed"), stats.expect("counted"), old.expect("counted"))
    };
    assert_eq!(counts("store").await, (0, 0, 0), "it has no runs yet");
    service.mirror("store", false).await;
    service.client.delete_tenant("store").send().await.expect("deleted");
    assert_eq!(counts("store").await, (1, 1, 1));
    // Filters that leave nothing, of a tenant of which there is only history.
    let failed = service.client.list_sync_logs().tenant("store").state(RunState::Failed).send().collect().await;
    assert_eq!(failed.expect("listed"), []);
}
