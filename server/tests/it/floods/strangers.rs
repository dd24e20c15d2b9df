//! Attacks of callers without a valid token, over connections that are in good order.

use std::{net::SocketAddr, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures::future::join_all;
use tokio::time::sleep;

use super::{
    attacks::{CHECK, LIST, REFLECTION, WATCH, address, for_ever},
    peer::{Peer, message},
    site::Target,
};

/// As many calls as most attacks make over one connection: all that it may have open without a token.
pub(super) const CALLS: usize = 64;

/// A token that names a key that there is not.
pub(super) fn garbage(n: usize) -> String {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    // As long as a token may be.
    let header = format!(r#"{{"alg":"ES256","kid":"{n}{}"}}"#, "x".repeat(5500));
    format!("{}.{}.{}", part(&header), part("{}"), part(&"s".repeat(64)))
}

/// Calls with such tokens.
pub(super) async fn with_garbage(peer: &Peer, calls: usize) -> std::io::Result<()> {
    for n in 0..calls {
        let stream = peer.call(LIST, Some(&garbage(n))).await?;
        peer.send(stream, &message(&[]), true).await?;
    }
    Ok(())
}

/// Everything that wants a key that nobody knows.
pub(super) async fn keys(target: Target) {
    let one = |n: usize| {
        let server = target.grpc;
        for_ever(move || async move {
            let Ok(peer) = Peer::connect(server, address(n % 4 * 200), 65_535).await else { return };
            let _ = with_garbage(&peer, 1200).await;
            sleep(Duration::from_secs(1)).await;
        })
    };
    join_all((0..32).map(one)).await;
}

/// How a call is left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamped {
    /// Its message never comes.
    WithoutMessage,
    /// Its message has come, and its end has not.
    Unfinished,
    /// It is whole, and its answer is not read.
    Unread,
}

/// Opens calls of a kind over a connection from `host`, and gives the connection.
pub(super) async fn leave(server: SocketAddr, host: usize, path: &str, left: Stamped) -> std::io::Result<Peer> {
    let peer = Peer::connect(server, address(host), if left == Stamped::Unread { 0 } else { 65_535 }).await?;
    for _ in 0..CALLS {
        let stream = peer.call(path, None).await?;
        // Reflection: the list of services.
        let asked: &[u8] = if path == REFLECTION { &[0x3a, 0] } else { &[] };
        if left != Stamped::WithoutMessage {
            peer.send(stream, &message(asked), left == Stamped::Unread).await?;
        }
    }
    Ok(peer)
}

/// Calls to health and reflection that are left open in every way, from one address and from some others.
pub(super) async fn left_open(target: Target) {
    let ways = [Stamped::WithoutMessage, Stamped::Unfinished, Stamped::Unread];
    let kinds: Vec<_> = [CHECK, REFLECTION, WATCH].into_iter().flat_map(|path| ways.map(|left| (path, left))).collect();
    let one = |n: usize| {
        let (server, kinds) = (target.grpc, &kinds);
        for_ever(move || async move {
            let (path, left) = kinds[n % kinds.len()];
            if let Ok(peer) = leave(server, n % 5 * 200, path, left).await {
                sleep(Duration::from_millis(500)).await;
                drop(peer);
            }
        })
    };
    join_all((0..72).map(one)).await;
}

/// Watches, from one address, of many connections.
pub(super) async fn watches_of_one_address(target: Target) {
    let one = |_| {
        let server = target.grpc;
        for_ever(move || async move {
            let peer = Peer::connect(server, address(1), 65_535).await;
            let Ok(peer) = peer else { return };
            for _ in 0..1100 {
                if super::attacks::watch(&peer).await.is_err() {
                    return;
                }
            }
            sleep(Duration::from_secs(5)).await;
        })
    };
    join_all((0..40).map(one)).await;
}
