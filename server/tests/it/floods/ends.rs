//! Calls whose message does not end as usual: what their caller may hold of the database is the same.

use category_mirror_proto::v1::GetTenantRequest;
use prost::Message;

use super::{
    abandoning::{GET, stuck},
    attacks::address,
    peer::{Peer, message},
    site::Stage,
};
use crate::pooler::has_few_sessions;

/// A caller's share of the connections that calls have, which are 20.
const SHARE: i64 = 10;

/// How a call's message ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Trailers,
    Reset,
}

/// Has one caller get a locked tenant, with messages that end so.
async fn get_until(end: End, most: i64) {
    let stage = Stage::open(&[("RATE_LIMIT_PER_SECOND", "0"), ("RUNNER_CONCURRENCY", "0")], 0).await;
    let client = stage.client();
    stage.site().load(&client).await;
    let pool = stage.site().pool();
    let mut locked = pool.begin().await.expect("begun");
    sqlx::query("lock table tenant in access exclusive mode").execute(&mut *locked).await.expect("locked");
    let peer = Peer::connect(stage.server.address, address(1), 1 << 20).await.expect("connected");
    let asked = message(&GetTenantRequest { name: "tenants/store".to_owned() }.encode_to_vec());
    let get = "select id, display_name%from tenant where id = $1";
    for _ in 0..40 {
        let stream = peer.call(GET, Some(&stage.target().viewer)).await.expect("sent");
        peer.send(stream, &asked, false).await.expect("sent");
        match end {
            End::Trailers => peer.trailers(stream, "x").await.expect("sent"),
            End::Reset => peer.reset(stream).await.expect("sent"),
        }
    }
    // One that is answered after those before it have had their time.
    client.get_platform_category("cafe").send().await.expect("another caller has connections");
    let last = peer.call_within(GET, Some(&stage.site().token()), Some("700m")).await.expect("sent");
    peer.send(last, &asked, true).await.expect("sent");
    peer.sees("the deadline", |seen| seen.has_ended(last)).await;
    client.get_platform_category("cafe").send().await.expect("another caller has connections");
    assert_eq!(stuck(&pool, get).await, most + 1, "{end:?}, and the last one");
    locked.rollback().await.expect("unlocked");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_whose_message_ends_with_trailers_have_their_callers_share() {
    if has_few_sessions() {
        return;
    }
    get_until(End::Trailers, SHARE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_reset_before_their_message_ends_begin_nothing() {
    if has_few_sessions() {
        return;
    }
    get_until(End::Reset, 0).await;
}
