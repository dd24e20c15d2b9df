//! A newer server adds columns to the tables of one that goes on serving: nobody notices, and the kill switch is obeyed.

use category_mirror_client::{Client, FlagState, RunState, Strategy, TenantImport};
use futures::{StreamExt, stream};
use sqlx::AssertSqlSafe;

use super::{
    flags::{MIRRORING, switch},
    service::{self, Service},
};

/// Columns of several types, each with what it may have.
const COLUMNS: &str = "add column grown_number bigint, add column grown_text text not null default 'as it was',
    add column grown_json jsonb not null default '{}', add column grown_time timestamptz not null default now(),
    add column grown_list text[], add column grown_flag boolean not null default false";

async fn read_everything(client: &Client, tenant: &str) {
    client.list_tenants().send().collect().await.expect("tenants");
    client.get_tenant(tenant).send().await.expect("a tenant");
    client.get_tenant_categories(tenant).send().await.expect("categories");
    client.list_platform_categories().send().collect().await.expect("platform categories");
    client.get_platform_category("cafe").send().await.expect("a platform category");
    client.list_tenant_syncs().send().collect().await.expect("syncs");
    client.get_tenant_sync(tenant).send().await.expect("a sync");
    client.list_credentials().send().collect().await.expect("credentials");
    client.list_taxonomy_versions().send().collect().await.expect("versions");
    client.search_categories("cafe", "US", "en").send().collect().await.expect("found");
    client.list_batches().send().collect().await.expect("batches");
    client.list_flags().send().collect().await.expect("flags");
    client.get_flag(MIRRORING).send().await.expect("a flag");
    client.list_flag_changes().send().collect().await.expect("changes");
    client.evaluate_flag(MIRRORING, tenant).send().await.expect("evaluated");
    client.get_last_run(tenant, Strategy::PlatformToGbp).send().await.expect("the last run");
    client.list_sync_logs().send().collect().await.expect("logs");
    client.list_sync_logs().tenant(tenant).send().collect().await.expect("logs of a tenant");
    client.list_sync_logs().organization("chain").state(RunState::Failed).send().collect().await.expect("failures");
    client
        .list_sync_logs()
        .tenant(tenant)
        .strategy(Strategy::PlatformToGbp)
        .dry_run(true)
        .send()
        .collect()
        .await
        .expect("dry runs");
    client.get_sync_stats().send().await.expect("statistics");
    client.get_sync_stats().tenant(tenant).send().await.expect("statistics of a tenant");
    client.get_sync_stats().organization("chain").send().await.expect("statistics of an organization");
}

/// Whatever a server does for its callers, once.
async fn everything(service: &Service, tenant: &str) {
    let client = &service.client;
    let import = TenantImport::new(tenant).display_name(tenant).region_code("US").language_code("en");
    let import = import.location("1", tenant).organization("chain").categories("cafe", ["bakery"]);
    assert_eq!(client.import_tenants([import]).send().await.expect("imported").created, 1, "{tenant}");
    service.google.put(tenant, "bar", &[]).await;
    client.update_tenant(tenant).display_name("Another").send().await.expect("changed");
    client.update_platform_category("cafe").display_name(tenant).send().await.expect("changed");
    service.set(tenant, &["cafe", "deli"]).await;

    for dry_run in [true, false] {
        let run = service.mirror(tenant, dry_run).await;
        assert_eq!(run.state, RunState::Succeeded, "{tenant}: {run:?}");
    }
    assert_eq!(service.google.merchant(tenant).await, ["cafe", "deli"]);
    let back = client.mirror(tenant, Strategy::GbpToPlatform).send().await.expect("accepted").run;
    assert_eq!(service.ended(&back.name).await.state, RunState::Succeeded, "{tenant}");
    let batch =
        client.mirror_organization("chain", Strategy::PlatformToGbp).dry_run(true).send().await.expect("accepted");
    client.watch_batch(&batch.name).send().collect().await.expect("to its end");
    let batch = client.get_batch(&batch.name).send().await.expect("the batch");
    assert_eq!(batch.succeeded_count, batch.tenant_count, "{tenant}: {batch:?}");
    read_everything(client, tenant).await;

    switch(client, MIRRORING, FlagState::Off).await;
    let refused = client.mirror(tenant, Strategy::PlatformToGbp).send().await.expect_err("off");
    assert_eq!(refused.reason(), Some("FEATURE_DISABLED"), "{tenant}: {refused:?}");
    switch(client, MIRRORING, FlagState::On).await;
}

#[tokio::test]
async fn every_table_gets_more_columns_under_a_server_that_serves() {
    let service = service::start().await;
    service.with_store(&["cafe"], "cafe", &[]).await;
    service.client.refresh_taxonomy("US", "en").send().await.expect("imported");
    everything(&service, "first").await;
    // As many connections as there will be know every statement, on each of them.
    stream::iter(0..40).for_each_concurrent(10, |_| read_everything(&service.client, "first")).await;

    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
          where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
            and relname <> '_sqlx_migrations'
          order by 1",
    )
    .fetch_all(&service.pool)
    .await
    .expect("tables");
    assert!(tables.len() > 15 && tables.contains(&"run_history".to_owned()), "{tables:?}");
    for (n, table) in tables.iter().enumerate() {
        let grow = async {
            let grow = format!("alter table {table} {COLUMNS}");
            sqlx::raw_sql(AssertSqlSafe(grow)).execute(&service.pool).await.expect("grown");
        };
        let (during, after) = (format!("t{n}-during"), format!("t{n}-after"));
        tokio::join!(grow, everything(&service, &during));
        everything(&service, &after).await;
    }
    service.stop().await;
}
