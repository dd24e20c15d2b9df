//! Calls with as many headers as they may have.

use category_mirror_proto::v1::ListTenantsRequest;

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
    let stage = Stage::open(&[("RATE_LIMIT", "0")], 0).await;
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

/// Streams whose headers are as large as they may be, over many connections of one address, without a token.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute, and prints what it measures"]
async fn many_streams_with_the_largest_headers_at_once() {
    let stage = Stage::open(&[], 0).await;
    let before = stage.resident_kb();
    let names = names();
    let names = &names;
    for path in [LIST, CHECK] {
        let mut peers = Vec::new();
        for _ in 0..100 {
            peers.push(Peer::connect(stage.server.address, address(1), 65_535).await.expect("connected"));
        }
        let calls = peers.iter().map(|peer| async move {
            for _ in 0..1200 {
                if peer.call_with(path, None, names).await.is_err() {
                    return;
                }
            }
        });
        let flood = futures::future::join_all(calls);
        let mut most = 0;
        let watch = async {
            loop {
                most = most.max(stage.resident_kb());
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let flood = tokio::time::timeout(std::time::Duration::from_secs(40), flood);
        tokio::select! { _ = watch => {}, _ = flood => {} }
        let ended: usize = peers.iter().map(|peer| peer.seen().ended()).sum();
        println!("{path}: {before} kB before, {most} kB at most, {ended} ended");
    }
}
