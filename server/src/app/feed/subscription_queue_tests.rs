//! What becomes of news that nobody takes.

use std::sync::Arc;

use chrono::Utc;
use uuid::Uuid;

use super::{
    memory::PendingCount,
    subscription_queue::{CloseReason, Delivery, MAX_LAG, PendingUpdate, SubscriptionQueue},
    test_run::run,
};
use crate::domain::Run;

#[test]
fn who_does_not_read_keeps_a_few_snapshots_then_ids_and_is_sent_away_at_last() {
    let queue = SubscriptionQueue::new(PendingCount::default());
    let template = run(Utc::now(), "a");
    let numbered = |n: usize| Arc::new(Run { id: Uuid::from_u128(n as u128 + 1), ..template.clone() });
    for n in 0..MAX_LAG {
        queue.put(&numbered(n), true);
        // The newest takes the place of the one before.
        queue.put(&Arc::new(Run { revision: 2, ..Run::clone(&numbered(n)) }), true);
    }
    let (mut snapshots, mut ids) = (0, 0);
    for _ in 0..1000 {
        match queue.take() {
            Some(Delivery::PendingUpdate(_, PendingUpdate::Snapshot(run))) => {
                assert_eq!(run.revision, 2);
                snapshots += 1;
            }
            Some(Delivery::PendingUpdate(_, PendingUpdate::Revision(2))) => ids += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((snapshots, ids), (256, 744));
    for n in MAX_LAG..MAX_LAG + 1001 {
        queue.put(&numbered(n), true);
    }
    assert!(matches!(queue.take(), Some(Delivery::CloseReason(CloseReason::Lagged))));
    assert!(!queue.has(template.id));
}
