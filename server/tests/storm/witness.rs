//! The witness: reads the runs again and again, as anybody could, and remembers what it saw, where no crash can reach it.

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
        select * from every_run where ended_at is null or ended_at > now() - interval '30 seconds'
    )
    select jsonb_build_object(
               'id', seen.id, 'tenant', tenant_id, 'state', state, 'revision', revision, 'is_over', ended_at is not null,
               'fingerprint', case when ended_at is not null then md5(seen::text) end)
      from seen";

#[derive(Debug, Deserialize)]
struct Sight {
    id: Uuid,
    tenant: String,
    state: String,
    revision: i64,
    is_over: bool,
    fingerprint: Option<String>,
}

/// What was seen of the runs that have ended: their fingerprints.
#[derive(Debug, Clone)]
pub(crate) struct Ended(watch::Receiver<HashMap<Uuid, String>>);

impl Ended {
    /// Waits until a run, by its name, was seen to have ended.
    pub(crate) async fn wait_for(&mut self, name: &str) {
        let id = id(name);
        self.0.wait_for(|ended| ended.contains_key(&id)).await.expect("the witness outlives everybody");
    }

    /// How many were seen.
    pub(crate) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// All that was seen.
    pub(crate) fn all(&self) -> HashMap<Uuid, String> {
        self.0.borrow().clone()
    }
}

/// The id in a run's name.
pub(crate) fn id(name: &str) -> Uuid {
    name.rsplit('/').next().and_then(|id| id.parse().ok()).expect("a run's name")
}

/// Looks for as long as the program runs.
pub(crate) fn watch(database: Arc<Database>, record: Arc<Record>) -> Ended {
    let (tell, ended) = watch::channel(HashMap::new());
    tokio::spawn(async move {
        let mut revisions = HashMap::new();
        let mut glance = tokio::time::interval(GLANCE);
        loop {
            glance.tick().await;
            // While the database is away there is nothing to see.
            let Ok(sights) = database::rows::<Sight>(sqlx::query_scalar(LOOK), &database.pool).await else { continue };
            for words in judge(&sights, &mut revisions, &tell.borrow()) {
                record.surprise(words);
            }
            let news = sights.into_iter().filter_map(|sight| Some((sight.id, sight.fingerprint?)));
            tell.send_if_modified(|ended| {
                let known = ended.len();
                for (id, fingerprint) in news {
                    ended.entry(id).or_insert(fingerprint);
                }
                ended.len() > known
            });
        }
    });
    Ended(ended)
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
