//! Connections that have reached their maximum age: they move on, and nobody who calls notices.

use category_mirror_client::Strategy;

use super::{
    abandoning::STREAM,
    attacks::{CHECK, address, watch},
    peer::{Peer, message},
    site::Stage,
};

const SHORT_LIVED: &[(&str, &str)] = &[("MAX_CONNECTION_AGE", "500ms"), ("MAX_CONNECTION_AGE_GRACE", "20s")];

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_goes_on_over_one_connection_after_the_other_and_a_stream_is_resumed() {
    let stage = Stage::open(SHORT_LIVED, 0).await;
    let client = stage.client_that_retries();
    stage.site().load(&client).await;
    let mut everything = client.watch_all().send();
    let watching = async {
        let mut ends = 0;
        while ends < 5 {
            let run = everything.next().await.expect("it has no end").expect("it is resumed");
            ends += usize::from(run.is_terminal());
        }
    };
    // Until enough ends were seen: one that falls between two connections is not told to whoever never heard of the run.
    let calling = async {
        loop {
            let accepted = client.mirror("store", Strategy::PlatformToGbp).dry_run(true).send().await;
            let name = accepted.expect("accepted").run.name;
            let began = std::time::Instant::now();
            while began.elapsed() < std::time::Duration::from_millis(700)
                || !client.get_run(&*name).send().await.expect("read").is_terminal()
            {
                client.get_tenant("store").send().await.expect("no call is lost");
            }
        }
    };
    let both = Box::pin(async {
        tokio::select! {
            () = watching => {}
            () = calling => {}
        }
    });
    tokio::time::timeout(std::time::Duration::from_secs(60), both).await.expect("all ends arrive");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_is_asked_to_move_on_and_its_streams_end() {
    let stage = Stage::open(SHORT_LIVED, 0).await;
    let target = stage.target();
    let peer = Peer::connect(target.grpc, address(1), 65_535).await.expect("connected");
    let everything = message(b"\x0a\x09tenants/-");
    let stream = peer.call(STREAM, Some(&target.viewer)).await.expect("sent");
    peer.send(stream, &everything, true).await.expect("sent");
    watch(&peer).await.expect("sent");
    let stream = peer.call(CHECK, None).await.expect("sent");
    peer.send(stream, &message(&[]), true).await.expect("sent");
    peer.sees("a goodbye", |seen| seen.goaway).await;
    peer.sees("the ends of both streams", |seen| seen.ended() == 3).await;
    peer.sees("its end, long before the grace period's", |seen| seen.closed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_does_not_end_is_cut_off_after_the_grace_period() {
    let stage = Stage::open(&[("MAX_CONNECTION_AGE", "500ms"), ("MAX_CONNECTION_AGE_GRACE", "500ms")], 0).await;
    let target = stage.target();
    let peer = Peer::connect(target.grpc, address(1), 65_535).await.expect("connected");
    peer.call(STREAM, Some(&target.viewer)).await.expect("sent");
    peer.sees("its end", |seen| seen.closed).await;
    assert!(peer.seen().goaway);
}
