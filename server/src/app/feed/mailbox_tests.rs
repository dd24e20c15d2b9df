//! What becomes of news that nobody takes.

use std::sync::Arc;

use chrono::Utc;
use uuid::Uuid;

use super::{
    board_tests::run,
    mailbox::{End, MAX_BEHIND, Mail, Mailbox, News},
    memory::NewsCount,
};
use crate::domain::Run;

#[test]
fn who_does_not_read_keeps_a_few_snapshots_then_ids_and_is_sent_away_at_last() {
    let mailbox = Mailbox::new(NewsCount::default());
    let template = run(Utc::now(), "a");
    let numbered = |n: usize| Arc::new(Run { id: Uuid::from_u128(n as u128 + 1), ..template.clone() });
    for n in 0..MAX_BEHIND {
        mailbox.put(&numbered(n), true);
        // The newest takes the place of the one before.
        mailbox.put(&Arc::new(Run { revision: 2, ..Run::clone(&numbered(n)) }), true);
    }
    let (mut snapshots, mut ids) = (0, 0);
    for _ in 0..1000 {
        match mailbox.take() {
            Some(Mail::News(_, News::Snapshot(run))) => {
                assert_eq!(run.revision, 2);
                snapshots += 1;
            }
            Some(Mail::News(_, News::Revision(2))) => ids += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((snapshots, ids), (256, 744));
    for n in MAX_BEHIND..MAX_BEHIND + 1001 {
        mailbox.put(&numbered(n), true);
    }
    assert!(matches!(mailbox.take(), Some(Mail::End(End::Behind))));
    assert!(!mailbox.has(template.id));
}
