//! Who hears of what.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::board::{Board, Interest, Place};
use crate::domain::{ChangeCounts, Orders, OrganizationId, Run, RunKind, RunState, Strategy, TenantId};

/// A queued run, in the state in which it was accepted.
pub(super) fn run(created_at: DateTime<Utc>, tenant: &str) -> Run {
    let millis = created_at.timestamp_millis().unsigned_abs();
    Run {
        id: uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid(),
        tenant: TenantId::parse(tenant).expect("an id"),
        organization: None,
        batch: None,
        kind: RunKind { strategy: Strategy::PlatformToGbp, dry_run: false },
        state: RunState::Queued,
        revision: 1,
        attempt: 0,
        max_attempts: 5,
        handed_back: 0,
        cancel_requested: false,
        orders: Orders::default(),
        plan: None,
        attempts: Vec::new(),
        attempted_at: None,
        intent: None,
        written: Vec::new(),
        counts: ChangeCounts::default(),
        skipped_categories: 0,
        reason: None,
        error: None,
        caller: "tester".to_owned(),
        request_id: None,
        created_at,
        started_at: None,
        ended_at: None,
        due_at: None,
    }
}

#[test]
fn each_hears_of_what_it_watches_and_the_last_who_leaves_takes_everything_along() {
    let tenant = |id| TenantId::parse(id).expect("an id");
    let organization = OrganizationId::parse("chain").expect("an id");
    let other = run(Utc::now(), "b");
    let mut of_chain = run(Utc::now() + TimeDelta::seconds(1), "a");
    of_chain.organization = Some(organization.clone());
    let mut board = Board::default();
    let heard = [
        (Interest::Run(of_chain.id), 1),
        (Interest::Run(other.id), 1),
        (Interest::Tenants(vec![tenant("a"), tenant("a")]), 1),
        (Interest::Tenants(vec![tenant("a"), tenant("b")]), 2),
        (Interest::Tenants(vec![]), 0),
        (Interest::Organization(organization), 1),
        (Interest::Everything, 2),
    ];
    let places: Vec<Place> = heard.iter().map(|(interest, _)| board.enter(interest)).collect();
    for run in [&of_chain, &other] {
        board.publish(&Arc::new(run.clone()), Instant::now());
    }
    for ((interest, count), place) in heard.iter().zip(&places) {
        let mut news = 0;
        while place.mailbox.take().is_some() {
            news += 1;
        }
        assert_eq!(news, *count, "{interest:?}");
    }
    board.begin(Utc::now());
    for place in &places {
        assert!(board.has_begun());
        board.leave(place);
    }
    assert!(!board.has_begun() && !board.concerns(other.id));
}
