//! What was confirmed is a set: exactly the tenants that were in the target when the batch was accepted, whoever comes and goes while its
//! runs are made.

use std::collections::BTreeSet;

use category_mirror::{
    domain::{BatchId, Flag, FlagAtAcceptance, FlagState, OrganizationId, Percent, Rollout, Tenant, TenantChange},
    store::{BatchReservation, BatchTarget, ChunkLimits, NewBatch},
};
use sqlx::Connection;

use super::{
    LEASE, TestStore, at,
    batches::{chunk, new_batch, sum},
    held, id, store_with, tenant,
};

fn organization(name: &str) -> OrganizationId {
    OrganizationId::parse(name).expect("an id")
}

fn of(name: &str, chain: Option<&str>, located: bool) -> Tenant {
    let tenant = Tenant { organization: chain.map(organization), ..tenant(name) };
    if located { tenant } else { Tenant { account: None, location: None, ..tenant } }
}

impl TestStore {
    async fn moves(&self, tenant: &str, chain: Option<&str>) {
        let change = TenantChange { organization: Some(chain.map(organization)), ..TenantChange::default() };
        self.update_tenant(at(1), &id(tenant), &change).await.expect("moved");
    }

    async fn locate(&self, tenant: &str, located: bool) {
        let wanted = super::tenant(tenant);
        let place = if located { wanted.account.zip(wanted.location) } else { None };
        let change = TenantChange { account_and_location: Some(place), ..TenantChange::default() };
        self.update_tenant(at(1), &id(tenant), &change).await.expect("changed");
    }

