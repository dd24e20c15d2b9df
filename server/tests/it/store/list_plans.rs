//! Which index a list of the history goes by, whatever the sizes of its days are, and whosever runs they are.

use std::{collections::BTreeSet, time::Duration};

use category_mirror::{
    domain::{BatchId, OrganizationId, RunFilter, RunState, Strategy},
    store::{Retention, Spread, Store, connect, end_one, fill_history},
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection, PgPool};

use super::id;
use crate::database::{self, TestDatabase};

/// Runs of days, as many as a day has of 10,000, 100,000, 300,000, 1,000,000 and 3,000,000 runs over 90 days. Each day is planned by itself.
const RUNS: [i32; 5] = [111, 1_111, 3_333, 11_111, 33_333];
/// How much more the planner is to believe that there is: 30,000,000 runs over 90 days.
const MORE: i32 = 10;

/// A list, and the indexes of the history that it may go by.
type List = (&'static str, fn(&mut RunFilter), &'static [&'static str]);

const LISTS: [List; 19] = [
    ("no filter", |_| {}, &["run_history_pkey"]),
    (
        "time range",
        |filter| (filter.accepted_from, filter.accepted_before) = (days_ago(60), days_ago(2)),
        &["run_history_pkey"],
    ),
    ("tenant", |filter| filter.tenant = Some(id("tenant-0")), &["run_history_by_tenant"]),
    ("rare tenant", |filter| filter.tenant = Some(id("tenant-9")), &["run_history_by_tenant"]),
    ("tenant that is not there", |filter| filter.tenant = Some(id("nobody")), &["run_history_by_tenant"]),
    (
        "tenant and time range",
        |filter| (filter.tenant, filter.accepted_from) = (Some(id("tenant-0")), days_ago(60)),
        &["run_history_by_tenant"],
    ),
    (
        "tenant and strategy",
        |filter| (filter.tenant, filter.strategy) = (Some(id("tenant-0")), Some(Strategy::GbpToPlatform)),
        &["run_history_by_tenant"],
    ),
    (
        "tenant and caller",
        |filter| (filter.tenant, filter.caller) = (Some(id("tenant-0")), Some("caller-7".to_owned())),
        &["run_history_by_tenant"],
    ),
    (
        "tenant and states",
        |filter| (filter.tenant, filter.states) = (Some(id("tenant-0")), vec![RunState::Failed, RunState::Skipped]),
        &["run_history_by_tenant_and_state"],
    ),
    (
        "tenant and dry run",
        |filter| (filter.tenant, filter.dry_run) = (Some(id("tenant-0")), Some(true)),
        &["run_history_by_tenant_dry"],
    ),
    ("organization", |filter| filter.organization = organization(), &["run_history_by_organization"]),
    (
        "organization and state",
        |filter| (filter.organization, filter.states) = (organization(), vec![RunState::Failed]),
        &["run_history_by_organization_and_state"],
    ),
    (
        "organization and out of sync",
        |filter| (filter.organization, filter.out_of_sync) = (organization(), true),
        &["run_history_by_organization_out_of_sync"],
    ),
    ("batch", |filter| filter.batch = Some(BatchId::from_u128(42)), &["run_history_by_batch"]),
    ("strategy", |filter| filter.strategy = Some(Strategy::GbpToPlatform), &["run_history_gbp_to_platform"]),
    ("state", |filter| filter.states = vec![RunState::Failed], &["run_history_by_state"]),
    ("dry run", |filter| filter.dry_run = Some(true), &["run_history_dry"]),
    ("reason", |filter| filter.reason = Some("EMPTY_SOURCE".to_owned()), &["run_history_by_reason"]),
    ("out of sync", |filter| filter.out_of_sync = true, &["run_history_out_of_sync"]),
];

fn days_ago(days: i64) -> Option<DateTime<Utc>> {
    Some(Utc::now() - TimeDelta::days(days))
}

fn organization() -> Option<OrganizationId> {
    OrganizationId::parse("org-0").ok()
}

async fn filled(spread: Spread) -> (TestDatabase, PgConnection) {
    let database = database::create().await;
    let pool = connect(database.options(), 2);
    let nothing = Retention { all: Duration::ZERO, failed: Duration::ZERO };
    Store::new(pool.clone()).drop_history(None, nothing).await.expect("dropped");
    for (day, runs) in (1..).zip(RUNS) {
        fill_history(&pool, day, runs, spread).await.expect("filled");
    }
    pool.close().await;
    let connection = PgConnection::connect_with(&database.options()).await.expect("connected");
    (database, connection)
}

/// Has the planner believe that there are so many times the runs, and entries of each index, on as many pages as there are.
async fn believe(connection: &mut PgConnection, times: i32) {
    sqlx::query(
        "update pg_class set reltuples = reltuples * $1, relpages = pg_relation_size(oid) / 8192
          where relname ~ '^run_history_2' and reltuples > 0",
    )
    .bind(times)
    .execute(connection)
    .await
    .expect("believed");
}

/// Waits until no other connection is there: what one has used is told when it ends, at the latest.
async fn others_have_ended(connection: &mut PgConnection) {
    let others = "select exists (select from pg_stat_activity
                                  where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend')";
    while sqlx::query_scalar::<_, bool>(others).fetch_one(&mut *connection).await.expect("asked") {}
}

/// The indexes of the history that were used since they were asked for last, by a store that is closed.
async fn used(connection: &mut PgConnection) -> BTreeSet<String> {
    others_have_ended(connection).await;
    let used: Vec<String> = sqlx::query_scalar(
        "select distinct parent.relname::text
           from pg_stat_user_indexes used
           join pg_inherits on inhrelid = used.indexrelid
           join pg_class parent on parent.oid = inhparent
          where used.idx_scan > 0 and used.relname ~ '^run_history_2'",
    )
    .fetch_all(&mut *connection)
    .await
    .expect("asked");
    let walked: i64 = sqlx::query_scalar(
        "select coalesce(sum(seq_scan), 0)::bigint from pg_stat_user_tables where relname ~ '^run_history_2'",
    )
    .fetch_one(&mut *connection)
    .await
    .expect("asked");
    assert_eq!(walked, 0, "tables that were read whole");
    sqlx::query("select pg_stat_reset()").execute(connection).await.expect("reset");
    used.into_iter().collect()
}

async fn list(pool: PgPool, filter: &RunFilter) {
    let store = Store::new(pool);
    let page = store.logs(filter, None, 20).await.expect("listed");
    if let Some(last) = page.runs.last() {
        store.logs(filter, Some(last.id), 20).await.expect("listed");
    }
    store.close().await;
}

async fn every_list_goes_by_its_index(spread: Spread) {
    let (database, mut connection) = filled(spread).await;
    // Filling has used some.
    sqlx::query("select pg_stat_reset()").execute(&mut connection).await.expect("reset");
    for times in [1, MORE] {
        believe(&mut connection, times).await;
        for (name, limit, indexes) in LISTS {
            let mut filter = RunFilter::default();
            limit(&mut filter);
            list(connect(database.options(), 2), &filter).await;
            let used = used(&mut connection).await;
            let expected: BTreeSet<String> = indexes.iter().map(ToString::to_string).collect();
            assert_eq!(used, expected, "{name}, {spread:?}, {times} times");
        }
    }
}

/// Entries of indexes of the days before yesterday that were read.
async fn read_of_older_days(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "select coalesce(sum(idx_tup_read), 0)::bigint from pg_stat_user_indexes
          where relname ~ '^run_history_2' and relname < 'run_history_' || to_char(now() at time zone 'UTC' - interval '1 day', 'YYYY_MM_DD')",
    )
    .fetch_one(connection)
    .await
    .expect("asked")
}

#[tokio::test]
async fn the_newest_failures_of_an_hour_are_not_looked_for_among_those_of_weeks() {
    let (database, mut connection) = filled(Spread::Even).await;
    let hour = Duration::from_secs(3600);
    let pool = connect(database.options(), 2);
    let store = Store::new(pool.clone());
    store.prepare_history(None).await.expect("prepared");
    // More than the statistics name, so that those suffice.
    for tenant in 0..6 {
        end_one(&pool, tenant, true).await.expect("ended");
    }
    sqlx::query("select pg_stat_reset()").execute(&mut connection).await.expect("reset");
    assert_eq!(store.stats(None, &RunFilter::default(), hour).await.expect("counted").recent_failures.len(), 5);
    store.close().await;
    pool.close().await;
    others_have_ended(&mut connection).await;
    assert_eq!(read_of_older_days(&mut connection).await, 0);
}

#[tokio::test]
async fn a_failure_of_this_hour_is_named_however_long_ago_its_run_was_accepted() {
    let (database, mut connection) = filled(Spread::Even).await;
    let pool = connect(database.options(), 2);
    let store = Store::new(pool.clone());
    store.prepare_history(None).await.expect("prepared");
    end_one(&pool, 1, true).await.expect("ended");
    // What has ended changes for nobody but a replica.
    sqlx::query("set session_replication_role = replica").execute(&mut connection).await.expect("set");
    for days in [1, 2, 5] {
        // Moved to the day on which it was accepted, and ended now.
        end_one(&pool, 1 + days, true).await.expect("ended");
        sqlx::query(
            "update run_history
                set id = overlay(id::text placing left(run_id_floor(now() - interval '1 day' * $1)::text, 14) from 1)::uuid
              where tenant_id = 'tenant-' || $2::integer and ended_at > now() - interval '1 hour'",
        )
        .bind(days)
        .bind(1 + days)
        .execute(&mut connection)
        .await
        .expect("moved");
    }
    let stats = store.stats(None, &RunFilter::default(), Duration::from_secs(3600)).await.expect("counted");
    let tenants: Vec<&str> = stats.recent_failures.iter().map(|run| run.tenant.as_str()).collect();
    assert_eq!(tenants, ["tenant-1", "tenant-2", "tenant-3", "tenant-6"]);
}

#[tokio::test]
async fn every_list_goes_by_its_index_at_any_size() {
    every_list_goes_by_its_index(Spread::Even).await;
}

#[tokio::test]
async fn and_where_one_tenant_has_half_of_all() {
    every_list_goes_by_its_index(Spread::Skewed).await;
}
