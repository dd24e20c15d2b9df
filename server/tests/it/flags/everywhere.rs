//! A change reaches every server, also one that hears nothing of it, and runs that were accepted before.

use category_mirror::{
    app::FlagCache,
    domain::{Flag, ProcessFlags, Rollout, TenantId},
    store::{self, FlagUpdate, Store},
    wake::{Topic, WakeUp, WakeUpBus},
};
use category_mirror_client::{Client, FlagState, RunState, Strategy};
use sqlx::{Postgres, Transaction};
use tokio_util::sync::CancellationToken;

use super::{MIRRORING, SYNC, evaluated, idle, switch, until};
use crate::{
    database::{self, TestDatabase},
    replica::{Replica, replica},
    service::{self, Service, Setup},
};

/// Three servers beside the test's own.
async fn three(service: &Service, setup: Setup) -> [Replica; 3] {
    let google = &service.google.endpoint;
    [
        replica(service, setup, google).await,
        replica(service, setup, google).await,
        replica(service, setup, google).await,
    ]
}

/// Asks a server again and again until a flag is as it should be there.
async fn until_it_is(on: bool, client: &Client, flag: &str) {
    until(flag, async || evaluated(client, flag, "store").await.enabled == on).await;
}

#[tokio::test]
async fn a_switch_off_reaches_three_replicas_and_runs_already_queued() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let replicas = three(&service, idle()).await;
    switch(&service.client, MIRRORING, FlagState::On).await;
    switch(&service.client, SYNC, FlagState::On).await;
    for replica in &replicas {
        until_it_is(true, &replica.client, MIRRORING).await;
    }
    let queued = replicas[0].client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;

    switch(&service.client, MIRRORING, FlagState::Off).await;
    switch(&service.client, SYNC, FlagState::Off).await;
    for replica in &replicas {
        until_it_is(false, &replica.client, MIRRORING).await;
        let error = replica.client.mirror("store", Strategy::PlatformToGbp).send().await.expect_err("off");
        assert_eq!((super::flag(&error), error.metadata()["flag_reason"].as_str()), (MIRRORING, "SWITCHED_OFF"));
    }
    let _workers = three(&service, Setup::default()).await;
    let run = service.ended(&queued.name).await;
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Skipped, Some("FEATURE_DISABLED")));
    let error = run.error.expect("it says why");
    assert_eq!((error.metadata["flag"].as_str(), error.metadata["flag_reason"].as_str()), (SYNC, "SWITCHED_OFF"));
    assert_eq!(service.google.calls().await, serde_json::json!({"writes": []}));
}

#[tokio::test]
async fn who_hears_nothing_of_a_change_looks_for_it() {
    let service = service::start_with(idle()).await;
    service.with_store(&[], "bar", &[]).await;
    let replicas = three(&service, idle()).await;
    for replica in &replicas {
        until_it_is(true, &replica.client, MIRRORING).await;
    }
    // Past every server, so that none is told.
    let store = Store::new(service.pool.clone());
    let off = Rollout::all(false);
    let update =
        FlagUpdate { flag: Flag::CategoryMirroring, before: None, after: &off, caller: "nobody", reason: "silently" };
    store.update_flag(None, &update).await.expect("changed").expect("nobody else did");

    for replica in &replicas {
        until_it_is(false, &replica.client, MIRRORING).await;
    }
}

/// Has a call hold the only connection of a store, for as long as the transaction lives.
async fn hold_only_connection(database: &TestDatabase, store: &Store) -> Transaction<'static, Postgres> {
    let pool = database.pool();
    let mut locked = pool.begin().await.expect("begun");
    sqlx::query("lock table tenant in access exclusive mode").execute(&mut *locked).await.expect("locked");
    let (caller, tenant) = (store.clone(), TenantId::parse("store").expect("an id"));
    tokio::spawn(async move { caller.tenant(&tenant).await });
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let is_held = async || sqlx::query_scalar::<_, i64>(waiting).fetch_one(&pool).await.expect("counted") > 0;
    until("the only connection is in use", is_held).await;
    locked
}

#[tokio::test]
async fn a_server_that_is_overrun_hears_of_a_switch_off() {
    let database = database::create().await;
    let store = Store::new(store::connect(database.options(), 1));
    let flags = FlagCache::new(store.clone(), ProcessFlags::default());
    let _held = hold_only_connection(&database, &store).await;
    let looked = flags.now().await.expect("read, although every connection is in use");
    assert_eq!(looked.revision(Flag::CategoryMirroring), 0);
}

