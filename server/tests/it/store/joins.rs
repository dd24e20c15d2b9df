//! Joining: every kind of live run met by every kind of request. Joined means that the run does what is asked for, as things are now.

use category_mirror::{
    domain::{BatchId, GuardRule, Orders, RunId, RunKind, RunResult, Strategy, View, diff},
    error::Error,
    store::{BatchPlace, BatchTarget, NewBatch, NewRun, Progress},
};
use serde_json::{Value, json};
use sqlx::{Row, postgres::PgRow};

use super::{
    LEASE, TestStore, at,
    batches::{chunk, new_batch},
    held, id, new_run, shape, store_with, time,
};

/// When the running attempt was claimed, when it read its source, and when it is joined.
const CLAIMED: i64 = 20;
const READ: i64 = 21;
const ASKED: i64 = 50;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued,
    Delayed,
    /// An earlier attempt has written, or has set out to.
    QueuedBegun,
    Running,
    /// The same, while an attempt is under way that has not begun to write yet.
    RunningBegun,
    /// The attempt writes.
    Writing,
    /// The attempt has written.
    Written,
}

/// Who asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Single,
    Batch { is_guarded: bool, is_cancelled: bool },
}

/// What has changed since the source was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Nothing,
    Categories,
    Mapping,
    RegionalMapping,
    Region,
}

#[derive(Debug, Clone)]
struct Live {
    kind: RunKind,
    orders: Orders,
    stage: Stage,
    origin: Origin,
    is_cancelled: bool,
    moved: Moved,
}

#[derive(Debug, Clone)]
struct Asked {
    kind: RunKind,
    orders: Orders,
    is_batch: bool,
}

/// What is to come of it.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    /// Whether the attempt plans anew, and whether the run leaves the bulk.
    Joined {
        anew: bool,
        promoted: bool,
    },
    Refused(&'static str),
}

fn expected(live: &Live, asked: &Asked) -> Met {
    let has_one_write = live.orders.plan.is_some() || live.orders.reverts.is_some();
    let has_begun = !matches!(live.stage, Stage::Queued | Stage::Delayed | Stage::Running);
    if (live.kind, &live.orders) != (asked.kind, &asked.orders) {
        return Met::Refused("OTHER_REQUEST");
    }
    if live.is_cancelled {
        return Met::Refused("CANCEL_REQUESTED");
    }
    if let Origin::Batch { is_guarded, is_cancelled } = live.origin
        && asked.is_batch
        && (is_cancelled || has_begun || is_guarded && !live.kind.dry_run)
    {
        return Met::Refused("OTHER_BATCH");
    }
    let promoted = live.origin != Origin::Single && !asked.is_batch;
    match (live.stage, live.kind.strategy) {
        (Stage::Queued | Stage::Delayed | Stage::Running, _) => Met::Joined { anew: true, promoted },
        (Stage::QueuedBegun | Stage::RunningBegun, _) if has_one_write => Met::Refused("ALREADY_WRITTEN"),
        (Stage::QueuedBegun | Stage::RunningBegun, _) => Met::Joined { anew: true, promoted },
        (Stage::Writing | Stage::Written, Strategy::PlatformToGbp) if live.orders.reverts.is_some() => {
            Met::Joined { anew: false, promoted }
        }
        (Stage::Writing | Stage::Written, Strategy::PlatformToGbp) => match live.moved {
            Moved::Nothing => Met::Joined { anew: false, promoted },
            _ => Met::Refused("SOURCE_CHANGED"),
        },
        (Stage::Writing | Stage::Written, Strategy::GbpToPlatform) if live.orders.reverts.is_some() => {
            Met::Refused("ALREADY_WRITTEN")
        }
        // Only Google knows whether its side has changed.
        (Stage::Writing | Stage::Written, Strategy::GbpToPlatform) => Met::Refused("SOURCE_CHANGED"),
    }
}

