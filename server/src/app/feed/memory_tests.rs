//! The bounds of what watches hold for readers that do not read.

use std::sync::{Arc, atomic::Ordering};

use chrono::Utc;

use super::{
    memory::{
        LAST_READ_AHEAD, MAX_MIN_READ_AHEAD, MAX_PENDING, MAX_SNAPSHOTS, MIN_READ_AHEAD, PendingCount, ReadAhead,
        ReadAheadPermit, SNAPSHOT_SEARCH_INTERVAL, Snapshots,
    },
    subscription_queue::{CloseReason, Delivery, SubscriptionQueue},
    test_run::run,
};
use crate::domain::Run;

#[test]
fn watches_that_stop_reading_hold_a_bounded_number_of_runs_and_others_go_on() {
    let ahead = ReadAhead::default();
    let held: Vec<ReadAheadPermit> = (0..3000).map(|_| ahead.take(100)).collect();
    assert_eq!((held[0].count, held[500].count), (100, MIN_READ_AHEAD));
    let all: usize = held.iter().map(|ahead| ahead.count).sum();
    assert!((MAX_MIN_READ_AHEAD..=MAX_MIN_READ_AHEAD + 3000 * LAST_READ_AHEAD).contains(&all), "{all}");
    assert_eq!((ahead.take(100).count, ahead.take(1).count), (LAST_READ_AHEAD, 1), "some go always");
    drop(held);
    let mut room = ahead.take(200);
    assert_eq!(room.count, 200);
    room.shrink_to(3);
    assert_eq!(ahead.taken.load(Ordering::Relaxed), 3);
    drop(room);
    assert_eq!(ahead.taken.load(Ordering::Relaxed), 0);
}

#[test]
fn only_so_many_different_snapshots_are_kept_and_there_is_room_when_they_are_read() {
    let mut snapshots = Snapshots::default();
    let template = run(Utc::now(), "a");
    let runs: Vec<Arc<Run>> = (0..MAX_SNAPSHOTS + 10).map(|_| Arc::new(template.clone())).collect();
    let kept = runs.iter().filter(|run| snapshots.keep(run)).count();
    assert_eq!(kept, MAX_SNAPSHOTS);
    drop(runs);
    let next = Arc::new(template);
    assert!((0..=SNAPSHOT_SEARCH_INTERVAL).any(|_| snapshots.keep(&next)), "all of them are gone");
    assert_eq!(snapshots.kept.len(), 1);
}

#[test]
fn the_mailboxes_that_are_far_behind_go_when_all_hold_too_much() {
    let count = PendingCount::default();
    let (idle, slow): (Vec<_>, Vec<_>) = (
        (0..50).map(|_| SubscriptionQueue::new(count.clone())).collect(),
        (0..50).map(|_| SubscriptionQueue::new(count.clone())).collect(),
    );
    let template = run(Utc::now(), "a");
    for n in 0..20_000_u128 {
        let run = Arc::new(Run { id: uuid::Uuid::from_u128(n + 1), ..template.clone() });
        slow.iter().for_each(|queue| queue.put(&run, true));
    }
    assert!(count.news() <= MAX_PENDING + slow.len(), "{}", count.news());
    idle.iter().for_each(|queue| queue.put(&Arc::new(template.clone()), true));
    for queue in &idle {
        assert!(matches!(queue.take(), Some(Delivery::PendingUpdate(..))), "it reads, and stays");
    }
    assert!(slow.iter().any(|queue| matches!(queue.take(), Some(Delivery::CloseReason(CloseReason::Lagged)))));
    drop((idle, slow));
    assert_eq!((count.news(), count.queues()), (0, 0));
}
