//! Wake-ups between two processes on one database.

use std::{collections::BTreeSet, sync::Arc};

use category_mirror::{
    domain::RunId,
    wake::{Topic, WakeUp, WakeUpBus, WakeUpReceiver},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::database::{self, TestDatabase};

/// A process of its own, as far as wake-ups can tell.
struct Process {
    wake: WakeUpBus,
    work: WakeUpReceiver,
    changes: WakeUpReceiver,
    cancellations: WakeUpReceiver,
    flags: WakeUpReceiver,
    _stop: DropGuard,
}

impl Process {
    /// Starts one that has begun to listen.
    async fn start(database: &TestDatabase) -> Self {
        let stop = CancellationToken::new();
        let wake = WakeUpBus::start(database.pool(), stop.clone());
        let mut process = Self {
            work: wake.subscribe(Topic::Work),
            changes: wake.subscribe(Topic::Changes),
            cancellations: wake.subscribe(Topic::Cancellations),
            flags: wake.subscribe(Topic::Flags),
            wake,
            _stop: stop.drop_guard(),
        };
        for wake_ups in [&mut process.work, &mut process.changes, &mut process.cancellations, &mut process.flags] {
            assert!(matches!(wake_ups.next().await, WakeUp::Resync), "from here on, everything is heard");
        }
        process
    }
}

#[tokio::test]
async fn hints_reach_the_other_process_and_their_own_but_once() {
    let database = database::create().await;
    let (mut one, mut other) = (Process::start(&database).await, Process::start(&database).await);
    let run = RunId::now_v7();

    one.wake.send(WakeUp::RunsReady);
    one.wake.send(WakeUp::FlagsChanged);
    one.wake.send(WakeUp::CancelRequested(run));
    for process in [&mut one, &mut other] {
        assert!(matches!(process.work.next().await, WakeUp::RunsReady));
        assert!(matches!(process.flags.next().await, WakeUp::FlagsChanged));
        assert!(matches!(process.cancellations.next().await, WakeUp::CancelRequested(id) if id == run));
    }
    // What comes back from the database was heard before, by the one who said it.
    other.wake.send(WakeUp::RunsChanged([run].into()));
    assert!(matches!(one.changes.next().await, WakeUp::RunsChanged(ids) if *ids == [run]));
}

#[tokio::test]
async fn many_ids_at_once_arrive_all() {
    let database = database::create().await;
    let (one, mut other) = (Process::start(&database).await, Process::start(&database).await);
    let ids: Arc<[RunId]> = (0..1000).map(|_| RunId::now_v7()).collect();
    one.wake.send(WakeUp::CancelRequested(ids[0]));
    one.wake.send(WakeUp::RunsChanged(ids.clone()));

    let mut heard = BTreeSet::new();
    while heard.len() < ids.len() {
        if let WakeUp::RunsChanged(ids) = other.changes.next().await {
            heard.extend(ids.iter().copied());
        }
    }
    assert_eq!(heard, ids.iter().copied().collect());
}

#[tokio::test]
async fn what_is_no_wake_up_of_ours_does_no_harm() {
    let database = database::create().await;
    let mut process = Process::start(&database).await;
    let pool = database.pool();
    for payload in
        ["", "{", "[]", r#"{"changed": ["1"]}"#, r#"{"cancel": null}"#, r#"{"queued": true, "of": "tomorrow"}"#]
    {
        sqlx::query("select pg_notify('category_mirror', $1)").bind(payload).execute(&pool).await.expect("sent");
    }
    assert!(
        matches!(process.work.next().await, WakeUp::RunsReady),
        "the last is of a newer version, and understood as far as it goes"
    );
}

#[tokio::test]
async fn a_listener_that_lost_its_connection_says_so_and_listens_again() {
    let database = database::create().await;
    let (one, mut other) = (Process::start(&database).await, Process::start(&database).await);
    let pool = database.pool();
    disconnect_listeners(&pool).await;

    assert!(matches!(other.work.next().await, WakeUp::Resync));
    one.wake.send(WakeUp::RunsReady);
    while !matches!(other.work.next().await, WakeUp::RunsReady) {}
}

/// Ends every connection that listens, as a restart or an administrator would.
pub(crate) async fn disconnect_listeners(pool: &sqlx::PgPool) {
    let ended: Vec<bool> = sqlx::query_scalar(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query ilike 'listen %'",
    )
    .fetch_all(pool)
    .await
    .expect("asked");
    assert!(!ended.is_empty() && ended.iter().all(|ended| *ended), "{ended:?}");
}
