//! Counts that servers sum up: none is lost or counted twice, whichever of them dies, and whatever becomes of the database.

use std::{collections::BTreeMap, time::Duration};

use category_mirror::{
    PROGRAM,
    domain::{
        AccountId, Failure, FailureReason, LocationId, OrganizationId, RunId, RunKind, RunOptions, RunResult,
        Strategy as Direction, Tenant, TenantId,
    },
    postgres::{Durability, Embedded, Options},
    store::{self, AttemptProgress, ClaimLimits, Finish, LeaseKey, NewRun, Store, migrations},
};
use category_mirror_client::{Client, Strategy};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::{ConnectOptions, PgConnection, PgPool};
use tempfile::TempDir;

use super::site::{FOR_EVER_MS, Site, folder, until};

/// Tenants, each of an organization of its own: each statement that ends runs of all of them adds as many counts and one more.
const TENANTS: usize = 10;
/// Statements that end runs, evenly over an hour: together more counts than a server sums up at once.
const STATEMENTS: i32 = 120;

/// As it would be after a power failure: the servers have nothing in memory that the database lacks.
async fn start(folder: &TempDir) -> Embedded {
    let mut options = Options::new(PROGRAM, folder.path().join("data"));
    options.durability = Durability::Volatile;
    Embedded::start(options).await.expect("started")
}

fn name(n: usize) -> String {
    format!("tenant-{n}")
}

/// An hour of history that ended before anybody summed it up.
async fn live_an_hour(store: &Store) {
    let began = Utc::now() - TimeDelta::hours(1);
    for n in 0..TENANTS {
        let tenant = Tenant {
            id: TenantId::parse(&name(n)).expect("an id"),
            display_name: name(n),
            organization: OrganizationId::parse(&format!("chain-{n}")).ok(),
            account: AccountId::parse("1").ok(),
            location: LocationId::parse(&format!("10{n}")).ok(),
            region_code: "US".to_owned(),
            language_code: "en".to_owned(),
            created_at: began,
            updated_at: began,
        };
        store.insert_tenant(Some(began), &tenant).await.expect("a tenant");
    }
    for statement in 0..STATEMENTS {
        let now = began + TimeDelta::hours(1) * statement / STATEMENTS;
        live(store, now, statement).await;
    }
}

/// One run of each tenant, all ended by one statement.
async fn live(store: &Store, now: DateTime<Utc>, statement: i32) {
    for n in 0..TENANTS {
        let run = NewRun {
            id: RunId::now_v7(),
            tenant: TenantId::parse(&name(n)).expect("an id"),
            kind: RunKind { strategy: Direction::PlatformToGbp, dry_run: n % 4 == 3 },
            options: RunOptions::default(),
            caller: "tester".to_owned(),
            request_id: None,
            asked: None,
            max_attempts: 5,
            traceparent: None,
        };
        store.accept(Some(now), &run).await.expect("accepted");
    }
    let claimed = store.claim(Some(now), ClaimLimits::of(100), Duration::from_secs(30)).await.expect("claimed");
    assert_eq!(claimed.len(), TENANTS);
    let ends: Vec<Finish> = (0..)
        .zip(&claimed)
        .map(|(n, claimed)| Finish {
            held: LeaseKey { id: claimed.run.id, fencing_token: claimed.fencing_token },
            attempt: 1,
            result: match (statement + n) % 5 {
                0 => RunResult::Failed(Failure::permanent(FailureReason::EmptySource, "nothing")),
                1 => RunResult::Cancelled,
                _ => RunResult::Succeeded,
            },
            progress: AttemptProgress::default(),
            location: None,
            observation: None,
        })
        .collect();
    let done = now + TimeDelta::milliseconds(i64::from(statement) * 7);
    assert_eq!(store.finish(Some(done), &ends).await.expect("finished").len(), TENANTS);
}

/// Asks for a run of every tenant. Those whose last one is not over are joined.
async fn trigger_all(client: &Client) {
    for n in 0..TENANTS {
        client.mirror(name(n), Strategy::PlatformToGbp).send().await.expect("accepted");
    }
}

async fn sums(connection: &mut PgConnection, sql: &'static str) -> BTreeMap<String, i64> {
    sqlx::query_as(sql).fetch_all(connection).await.expect("summed").into_iter().collect()
}

async fn assert_sums_equal_a_full_count(pool: &PgPool, runs: usize) {
    // One snapshot: runs end and counts are summed up meanwhile.
    let mut snapshot = pool.begin_with("begin isolation level repeatable read").await.expect("begun");
    let kept = sums(&mut snapshot, include_str!("../../data/rollups_kept.sql")).await;
    let counted = sums(&mut snapshot, include_str!("../../data/rollups_counted.sql")).await;
    // Things that are counted, of more than 60 minutes, 2 hours and a day, and of each organization.
    assert!(counted.len() > 60 * 3, "{counted:#?}");
    let differ = |one: &BTreeMap<String, i64>, other: &BTreeMap<String, i64>| -> Vec<(String, i64)> {
        one.iter().filter(|(what, n)| other.get(*what) != Some(*n)).map(|(what, n)| (what.clone(), *n)).collect()
    };
    assert_eq!((differ(&kept, &counted), differ(&counted, &kept)), (vec![], vec![]), "the rollups, and a full count");
    let ended = sqlx::query_scalar("select count(*) from run_history").fetch_one(&mut *snapshot).await;
    let ended: i64 = ended.expect("counted");
    snapshot.commit().await.expect("read");
    assert!(ended >= i64::try_from(runs).expect("few"), "{ended}");
}

#[tokio::test]
async fn an_hour_of_history_is_counted_once_through_a_replicas_death_and_a_restart_of_the_database() {
    let (site, folder) = (Site::embedded().await, folder());
    let database = start(&folder).await;
    let url = database.connect_options().to_url_lossy();
    let pool = store::connect(database.connect_options(), 4);
    migrations::migrate(&pool).await.expect("migrated");
    live_an_hour(&Store::new(pool.clone())).await;
    let history = TENANTS * usize::try_from(STATEMENTS).expect("some");
    assert_sums_equal_a_full_count(&pool, history).await;

    // Two servers sum up, and carry runs out: some fail, for nobody has told the platform of their categories.
    let first = site.serve(&[("DATABASE_URL", url.as_str())]).await;
    let second = site.serve(&[("DATABASE_URL", url.as_str())]).await;
    let client = site.client(&second);
    site.load(&client).await;
    site.google.fault(json!({"method": "locations.get", "delay_ms": FOR_EVER_MS, "times": 1})).await;
    site.trigger(&site.client(&first)).await;
    site.asked("locations.get", 1).await;
    trigger_all(&client).await;
    first.kill().await;
    assert_sums_equal_a_full_count(&pool, history).await;
    trigger_all(&client).await;

    pool.close().await;
    database.stop().await;
    let database = start(&folder).await;
    let pool = store::connect(database.connect_options(), 4);
    let third = site.serve(&[("DATABASE_URL", url.as_str())]).await;
    trigger_all(&site.client(&third)).await;

    let none =
        async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&pool).await.expect("counted") == 0;
    until("every run has ended", || none("select count(*) from run")).await;
    assert_sums_equal_a_full_count(&pool, history + TENANTS + 1).await;
    until("every count is summed up", || none("select count(*) from rollup_delta")).await;
    assert_sums_equal_a_full_count(&pool, history + TENANTS + 1).await;

    second.stop().await;
    third.stop().await;
    pool.close().await;
    database.stop().await;
}
