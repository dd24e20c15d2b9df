//! Calls with as many headers as they may have.

use std::time::Duration;

use category_mirror_proto::v1::ListTenantsRequest;
use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::{
    abandoning::send,
    attacks::{CHECK, LIST, address},
    peer::{Peer, message},
    site::Stage,
};

/// Far more than the calls may cost.
const FEW_KB: u64 = 120 * 1024;

/// Names of headers that are empty: almost as many as HTTP/2 lets in.
fn names() -> Vec<String> {
    (0..400).map(|n| format!("x{n}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_with_hundreds_of_empty_headers_hold_no_more_than_others() {
    let stage = Stage::open(&[("RATE_LIMIT_PER_SECOND", "0")], 0).await;
    let before = stage.resident_kb();
    let names = names();
    let mut peers = Vec::new();
    for _ in 0..2 {
        let peer = Peer::connect(stage.server.address, address(1), 65_535).await.expect("connected");
        for _ in 0..900 {
            let stream = peer.call_with(LIST, Some(&stage.target().viewer), &names).await.expect("sent");
            // Its end does not come.
            peer.send(stream, &message(&[]), false).await.expect("sent");
        }
        // This one is answered after those before it have begun.
        send(&peer, LIST, &stage.target().viewer, &ListTenantsRequest::default()).await;
        peer.sees("an answer", |seen| seen.ended() >= 1).await;
        peers.push(peer);
    }
    assert!(stage.resident_kb() < before + FEW_KB, "{before} kB, and then {} kB", stage.resident_kb());
    stage.client().get_sync_stats().send().await.expect("served");
}

/// Begins calls without a token over connections of one address, all at once, and returns how much memory the server had before, and at most.
async fn begin_at_once(connections: usize, calls: usize, path: &str) -> (u64, u64) {
    let stage = Stage::open(&[], 0).await;
    let (before, names) = (stage.resident_kb(), &names());
    let mut peers = Vec::new();
    for _ in 0..connections {
        peers.push(Peer::connect(stage.server.address, address(1), 65_535).await.expect("connected"));
    }
    let flood = join_all(peers.iter().map(|peer| async move {
        for _ in 0..calls {
            // A connection may be closed in the middle: that is as well.
            if peer.call_with(path, None, names).await.is_err() {
                return;
            }
        }
    }));
    let mut most = before;
    let watch = async {
        loop {
            most = most.max(stage.resident_kb());
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = watch => {}
        flooded = timeout(Duration::from_secs(40), flood) => drop(flooded),
    }
    (before, most)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_begin_at_once_without_a_token_hold_little_before_they_are_looked_at() {
    for path in [LIST, CHECK] {
        let (before, most) = begin_at_once(10, 600, path).await;
        assert!(most < before + FEW_KB, "{path}: {before} kB, and then {most} kB");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute, and prints what it measures"]
async fn calls_that_begin_at_once_over_a_hundred_connections() {
    for path in [LIST, CHECK] {
        let (before, most) = begin_at_once(100, 1200, path).await;
        println!("{path}: {before} kB before, {most} kB at most");
    }
}
