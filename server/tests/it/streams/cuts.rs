//! Streams over connections that break, each after a number of bytes that a seed gives.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use category_mirror_client::{Client, Items, RetryPolicy, Run, RunState, Strategy};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::WAIT_TIMEOUT;
use crate::service::{self, Service, Setup};

const CUTS: usize = 200;
const SEED: u64 = 20_261_124;
/// The most that a connection lets through of the server's answers: its begin, and some snapshots.
const MOST_BYTES: usize = 6_000;

/// A TCP proxy whose first [`CUTS`] connections break.
struct Cutter {
    address: SocketAddr,
    cuts: watch::Receiver<usize>,
}

impl Cutter {
    async fn before(server: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (cut, cuts) = watch::channel(0);
        let mut random = fastrand::Rng::with_seed(seed);
        tokio::spawn(async move {
            let begun = Arc::new(AtomicUsize::new(0));
            while let Ok((client, _)) = listener.accept().await {
                let is_cut = begun.fetch_add(1, Ordering::Relaxed) < CUTS;
                let bytes = is_cut.then(|| random.usize(..MOST_BYTES));
                let cut = cut.clone();
                tokio::spawn(async move {
                    // An error is a connection's end, as any other.
                    let _ = carry(client, server, bytes).await;
                    cut.send_modify(|cuts| *cuts += usize::from(is_cut));
                });
            }
        });
        Self { address, cuts }
    }

    fn client(&self, token: String) -> Client {
        let again = RetryPolicy::new(u32::MAX, Duration::from_millis(1), Duration::from_millis(5));
        let client = Client::builder(format!("http://{}", self.address)).token(token);
        client.retry(again).reconnect(again).build().expect("a client")
    }

    async fn are_over(&mut self) {
        self.cuts.wait_for(|cuts| *cuts >= CUTS).await.expect("the proxy lives");
    }
}

/// Carries bytes, of the answers only so many.
async fn carry(mut client: TcpStream, server: SocketAddr, bytes: Option<usize>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        let mut left = bytes.unwrap_or(usize::MAX);
        let mut buffer = vec![0; 1024];
        while left > 0 {
            let length = from_server.read(&mut buffer).await?.min(left);
            if length == 0 {
                break;
            }
            to_client.write_all(&buffer[..length]).await?;
            left -= length;
        }
        Ok(())
    };
    tokio::select! {
        end = answers => end,
        end = copy(&mut from_client, &mut to_server) => end.map(drop),
    }
}

/// Reads to the end of the run; the revisions.
async fn follow(mut snapshots: Items<Run>, name: &str) -> Vec<i64> {
    let mut revisions = Vec::new();
    loop {
        let run = snapshots.next().await.expect("not the end").expect("a snapshot");
        assert_eq!(run.name, name);
        revisions.push(run.revision);
        if run.is_terminal() {
            return revisions;
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_200_times_while_a_run_retries_misses_no_end_and_repeats_nothing() {
    let service = service::start_with(Setup { max_attempts: i32::MAX, ..Setup::default() }).await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;
    service.google.fault(json!({"method": "locations.get", "status": 503})).await;
    let token = |service: &Service| service.token(category_mirror::domain::Role::Viewer, "viewer", None);
    let mut cutters = [Cutter::before(service.address, SEED).await, Cutter::before(service.address, SEED + 1).await];
    let run = service.client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;

    let one = follow(cutters[0].client(token(&service)).watch_run(&run.name).send(), &run.name);
    let all = follow(cutters[1].client(token(&service)).watch_all().send(), &run.name);
    let end = async {
        for cutter in &mut cutters {
            cutter.are_over().await;
        }
        service.google.heal().await;
    };
    let (one, all, ()) = timeout(4 * WAIT_TIMEOUT, async { tokio::join!(one, all, end) }).await.expect("in time");

    let last = service.client.get_run(&run.name).send().await.expect("the run");
    assert_eq!(last.state, RunState::Succeeded);
    for revisions in [one, all] {
        assert!(revisions.is_sorted_by(|before, after| before < after), "twice or backwards: {revisions:?}");
        assert_eq!(revisions.last(), Some(&last.revision));
    }
}
