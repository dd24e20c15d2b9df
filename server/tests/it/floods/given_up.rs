//! The short forms of floods of calls that are given up: by a reset, a closed connection, or a deadline.

use std::collections::HashSet;

use sqlx::PgPool;

use super::{
    abandoning::{get, open_stream},
    attacks::address,
    peer::Peer,
    site::Stage,
};
use crate::{pooler::has_few_sessions, processes::site::until};

/// A caller's share of the connections that calls have, which are 20.
const SHARE: usize = 10;
/// A caller's share of the connections for reads of streams.
const READS: usize = 2;
const ROUNDS: usize = 4;

/// How a call is given up.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Reset,
    Close,
    Deadline,
}

/// What gets a tenant, and what reads a page of a stream.
const GET: &str = "select id, display_name%from tenant where id = $1";
const PAGE_STATEMENT: &str = "select %from run%where id > $1%order by id%limit $4";

/// Backends that carry out such a statement of a caller, and wait for a lock.
async fn busy(pool: &PgPool, statement: &str) -> HashSet<i32> {
    let busy = "select pid from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock' and query like $1";
    sqlx::query_scalar(busy).bind(statement).fetch_all(pool).await.expect("read").into_iter().collect()
}

/// Gives up as many calls as a caller has places, again and again, while the database answers none of them.
async fn give_up(way: Way) {
    let stage = Stage::open(&[("RATE_LIMIT_PER_SECOND", "0")], 0).await;
    let client = stage.client();
    stage.site().load(&client).await;
    let pool = stage.site().pool();
    let mut lock = pool.begin().await.expect("begun");
    sqlx::query("lock table tenant in access exclusive mode").execute(&mut *lock).await.expect("locked");
    let viewer = stage.target().viewer;
    let connect = || Peer::connect(stage.server.address, address(1), 1 << 20);
    let last = connect().await.expect("connected");
    let mut backends = HashSet::new();
    let mut peers = vec![connect().await.expect("connected")];
    for round in 1..=ROUNDS {
        let peer = peers.last().expect("the first");
        let timeout = (way == Way::Deadline).then_some("700m");
        let mut calls = Vec::new();
        for _ in 0..SHARE {
            calls.push(get(peer, &viewer, timeout).await.expect("sent"));
        }
        if round == 1 {
            until("they work", || async { busy(&pool, GET).await.len() == SHARE }).await;
        }
        // A call that comes after them is answered when its deadline passes: these have had their time to begin.
        get(&last, &viewer, Some("700m")).await.expect("sent");
        last.sees("the deadline", |seen| seen.ended() == round).await;
        backends.extend(busy(&pool, GET).await);
        match way {
            Way::Reset => {
                for call in calls {
                    peer.reset(call).await.expect("sent");
                }
            }
            Way::Close => peers = vec![connect().await.expect("connected")],
            Way::Deadline => peer.sees("their deadlines", |seen| seen.ended() == round * SHARE).await,
        }
        for _ in 0..5 {
            client.get_platform_category("cafe").send().await.expect("another caller has connections");
        }
        assert_eq!(stage.server.healthz().await, 200, "health has a connection of its own");
    }
    backends.extend(busy(&pool, GET).await);
    assert_eq!(
        backends.len(),
        SHARE,
        "{way:?}: a caller has a share of the connections, and no others are opened for them"
    );
    assert_eq!(busy(&pool, GET).await, backends, "and keeps it until they are done");

    lock.rollback().await.expect("unlocked");
    // The connections are not given up with the calls: who comes next has them.
    get(&last, &viewer, None).await.expect("sent");
    last.sees("an answer", |seen| seen.ended() == ROUNDS + 1).await;
    until("they are done", || async { busy(&pool, GET).await.is_empty() }).await;
    let left: Vec<i32> = sqlx::query_scalar("select pid from pg_stat_activity where pid = any ($1)")
        .bind(backends.iter().copied().collect::<Vec<_>>())
        .fetch_all(&pool)
        .await
        .expect("read");
    assert_eq!(left.len(), SHARE, "none is closed");

    // Each call counts once, as its caller saw it.
    let calls = stage.metrics("category_mirror_calls_total").await;
    let count = |code: &str| {
        let of_code = |labels: &str| labels.contains("/GetTenant\"") && labels.contains(&format!("code=\"{code}\""));
        calls.iter().filter(|(labels, _)| of_code(labels)).map(|(_, count)| *count).sum::<f64>()
    };
    let (given_up, deadlines) = (f64::from(40), f64::from(4));
    let wanted = if way == Way::Deadline { (0.0, given_up + deadlines) } else { (given_up, deadlines) };
    assert_eq!((count("CANCELLED"), count("DEADLINE_EXCEEDED"), count("OK")), (wanted.0, wanted.1, 1.0), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_reset_keep_their_callers_share_and_the_others_have_theirs() {
    if has_few_sessions() {
        return;
    }
    give_up(Way::Reset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_whose_connection_is_closed_keep_their_callers_share_and_the_others_have_theirs() {
    if has_few_sessions() {
        return;
    }
    give_up(Way::Close).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_whose_deadline_passes_keep_their_callers_share_and_the_others_have_theirs() {
    if has_few_sessions() {
        return;
    }
    give_up(Way::Deadline).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_while_they_open_keep_their_callers_share_of_reads() {
    if has_few_sessions() {
        return;
    }
    let stage = Stage::open(&[("RATE_LIMIT_PER_SECOND", "0")], 0).await;
    let client = stage.client();
    stage.site().load(&client).await;
    let pool = stage.site().pool();
    let mut lock = pool.begin().await.expect("begun");
    sqlx::query("lock table run in access exclusive mode").execute(&mut *lock).await.expect("locked");
    let viewer = stage.target().viewer;
    let peer = Peer::connect(stage.server.address, address(1), 1 << 20).await.expect("connected");
    let mut backends = HashSet::new();
    for round in 1..=ROUNDS {
        let mut streams = Vec::new();
        for _ in 0..SHARE {
            streams.push(open_stream(&peer, &viewer).await.expect("sent"));
        }
        if round == 1 {
            until("they read", || async { busy(&pool, PAGE_STATEMENT).await.len() >= READS }).await;
        }
        // As above: when this one's deadline passes, these have had their time.
        get(&peer, &viewer, Some("700m")).await.expect("sent");
        peer.sees("the deadline", |seen| seen.ended() == round).await;
        backends.extend(busy(&pool, PAGE_STATEMENT).await);
        for stream in streams {
            peer.reset(stream).await.expect("sent");
        }
        for _ in 0..5 {
            client.get_platform_category("cafe").send().await.expect("another caller has connections");
        }
    }
    backends.extend(busy(&pool, PAGE_STATEMENT).await);
    assert_eq!(backends.len(), READS, "reads of one caller's streams");
    lock.rollback().await.expect("unlocked");
    open_stream(&peer, &viewer).await.expect("sent");
    peer.sees("an open stream", |seen| seen.answered() == ROUNDS + 1).await;
}
