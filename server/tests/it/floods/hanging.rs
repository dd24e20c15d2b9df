//! Callers who together hold all that calls may have of the database.

use category_mirror_client::Strategy;
use category_mirror_proto::v1::{SetTenantCategoriesRequest, Tenant, TenantCategories, UpdateTenantRequest};

use super::{
    abandoning::{send, stuck},
    attacks::address,
    peer::Peer,
    site::Stage,
};
use crate::{pooler::has_few_sessions, processes::site::until};

const UPDATE: &str = "/categorymirror.v1.TenantService/UpdateTenant";
const CATEGORIES: &str = "/categorymirror.v1.TenantService/SetTenantCategories";
/// The connections that calls have of 20.
const OF_CALLS: i64 = 18;

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_hang_leave_connections_to_runs() {
    if has_few_sessions() {
        return;
    }
    let stage = Stage::open(&[("RATE_LIMIT_PER_SECOND", "0")], 0).await;
    let client = stage.client();
    stage.site().load(&client).await;
    let other = client.create_tenant("other").display_name("Other").location("1", "78");
    other.region_code("US").language_code("en").send().await.expect("created");
    client.set_tenant_categories("other", "cafe").additional(["bakery"]).send().await.expect("set");
    stage.site().google.put("78", "cafe", &[]).await;
    let pool = stage.site().pool();
    let mut locked = pool.begin().await.expect("begun");
    sqlx::query("select from tenant where id = 'store' for update").execute(&mut *locked).await.expect("locked");
    let peer = Peer::connect(stage.server.address, address(1), 1 << 20).await.expect("connected");
    let name = || "tenants/store".to_owned();
    let tenant = Some(Tenant { name: name(), display_name: "New".to_owned(), ..Default::default() });
    let update = UpdateTenantRequest { tenant, ..Default::default() };
    let primary = "platformCategories/cafe".to_owned();
    let categories = Some(TenantCategories { primary, ..Default::default() });
    let categories = SetTenantCategoriesRequest { tenant: name(), categories };
    // Two callers with all that each may have.
    for _ in 0..10 {
        send(&peer, UPDATE, &stage.target().administrator, &update).await;
        send(&peer, CATEGORIES, &stage.site().token(), &categories).await;
    }
    until("they wait", || async { stuck(&pool, "%tenant%").await >= OF_CALLS }).await;
    // Acceptance has connections of its own.
    let run = client.mirror("other", Strategy::PlatformToGbp).send().await.expect("accepted").run.name;
    let id = run.rsplit('/').next().expect("an id");
    until("the run ends", || async {
        let ended = "select exists (select from run_history where id = $1::uuid and state = 'succeeded')";
        sqlx::query_scalar(ended).bind(id).fetch_one(&pool).await.expect("read")
    })
    .await;
    assert_eq!(peer.seen().ended(), 0, "the calls have their connections still");
    locked.rollback().await.expect("unlocked");
}
