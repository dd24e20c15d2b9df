//! Everything that the auditor looks at, gathered when all is quiet.

use std::collections::{BTreeMap, HashMap};

use category_mirror_client::RunState;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    callers::Stage,
    database,
    google::Patch,
    journal::{self, Entry},
    record::Notes,
    set::Set,
    witness::Ended,
};

/// A run, live or ended.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    #[serde(rename = "tenant_id")]
    pub(crate) tenant: String,
    pub(crate) request_id: Option<String>,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) attempt: i32,
    pub(crate) handed_back: i32,
    pub(crate) written: Value,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    /// Of the whole row.
    pub(crate) fingerprint: String,
}

/// A tenant and its location.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) location: String,
    /// What the location had in the beginning.
    pub(crate) initial: Set,
    /// What it has in the end.
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
    /// Its history.
    pub(crate) journal: Vec<Entry>,
    /// What Google got.
    pub(crate) patches: Vec<Patch>,
    /// What readers saw of runs that had ended: the rows' fingerprints.
    pub(crate) seen: HashMap<Uuid, String>,
    /// Both sides of the mirror.
    pub(crate) tenants: Vec<Tenant>,
    /// What the rollups say, and what a full count of the history does: how often, by words for what, when and of whom.
    pub(crate) sums: [BTreeMap<String, i64>; 2],
}

impl Evidence {
    /// Gathers it. The tenants come as id, location, and what that had in the beginning.
    pub(crate) async fn gather(stage: &Stage, tenants: &[(String, String, Set)], ended: &Ended) -> Self {
        let client = stage.fleet.patient_client().await;
        let notes = stage.record.notes().clone();
        let mut answers = HashMap::new();
        for accepted in &notes.accepted {
            let answer = client.get_run(&accepted.name).send().await;
            let answer = answer.map(|run| run.state).map_err(|error| error.to_string());
            answers.insert(accepted.name.clone(), answer);
        }
        let mut both = Vec::new();
        for (id, location, initial) in tenants {
            let categories = client.get_tenant_categories(id).send().await.expect("the tenant's categories");
            let primary = categories.primary.iter();
            let names: Vec<String> = primary.chain(&categories.additional).map(|slug| name(slug)).collect();
            both.push(Tenant {
                id: id.clone(),
                location: location.clone(),
                initial: initial.clone(),
                shown: stage.google.shown(location).await,
                desired: Set::from_names(&names),
            });
        }
        let pool = &stage.database.pool;
        let rows =
            "select to_jsonb(run) || jsonb_build_object('fingerprint', md5(run::text)) from every_run run order by id";
        Self {
            notes,
            answers,
            rows: database::rows(sqlx::query_scalar(rows), pool).await.expect("the run table"),
            journal: journal::read(pool).await.expect("the journal"),
            patches: stage.google.patches(&stage.fleet.tokens()).await,
            seen: ended.all(),
            tenants: both,
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
