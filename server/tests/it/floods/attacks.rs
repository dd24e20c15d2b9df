//! The attacks. Each goes on until it is dropped.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use category_mirror_proto::v1::{ImportTenantsRequest, ListTenantsRequest, TenantImport};
use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all, pending},
    stream,
};
use prost::Message;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    abandoning::{abandoned_streams, cancelled, deadlines, open_stream},
    peer::{PREFACE, Peer, announce, message, tcp},
    site::Target,
    strangers,
};

pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";
pub(super) const WATCH: &str = "/grpc.health.v1.Health/Watch";
pub(super) const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
pub(super) const IMPORT: &str = "/categorymirror.v1.TenantService/ImportTenants";
pub(super) const LIST: &str = "/categorymirror.v1.TenantService/ListTenants";
pub(super) const MAX_IMPORT: usize = 4 * 1024 * 1024;
/// The window of a client that lets everything come.
pub(super) const WIDE: u32 = 1 << 30;

/// A flood of the long form.
pub(super) struct Flood {
    pub(super) name: &'static str,
    /// Settings of the server beside the usual ones.
    pub(super) settings: &'static [(&'static str, &'static str)],
    /// Tenants with a run that waits.
    pub(super) runs: u64,
    pub(super) attack: fn(Target) -> BoxFuture<'static, ()>,
}

/// All of them.
pub(super) const FLOODS: &[Flood] = &[
    // What the figures of the others are to be compared with.
    Flood { name: "none", settings: &[], runs: 0, attack: |_| pending().boxed() },
    Flood { name: "announced", settings: &[], runs: 0, attack: |target| announced(target).boxed() },
    Flood { name: "silent", settings: &[("DESCRIPTORS", "1024")], runs: 0, attack: |target| silent(target).boxed() },
    Flood { name: "watches", settings: &[], runs: 0, attack: |target| watches(target).boxed() },
    Flood { name: "import", settings: &[], runs: 0, attack: |target| import(target).boxed() },
    Flood { name: "unfinished", settings: &[], runs: 0, attack: |target| unfinished(target).boxed() },
    Flood {
        name: "unread-streams",
        settings: &[("RUNNER_CONCURRENCY", "4"), ("RATE_LIMIT_PER_SECOND", "0")],
        runs: 25_000,
        attack: |target| unread_streams(target).boxed(),
    },
    Flood {
        name: "keys",
        settings: &[("KEY_PROVIDER", "slow"), ("AUTH_JWKS_MAX_STALENESS", "20s")],
        runs: 0,
        attack: |target| strangers::keys(target).boxed(),
    },
    Flood { name: "left-open", settings: &[], runs: 0, attack: |target| strangers::left_open(target).boxed() },
    Flood {
        name: "watches-of-one-address",
        settings: &[],
        runs: 0,
        attack: |target| strangers::watches_of_one_address(target).boxed(),
    },
    Flood { name: "cancelled", settings: &[], runs: 0, attack: |target| cancelled(target).boxed() },
    Flood { name: "deadlines", settings: &[], runs: 0, attack: |target| deadlines(target).boxed() },
    Flood { name: "abandoned-streams", settings: &[], runs: 1000, attack: |target| abandoned_streams(target).boxed() },
    Flood { name: "unread-answers", settings: &[], runs: 25_000, attack: |target| unread_answers(target).boxed() },
];

/// One of many addresses of this machine, none of which is the valid caller's.
pub(super) fn address(n: usize) -> IpAddr {
    IpAddr::from([127, 1, u8::try_from(n / 200 % 200).expect("small"), u8::try_from(n % 200 + 1).expect("small")])
}

pub(super) async fn for_ever<F: Future<Output = ()>>(again: impl Fn() -> F) {
    loop {
        again().await;
        // A connection that was refused is tried again, but not as fast as the machine can.
        sleep(Duration::from_millis(20)).await;
    }
}

/// Messages without a token whose length is announced and which never come: 4 MiB each, for 5 bytes.
async fn announced(target: Target) {
    let one = |n: usize| {
        let server = target.grpc;
        for_ever(move || async move {
            let Ok(peer) = Peer::connect(server, address(n), 65_535).await else { return };
            for path in [CHECK, REFLECTION, WATCH].into_iter().cycle().take(240) {
                let Ok(stream) = peer.call(path, None).await else { return };
                if peer.write(&super::peer::frame(0, 0, stream, &announce(MAX_IMPORT))).await.is_err() {
                    return;
                }
            }
            sleep(Duration::from_secs(3)).await;
        })
    };
    join_all((0..16).map(one)).await;
}

/// Connections that stop at any step, on both ports.
async fn silent(target: Target) {
    let one = |n: usize| {
        let target = target.clone();
        for_ever(move || {
            let target = target.clone();
            async move {
                let server = if n % 8 == 7 { target.admin } else { target.grpc };
                // Kept until the server closes it, or another attempt is due.
                if let Ok(stream) = begin(server, n).await {
                    let _ = timeout(Duration::from_secs(20), closed(stream)).await;
                }
            }
        })
    };
    join_all((0..5000).map(one)).await;
}

