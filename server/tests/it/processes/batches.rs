//! `kill -9` of a server in the middle of making a batch's runs.

use category_mirror_client::{BatchState, Strategy};

use super::site::{Site, until};
use crate::batches::{hold, somebody_waits};

#[tokio::test]
async fn d11_killed_in_the_middle_of_a_batch_no_run_is_lost_and_none_is_made_twice() {
    let site = Site::new().await;
    let server = site.serve(&[]).await;
    let pool = site.pool();
    sqlx::query(
        "insert into tenant (id, display_name, gbp_account, gbp_location, region_code, language_code, created_at, updated_at)
         select 'chain-' || to_char(n, 'FM000'), 'Store', '1', n::text, 'US', 'en', now(), now() from generate_series(0, 449) n",
    )
    .execute(&pool)
    .await
    .expect("tenants");
    let holding = hold(&pool).await;
    let batch = site.client(&server).mirror_all(Strategy::PlatformToGbp, 450).send().await.expect("accepted");
    somebody_waits(&pool).await;

    server.kill().await;
    let server = site.serve(&[]).await;
    holding.rollback().await.expect("let go");

    let client = site.client(&server);
    let get = async || client.get_batch(&batch.name).send().await.expect("the batch");
    until("the batch is over", || async { get().await.is_terminal() }).await;
    let over = get().await;
    // They have no categories, so each of them ends at once.
    assert_eq!((over.state, over.failed_count, over.tenant_count), (BatchState::Completed, 450, 450));
    let (runs, tenants): (i64, i64) = sqlx::query_as("select count(*), count(distinct tenant_id) from run_history")
        .fetch_one(&pool)
        .await
        .expect("counted");
    assert_eq!((runs, tenants), (450, 450));
    server.stop().await;
}
