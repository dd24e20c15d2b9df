//! What runs have found of how tenants' two sides stand: recorded by the statement that ends the runs, where anything is new.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::types::Json;

use super::finish::Finish;
use crate::domain::{Baseline, DesiredRecord, DriftCause, GbpState, LocationId, RunId, Stamped, WrittenSet};

/// What a run has found, and is not recorded yet. What is not given stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SyncObservation {
    /// Whose categories were read.
    pub location: LocationId,
    /// Why the tenant is, or is not, in sync.
    pub cause: DriftCause,
    /// See [`observation_digest`][crate::domain::observation_digest]; `None`: the observation failed.
    pub digest: Option<String>,
    /// Whether this is what the last successful real run left.
    pub matches_baseline: bool,
    /// What the platform wants.
    pub desired: Option<DesiredRecord>,
    /// What Google has.
    pub google: Option<GbpState>,
    /// What this run has left, if it has.
    pub baseline: Option<Baseline>,
    /// What this run has written to Google, if it has.
    pub written: Option<WrittenSet>,
    /// What this run may have written to Google: nobody knows.
    pub unresolved: Option<WrittenSet>,
    /// The write of an earlier run whose outcome was unknown, where this one found that it took effect.
    pub resolved: Option<Stamped<WrittenSet>>,
    /// When it saw that somebody had changed back what a run before had written.
    pub overwritten_at: Option<DateTime<Utc>>,
    /// Whether a person has to decide from now on.
    pub in_conflict: bool,
}

impl SyncObservation {
    /// That an observation failed: what was known before stays, and says nothing about now.
    #[must_use]
    pub fn failed(location: LocationId) -> Self {
        Self {
            location,
            cause: DriftCause::Unknown,
            digest: None,
            matches_baseline: false,
            desired: None,
            google: None,
            baseline: None,
            written: None,
            unresolved: None,
            resolved: None,
            overwritten_at: None,
            in_conflict: false,
        }
    }
}

/// What was recorded of the last observation of a tenant's location: enough to tell whether there is anything new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastObservation {
    /// See [`observation_digest`][crate::domain::observation_digest]; `None`: whoever looks next has to record it.
    pub digest: Option<String>,
    /// Whether that is what the last successful real run left.
    pub matches_baseline: bool,
    /// Whether it failed.
    pub failed: bool,
}

#[derive(Serialize)]
pub(in crate::store) struct SyncObservationJson<'a> {
    run: RunId,
    #[serde(flatten)]
    observation: &'a SyncObservation,
}

/// What is new of these runs' tenants.
pub(in crate::store) fn observations(ends: &[Finish]) -> Json<Vec<SyncObservationJson<'_>>> {
    Json(
        ends.iter()
            .filter_map(|end| Some(SyncObservationJson { run: end.held.id, observation: end.observation.as_ref()? }))
            .collect(),
    )
}

/// Records what the runs that `moved` into the history have `found`. A tenant that has another location meanwhile is left out.
macro_rules! upsert_tenant_sync {
    () => {
        "
            insert into tenant_sync as known (tenant_id, organization_id, gbp_location, cause, cause_at, observed_at, observed_run_id,
                                              observe_failed_at, observe_failed_run_id, digest, matches_baseline, desired, google, baseline, written,
                                              unresolved, overwritten_at, conflict_at)
            select moved.tenant_id, tenant.organization_id, found.location, found.cause, moved.ended_at,
                   case when found.cause <> 'unknown' then moved.ended_at end, case when found.cause <> 'unknown' then moved.id end,
                   case when found.cause = 'unknown' then moved.ended_at end, case when found.cause = 'unknown' then moved.id end,
                   found.digest, found.matches_baseline, found.desired, found.google,
                   found.baseline || jsonb_build_object('run', moved.id, 'at', moved.ended_at),
                   coalesce(found.written || jsonb_build_object('run', moved.id, 'at', moved.ended_at), found.resolved),
                   found.unresolved || jsonb_build_object('run', moved.id, 'at', moved.ended_at),
                   array_remove(array[found.overwritten_at], null),
                   case when found.in_conflict then moved.ended_at end
              from found
              join moved on moved.id = found.run
              -- Held until the commit, so that nobody takes away meanwhile what the row is about.
              join lateral (select organization_id from tenant
                             where id = moved.tenant_id and gbp_location = found.location
                               for key share) as tenant on true
             order by moved.tenant_id
            on conflict (tenant_id) do update
               set cause_at = case when known.cause = excluded.cause then known.cause_at else excluded.cause_at end,
                   cause = excluded.cause,
                   observed_at = coalesce(excluded.observed_at, known.observed_at),
                   observed_run_id = coalesce(excluded.observed_run_id, known.observed_run_id),
                   observe_failed_at = excluded.observe_failed_at, observe_failed_run_id = excluded.observe_failed_run_id,
                   digest = excluded.digest, matches_baseline = excluded.matches_baseline,
                   desired = coalesce(excluded.desired, known.desired), google = coalesce(excluded.google, known.google),
                   baseline = coalesce(excluded.baseline, known.baseline), written = coalesce(excluded.written, known.written),
                   -- A run that observed the location has seen what there is to see of it.
                   unresolved = case when excluded.unresolved is not null or excluded.cause <> 'unknown' then excluded.unresolved
                                     else known.unresolved end,
                   -- Older ones count no more.
                   overwritten_at = case when excluded.overwritten_at = '{}' then known.overwritten_at
                                else array(select overwrite from unnest(known.overwritten_at) as overwrite
                                            where overwrite > excluded.cause_at - interval '7 days'
                                            order by overwrite) || excluded.overwritten_at end,
                   conflict_at = coalesce(known.conflict_at, excluded.conflict_at) "
    };
}
pub(in crate::store) use upsert_tenant_sync;
