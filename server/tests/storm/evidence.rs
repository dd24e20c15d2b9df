//! Everything that the auditor looks at, gathered when all is quiet.

use std::collections::{BTreeMap, HashMap};

use category_mirror_client::{Batch, RunState};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    database, failovers,
    fleet::REMOVALS,
    google::Patch,
    journal::{self, Entry},
    platform::{self, Turn},
    record::Notes,
    set::Set,
    settings::{self, Binding, Switched},
    shop::Address,
    stage::Stage,
    troubles::Spot,
    witness::Seen,
};

/// A run, live or ended.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    #[serde(rename = "tenant_id")]
    pub(crate) tenant: String,
    #[serde(rename = "batch_id")]
    pub(crate) batch: Option<Uuid>,
    pub(crate) request_id: Option<String>,
    pub(crate) strategy: String,
    pub(crate) dry_run: bool,
    /// What was asked for beyond that.
    pub(crate) options: Option<Value>,
    pub(crate) plan: Option<Value>,
    pub(crate) state: String,
    pub(crate) cancel_requested: bool,
    pub(crate) reason: Option<String>,
    pub(crate) error: Option<Value>,
    #[serde(rename = "fencing_token")]
    pub(crate) attempt: i32,
    pub(crate) uncounted_attempts: i32,
    pub(crate) out_of_sync: bool,
    pub(crate) written: Value,
    /// A write of which it is not known whether it took effect.
    #[serde(rename = "write_intent")]
    pub(crate) intent: Option<Value>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) deleted: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    /// Of the whole row.
    pub(crate) fingerprint: String,
}

/// A batch.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BatchRow {
    pub(crate) id: Uuid,
    pub(crate) request_id: Option<String>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    /// Of the whole row.
    pub(crate) fingerprint: String,
}

/// A tenant and its location.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) address: Address,
    /// What the location that it has in the end has then.
    pub(crate) shown: Option<Set>,
    /// What it should have.
    pub(crate) desired: Option<Set>,
}

/// All there is.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// What the storm did, and what it was promised.
    pub(crate) notes: Notes,
    /// What the service answers when it is asked for an accepted run, by the run's name.
    pub(crate) answers: HashMap<String, Result<RunState, String>>,
    /// The runs.
    pub(crate) rows: Vec<Row>,
    /// The batches.
    pub(crate) batches: Vec<BatchRow>,
    /// What the service answers when it is asked for an accepted batch, by the batch's name.
    pub(crate) batch_answers: HashMap<String, Result<Batch, String>>,
    /// How many batches the servers have something to do of.
    pub(crate) batches_to_do: i64,
    /// Live runs of cancelled batches that nobody cancelled.
    pub(crate) left_alone: Vec<Uuid>,
    /// The history of the runs.
    pub(crate) journal: Vec<Entry>,
    /// The history of what tenants had on the platform.
    pub(crate) platform: Vec<Turn>,
    /// What Google got.
    pub(crate) patches: Vec<Patch>,
    /// What readers saw of what had ended: the rows' fingerprints.
    pub(crate) seen: Seen,
    /// Both sides of the mirror.
    pub(crate) tenants: Vec<Tenant>,
    /// Every location there is.
    pub(crate) spots: Vec<Spot>,
    /// The history of the tenants' locations.
    pub(crate) bindings: Vec<Binding>,
    /// The history of the kill switch.
    pub(crate) switches: Vec<Switched>,
    /// What the service calls the last run of each tenant, by the strategy of its runs; `None`: it knows none.
    pub(crate) last_runs: HashMap<String, Option<String>>,
    /// The marks of the failovers.
    pub(crate) marks: Vec<i32>,
    /// PostgreSQL's timeline: each promotion begins another one.
    pub(crate) timeline: i32,
    /// How many categories a run's writes may remove in total.
    pub(crate) removals: usize,
    /// What the rollups say, and what a full count of the history does: how often, by words for what, when and of whom.
    pub(crate) sums: [BTreeMap<String, i64>; 2],
}

