//! The short forms of floods of requests.

use futures::future::join_all;

use super::{
    attacks::{
        CHECK, IMPORT, MAX_IMPORT, REFLECTION, WATCH, WIDE, address, almost_import, empty_items, list, open_streams,
        watch,
    },
    peer::{Peer, announce, frame},
    site::Stage,
};

/// Far more than any of these may cost, and far less than what they cost before they were bounded.
const FEW_KB: u64 = 60 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_without_a_token_is_refused_at_once_and_reserves_nothing() {
    let stage = Stage::open(&[], 0).await;
    let before = stage.resident_kb();
    for path in [CHECK, REFLECTION, WATCH] {
        let peer = Peer::connect(stage.server.address, address(1), 65_535).await.expect("connected");
        // As many as a connection may have at once.
        for _ in 0..200 {
            let stream = peer.call(path, None).await.expect("sent");
            peer.write(&frame(0, 0, stream, &announce(MAX_IMPORT))).await.expect("sent");
        }
        peer.sees(path, |seen| seen.ended() == 200).await;
    }
    assert!(stage.resident_kb() < before + FEW_KB, "{before} kB, and then {} kB", stage.resident_kb());
    stage.client().get_sync_stats().send().await.expect("a valid caller is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_token_ends_although_its_message_never_does() {
    let stage = Stage::open(&[("CALL_TIMEOUT", "1s")], 0).await;
    let peer = Peer::connect(stage.server.address, address(1), 65_535).await.expect("connected");
    for path in [CHECK, REFLECTION, WATCH] {
        let stream = peer.call(path, None).await.expect("sent");
        peer.write(&frame(0, 0, stream, &announce(100))).await.expect("sent");
    }
    peer.sees("their ends", |seen| seen.ended() == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_that_goes_on_for_ever_ends() {
    let stage = Stage::open(&[("CALL_TIMEOUT", "1s")], 0).await;
    let peer = Peer::connect(stage.server.address, address(1), 65_535).await.expect("connected");
    let _stream = peer.call(REFLECTION, None).await.expect("sent");
    peer.sees("its end", |seen| seen.ended() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_of_health_are_counted_and_hear_of_changes_only() {
    // One address may have them all, as behind a proxy.
    let stage = Stage::open(&[("MAX_STREAMS", "40"), ("MAX_CONNECTIONS_PER_ADDRESS", "4096")], 0).await;
    let peer = Peer::connect(stage.server.address, address(1), 65_535).await.expect("connected");
    for _ in 0..30 {
        watch(&peer).await.expect("sent");
    }
    // A quarter of all streams: the others are for those who have a token.
    peer.sees("the refusals", |seen| seen.ended() == 20).await;
    assert_eq!(stage.metrics("category_mirror_open_streams").await[""], 10.0);
    peer.sees("ten answers", |seen| seen.data >= 10 * 7).await;
    let told = peer.seen().data;
    // What takes longer than the database is asked for health: the next run's samples, a call, and its own answer.
    let client = stage.client();
    let began = std::time::Instant::now();
    while began.elapsed() < std::time::Duration::from_millis(2500) {
        client.get_sync_stats().send().await.expect("served");
    }
    assert_eq!(peer.seen().data, told, "nothing has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_millions_of_empty_items_is_refused_before_it_is_decoded() {
    let stage = Stage::open(&[], 0).await;
    let before = stage.resident_kb();
    let target = stage.target();
    let peer = Peer::connect(target.grpc, address(1), 65_535).await.expect("connected");
    let items = empty_items();
    for round in 1..=3 {
        let stream = peer.call(IMPORT, Some(&target.administrator)).await.expect("sent");
        peer.send(stream, &items, true).await.expect("sent");
        peer.sees("the refusal", |seen| seen.ended() == round).await;
    }
    assert!(stage.resident_kb() < before + FEW_KB, "{before} kB, and then {} kB", stage.resident_kb());
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_imports_share_a_budget_and_leave_room_for_others() {
    let stage = Stage::open(&[("REQUEST_MEMORY_BYTES", "67108864")], 0).await;
    let before = stage.resident_kb();
    let target = stage.target();
    let peer = Peer::connect(target.grpc, address(1), 65_535).await.expect("connected");
    let refused = async {
        // A third of the budget is for one caller: five of these fit into it, and not even these together with what each call costs.
        peer.sees("refusals", |seen| seen.ended() >= 35).await;
    };
    let calls = (0..40).map(|_| almost_import(&peer, &target.administrator));
    tokio::select! {
        () = refused => {}
        _ = join_all(calls) => panic!("they never end"),
    }
    assert!(stage.resident_kb() < before + FEW_KB, "{before} kB, and then {} kB", stage.resident_kb());
    stage.site().load(&stage.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_nobody_reads_hold_little_and_the_others_go_on() {
    const STREAMS: u16 = 40;
    const RUNS: u64 = 2000;
    let stage = Stage::open(&[("RUNNER_CONCURRENCY", "0"), ("RATE_LIMIT_PER_SECOND", "0")], RUNS).await;
    let before = stage.resident_kb();
    let target = stage.target();
    let opened = [65_535, WIDE, 1].map(|window| open_streams(&target, window, STREAMS.into()));
    let _peers: Vec<Peer> = join_all(opened).await.into_iter().map(|peer| peer.expect("open")).collect();
    // All are open, and hold what they will hold: another stream of the same is read to the last run.
    let mut all = stage.client_that_retries().watch_all().send();
    for _ in 0..RUNS {
        all.next().await.expect("not the end").expect("a run");
    }
    assert_eq!(stage.metrics("category_mirror_open_streams").await[""], f64::from(3 * STREAMS + 1));
    assert!(stage.resident_kb() < before + FEW_KB, "{before} kB, and then {} kB", stage.resident_kb());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_answers_nobody_reads_is_closed_and_others_are_not() {
    let stage = Stage::open(&[("RUNNER_CONCURRENCY", "0")], 5000).await;
    let before = stage.resident_kb();
    let target = stage.target();
    let reading = stage.client();
    reading.get_sync_stats().send().await.expect("served");
    let peer = Peer::connect(target.grpc, address(1), 0).await.expect("connected");
    let asks = async {
        while list(&peer, &target.viewer).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = peer.sees("the end of the connection", |seen| seen.closed) => {}
        () = asks => {}
    }
    assert!(stage.resident_kb() < before + 2 * FEW_KB, "{before} kB, and then {} kB", stage.resident_kb());
    reading.get_sync_stats().send().await.expect("served as before");
}