/// Opens a connection that stops at step `n`.
pub(super) async fn begin(server: SocketAddr, n: usize) -> std::io::Result<TcpStream> {
    let mut stream = tcp(server, address(n)).await?;
    let half_a_request = b"GET /metrics HTTP/1.1\r\nhost: a\r\nx-";
    let settings = super::peer::frame(4, 0, 0, &[]);
    let half_headers = super::peer::frame(1, 0, 1, &[0, 1, b'a', 1, b'b']);
    let bytes = match n % 8 {
        0 => vec![],
        // What TLS begins with.
        1 => vec![0x16, 3, 1],
        2 => PREFACE[..10].to_vec(),
        3 => PREFACE.to_vec(),
        4 => [PREFACE, &settings].concat(),
        5 => [PREFACE, &settings, &half_headers].concat(),
        6 => [PREFACE, &settings, &half_headers[..7]].concat(),
        _ => half_a_request.to_vec(),
    };
    stream.write_all(&bytes).await?;
    Ok(stream)
}

/// Waits until the server has closed the connection.
pub(super) async fn closed(mut stream: TcpStream) {
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

/// Watches of health, as many as there are streams in all and more.
async fn watches(target: Target) {
    let one = |n: usize| {
        let server = target.grpc;
        for_ever(move || async move {
            let Ok(peer) = Peer::connect(server, address(n), 65_535).await else { return };
            for _ in 0..1200 {
                if watch(&peer).await.is_err() {
                    return;
                }
                // What they hold is the point, not how fast a machine opens them.
                sleep(Duration::from_millis(20)).await;
            }
            sleep(Duration::from_secs(5)).await;
        })
    };
    join_all((0..24).map(one)).await;
}

pub(super) async fn watch(peer: &Peer) -> std::io::Result<()> {
    let stream = peer.call(WATCH, None).await?;
    peer.send(stream, &message(&[]), true).await
}

/// The largest import, of 2.1 million empty items.
pub(super) fn empty_items() -> Vec<u8> {
    let one = ImportTenantsRequest { tenants: vec![TenantImport::default()], ..Default::default() }.encode_to_vec();
    message(&one.repeat(MAX_IMPORT / one.len()))
}

async fn import(target: Target) {
    let items = empty_items();
    let one = |n: usize| {
        let (target, items) = (&target, &items);
        for_ever(move || async move {
            let Ok(peer) = Peer::connect(target.grpc, address(n), 65_535).await else { return };
            for round in 1..10 {
                let Ok(stream) = peer.call(IMPORT, Some(&target.administrator)).await else { return };
                let sent = timeout(Duration::from_secs(5), peer.send(stream, items, true)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
                peer.sees("an answer", |seen| seen.ended() >= round || seen.closed).await;
            }
        })
    };
    join_all((0..4).map(one)).await;
}

/// Imports that lack their last byte.
async fn unfinished(target: Target) {
    let one = |n: usize| {
        let target = &target;
        for_ever(move || async move {
            let Ok(peer) = Peer::connect(target.grpc, address(n), 65_535).await else { return };
            let calls = stream::iter(0..10).for_each_concurrent(None, |_| almost_import(&peer, &target.administrator));
            let _ = timeout(Duration::from_secs(10), calls).await;
        })
    };
    join_all((0..30).map(one)).await;
}

/// Begins an import, and sends all of it but the end, where the server takes it.
pub(super) async fn almost_import(peer: &Peer, token: &str) {
    let Ok(stream) = peer.call(IMPORT, Some(token)).await else { return };
    let zeros = vec![0; MAX_IMPORT - 1];
    if peer.send(stream, &announce(MAX_IMPORT), false).await.is_ok() && peer.send(stream, &zeros, false).await.is_ok() {
        pending::<()>().await;
    }
}

/// A thousand streams of everything that nobody reads, some with a window of their own and some with all that HTTP/2 allows.
async fn unread_streams(target: Target) {
    let peers = [65_535, WIDE, 1, WIDE].map(|window| open_streams(&target, window, 250));
    // What is closed is not opened again: what the streams hold is the point.
    let _peers = join_all(peers).await;
    pending::<()>().await;
}

/// Opens streams of everything on a connection of their own.
pub(super) async fn open_streams(target: &Target, window: u32, count: usize) -> Option<Peer> {
    let peer = Peer::connect(target.grpc, address(1), window).await.ok()?;
    for n in 1..=count {
        open_stream(&peer, &target.viewer).await.ok()?;
        // One after the other: what the streams hold is the point, not how they are opened.
        peer.sees("an open stream", |seen| seen.answered() == n || seen.closed).await;
    }
    Some(peer)
}

/// The longest answers there are, which nobody reads.
async fn unread_answers(target: Target) {
    let one = |n: usize| {
        let target = &target;
        for_ever(move || async move {
            let Ok(peer) = Peer::connect(target.grpc, address(n), if n.is_multiple_of(2) { 0 } else { WIDE }).await
            else {
                return;
            };
            for _ in 0..200 {
                if list(&peer, &target.viewer).await.is_err() {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
            peer.sees("the end", |seen| seen.closed).await;
        })
    };
    join_all((0..4).map(one)).await;
}

/// Asks for a page of a thousand tenants.
pub(super) async fn list(peer: &Peer, token: &str) -> std::io::Result<()> {
    let page = ListTenantsRequest { page_size: 1000, ..Default::default() }.encode_to_vec();
    let stream = peer.call(LIST, Some(token)).await?;
    peer.send(stream, &message(&page), true).await
}