    /// The tenants with a run that is carried out, and those with a run that is not, and why.
    async fn touched(&self, batch: BatchId) -> (BTreeSet<String>, Vec<(String, String)>) {
        let (mut touched, mut skipped) = (BTreeSet::new(), Vec::new());
        for (tenant, (state, reason)) in self.runs_of(batch).await {
            match state.as_str() {
                "skipped" => skipped.push((tenant, reason.expect("a reason"))),
                _ => drop(touched.insert(tenant)),
            }
        }
        (touched, skipped)
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Everything that can happen to a tenant after the acceptance, at each place of the order in which runs are made.
#[tokio::test]
async fn who_comes_is_not_touched_and_who_goes_is_named_wherever_the_batch_is() {
    for size in [1, 2, 3, 99] {
        for chunks_before in [0, 1, 2] {
            let store = store_with(&[]).await;
            store.prepare_history(None).await.expect("what is skipped has a day");
            let all =
                ["comes", "deleted", "goes", "goes-and-returns", "loses", "moves", "recreated", "stays", "z-comes"];
            for name in all {
                let chain = (!name.contains("comes")).then_some("chain");
                store.insert_tenant(at(0), &of(name, chain, true)).await.expect("a tenant");
            }
            store.insert_tenant(at(0), &of("gains", Some("chain"), false)).await.expect("a tenant");
            let target = BatchTarget { organization: Some(organization("chain")), visible_tenants: None };
            let batch = store.batch_of(target, 7).await;
            for _ in 0..chunks_before {
                store.work(chunk(size)).await;
            }
            let before = store.touched(batch).await.0;

            store.moves("comes", Some("chain")).await;
            store.moves("z-comes", Some("chain")).await;
            store.moves("goes", Some("other")).await;
            store.moves("goes-and-returns", None).await;
            store.moves("goes-and-returns", Some("chain")).await;
            store.locate("gains", true).await;
            store.insert_tenant(at(1), &of("new", Some("chain"), true)).await.expect("a tenant");
            store.insert_tenant(at(1), &of("0-new", Some("chain"), true)).await.expect("a tenant");
            if !before.contains("loses") {
                store.locate("loses", false).await;
            }
            for name in ["deleted", "recreated"] {
                if !before.contains(name) {
                    store.delete_tenant(&id(name)).await.expect("deleted");
                }
            }
            if !before.contains("recreated") {
                store.insert_tenant(at(1), &of("recreated", Some("chain"), true)).await.expect("a tenant");
            }
            store.work_off(size).await;

            let (touched, skipped) = store.touched(batch).await;
            let mut expected = names(&["goes-and-returns", "moves", "stays"]);
            expected.extend(before.iter().cloned());
            let left = (!before.contains("goes")).then(|| ("goes".to_owned(), "ORGANIZATION_CHANGED".to_owned()));
            let case = format!("{chunks_before} chunks of {size}");
            assert_eq!((touched, skipped), (expected, left.into_iter().collect()), "{case}");
            let counts = store.get_batch(batch).await.counts;
            assert_eq!((counts.pending, sum(counts)), (0, 7), "{case}: each that was confirmed is counted");
            let pages: i64 = sqlx::query_scalar("select count(*) from batch_tenant_page")
                .fetch_one(&store.pool)
                .await
                .expect("read");
            assert_eq!(pages, 0, "{case}: nothing is kept of a batch whose runs are made");
        }
    }
}

#[tokio::test]
async fn what_is_committed_late_is_in_the_set_or_not_as_the_acceptance_saw_it() {
    let store = store_with(&[]).await;
    store.prepare_history(None).await.expect("what is skipped has a day");
    let target = store.chain("chain", 3).await;
    store.insert_tenant(at(0), &of("comes", None, true)).await.expect("a tenant");
    let mut late = sqlx::PgConnection::connect_with(&store.database.options()).await.expect("connected");
    sqlx::raw_sql(
        "begin;
         update tenant set organization_id = 'chain', updated_at = '1999-01-01' where id = 'comes';
         update tenant set organization_id = 'other', updated_at = '1999-01-01' where id = 'chain-1';
         insert into tenant (id, organization_id, display_name, gbp_account, gbp_location, region_code, language_code, created_at, updated_at)
         values ('chain-9', 'chain', 'X', '1', 'at-chain-9', 'US', 'en', '1999-01-01', '1999-01-01')",
    )
    .execute(&mut late)
    .await
    .expect("begun");
    let batch = store.batch_of(target, 3).await;
    sqlx::raw_sql("commit").execute(&mut late).await.expect("committed");
    store.work_off(99).await;
    let skipped = vec![("chain-1".to_owned(), "ORGANIZATION_CHANGED".to_owned())];
    assert_eq!(store.touched(batch).await, (names(&["chain-0", "chain-2"]), skipped));
}

#[tokio::test]
async fn the_flag_is_asked_once_for_the_organization_that_a_tenant_had_then() {
    let store = store_with(&[]).await;
    for (name, chain) in [("a", "pilot"), ("b", "pilot"), ("c", "other"), ("d", "other")] {
        store.insert_tenant(at(0), &of(name, Some(chain), true)).await.expect("a tenant");
    }
    let rollout = Rollout {
        state: FlagState::Partial,
        percent: Percent::NONE,
        organizations: [organization("pilot")].into(),
        ..Rollout::all(false)
    };
    let flag_at_acceptance =
        FlagAtAcceptance { flag: Flag::CategoryMirroring, rollout: Some(rollout), forced: None, on_by_default: false };
    let everybody = BatchTarget { organization: None, visible_tenants: None };
    let new = NewBatch { flag_at_acceptance, ..new_batch(everybody, 2) };
    let (batch, _) = store.accept_batch(at(0), &new).await.expect("accepted");
    assert_eq!((batch.tenants, batch.disabled), (2, 2));
    store.moves("b", Some("other")).await;
    store.moves("c", Some("pilot")).await;
    store.work_off(1).await;
    assert_eq!(store.touched(batch.id).await, (names(&["a", "b"]), vec![]));
}

#[tokio::test]
async fn a_set_of_many_pages_is_made_whole_in_order() {
    let store = store_with(&[]).await;
    store
        .execute(
            "insert into tenant (id, organization_id, display_name, gbp_account, gbp_location, region_code, language_code, created_at, updated_at)
             select 'T' || n || '-' || md5(n::text), 'chain', 'X', '1', 'l' || n, 'US', 'en', now(), now() from generate_series(1, 2500) n",
        )
        .await;
    let target = BatchTarget { organization: Some(organization("chain")), visible_tenants: None };
    let (batch, _) = store.accept_batch(None, &new_batch(target, 2500)).await.expect("accepted");
    let chunk = ChunkLimits { size: 700, live: i64::MAX };
    while store.work(chunk).await.is_some() {}
    assert_eq!(store.runs_of(batch.id).await.len(), 2500);
}

#[tokio::test]
async fn a_batch_that_an_earlier_version_accepted_is_made_too() {
    let store = store_with(&[]).await;
    let target = store.chain("chain", 4).await;
    let batch = store.batch_of(target, 4).await;
    store.work(chunk(1)).await;
    // As such a server leaves it.
    store.execute("delete from batch_tenant_page; update batch_expansion set tenants_created_until = null").await;
    store.insert_tenant(at(1), &of("chain-9", Some("chain"), true)).await.expect("a tenant");
    store.work_off(2).await;
    let made: BTreeSet<String> = store.runs_of(batch).await.into_keys().collect();
    assert_eq!(made, names(&["chain-0", "chain-1", "chain-2", "chain-3"]));
}

#[tokio::test]
async fn a_run_whose_tenant_has_left_since_it_was_made_gets_no_place() {
    let store = store_with(&[]).await;
    let target = store.chain("chain", 3).await;
    store.batch_of(target, 3).await;
    store.work_off(99).await;
    let claimed = store.claim(at(2), 9, LEASE).await.expect("claimed");
    let run = |tenant: &str| held(claimed.iter().find(|run| run.run.tenant.as_str() == tenant).expect("claimed"));
    let place = async |tenant: &str| store.reserve_batch_write(at(3), run(tenant), false, false).await.expect("asked");
    assert_eq!(place("chain-0").await, BatchReservation::Granted);
    for tenant in ["chain-0", "chain-1", "chain-2"] {
        store.moves(tenant, Some("other")).await;
    }
    assert_eq!(place("chain-0").await, BatchReservation::Granted, "it has begun to write");
    assert_eq!(place("chain-1").await, BatchReservation::OrganizationChanged);
    store.execute("update run set bulk = false where tenant_id = 'chain-2'").await;
    assert_eq!(place("chain-2").await, BatchReservation::Granted, "a single request has joined it");
    let counted: i64 =
        sqlx::query_scalar("select changes_reserved from batch").fetch_one(&store.pool).await.expect("read");
    assert_eq!(counted, 1);
}
