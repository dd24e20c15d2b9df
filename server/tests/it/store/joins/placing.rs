//! Live runs of each kind, as the table has them.

use category_mirror::domain::{BatchId, RunId, Strategy, diff};
use serde_json::{Value, json};

use super::{
    super::{TestStore, set, time},
    cases::{Live, Moved, Origin, Stage},
};

/// When the running attempt was claimed, and when it read its source.
const CLAIMED: i64 = 20;
const READ: i64 = 21;

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
        "changes": [], "from": from, "source": source, "observed": null, "desired": set(&["cafe"]), "unmapped": [], "merged": [],
        "objections": [], "guards": [], "hash": "", "observed_at": time(read_at),
    })
}

impl TestStore {
    /// Makes a tenant with a live run.
    pub(super) async fn place(&self, tenant: &str, live: &Live) -> RunId {
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
        .bind((!live.orders.is_empty()).then_some(sqlx::types::Json(&live.orders)))
        .bind(live.is_cancelled)
        .bind(begun.map(|read_at| plan(live, read_at)))
        .bind(is_intent.then(|| json!({"before": null, "after": set(&["cafe"]), "changes": []})))
        .bind(if begun.is_some() && !is_intent { json!(diff(None, &set(&["cafe"]))) } else { json!([]) })
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
    pub(super) async fn change(&self, tenant: &str, moved: Moved) {
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

    pub(super) async fn undo(&self, moved: Moved) {
        match moved {
            Moved::Mapping => self.execute("update platform_category set gcid = null where slug = 'yoga'").await,
            Moved::RegionalMapping => self.execute("delete from regional_mapping where region_code = 'US'").await,
            Moved::Nothing | Moved::Categories | Moved::Region => {}
        }
    }
}
