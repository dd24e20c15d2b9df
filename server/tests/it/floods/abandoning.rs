//! Attacks by calls that are given up. Each goes on until it is dropped.

use std::time::Duration;

use category_mirror_proto::v1::{
    GetTenantRequest, MirrorCategoriesRequest, StreamRunUpdatesRequest,
    mirror_categories_request::Target as AcceptedRun,
};
use futures::future::join_all;
use prost::Message;
use sqlx::PgPool;
use tokio::time::sleep;

use super::{
    attacks::{WIDE, address, for_ever},
    peer::{Peer, message},
    site::Target,
};

pub(super) const GET: &str = "/categorymirror.v1.TenantService/GetTenant";
pub(super) const STREAM: &str = "/categorymirror.v1.CategoryMirrorService/StreamRunUpdates";

pub(super) const MIRROR: &str = "/categorymirror.v1.CategoryMirrorService/MirrorCategories";

/// Sends a whole call, and leaves it at that.
pub(super) async fn send(peer: &Peer, path: &str, token: &str, asked: &impl Message) {
    let stream = peer.call(path, Some(token)).await.expect("sent");
    peer.send(stream, &message(&asked.encode_to_vec()), true).await.expect("sent");
}

/// A request for a run of `store`.
pub(super) fn mirror(n: usize, plan: &str) -> MirrorCategoriesRequest {
    let target = Some(AcceptedRun::Tenant("tenants/store".to_owned()));
    let (plan, request_id) = (plan.to_owned(), format!("request-{n}"));
    MirrorCategoriesRequest { strategy: 1, target, plan, request_id, ..Default::default() }
}

/// Backends that carry out such a statement, and wait for a lock.
pub(super) async fn stuck(pool: &PgPool, statement: &str) -> i64 {
    let stuck = "select count(*) from pg_stat_activity
                  where datname = current_database() and wait_event_type = 'Lock' and query like $1";
    sqlx::query_scalar(stuck).bind(statement).fetch_one(pool).await.expect("read")
}

/// Begins to open a stream of everything.
pub(super) async fn open_stream(peer: &Peer, token: &str) -> std::io::Result<u32> {
    let everything = StreamRunUpdatesRequest { name: "tenants/-".to_owned(), ..Default::default() }.encode_to_vec();
    let stream = peer.call(STREAM, Some(token)).await?;
    peer.send(stream, &message(&everything), true).await?;
    Ok(stream)
}

/// Begins to get a tenant.
pub(super) async fn get(peer: &Peer, token: &str, timeout: Option<&str>) -> std::io::Result<u32> {
    let tenant = GetTenantRequest { name: "tenants/store".to_owned() }.encode_to_vec();
    let stream = peer.call_within(GET, Some(token), timeout).await?;
    peer.send(stream, &message(&tenant), true).await?;
    Ok(stream)
}

/// Calls of one viewer that are given up as soon as they may have begun.
pub(super) async fn cancelled(target: Target) {
    let one = |n: usize| {
        let target = &target;
        for_ever(move || async move {
            let Ok(peer) = Peer::connect(target.grpc, address(n), WIDE).await else { return };
            for _ in 0..1000 {
                let begun = join_all((0..8).map(|_| get(&peer, &target.viewer, None))).await;
                // About as long as a statement takes: some have not begun, some are under way, and some have ended.
                sleep(Duration::from_millis(3)).await;
                for stream in begun {
                    let Ok(stream) = stream else { return };
                    if peer.reset(stream).await.is_err() {
                        return;
                    }
                }
            }
        })
    };
    join_all((0..8).map(one)).await;
}

/// Calls of one viewer with deadlines that pass while they are under way.
pub(super) async fn deadlines(target: Target) {
    let one = |n: usize| {
        let target = &target;
        for_ever(move || async move {
            let Ok(peer) = Peer::connect(target.grpc, address(n), WIDE).await else { return };
            for round in 0..1000 {
                let timeout = format!("{}u", 500 + 500 * (round % 8));
                let begun = join_all((0..8).map(|_| get(&peer, &target.viewer, Some(&timeout)))).await;
                if begun.iter().any(Result::is_err) {
                    return;
                }
                peer.sees("their ends", |seen| seen.closed || seen.ended() >= 8 * (round + 1)).await;
            }
        })
    };
    join_all((0..8).map(one)).await;
}

/// Streams of one viewer that are given up as soon as they are open, and so while they read.
pub(super) async fn abandoned_streams(target: Target) {
    let one = |n: usize| {
        let target = &target;
        for_ever(move || async move {
            let Ok(peer) = Peer::connect(target.grpc, address(n), WIDE).await else { return };
            for n in 1..=1000 {
                let Ok(stream) = open_stream(&peer, &target.viewer).await else { return };
                peer.sees("an open stream", |seen| seen.answered() >= n || seen.closed).await;
                if peer.reset(stream).await.is_err() {
                    return;
                }
            }
        })
    };
    join_all((0..16).map(one)).await;
}