/// Each kind of live run that there can be.
fn lives() -> Vec<Live> {
    let mut lives = Vec::new();
    for strategy in [Strategy::PlatformToGbp, Strategy::GbpToPlatform] {
        for dry_run in [false, true] {
            for (orders, origin) in orders(strategy, dry_run).into_iter().flat_map(origins) {
                for stage in stages(strategy, dry_run) {
                    let is_writing = matches!(stage, Stage::Writing | Stage::Written);
                    let live = Live {
                        kind: RunKind { strategy, dry_run },
                        orders: orders.clone(),
                        stage,
                        origin,
                        is_cancelled: false,
                        moved: Moved::Nothing,
                    };
                    lives.push(Live { is_cancelled: true, ..live.clone() });
                    if is_writing && strategy == Strategy::PlatformToGbp {
                        let all = [Moved::Categories, Moved::Mapping, Moved::RegionalMapping, Moved::Region];
                        lives.extend(all.map(|moved| Live { moved, ..live.clone() }));
                    }
                    lives.push(live);
                }
            }
        }
    }
    lives
}

fn stages(strategy: Strategy, dry_run: bool) -> Vec<Stage> {
    let mut stages = vec![Stage::Queued, Stage::Delayed, Stage::Running];
    if !dry_run {
        stages.extend([Stage::QueuedBegun, Stage::RunningBegun, Stage::Written]);
        // The other one writes in the transaction that says so.
        stages.extend((strategy == Strategy::PlatformToGbp).then_some(Stage::Writing));
    }
    stages
}

fn orders(strategy: Strategy, dry_run: bool) -> Vec<Orders> {
    let other = |n| Some(RunId::from_u128(n));
    let lifted =
        Orders { override_guards: [GuardRule::Removals].into(), reason: Some("why".to_owned()), ..Orders::default() };
    let mut all = vec![Orders::default(), lifted, Orders { reverts: other(1), ..Orders::default() }];
    if !dry_run {
        all.push(Orders { plan: other(2), ..Orders::default() });
    }
    if strategy == Strategy::GbpToPlatform {
        all.push(Orders { view: Some(View::Public), ..Orders::default() });
    }
    all
}

fn origins(orders: Orders) -> Vec<(Orders, Origin)> {
    let mut all = vec![Origin::Single];
    // A batch has no orders for one run.
    if orders.is_empty() {
        for (is_guarded, is_cancelled) in [(false, false), (false, true), (true, false), (true, true)] {
            all.push(Origin::Batch { is_guarded, is_cancelled });
        }
    }
    all.into_iter().map(|origin| (orders.clone(), origin)).collect()
}

/// Each kind of request: the same as the run was asked for, and all that differ in one thing.
fn requests(live: &Live) -> Vec<Asked> {
    let same = Asked { kind: live.kind, orders: live.orders.clone(), is_batch: false };
    let mut all = vec![same.clone()];
    if live.orders.is_empty() {
        all.push(Asked { is_batch: true, ..same.clone() });
    }
    if live.origin == Origin::Single && !live.is_cancelled && live.moved == Moved::Nothing {
        let RunKind { strategy, dry_run } = live.kind;
        let other = match strategy {
            Strategy::PlatformToGbp => Strategy::GbpToPlatform,
            Strategy::GbpToPlatform => Strategy::PlatformToGbp,
        };
        all.push(Asked { kind: RunKind { strategy: other, dry_run }, ..same.clone() });
        all.push(Asked { kind: RunKind { strategy, dry_run: !dry_run }, ..same.clone() });
        let others = orders(strategy, dry_run).into_iter().filter(|orders| *orders != live.orders);
        all.extend(others.map(|orders| Asked { orders, ..same.clone() }));
        // A batch beside a live revert, a run that applies a plan, one of another view, and one with other guards.
        all.push(Asked { orders: Orders::default(), is_batch: true, ..same });
    }
    all
}

/// The plan that an attempt has recorded which began to write.
fn plan(live: &Live, read_at: i64) -> Value {
    let from = match (live.orders.reverts, live.kind.strategy) {
        (Some(run), _) => json!({ "before": run }),
        (None, Strategy::PlatformToGbp) => json!("platform"),
        (None, Strategy::GbpToPlatform) => json!({ "gbp": live.orders.view() }),
    };
    let counterpart = |place: &str, slug: &str, gcid: Option<&str>| json!({"place": place, "slug": slug, "gcid": gcid, "display_name": slug});
    let source = [counterpart("primary", "cafe", Some("gcid:cafe")), counterpart("additional", "yoga", None)];
    let source: &[Value] = if live.orders.reverts.is_some() { &[] } else { &source };
    json!({
        "changes": [], "from": from, "source": source, "observed": null, "desired": super::set(&["cafe"]), "unmapped": [], "merged": [],
        "objections": [], "guards": [], "hash": "", "observed_at": time(read_at),
    })
}

