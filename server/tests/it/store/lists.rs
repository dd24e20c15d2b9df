//! Every combination of a list's filters gives what it names, and goes by an index.

use category_mirror::{
    domain::{BatchId, OrganizationId, RunFilter, RunId, RunState, Strategy},
    store::Store,
};
use chrono::{DateTime, TimeDelta, Utc};

use super::{TestStore, id, plans::HISTORY, store_with};

/// Something to limit a list to: what it is for the store, and what it is in SQL.
type Condition = (fn(&mut RunFilter), &'static str);

const CONDITIONS: [Condition; 12] = [
    (|filter| filter.tenant = Some(id("t80")), "tenant_id = 't80'"),
    (
        |filter| filter.visible_tenants = Some(vec![id("t80"), id("t81"), id("l10")]),
        "tenant_id in ('t80', 't81', 'l10')",
    ),
    (|filter| filter.organization = OrganizationId::parse("org-0").ok(), "organization_id = 'org-0'"),
    (|filter| filter.batch = Some(BatchId::from_u128(6)), "batch_id = '00000000-0000-0000-0000-000000000006'"),
    (|filter| filter.strategy = Some(Strategy::GbpToPlatform), "strategy = 'gbp_to_platform'"),
    (|filter| filter.states = vec![RunState::Failed, RunState::Running], "state in ('failed', 'running')"),
    (|filter| filter.dry_run = Some(true), "dry_run"),
    (|filter| filter.dry_run = Some(false), "not dry_run"),
    (|filter| filter.reason = Some("X".to_owned()), "reason = 'X'"),
    (|filter| filter.caller = Some("caller-3".to_owned()), "caller = 'caller-3'"),
    (
        |filter| filter.accepted_before = Some(days_ago(9)),
        "id < run_id_floor(date_trunc('day', now(), 'UTC') - interval '9 days')",
    ),
    (|filter| filter.out_of_sync = true, "out_of_sync and ended_at is not null"),
];

fn days_ago(days: i64) -> DateTime<Utc> {
    let today = Utc::now().date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    today - TimeDelta::days(days)
}

/// The whole list, by pages of a size.
async fn listed(store: &Store, filter: &RunFilter, size: i64) -> Vec<RunId> {
    let (mut runs, mut before) = (Vec::new(), None);
    loop {
        let found = store.logs(filter, before, size).await.expect("listed");
        let is_last = found.runs.len() < usize::try_from(size).expect("small") && found.rest.is_none();
        before = found.rest.or(found.runs.last().map(|run| run.id));
        runs.extend(found.runs.iter().map(|run| run.id));
        if is_last {
            return runs;
        }
    }
}

#[tokio::test]
async fn every_filter_alone_and_with_each_other_one_lists_what_it_names() {
    let store = store_with(&[]).await;
    store.execute(HISTORY).await;
    for (n, (one, first)) in CONDITIONS.iter().enumerate() {
        for (other, second) in &CONDITIONS[n..] {
            let mut filter = RunFilter::default();
            one(&mut filter);
            other(&mut filter);
            // Of one filter, the last value holds.
            let condition = if first.ends_with("dry_run") && second.ends_with("dry_run") {
                (*second).to_owned()
            } else {
                format!("{first} and {second}")
            };
            let named = format!("select id from all_runs where {condition} order by id desc limit 2500");
            let named: Vec<RunId> =
                sqlx::query_scalar(sqlx::AssertSqlSafe(named)).fetch_all(&store.pool).await.expect("read");
            let mut found = listed(&store, &filter, 700).await;
            found.truncate(2500);
            assert_eq!(found, named, "{condition}");
        }
    }
}

/// Rows that were read of tables of the history, by going through whole tables and by indexes, since it was filled.
async fn read(store: &TestStore) -> (i64, i64) {
    // What a connection has read is told when it ends, at the latest.
    let others = "select exists (select from pg_stat_activity
                                  where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend')";
    // One connection: those of a pool would wait for each other.
    let pool = store.database.pool();
    let mut connection = pool.acquire().await.expect("connected");
    while sqlx::query_scalar::<_, bool>(others).fetch_one(&mut *connection).await.expect("asked") {}
    sqlx::query_as(
        "select sum(seq_tup_read)::bigint, sum(idx_tup_fetch)::bigint
           from pg_stat_user_tables
          where relname ~ '^run_history_2'",
    )
    .fetch_one(&mut *connection)
    .await
    .expect("asked")
}

#[tokio::test]
async fn every_combination_of_up_to_three_filters_goes_by_an_index() {
    let store = store_with(&[]).await;
    store.execute(HISTORY).await;
    store.execute("select pg_stat_reset()").await;
    let mut lists = 0;
    for (n, (one, _)) in CONDITIONS.iter().enumerate() {
        for (m, (other, _)) in CONDITIONS.iter().enumerate().skip(n) {
            for (third, _) in &CONDITIONS[m..] {
                let mut filter = RunFilter::default();
                [one, other, third].into_iter().for_each(|condition| condition(&mut filter));
                let page = store.logs(&filter, None, 20).await.expect("listed");
                if let Some(last) = page.runs.last() {
                    store.logs(&filter, Some(last.id), 20).await.expect("listed");
                }
                lists += 1;
            }
        }
    }
    store.close().await;
    let (walked, looked_up) = read(&store).await;
    assert_eq!(walked, 0, "{lists} lists");
    // Of 28,799 runs.
    assert!(looked_up > lists && looked_up / lists < 1_000, "{looked_up} rows for {lists} lists");
}

#[tokio::test]
async fn a_tenants_dry_runs_are_found_without_reading_its_real_ones() {
    let store = store_with(&[]).await;
    store.execute(HISTORY).await;
    store.execute("select pg_stat_reset()").await;
    for (tenant, dry_runs) in [("t80", 29), ("t81", 0)] {
        let filter = RunFilter { tenant: Some(id(tenant)), dry_run: Some(true), ..RunFilter::default() };
        assert_eq!(super::listed(&store, &filter, None, 51).await.len(), dry_runs, "{tenant}");
    }
    store.close().await;
    assert_eq!(read(&store).await, (0, 29), "t81 has as many runs, all real ones");
}
