//! A server with as few connections as it may have.

use category_mirror::domain::Role;
use category_mirror_client::{Client, RetryPolicy, Strategy};
use futures::future::join_all;

use super::site::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_every_kind_are_served_over_two_connections() {
    let stage = Stage::open(&[("RATE_LIMIT_PER_SECOND", "0"), ("DATABASE_MAX_CONNECTIONS", "2")], 0).await;
    stage.site().load(&stage.client()).await;
    let one = |n: usize| {
        let token = stage.site().token_of(Role::Admin, &format!("caller-{n}"));
        let client = Client::builder(format!("http://{}", stage.server.address)).token(token);
        let client = client.retry(RetryPolicy::never()).build().expect("a client");
        async move {
            for _ in 0..10 {
                client.get_sync_stats().send().await.expect("stats");
                client.get_tenant("store").send().await.expect("a tenant");
                client.set_tenant_categories("store", "cafe").send().await.expect("set");
                let run = client.mirror("store", Strategy::PlatformToGbp).dry_run(true).send().await;
                if let Ok(run) = run {
                    let mut watch = client.watch_run(&run.run.name).send();
                    while let Some(run) = watch.next().await {
                        run.expect("a snapshot");
                    }
                }
            }
        }
    };
    join_all((0..6).map(one)).await;
}