impl TestStore {
    /// Makes a tenant with a live run.
    async fn place(&self, tenant: &str, live: &Live) -> RunId {
        sqlx::query(
            "with made as (
                 insert into tenant (id, display_name, gbp_account, gbp_location, region_code, language_code, created_at, updated_at)
                 values ($1, $1, '1', 'at-' || $1, 'US', 'en', $2, $2)
                 returning id
             )
             insert into tenant_category (tenant_id, position, slug) select id, 0, 'cafe' from made union all select id, 1, 'yoga' from made",
        )
        .bind(tenant)
        .bind(time(0))
        .execute(&self.pool)
        .await
        .expect("a tenant");
        let batch = match live.origin {
            Origin::Single => None,
            Origin::Batch { is_guarded, is_cancelled } => Some(self.stranger(is_guarded, is_cancelled).await),
        };
        let (begun, running) = match live.stage {
            Stage::Queued | Stage::Delayed => (None, false),
            Stage::Running => (None, true),
            Stage::QueuedBegun => (Some(1), false),
            Stage::RunningBegun => (Some(1), true),
            Stage::Writing | Stage::Written => (Some(READ), true),
        };
        let is_intent = live.stage == Stage::Writing
            || live.kind.strategy == Strategy::PlatformToGbp && live.stage != Stage::Written && begun.is_some();
        let id = RunId::now_v7();
        sqlx::query(
            "insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, attempt, bulk, batch_id, let_through, lane, turn,
                              caller, created_at, orders, cancel_requested, plan, intent, written, attempted_at, lease_until, due_at)
             values ($1, $2, $3, $4, $5, 5, 1, $6 is not null, $6, $7, $6::text, 7, 'tester', $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(id)
        .bind(tenant)
        .bind(live.kind.strategy.as_str())
        .bind(live.kind.dry_run)
        .bind(if running { "running" } else { "queued" })
        .bind(batch)
        .bind(batch.is_some() && begun.is_some())
        .bind(time(0))
        .bind((!live.orders.is_empty()).then(|| sqlx::types::Json(&live.orders)))
        .bind(live.is_cancelled)
        .bind(begun.map(|read_at| plan(live, read_at)))
        .bind(is_intent.then(|| json!({"before": null, "after": super::set(&["cafe"]), "changes": []})))
        .bind(if begun.is_some() && !is_intent { json!(diff(None, &super::set(&["cafe"]))) } else { json!([]) })
        .bind(time(CLAIMED))
        .bind(running.then(|| time(1000)))
        .bind((live.stage == Stage::Delayed).then(|| time(900)))
        .execute(&self.pool)
        .await
        .expect("a run");
        self.change(tenant, live.moved).await;
        id
    }

