//! The witness: reads runs and batches again and again, as anybody could, and remembers what it saw, where no crash can reach it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    database::{self, Database},
    record::Record,
};

const GLANCE: Duration = Duration::from_millis(50);

/// Live runs, and those that ended a moment ago. All of an ended one is in its fingerprint.
const LOOK: &str = "
    with seen as (
        select * from all_runs where ended_at is null or ended_at > now() - interval '30 seconds'
    )
    select jsonb_build_object(
               'id', seen.id, 'tenant', tenant_id, 'state', state, 'revision', revision, 'is_over', ended_at is not null,
               'fingerprint', case when ended_at is not null then md5(seen::text) end)
      from seen";

/// Batches that ended a moment ago.
const LOOK_AT_BATCHES: &str = "
    select jsonb_build_object('id', id, 'fingerprint', md5((to_jsonb(batch) - 'storm_extra')::text))
      from batch
     where ended_at > now() - interval '30 seconds'";

#[derive(Debug, Deserialize)]
struct BatchSight {
    id: Uuid,
    fingerprint: String,
}

#[derive(Debug, Deserialize)]
struct Sight {
    id: Uuid,
    tenant: String,
    state: String,
    revision: i64,
    is_over: bool,
    fingerprint: Option<String>,
}

/// What was seen of what has ended: fingerprints.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Of the runs.
    pub(crate) runs: HashMap<Uuid, String>,
    /// Of the batches.
    pub(crate) batches: HashMap<Uuid, String>,
}

/// What has ended, as it is seen.
#[derive(Debug, Clone)]
pub(crate) struct Ended(watch::Receiver<Seen>);

impl Ended {
    /// Waits until a run, by its name, was seen to have ended.
    pub(crate) async fn wait_for(&mut self, name: &str) {
        let id = id(name);
        self.0.wait_for(|seen| seen.runs.contains_key(&id)).await.expect("the witness outlives everybody");
    }

    /// Waits until a batch, by its name, was seen to have ended.
    pub(crate) async fn wait_for_batch(&mut self, name: &str) {
        let id = id(name);
        self.0.wait_for(|seen| seen.batches.contains_key(&id)).await.expect("the witness outlives everybody");
    }

    /// How many runs were seen.
    pub(crate) fn count(&self) -> usize {
        self.0.borrow().runs.len()
    }

    /// All that was seen.
    pub(crate) fn all(&self) -> Seen {
        self.0.borrow().clone()
    }
}

/// The id in the name of a run or a batch.
pub(crate) fn id(name: &str) -> Uuid {
    name.rsplit('/').next().and_then(|id| id.parse().ok()).expect("a name")
}

/// Looks for as long as the program runs.
pub(crate) fn watch(database: Arc<Database>, record: Arc<Record>) -> Ended {
    let (tell, ended) = watch::channel(Seen::default());
    tokio::spawn(async move {
        let mut revisions = HashMap::new();
        let mut glance = tokio::time::interval(GLANCE);
        loop {
            glance.tick().await;
            // While the database is away there is nothing to see.
            let Ok(sights) = database::rows::<Sight>(sqlx::query_scalar(LOOK), &database.pool).await else { continue };
            let batches = database::rows::<BatchSight>(sqlx::query_scalar(LOOK_AT_BATCHES), &database.pool);
            let Ok(batches) = batches.await else { continue };
            for words in judge(&sights, &mut revisions, &tell.borrow().runs) {
                record.surprise(words);
            }
            let runs = sights.into_iter().filter_map(|sight| Some((sight.id, sight.fingerprint?)));
            let batches = batches.into_iter().map(|batch| (batch.id, batch.fingerprint));
            tell.send_if_modified(|seen| {
                // Both, whether or not the first brought anything.
                add(&mut seen.runs, runs) | add(&mut seen.batches, batches)
            });
        }
    });
    Ended(ended)
}

/// Adds what is new. The first sight counts: an ended one does not change.
fn add(known: &mut HashMap<Uuid, String>, sights: impl Iterator<Item = (Uuid, String)>) -> bool {
    let before = known.len();
    for (id, fingerprint) in sights {
        known.entry(id).or_insert(fingerprint);
    }
    known.len() > before
}

/// What must not be seen in one look, after all that was seen before.
fn judge(sights: &[Sight], revisions: &mut HashMap<Uuid, i64>, ended: &HashMap<Uuid, String>) -> Vec<String> {
    let mut surprises = Vec::new();
    let mut live: BTreeMap<&str, u32> = BTreeMap::new();
    for Sight { id, tenant, state, revision, is_over, fingerprint } in sights {
        if !is_over {
            *live.entry(tenant).or_default() += 1;
        }
        let known = revisions.entry(*id).or_insert(*revision);
        if *revision < *known {
            surprises.push(format!("a reader saw run {id} at revision {known} and later at {revision}, {state}"));
        }
        *known = *revision;
        if let Some(seen) = ended.get(id).filter(|seen| Some(*seen) != fingerprint.as_ref()) {
            surprises
                .push(format!("a reader saw run {id} ended, and later otherwise: {state} ({seen}, {fingerprint:?})"));
        }
    }
    for (tenant, count) in live.into_iter().filter(|(_, count)| *count > 1) {
        surprises.push(format!("a reader saw {count} live runs of {tenant} at one time"));
    }
    surprises
}