impl Evidence {
    /// Gathers it.
    pub(crate) async fn gather(stage: &Stage, addresses: &[Address], spare: &[Spot]) -> Self {
        let client = stage.fleet.patient_client().await;
        let notes = stage.record.notes().clone();
        let mut answers = HashMap::new();
        for accepted in &notes.accepted {
            let answer = client.get_run(&accepted.name).send().await;
            let answer = answer.map(|run| run.state).map_err(|error| error.to_string());
            answers.insert(accepted.name.clone(), answer);
        }
        let mut batch_answers = HashMap::new();
        for accepted in &notes.batches {
            let answer = client.get_batch(&accepted.name).send().await.map_err(|error| error.to_string());
            batch_answers.insert(accepted.name.clone(), answer);
        }
        let pool = &stage.database.pool;
        let bindings = settings::bindings(pool).await.expect("the journal of locations");
        let (mut tenants, mut spots, mut last_runs) = (Vec::new(), Vec::new(), HashMap::new());
        for spot in spare {
            spots.push(Spot { shown: stage.google.shown(&spot.location).await, ..spot.clone() });
        }
        for address in addresses {
            let categories =
                client.get_tenant_categories(&address.tenant).send().await.expect("the tenant's categories");
            let primary = categories.primary.iter();
            let names: Vec<String> = primary.chain(&categories.additional).map(|slug| name(slug)).collect();
            let (tenant, initial) = (&address.tenant, address.initial.clone());
            let shown = stage.google.shown(&address.location).await;
            spots.push(Spot { location: address.location.clone(), initial, shown: shown.clone() });
            // A tenant that has another location in the end than in the beginning is mirrored to that one.
            let shown = match settings::location_at(&bindings, tenant, Utc::now()) {
                Some(location) if location != address.location => stage.google.shown(location).await,
                _ => shown,
            };
            tenants.push(Tenant { address: address.clone(), shown, desired: Set::from_names(&names) });
            let last = client.get_last_run(tenant, address.strategy).send().await;
            last_runs.insert(tenant.clone(), last.ok().map(|run| run.name));
        }
        let rows =
            "select to_jsonb(run) || jsonb_build_object('fingerprint', md5(run::text)) from all_runs run order by id";
        let batches = "select to_jsonb(batch) || jsonb_build_object('fingerprint', md5((to_jsonb(batch) - 'storm_extra')::text)) from batch order by id";
        let to_do = sqlx::query_scalar("select count(*) from batch_expansion");
        Self {
            notes,
            answers,
            rows: database::rows(sqlx::query_scalar(rows), pool).await.expect("the run table"),
            batches: database::rows(sqlx::query_scalar(batches), pool).await.expect("the batches"),
            batch_answers,
            batches_to_do: to_do.fetch_one(pool).await.expect("a count"),
            left_alone: journal::left_alone(pool).await.expect("the journal of batches"),
            journal: journal::read(pool).await.expect("the journal"),
            platform: platform::read(pool).await.expect("the journal of the platform's side"),
            patches: stage.google.patches(&stage.fleet.tokens()).await,
            seen: stage.ended.all(),
            tenants,
            spots,
            bindings,
            switches: settings::switches(pool).await.expect("the journal of the kill switch"),
            last_runs,
            marks: failovers::marks(pool).await.expect("the marks of the failovers"),
            timeline: failovers::timeline(pool).await.expect("the timeline"),
            removals: REMOVALS,
            sums: [
                sums(include_str!("../data/rollups_kept.sql"), pool).await.expect("the rollups"),
                sums(include_str!("../data/rollups_counted.sql"), pool).await.expect("a count"),
            ],
        }
    }
}

async fn sums(sql: &'static str, pool: &PgPool) -> sqlx::Result<BTreeMap<String, i64>> {
    Ok(sqlx::query_as(sql).fetch_all(pool).await?.into_iter().collect())
}

/// `food_court` of `platformCategories/food-court`.
fn name(slug: &str) -> String {
    slug.rsplit('/').next().unwrap_or_default().replace('-', "_")
}
