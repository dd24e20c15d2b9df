//! Callers, of whichever method and however many, share nothing with the kill switch.

use std::time::Duration;

use category_mirror::{
    domain::{Flag, Role, Rollout},
    store::{FlagUpdate, Store},
};
use category_mirror_client::Client;
use category_mirror_proto::v1::{MirrorCategoriesRequest, Strategy, mirror_categories_request::Target};
use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic_types::StatusExt;

use super::{MIRRORING, idle, until};
use crate::{
    pooler,
    service::{self, Service},
    wire::Wire,
};

/// Calls of every cheap method, again and again.
async fn call(client: Client, stop: CancellationToken) {
    let calls = async {
        loop {
            // None of these has to be answered.
            let _ = client.list_flags().send().collect().await;
            let _ = client.get_flag(MIRRORING).send().await;
            let _ = client.list_flag_changes().send().collect().await;
            let _ = client.evaluate_flag(MIRRORING, "store").send().await;
            let _ = client.get_tenant("store").send().await;
            let _ = client.list_tenants().send().collect().await;
            let _ = client.get_tenant_categories("store").send().await;
            let _ = client.list_platform_categories().send().collect().await;
            let _ = client.list_sync_logs().send().collect().await;
            let _ = client.get_sync_stats().send().await;
            let _ = client.list_batches().send().collect().await;
        }
    };
    stop.run_until_cancelled(calls).await;
}

/// Statements of callers that wait for what this test has locked.
async fn stuck(service: &Service) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    )
    .fetch_one(&service.pool)
    .await
    .expect("counted")
}

#[tokio::test]
async fn callers_who_hold_every_connection_do_not_delay_a_switch_off() {
    if pooler::has_few_sessions() {
        return;
    }
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let hurried = Wire::with_token(&service, &service.token(Role::Admin, "hurried", None)).mirror;
    // Without a request id, which the published client always sends: whether one was answered before is looked up where callers look up
    // everything.
    let refused = async || {
        let mut request = Request::new(MirrorCategoriesRequest {
            target: Some(Target::Tenant("tenants/store".to_owned())),
            strategy: Strategy::PlatformToGbp.into(),
            ..MirrorCategoriesRequest::default()
        });
        request.set_timeout(Duration::from_millis(250));
        let refused = hurried.clone().mirror_categories(request).await.err();
        refused.and_then(|status| status.get_details_error_info()).is_some_and(|info| info.reason == "FEATURE_DISABLED")
    };
    assert!(!refused().await, "on by default");

    let mut locked = service.pool.begin().await.expect("begun");
    sqlx::query("lock table tenant in access exclusive mode").execute(&mut *locked).await.expect("locked");
    let stop = CancellationToken::new();
    // Each with a subject of its own: one alone gets a share of the connections only.
    let client = |n: usize| service.client_with(&service.token(Role::Admin, &format!("caller-{n}"), None));
    let callers: Vec<_> = (0..40).map(|n| tokio::spawn(call(client(n), stop.clone()))).collect();
    // As many as the service has connections for callers.
    until("every connection is taken", async || stuck(&service).await >= 10).await;

    // By another server, over the database.
    let off = Rollout::all(false);
    let update =
        FlagUpdate { flag: Flag::CategoryMirroring, before: None, after: &off, caller: "tester", reason: "test" };
    let other = Store::new(service.pool.clone());
    other.update_flag(None, &update).await.expect("changed").expect("nobody else did");
    until("what it stops is refused", refused).await;
    until("the callers hold every connection still", async || stuck(&service).await >= 10).await;

    locked.rollback().await.expect("released");
    stop.cancel();
    join_all(callers).await.into_iter().for_each(|caller| caller.expect("no panic"));
}
