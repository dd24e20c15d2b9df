//! What streams look at.

use category_mirror::{
    domain::{OrganizationId, RunId},
    store::LiveFilter,
};

use super::*;

const FIRST: RunId = RunId::nil();

#[tokio::test]
async fn live_runs_come_in_pages_oldest_first_and_of_whom_the_filter_names() {
    let store = store_with(&["a", "b", "c"]).await;
    let chain = OrganizationId::parse("chain").expect("an id");
    store.insert_tenant(at(0), &Tenant { organization: Some(chain.clone()), ..tenant("d") }).await.expect("a tenant");
    let ended = store.claimed(1, "a", REAL).await;
    assert!(
        store
            .finish(at(2), held(&ended), 1, &RunResult::Succeeded, &AttemptProgress::default())
            .await
            .expect("finished")
    );
    let a = store.claimed(3, "a", REAL).await.run.id;
    let [b, c, d] = [store.accepted(4, "b").await.id, store.accepted(4, "c").await.id, store.accepted(4, "d").await.id];
    let list = async |filter: &LiveFilter, after, limit| -> Vec<RunId> {
        store.live_runs(filter, after, limit).await.expect("listed").iter().map(|run| run.id).collect()
    };
    let all = LiveFilter::default();
    assert_eq!(list(&all, FIRST, 3).await, [a, b, c]);
    assert_eq!(list(&all, c, 3).await, [d]);
    assert_eq!(list(&all, d, 3).await, NOBODY);
    let of = |tenants: &[&str], organization| LiveFilter {
        tenants: Some(tenants.iter().map(|tenant| id(tenant)).collect()),
        organization,
        batch: None,
    };
    assert_eq!(list(&of(&["c", "a"], None), FIRST, 3).await, [a, c]);
    assert_eq!(list(&LiveFilter { organization: Some(chain.clone()), ..all }, FIRST, 3).await, [d]);
    assert_eq!(list(&of(&["c", "a"], Some(chain)), FIRST, 3).await, NOBODY);
    assert_eq!(list(&of(&[], None), FIRST, 3).await, NOBODY);
}

#[tokio::test]
async fn a_look_finds_what_left_its_first_line_what_is_new_and_what_has_just_ended() {
    let store = store_with(&["a", "b", "c", "d"]).await;
    let ended = store.claimed(0, "a", REAL).await;
    assert!(
        store
            .finish(at(1), held(&ended), 1, &RunResult::Succeeded, &AttemptProgress::default())
            .await
            .expect("finished")
    );
    let waiting = store.claimed(2, "b", REAL).await;
    let nothing = AttemptProgress::default();
    let delay = Duration::from_secs(60);
    assert!(store.retry(at(3), held(&waiting), delay, true, &failed_attempt(1), &nothing).await.expect("queued"));
    let running = store.claimed(4, "c", REAL).await.run;
    let in_line = store.accepted(5, "d").await;
    let look = async |ended_after: i64, new_after| {
        let mut found = store.changed_runs(time(ended_after), new_after).await.expect("looked");
        found.sort();
        found
    };
    let moved = [(waiting.run.id, 3), (running.id, 2)];
    assert_eq!(look(1, in_line.id).await, moved);
    assert_eq!(look(1, running.id).await, [&moved[..], &[(in_line.id, 1)]].concat());
    assert_eq!(look(0, in_line.id).await, [&[(ended.run.id, 3)], &moved[..]].concat());

    let mut named = store.revisions(&[in_line.id, ended.run.id, RunId::nil()]).await.expect("read");
    named.sort();
    assert_eq!(named, [(ended.run.id, 3), (in_line.id, 1)]);
    assert_eq!(store.time(at(7)).await.expect("asked"), time(7));
}

#[tokio::test]
async fn the_queue_is_sampled_by_kind_with_the_age_of_what_is_next() {
    let store = store_with(&["a", "b", "c", "d"]).await;
    let empty = store.queue_sample(at(0)).await.expect("sampled");
    assert_eq!((empty.interactive, empty.bulk, empty.delayed, empty.running), (0, 0, 0, 0));
    assert_eq!((empty.at, empty.interactive_since, empty.bulk_since), (time(0), None, None));

    let waiting = store.claimed(1, "a", REAL).await;
    let nothing = AttemptProgress::default();
    let delay = Duration::from_secs(60);
    assert!(store.retry(at(2), held(&waiting), delay, true, &failed_attempt(1), &nothing).await.expect("queued"));
    store.claimed(3, "b", REAL).await;
    store.accepted(4, "c").await;
    store.accepted(5, "d").await;
    store.execute("update run set bulk = true where tenant_id = 'd'").await;
    let sample = store.queue_sample(at(9)).await.expect("sampled");
    assert_eq!((sample.interactive, sample.bulk, sample.delayed, sample.running), (1, 1, 1, 1));
    assert_eq!((sample.interactive_since, sample.bulk_since), (Some(time(4)), Some(time(5))));
}