#[tokio::test]
async fn callers_who_list_flags_do_not_delay_a_switch_off() {
    let database = database::create().await;
    let store = Store::new(store::connect(database.options(), 1));
    let stop = CancellationToken::new();
    let wake = WakeUpBus::start(database.pool(), stop.clone());
    let flags = FlagCache::new(store.clone(), ProcessFlags::on());
    tokio::spawn(stop.clone().run_until_cancelled_owned(flags.clone().keep_fresh(wake.subscribe(Topic::Flags))));
    let tenant = TenantId::parse("store").expect("an id");
    let is_on = async || flags.now().await.expect("read").is_on(Flag::CategoryMirroring, &tenant, None);
    assert!(is_on().await, "by default");

    // Each of them waits for the only connection, and holds up nobody but other callers.
    let _held = hold_only_connection(&database, &store).await;
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.flags().await })
        })
        .collect();
    let off = Rollout::all(false);
    let update =
        FlagUpdate { flag: Flag::CategoryMirroring, before: None, after: &off, caller: "tester", reason: "test" };
    Store::new(database.pool()).update_flag(None, &update).await.expect("changed").expect("nobody else did");
    until("the switch-off is heard of", async || !is_on().await).await;
    for caller in callers {
        assert!(caller.await.expect("no panic").is_err(), "answered, over the connection of the kill switch");
    }
    stop.cancel();
}

#[tokio::test]
async fn the_connection_of_the_kill_switch_may_be_cut() {
    let database = database::create().await;
    let (pool, stop) = (database.pool(), CancellationToken::new());
    let (store, wake) = (Store::new(pool.clone()), WakeUpBus::start(pool.clone(), stop.clone()));
    let flags = FlagCache::new(store.clone(), ProcessFlags::on());
    tokio::spawn(stop.clone().run_until_cancelled_owned(flags.clone().keep_fresh(wake.subscribe(Topic::Flags))));
    flags.now().await.expect("read");
    let cut: i64 = sqlx::query_scalar(
        "select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and query like 'select name, %from flag'",
    )
    .fetch_one(&pool)
    .await
    .expect("cut");
    assert_eq!(cut, 1, "it has one");
    let off = Rollout::all(false);
    let update =
        FlagUpdate { flag: Flag::CategoryMirroring, before: None, after: &off, caller: "tester", reason: "test" };
    store.update_flag(None, &update).await.expect("changed").expect("nobody else did");
    wake.send(WakeUp::FlagsChanged);
    let tenant = TenantId::parse("store").expect("an id");
    let is_off = async || flags.now().await.is_ok_and(|flags| !flags.is_on(Flag::CategoryMirroring, &tenant, None));
    until("the switch-off is heard of", is_off).await;
    stop.cancel();
}

#[tokio::test]
async fn what_was_read_last_holds_for_as_long_as_a_switch_off_may_take_and_then_nothing_does() {
    let database = database::create().await;
    let pool = database.pool();
    let stop = CancellationToken::new();
    let (store, wake) = (Store::new(pool.clone()), WakeUpBus::start(pool.clone(), stop.clone()));
    let (on, off) = (Rollout::all(true), Rollout::all(false));
    let update =
        |before, after| FlagUpdate { flag: Flag::CategoryMirroring, before, after, caller: "tester", reason: "test" };
    let set = store.update_flag(None, &update(None, &on)).await.expect("changed").expect("first");
    let flags = FlagCache::new(store.clone(), ProcessFlags::default());
    tokio::spawn(stop.clone().run_until_cancelled_owned(flags.clone().keep_fresh(wake.subscribe(Topic::Flags))));
    let tenant = TenantId::parse("store").expect("an id");
    let is_on = async || flags.now().await.expect("read before").is_on(Flag::CategoryMirroring, &tenant, None);
    assert!(is_on().await);

    // Each look fails now, and is counted all the same.
    let broken = "alter table flag rename to hidden;
                  create sequence looked;
                  create view flag as select * from hidden where nextval('looked') / 0 = 1";
    sqlx::raw_sql(broken).execute(&pool).await.expect("broken");
    let before_the_first = FlagCache::new(store.clone(), ProcessFlags::on());
    before_the_first.now().await.expect_err("nothing is on that was never read, and nothing is called off");
    let looks = async || sqlx::query_scalar::<_, i64>("select last_value from looked").fetch_one(&pool).await;
    wake.send(WakeUp::FlagsChanged);
    until("looked in vain", async || looks().await.expect("counted") > 2).await;
    // On, as it was read last, until it may have been switched off without anybody here knowing.
    let now = async || flags.now().await;
    until("it is no longer believed", async || now().await.is_err()).await;
    let error = now().await.expect_err("neither on nor off");
    assert_eq!(error.reason(), "DATABASE_UNAVAILABLE");

    let mended = "drop view flag; alter table hidden rename to flag";
    sqlx::raw_sql(mended).execute(&pool).await.expect("mended");
    store.update_flag(None, &update(Some(&set), &off)).await.expect("changed").expect("second");
    let is_off = async || now().await.is_ok_and(|flags| !flags.is_on(Flag::CategoryMirroring, &tenant, None));
    until("the switch-off is heard of", is_off).await;
    stop.cancel();
}
