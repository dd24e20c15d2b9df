//! The short forms of floods of callers without a valid token: they keep nobody out, behind the same address neither.

use std::{collections::BTreeMap, net::SocketAddr};

use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::{
    attacks::{CHECK, REFLECTION, WATCH, address, watch},
    peer::{Peer, message},
    site::Stage,
    strangers::{CALLS, Stamped, leave, with_garbage},
};

/// Far more than these may cost.
const FEW_KB: u64 = 60 * 1024;
/// What an answer to a check has at least: the header of a message, and a status.
const ANSWER: usize = 7;

/// Whether a call over a connection of its own is answered with a message.
async fn is_answered(server: SocketAddr, host: usize, path: &str) -> bool {
    let peer = Peer::connect(server, address(host), 65_535).await.expect("connected");
    let stream = peer.call(path, None).await.expect("sent");
    let asked: &[u8] = if path == REFLECTION { &[0x3a, 0] } else { &[] };
    peer.send(stream, &message(asked), path != REFLECTION).await.expect("sent");
    peer.sees(path, |seen| seen.data >= ANSWER || seen.ended() == 1 || seen.closed).await;
    peer.seen().data >= ANSWER
}

/// What a load balancer does, in good order.
async fn is_serving(stage: &Stage) -> bool {
    let mut client = HealthClient::new(stage.server.connect().await);
    let checked = client.check(HealthCheckRequest::default()).await;
    checked.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_left_open_in_any_way_keep_nobody_out_of_health_and_reflection() {
    let stage = Stage::open(&[], 0).await;
    let server = stage.server.address;
    stage.client().get_sync_stats().send().await.expect("it serves");
    for path in [CHECK, REFLECTION] {
        for left in [Stamped::WithoutMessage, Stamped::Unfinished, Stamped::Unread] {
            // From one address, as behind a proxy, and from others.
            let mut peers = Vec::new();
            for host in [1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4] {
                if let Ok(peer) = leave(server, host, path, left).await {
                    peers.push(peer);
                }
            }
            // Some calls were too many: all of them have come.
            let some = peers.iter().map(|peer| Box::pin(peer.sees("an end", |seen| seen.ended() > 0 || seen.closed)));
            futures::future::select_all(some).await;
            for host in [1, 2, 9] {
                assert!(is_answered(server, host, CHECK).await, "{path} {left:?}: a check from {host}");
                assert!(is_answered(server, host, REFLECTION).await, "{path} {left:?}: reflection from {host}");
                assert!(is_answered(server, host, WATCH).await, "{path} {left:?}: a watch from {host}");
            }
            assert!(is_serving(&stage).await, "{path} {left:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_its_part_of_the_watches_and_one_connection_keeps_no_other_one_out() {
    // A quarter of a quarter of all streams.
    let stage = Stage::open(&[("MAX_STREAMS", "1600")], 0).await;
    let server = stage.server.address;
    let mut flood = Vec::new();
    for _ in 0..5 {
        let peer = Peer::connect(server, address(1), 65_535).await.expect("connected");
        for _ in 0..100 {
            watch(&peer).await.expect("sent");
        }
        flood.push(peer);
    }
    for peer in &flood {
        peer.sees("more than a connection may have", |seen| seen.ended() >= 100 - CALLS).await;
    }
    for host in [1, 1, 2] {
        let peer = Peer::connect(server, address(host), 65_535).await.expect("connected");
        watch(&peer).await.expect("sent");
        peer.sees("its answer", |seen| seen.data >= ANSWER || seen.ended() > 0).await;
        assert_eq!((peer.seen().data, peer.seen().ended()), (ANSWER, 0), "{host}");
        flood.push(peer);
    }
    let (streams, open) = (stage.metrics("category_mirror_open_streams").await[""], |peer: &Peer| peer.seen().ended());
    assert!(streams <= 101.0, "{streams}");
    assert_eq!(flood[5..].iter().map(open).sum::<usize>(), 0, "those who hold one each keep it");
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_whose_message_never_comes_take_no_place() {
    let stage = Stage::open(&[("MAX_STREAMS", "40")], 0).await;
    let server = stage.server.address;
    let peer = leave(server, 1, WATCH, Stamped::WithoutMessage).await.expect("sent");
    for host in [1, 2] {
        assert!(is_answered(server, host, WATCH).await, "{host}");
    }
    peer.sees("their ends", |seen| seen.ended() == CALLS).await;
}

/// Calls by their codes.
async fn codes(stage: &Stage) -> BTreeMap<String, f64> {
    stage.metrics("category_mirror_calls_total").await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_for_keys_are_few_and_a_known_key_waits_for_none() {
    const REFUSED: &str = "{rpc=\"categorymirror.v1.TenantService/ListTenants\",code=\"UNAVAILABLE\"}";
    const FLOOD: usize = 4 * 900;
    let stage = Stage::open_with_provider(&[("AUTH_JWKS_MAX_STALENESS", "20s")]).await;
    let valid = stage.client();
    valid.get_sync_stats().send().await.expect("a known key");
    let before = stage.resident_kb();
    let mut refused = 0.0;
    let mut floods = 0;
    // A fetch that ends before the flood has come holds nobody up: then the next one is met.
    while refused < 0.9 * FLOOD as f64 {
        assert!(floods < 5, "{:?}", codes(&stage).await);
        floods += 1;
        let (stranger, asked) =
            (Peer::connect(stage.server.address, address(1), 65_535).await, stage.provider().asked());
        let stranger = stranger.expect("connected");
        while stage.provider().asked() == asked {
            with_garbage(&stranger, 1).await.expect("sent");
            valid.get_sync_stats().send().await.expect("a known key");
        }
        let mut peers = Vec::new();
        for _ in 0..4 {
            let peer = Peer::connect(stage.server.address, address(1), 65_535).await.expect("connected");
            with_garbage(&peer, FLOOD / 4).await.expect("sent");
            peers.push(peer);
        }
        valid.get_sync_stats().send().await.expect("a known key");
        // All but a few, at once; or all, when the fetch has ended.
        for peer in &peers {
            peer.sees("refusals", |seen| seen.ended() >= FLOOD / 4 - 64).await;
        }
        let resident = stage.resident_kb();
        assert!(resident < before + FEW_KB, "{before} kB, and then {resident} kB");
        refused = codes(&stage).await.get(REFUSED).copied().unwrap_or_default();
        stage.provider().release();
        for peer in &peers {
            peer.sees("the others", |seen| seen.ended() == FLOOD / 4).await;
        }
    }
    // Far less than once a call.
    assert!(stage.provider().asked() < 40, "{}", stage.provider().asked());
    stage.client().get_sync_stats().send().await.expect("served");
}
