//! Failovers: the primary PostgreSQL is lost, and its standby promoted, while the servers serve. Each begins with a mark that is committed
//! and answered, so that what PostgreSQL itself would lose is told apart from what a server loses.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use nix::sys::signal::Signal;
use sqlx::PgPool;
use tokio::sync::oneshot;

use crate::{
    database::Loss,
    shop::PROBE,
    stage::{Stage, pause},
};

/// Within so long a server takes a write after a failover. What is promised is 15 s; here other blows fall on it meanwhile, and the machine
/// may be busy.
pub(crate) const WELL: Duration = Duration::from_secs(60);

/// What happens to the primary, in turn; which one is the first depends on the seed.
const LOSSES: [Loss; 3] = [Loss::Killed, Loss::Vanished, Loss::Fenced];

/// A fenced primary keeps its connections for up to so long.
const FENCED: Duration = Duration::from_secs(3);

const JOURNAL: &str = "
    create table storm.mark (
        failover integer primary key,
        at timestamptz not null default clock_timestamp()
    )";

/// A failover that is over.
#[derive(Debug, Clone)]
pub(crate) struct Failover {
    /// The number of it, from 1.
    pub(crate) number: i32,
    /// What happened to the primary, in words.
    pub(crate) loss: &'static str,
    /// When the name led to the new primary.
    pub(crate) moved: DateTime<Utc>,
    /// How long after that each server took a write, in the order of their places; `None`: it took none.
    pub(crate) well: Vec<Option<Duration>>,
}

/// Begins the journal of the marks.
pub(crate) async fn begin(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::raw_sql(JOURNAL).execute(pool).await.map(drop)
}

/// Commits the mark of a failover.
pub(crate) async fn mark(pool: &PgPool, failover: i32) -> sqlx::Result<()> {
    let mark = "insert into storm.mark (failover) values ($1) on conflict do nothing";
    sqlx::query(mark).bind(failover).execute(pool).await.map(drop)
}

/// Every mark that is there.
pub(crate) async fn marks(pool: &PgPool) -> sqlx::Result<Vec<i32>> {
    sqlx::query_scalar("select failover from storm.mark order by failover").fetch_all(pool).await
}

/// How often a standby was promoted, and one more.
pub(crate) async fn timeline(pool: &PgPool) -> sqlx::Result<i32> {
    sqlx::query_scalar("select timeline_id from pg_control_checkpoint()").fetch_one(pool).await
}

/// Fails over, and waits until every server takes writes and there is a standby again.
pub(crate) async fn fail_over(stage: &Arc<Stage>, number: i32, share: f64) {
    let turn = usize::try_from(stage.seed % 3).unwrap_or_default() + usize::try_from(number).unwrap_or_default();
    let loss = LOSSES[turn % LOSSES.len()];
    let signal = if share < 0.5 { Signal::SIGKILL } else { Signal::SIGQUIT };
    let (move_name, moved) = oneshot::channel();
    let has_moved = move || {
        let _ = move_name.send((Utc::now(), Instant::now()));
    };
    let well = async {
        let (at, since) = moved.await.expect("it leads to the new primary");
        (at, join_all((0..stage.fleet.size()).map(|place| well(stage, place, since))).await)
    };
    let ((), (moved, well)) =
        tokio::join!(stage.database.fail_over(loss, FENCED.mul_f64(share), signal, number, has_moved), well);
    stage.record.count("failovers");
    stage.record.notes().failovers.push(Failover { number, loss: loss.words(), moved, well });
}

/// How long after the move a server, whichever is in this place, takes a write that goes through all it needs of the database.
async fn well(stage: &Stage, place: usize, since: Instant) -> Option<Duration> {
    for turn in 0_u32.. {
        if let Some(client) = stage.fleet.client_of(place) {
            let write = client.update_platform_category(PROBE).display_name(format!("Probe {place}-{turn}"));
            if write.send().await.is_ok() {
                return Some(since.elapsed());
            }
        }
        if since.elapsed() > WELL {
            break;
        }
        pause().await;
    }
    None
}
