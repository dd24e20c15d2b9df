//! Whose turn it is: fairly among organizations, and interactive runs first.

use category_mirror::{
    domain::{AccountId, OrganizationId, RunId, RunState, TenantId},
    store::ClaimLimits,
};

use super::{LEASE, NOBODY, REAL, TestStore, at, held, new_run, store_with, tenant};

/// Adds tenants `<organization>-0` and so on, and a run of each; the runs, in order.
async fn chain(store: &TestStore, organization: &str, tenants: usize) -> Vec<RunId> {
    let mut runs = Vec::new();
    for n in 0..tenants {
        let mut tenant = tenant(&format!("{organization}-{n}"));
        tenant.organization = Some(OrganizationId::parse(organization).expect("an id"));
        store.insert_tenant(at(0), &tenant).await.expect("a tenant");
        // Both ways of accepting a run have to keep the order.
        let new = new_run(tenant.id.as_str(), REAL);
        if n % 2 == 0 {
            store.accept(at(1), &new).await.expect("accepted");
        } else {
            let accepted = store.accept_all(at(1), std::slice::from_ref(&new)).await.expect("accepted");
            assert!(accepted.into_iter().all(|one| one.is_some_and(|one| one.is_ok())));
        }
        runs.push(new.id);
    }
    runs
}

async fn claim(store: &TestStore, room: ClaimLimits) -> Vec<RunId> {
    store.store.claim(at(9), room, LEASE).await.expect("claimed").iter().map(|claimed| claimed.run.id).collect()
}

#[tokio::test]
async fn organizations_take_turns_whatever_each_of_them_has_queued() {
    let store = store_with(&["single"]).await;
    let many = chain(&store, "many", 10).await;
    let few = chain(&store, "few", 2).await;
    let single = store.accepted(2, "single").await.id;

    assert_eq!(claim(&store, ClaimLimits::of(1)).await, [many[0]], "who came first");
    assert_eq!(claim(&store, ClaimLimits::of(4)).await, [many[1], few[0], single, many[2]]);
    assert_eq!(claim(&store, ClaimLimits::of(3)).await, [few[1], many[3], many[4]]);
    assert_eq!(claim(&store, ClaimLimits::of(99)).await, many[5..]);
}

#[tokio::test]
async fn who_comes_later_takes_turns_with_a_queue_that_has_moved_on() {
    let store = store_with(&["single"]).await;
    let many = chain(&store, "many", 6).await;
    assert_eq!(claim(&store, ClaimLimits::of(3)).await, many[..3]);

    let single = store.accepted(2, "single").await.id;

    assert_eq!(claim(&store, ClaimLimits::of(9)).await, [many[3], many[4], single, many[5]]);
}

#[tokio::test]
async fn one_statement_keeps_the_turns_of_an_organization_apart() {
    let store = store_with(&["x", "y", "z"]).await;
    store.execute("update tenant set organization_id = 'chain' where id in ('x', 'y')").await;
    let wanted = [new_run("x", REAL), new_run("y", REAL), new_run("z", REAL)];
    store.accept_all(at(1), &wanted).await.expect("accepted");
    let [x, y, z] = wanted.map(|new| new.id);

    assert_eq!(claim(&store, ClaimLimits::of(9)).await, [x, z, y]);
}

#[tokio::test]
async fn interactive_runs_go_before_bulk_ones_which_have_places_of_their_own() {
    let store = store_with(&["a", "b", "c", "d"]).await;
    let mut runs = Vec::new();
    for tenant in ["a", "b", "c", "d"] {
        runs.push(store.accepted(1, tenant).await.id);
    }
    store.execute("update run set bulk = true where tenant_id in ('a', 'b')").await;

    assert_eq!(claim(&store, ClaimLimits { runs: 2, bulk: 0 }).await, runs[2..]);
    assert_eq!(claim(&store, ClaimLimits { runs: 9, bulk: 0 }).await, NOBODY);
    assert_eq!(claim(&store, ClaimLimits { runs: 9, bulk: 1 }).await, runs[..1]);
    assert_eq!(claim(&store, ClaimLimits { runs: 0, bulk: 9 }).await, NOBODY, "not more than there is room for at all");
    assert_eq!(claim(&store, ClaimLimits::of(9)).await, runs[1..2]);
}

#[tokio::test]
async fn the_platforms_side_is_read_whole_and_a_tenant_that_is_gone_has_none() {
    let store = store_with(&["a"]).await;
    store.accepted(1, "a").await;
    store.execute("delete from tenant where id = 'a'").await;
    let run = store.claim_one(2).await.run;
    assert!(store.tenant_snapshots(at(2), &[&run]).await.expect("read").is_empty(), "the tenant is gone");

    store.insert_tenant(at(3), &tenant("b")).await.expect("a tenant");
    store.execute("update tenant set organization_id = 'chain' where id = 'b'").await;
    store.accepted(4, "b").await;
    let source = store.source(5, &store.claim_one(5).await.run).await;
    let kept = store.tenant(&TenantId::parse("b").expect("an id")).await.expect("read");
    assert_eq!(source.tenant, kept, "every field of it");
    assert!(source.categories.get().is_empty() && source.read_at == super::time(5));
}

#[tokio::test]
async fn a_probe_is_for_the_first_in_line_whose_turn_it_was_not() {
    let store = store_with(&["a", "b", "c"]).await;
    let mut other = tenant("other");
    other.account = Some(AccountId::parse("2").expect("an id"));
    store.insert_tenant(at(0), &other).await.expect("a tenant");
    for tenant in ["a", "b", "c", "other"] {
        store.accepted(1, tenant).await;
    }
    let probe = async |probed: &[&str]| -> Option<String> {
        let probed: Vec<String> = probed.iter().map(|name| (*name).to_owned()).collect();
        let claimed = store.claim_for_probe(at(2), &probed, LEASE).await.expect("claimed")?;
        assert_eq!((claimed.run.state, claimed.run.attempt), (RunState::Running, 1));
        // Back in line, for the next case.
        assert_eq!(store.release(&[held(&claimed)]).await.expect("handed back"), [claimed.run.id]);
        Some(claimed.run.tenant.to_string())
    };
    for (probed, expected) in [
        (&[][..], Some("a")),
        (&["tenants/a"], Some("b")),
        (&["tenants/c", "tenants/a"], Some("b")),
        (&["tenants/a", "tenants/b", "tenants/c"], Some("other")),
        // An account's own trouble is that of all of its tenants.
        (&["accounts/1"], Some("other")),
        (&["accounts/2", "tenants/a", "tenants/b"], Some("c")),
        (&["accounts/1", "accounts/2"], None),
        (&["tenants/a", "tenants/b", "tenants/c", "tenants/other"], None),
    ] {
        store.execute("update run set uncounted_attempts = 0, fencing_token = 0").await;
        assert_eq!(probe(probed).await.as_deref(), expected, "{probed:?}");
    }
    // Who is delayed, or held, has no turn.
    store.execute("update run set uncounted_attempts = 0, fencing_token = 0").await;
    store.execute("update run set next_attempt_at = '2999-01-01' where tenant_id = 'a'").await;
    let claimed = store.claim_for_probe(at(2), &[], LEASE).await.expect("claimed").expect("a run");
    assert_eq!(claimed.run.tenant.as_str(), "b");
    let next = store.claim_for_probe(at(2), &[], LEASE).await.expect("claimed").expect("a run");
    assert_eq!(next.run.tenant.as_str(), "c");
}
