//! Calls of every kind that are given up in every way: nothing of their caller's shares is lost.

use category_mirror_proto::v1::{
    GetSyncStatsRequest, GetTenantRequest, ImportTenantsRequest, ListTenantsRequest, MirrorCategoriesRequest,
    StreamRunUpdatesRequest, mirror_categories_request::Target,
};
use prost::Message;

use super::{
    abandoning::{GET, MIRROR, STREAM, mirror, send, stuck},
    attacks::{IMPORT, LIST, address},
    peer::{Peer, message},
    site::Stage,
};
use crate::{pooler::has_few_sessions, processes::site::until};

const STATS: &str = "/categorymirror.v1.CategoryMirrorService/GetSyncStats";
/// A caller's share of the connections that calls have, which are 20.
const SHARE: i64 = 10;
const ROUNDS: usize = 60;
const CALLS: usize = 64;

/// One request of each kind of cost.
fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let nobody = "organizations/none".to_owned();
    let list = ListTenantsRequest { organization: nobody.clone(), ..Default::default() };
    let import = ImportTenantsRequest { tenants: vec![Default::default()], ..Default::default() };
    let stream = StreamRunUpdatesRequest { name: "tenants/-".to_owned(), ..Default::default() };
    let target = Some(Target::Organization(nobody));
    let batch = MirrorCategoriesRequest { strategy: 1, dry_run: true, target, ..Default::default() };
    vec![
        (GET, get().encode_to_vec()),
        (LIST, list.encode_to_vec()),
        (IMPORT, import.encode_to_vec()),
        (STREAM, stream.encode_to_vec()),
        (MIRROR, mirror(1, "tenants/store/runs/00000000-0000-7000-8000-000000000001").encode_to_vec()),
        (MIRROR, mirror(2, "").encode_to_vec()),
        (MIRROR, batch.encode_to_vec()),
        (STATS, vec![]),
    ]
}

fn get() -> GetTenantRequest {
    GetTenantRequest { name: "tenants/store".to_owned() }
}

/// Begins as many calls over a connection of their own, and gives each up: by a reset, a deadline, or the end of the connection.
async fn give_up(stage: &Stage, requests: &[(&str, Vec<u8>)], round: usize) {
    let token = stage.target().administrator;
    let peer = Peer::connect(stage.server.address, address(1), 1 << 20).await.expect("connected");
    let mut begun = Vec::new();
    for n in round..round + CALLS {
        let (path, asked) = &requests[n % requests.len()];
        let timeout = [None, Some("0m"), Some("1m"), Some("3m"), None, None, Some("10m")][n % 7];
        let stream = peer.call_within(path, Some(&token), timeout).await.expect("sent");
        match n % 11 {
            3 => peer.send(stream, &message(asked), false).await.expect("sent"),
            6 => {
                peer.send(stream, &message(asked), false).await.expect("sent");
                peer.trailers(stream, "x").await.expect("sent");
            }
            _ => peer.send(stream, &message(asked), true).await.expect("sent"),
        }
        begun.push(stream);
    }
    let (resets, left) = begun.split_at(CALLS / 2);
    for stream in resets {
        peer.reset(*stream).await.expect("sent");
    }
    // What came before it has been seen.
    let last = peer.call_within(GET, Some(&stage.site().token()), None).await.expect("sent");
    peer.send(last, &message(&get().encode_to_vec()), true).await.expect("sent");
    peer.sees("an answer", |seen| seen.has_ended(last) || seen.closed).await;
    assert!(peer.seen().has_ended(last) && !left.is_empty(), "the connection is in good order");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_thousands_of_calls_that_were_given_up_every_permit_is_back() {
    if has_few_sessions() {
        return;
    }
    let stage = Stage::open(&[("RATE_LIMIT_PER_SECOND", "0"), ("RUNNER_CONCURRENCY", "0")], 0).await;
    let client = stage.client();
    stage.site().load(&client).await;
    let requests = requests();
    for round in 0..ROUNDS {
        give_up(&stage, &requests, round).await;
    }
    let pool = stage.site().pool();
    until("they are done", || async {
        let busy = "select count(*) from pg_stat_activity
                     where datname = current_database() and state = 'active' and pid <> pg_backend_pid()";
        let busy: i64 = sqlx::query_scalar(busy).fetch_one(&pool).await.expect("read");
        busy == 0 && stage.metrics("category_mirror_open_streams").await.is_empty()
    })
    .await;
    // Each counts once, besides those that have loaded the site.
    let counted = || async {
        let calls = stage.metrics("category_mirror_calls_total").await;
        let of_site = |labels: &str| ["/Create", "/SetTenantCategories"].iter().any(|name| labels.contains(name));
        calls.iter().filter(|(labels, _)| !of_site(labels)).map(|(_, count)| count).sum::<f64>()
    };
    let all = f64::from(u32::try_from(ROUNDS * (CALLS + 1)).expect("few"));
    until("they are counted", || async { counted().await >= all }).await;
    assert_eq!(counted().await, all);
    let mut locked = pool.begin().await.expect("begun");
    sqlx::query("lock table tenant, run_history in access exclusive mode").execute(&mut *locked).await.expect("locked");
    let (peer, token) = (Peer::connect(stage.server.address, address(1), 1 << 20), stage.target().administrator);
    let peer = peer.await.expect("connected");
    for _ in 0..12 {
        send(&peer, GET, &token, &get()).await;
    }
    let statement = "select id, display_name%from tenant where id = $1";
    until("they work", || async { stuck(&pool, statement).await >= SHARE }).await;
    client.get_platform_category("cafe").send().await.expect("another caller has connections");
    assert_eq!(stuck(&pool, statement).await, SHARE);
    // A place of an expensive kind is there, too.
    send(&peer, STATS, &token, &GetSyncStatsRequest::default()).await;
    until("it works", || async { stuck(&pool, "%").await > SHARE }).await;
    locked.rollback().await.expect("unlocked");
    peer.sees("their ends", |seen| seen.ended() == 13).await;
}