    /// A batch that a run can be one of.
    async fn stranger(&self, is_guarded: bool, is_cancelled: bool) -> BatchId {
        let id = BatchId::now_v7();
        sqlx::query(
            "insert into batch (id, strategy, dry_run, admission, tenants, without_location, not_admitted, max_attempts, primary_limit,
                                overrides, caller, reason, created_at, cancel_requested_at, made)
             values ($1, 'platform_to_gbp', false, '{}', 1, 0, 0, 5, $2, '{}', 'tester', '', $3, $4, 1)",
        )
        .bind(id)
        .bind(is_guarded.then_some(0_i64))
        .bind(time(0))
        .bind(is_cancelled.then(|| time(1)))
        .execute(&self.pool)
        .await
        .expect("a batch");
        id
    }

    /// Changes the source, with a time that is older than the attempt where the change has one: it was begun before and committed late.
    async fn change(&self, tenant: &str, moved: Moved) {
        let statement = match moved {
            Moved::Nothing => return,
            Moved::Categories => "delete from tenant_category where tenant_id = $1 and position = 1",
            Moved::Mapping => "update platform_category set gcid = 'gcid:yoga' where slug = 'yoga' and $1 <> ''",
            Moved::RegionalMapping => {
                "insert into regional_mapping (slug, region_code, gcid) select 'yoga', 'US', 'gcid:gym' where $1 <> ''"
            }
            Moved::Region => "update tenant set region_code = 'DE' where id = $1",
        };
        sqlx::query(statement).bind(tenant).execute(&self.pool).await.expect("changed");
    }

    async fn undo(&self, moved: Moved) {
        match moved {
            Moved::Mapping => self.execute("update platform_category set gcid = null where slug = 'yoga'").await,
            Moved::RegionalMapping => self.execute("delete from regional_mapping where region_code = 'US'").await,
            Moved::Nothing | Moved::Categories | Moved::Region => {}
        }
    }

    /// Asks, and tells what came of it: why the run cannot be joined, if it cannot.
    async fn press(&self, tenant: &str, run: RunId, asked: &Asked) -> Result<(), String> {
        if asked.is_batch {
            let target = BatchTarget { organization: None, only: Some(vec![id(tenant)]) };
            let batch = NewBatch { kind: asked.kind, ..new_batch(target, 1) };
            let (batch, _) = self.accept_batch(at(ASKED), &batch).await.expect("accepted");
            self.work_on_batch(at(ASKED), chunk(9), |_, _| None).await.expect("worked").expect("one tenant");
            let (reason, error): (String, Value) =
                sqlx::query_as("select reason, error from run_history where batch_id = $1")
                    .bind(batch.id)
                    .fetch_one(&self.pool)
                    .await
                    .expect("a run beside the live one");
            let metadata = &error["metadata"];
            assert_eq!(metadata["run"], format!("tenants/{tenant}/runs/{run}"), "it is named");
            return match reason.as_str() {
                "JOINED" => Ok(()),
                reason => Err(format!(
                    "{}{}",
                    if reason == "RUN_IN_PROGRESS" { "" } else { reason },
                    metadata["why"].as_str().unwrap_or("?")
                )),
            };
        }
        let new = NewRun {
            kind: asked.kind,
            orders: asked.orders.clone(),
            request_id: Some(tenant.to_owned()),
            ..new_run(tenant, false)
        };
        // By turns the two ways of acceptance.
        let answer = if tenant.len() % 2 == 0 {
            self.accept(at(ASKED), &new).await
        } else {
            let mut answers = self.accept_all(at(ASKED), std::slice::from_ref(&new)).await.expect("answered");
            answers.pop().flatten().expect("nobody is in the way")
        };
        match &answer {
            Ok(_) => {
                assert_eq!(shape(&answer), Ok((run, true, false)));
                Ok(())
            }
            Err(error) => {
                assert_eq!(error.reason(), "RUN_IN_PROGRESS");
                assert_eq!(error.metadata()["run"], format!("tenants/{tenant}/runs/{run}"), "it is named");
                Err(match error {
                    Error::RunInProgress { .. } => "OTHER_REQUEST".to_owned(),
                    error => error.metadata()["why"].clone(),
                })
            }
        }
    }

    /// The run's row, without what a join may change; that; and whether the request id is used up.
    async fn row(&self, run: RunId, request_id: &str) -> (Value, Option<i64>, bool, bool) {
        let row: PgRow = sqlx::query(
            "select to_jsonb(run) - '{joined_at, bulk, lane, turn}'::text[] as row, bulk,
                    extract(epoch from joined_at - $2)::bigint as joined_at, exists (select 1 from mirror_request where run_id = run.id) as used
               from run
              where id = $1",
        )
        .bind(run)
        .bind(time(0))
        .fetch_one(&self.pool)
        .await
        .expect(request_id);
        (row.get("row"), row.get("joined_at"), row.get("bulk"), row.get("used"))
    }
}

#[tokio::test]
async fn every_live_run_and_every_request() {
    let store = store_with(&[]).await;
    store
        .execute(
            "insert into platform_category (slug, display_name, gcid, created_at, updated_at)
             values ('cafe', 'Cafe', 'gcid:cafe', now(), now()), ('yoga', 'Yoga', null, now(), now());
             insert into regional_mapping (slug, region_code, gcid) values ('yoga', 'DE', 'gcid:sauna')",
        )
        .await;
    let mut cases = 0;
    for live in lives() {
        for asked in requests(&live) {
            cases += 1;
            let tenant = format!("t{cases:0width$}", width = 4 + cases % 2);
            let run = store.place(&tenant, &live).await;
            let (before, ..) = store.row(run, &tenant).await;
            let answer = store.press(&tenant, run, &asked).await;
            let (after, joined_at, bulk, used) = store.row(run, &tenant).await;
            let case = format!("{live:?}, {asked:?}");
            let is_bulk = live.origin != Origin::Single;
            assert_eq!(before, after, "{case}");
            match expected(&live, &asked) {
                Met::Joined { anew, promoted } => {
                    assert_eq!(answer, Ok(()), "{case}");
                    assert_eq!((joined_at, bulk), (anew.then_some(ASKED), is_bulk && !promoted), "{case}");
                    assert_eq!(used, !asked.is_batch, "{case}: the request id stands for it");
                }
                Met::Refused(why) => {
                    assert_eq!(answer, Err(why.to_owned()), "{case}");
                    assert_eq!((joined_at, bulk, used), (None, is_bulk, false), "{case}: nothing is changed");
                }
            }
            store.undo(live.moved).await;
            sqlx::query("delete from run where id = $1").bind(run).execute(&store.pool).await.expect("cleared");
        }
    }
    assert!(cases > 300, "{cases}");
}

