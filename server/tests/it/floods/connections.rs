//! The short forms of floods of connections.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use super::{
    attacks::{CHECK, address, begin, closed},
    peer::{Peer, message, tcp},
    site::Stage,
};

/// Longer than anything takes that a test waits for.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_stops_at_any_step_is_closed() {
    let stage = Stage::open(&[("CONNECTION_HANDSHAKE_TIMEOUT", "1s")], 0).await;
    let steps = (0..8).map(|n| {
        let server = if n == 7 { stage.server.admin } else { stage.server.address };
        async move {
            let stream = begin(server, n).await.expect("connected");
            timeout(ARRIVAL_TIMEOUT, closed(stream)).await.unwrap_or_else(|_| panic!("step {n} is kept"));
        }
    });
    join_all(steps).await;
    let silent_admin = tcp(stage.server.admin, address(0)).await.expect("connected");
    timeout(ARRIVAL_TIMEOUT, closed(silent_admin)).await.expect("a silent connection on the admin port is kept");
    let refused = stage.metrics("category_mirror_refused_connections_total").await;
    assert!(refused["{port=\"admin\",reason=\"timeout\"}"] >= 2.0, "{refused:?}");
    assert!(refused["{port=\"grpc\",reason=\"timeout\"}"] >= 4.0, "{refused:?}");
    assert!(stage.server.has_logged("connections refused"));
    stage.client().get_sync_stats().send().await.expect("a valid caller is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_as_many_silent_connections_as_there_are_places_a_caller_is_served_and_runs_are_carried_out() {
    let stage = Stage::open(&[("DESCRIPTORS", "600")], 0).await;
    let mut silent = Vec::new();
    for n in 0..700 {
        // One that is refused is reset, sometimes before it could send anything.
        silent.extend(begin(if n % 8 == 7 { stage.server.admin } else { stage.server.address }, n).await);
    }
    let client = stage.client();
    stage.site().load(&client).await;
    let run = stage.site().trigger(&client).await;
    let mut snapshots = client.watch_run(&run).send();
    while timeout(ARRIVAL_TIMEOUT, snapshots.next())
        .await
        .expect("it goes on")
        .transpose()
        .expect("a snapshot")
        .is_some()
    {}
    assert_eq!(stage.server.healthz().await, 200);
    let connections = stage.metrics("category_mirror_connections").await;
    assert!(connections["{port=\"grpc\"}"] <= 300.0, "{connections:?}");
    let refused = stage.metrics("category_mirror_refused_connections_total").await;
    assert!(refused["{port=\"grpc\",reason=\"displaced\"}"] >= 200.0, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_take_the_places_of_others_even_with_calls() {
    let stage = Stage::open(&[("MAX_CONNECTIONS", "20"), ("MAX_CONNECTIONS_PER_ADDRESS", "5")], 0).await;
    let first = stage.client();
    first.get_sync_stats().send().await.expect("served");
    let mut peers = Vec::new();
    for _ in 0..30 {
        let Ok(peer) = Peer::connect(stage.server.address, address(1), 65_535).await else { continue };
        if let Ok(stream) = peer.call(CHECK, None).await {
            let _ = peer.send(stream, &message(&[]), true).await;
        }
        peers.push(peer);
    }
    let refused = stage.metrics("category_mirror_refused_connections_total").await;
    assert!(refused["{port=\"grpc\",reason=\"displaced\"}"] >= 25.0, "{refused:?}");
    let connections = stage.metrics("category_mirror_connections").await;
    assert!(connections["{port=\"grpc\"}"] <= 6.0, "{connections:?}");
    first.get_sync_stats().send().await.expect("its connection is kept");
    stage.client().get_sync_stats().send().await.expect("another one is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections_with_tokens_are_refused_and_counted() {
    let stage = Stage::open(&[("MAX_CONNECTIONS", "2")], 0).await;
    let clients = [stage.client(), stage.client()];
    for client in &clients {
        client.get_sync_stats().send().await.expect("served");
    }
    let third = stage.client().get_sync_stats().send().await.expect_err("no place");
    assert!(third.is_unavailable(), "{third}");
    let refused = stage.metrics("category_mirror_refused_connections_total").await;
    assert!(refused["{port=\"grpc\",reason=\"total\"}"] >= 1.0, "{refused:?}");
    for client in &clients {
        client.get_sync_stats().send().await.expect("they go on");
    }
}
