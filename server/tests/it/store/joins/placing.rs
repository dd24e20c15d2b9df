//! Live runs of each kind, as the table has them.

use category_mirror::domain::{BatchId, RunId, Strategy, diff};
use serde_json::{Value, json};

use super::{
    super::{TestStore, set, time},
    cases::{Live, Origin, Stage, StaleInput},
};

/// When the running attempt was claimed, and when it read its source.
const CLAIMED: i64 = 20;
const READ: i64 = 21;

/// The plan that an attempt has recorded which began to write.
fn plan(live: &Live, read_at: i64) -> Value {
    let from = match (live.options.revert_of, live.kind.strategy) {
        (Some(run), _) => json!({ "before": run }),
        (None, Strategy::PlatformToGbp) => json!("platform"),
        (None, Strategy::GbpToPlatform) => json!({ "gbp": live.options.view() }),
    };
    let counterpart = |place: &str, slug: &str, gcid: Option<&str>| json!({"role": place, "slug": slug, "gcid": gcid, "display_name": slug});
    let source = [counterpart("primary", "cafe", Some("gcid:cafe")), counterpart("additional", "yoga", None)];
    let source: &[Value] = if live.options.revert_of.is_some() { &[] } else { &source };
    json!({
        "changes": [], "from": from, "source": source, "observed": null, "desired": set(&["cafe"]), "unmapped": [], "merged": [],
        "validation_errors": [], "guards": [], "hash": "", "observed_at": time(read_at),
    })
}

impl TestStore {
    /// Makes a tenant with a live run.
    pub(super) async fn place(&self, tenant: &str, live: &Live) -> RunId {
        sqlx::query(
            "with runs_created as (
                 insert into tenant (id, display_name, gbp_account, gbp_location, region_code, language_code, created_at, updated_at)
                 values ($1, $1, '1', 'at-' || $1, 'US', 'en', $2, $2)
                 returning id
             )
             insert into tenant_category (tenant_id, position, slug) select id, 0, 'cafe' from runs_created union all select id, 1, 'yoga' from runs_created",
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
            "insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, fencing_token, bulk, batch_id, batch_write_reserved, fairness_key, fairness_rank,
                              caller, created_at, options, cancel_requested, plan, write_intent, written, attempt_started_at, lease_expires_at, next_attempt_at)
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
        .bind((!live.options.is_empty()).then_some(sqlx::types::Json(&live.options)))
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
            "insert into batch (id, strategy, dry_run, flag_at_acceptance, tenants, without_location, disabled, max_attempts, max_primary_changes,
                                overridden_guards, caller, override_reason, created_at, cancel_requested_at, runs_created)
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
    pub(super) async fn change(&self, tenant: &str, moved: StaleInput) {
        let statement = match moved {
            StaleInput::Nothing => return,
            StaleInput::Categories => "delete from tenant_category where tenant_id = $1 and position = 1",
            StaleInput::Mapping => "update platform_category set gcid = 'gcid:yoga' where slug = 'yoga' and $1 <> ''",
            StaleInput::RegionalMapping => {
                "insert into regional_mapping (slug, region_code, gcid) select 'yoga', 'US', 'gcid:gym' where $1 <> ''"
            }
            StaleInput::Region => "update tenant set region_code = 'DE' where id = $1",
        };
        sqlx::query(statement).bind(tenant).execute(&self.pool).await.expect("changed");
    }

    pub(super) async fn undo(&self, moved: StaleInput) {
        match moved {
            StaleInput::Mapping => self.execute("update platform_category set gcid = null where slug = 'yoga'").await,
            StaleInput::RegionalMapping => self.execute("delete from regional_mapping where region_code = 'US'").await,
            StaleInput::Nothing | StaleInput::Categories | StaleInput::Region => {}
        }
    }
}