#[tokio::test]
async fn a_run_that_waits_behind_the_bulk_passes_it_once_it_is_joined_and_needs_no_place() {
    let store = store_with(&[]).await;
    let target = store.chain("chain", 30).await;
    let batch = store.batch_of(target, 30).await;
    store.work_off(99).await;
    store.execute("update batch set change_limit = 0").await;
    let last = "chain-9";
    let joined = store.accept(at(2), &new_run(last, false)).await.expect("joined");
    assert!(joined.joined && joined.run.batch == Some(batch));

    let first = store.claim_one(3).await;
    assert_eq!((first.run.tenant.as_str(), first.bulk), (last, false), "before all of the bulk");
    assert_eq!(store.take_place(at(4), held(&first), true).await.expect("asked"), BatchPlace::Taken);
    let other = store.claim_one(3).await;
    assert!(other.bulk);
    assert_eq!(store.take_place(at(4), held(&other), false).await.expect("asked"), BatchPlace::Refused);

    // The batch still counts it.
    let done = store.finish(at(5), held(&first), 1, &RunResult::Succeeded, &Progress::default()).await;
    assert!(done.expect("answered"));
    assert_eq!(store.get_batch(batch).await.counts.succeeded, 1);
}

#[tokio::test]
async fn a_cancelled_batch_leaves_alone_what_another_request_has_joined() {
    let store = store_with(&[]).await;
    let target = store.chain("chain", 4).await;
    let batch = store.batch_of(target, 4).await;
    store.work_off(99).await;
    assert_eq!(store.claim(at(2), 2, LEASE).await.expect("claimed").len(), 2);
    for tenant in ["chain-0", "chain-3"] {
        assert!(store.accept(at(3), &new_run(tenant, false)).await.expect("joined").joined);
    }
    assert!(store.cancel_batch(at(4), batch).await.expect("cancelled"));
    // It can be joined even now, as long as nobody has come to cancel it.
    assert!(store.accept(at(4), &new_run("chain-2", false)).await.expect("joined").joined);
    store.work_off(99).await;
    let wanted: Vec<(String, bool)> = sqlx::query_as("select tenant_id, cancel_requested from run order by tenant_id")
        .fetch_all(&store.pool)
        .await
        .expect("read");
    let of = |tenant: &str, cancelled| (tenant.to_owned(), cancelled);
    assert_eq!(wanted, [of("chain-0", false), of("chain-1", true), of("chain-2", false), of("chain-3", false)]);
    let counts = store.get_batch(batch).await.counts;
    assert_eq!((counts.queued, counts.running), (2, 2), "those that are not cancelled, and those that run");
}

#[tokio::test]
async fn of_many_at_once_each_joins_a_run_that_does_it_or_starts_one() {
    let store = store_with(&["a"]).await;
    // A worker ends runs as fast as it can, while callers ask.
    let worker = async {
        for second in 1..60 {
            for claimed in store.claim(at(second), 9, LEASE).await.expect("claimed") {
                let ended =
                    store.finish(at(second), held(&claimed), 1, &RunResult::Succeeded, &Progress::default()).await;
                ended.expect("answered");
            }
        }
    };
    let callers = futures::future::join_all((0..6).map(|_| {
        let store = store.store.clone();
        async move {
            let mut answers = Vec::new();
            for second in 1..20 {
                answers.push(store.accept(at(second), &new_run("a", false)).await.expect("accepted"));
            }
            answers
        }
    }));
    let ((), answers) = tokio::join!(worker, callers);
    for answer in answers.into_iter().flatten() {
        assert_ne!(answer.joined, answer.created);
        assert!(!answer.run.state.is_terminal(), "nobody joins what has ended");
    }
}
