//! What runs have found of how tenants' two sides stand: recorded by the statement that ends the runs, where anything is new.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::types::Json;

use super::Finish;
use crate::domain::{AtGoogle, Baseline, Cause, Left, LocationId, RunId, Wish, WrittenSet};

/// What a run has found, and is not recorded yet. What is not given stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Whose categories were read.
    pub location: LocationId,
    /// Why the tenant is, or is not, in sync.
    pub cause: Cause,
    /// See [`digest_of`][crate::domain::digest_of]; `None`: the look failed.
    pub digest: Option<String>,
    /// Whether this is what the last successful real run left.
    pub settled: bool,
    /// What the platform wants.
    pub wanted: Option<Wish>,
    /// What Google has.
    pub google: Option<AtGoogle>,
    /// What this run has left, if it has.
    pub baseline: Option<Baseline>,
    /// What this run has written to Google, if it has.
    pub written: Option<WrittenSet>,
    /// What this run may have written to Google: nobody knows.
    pub unresolved: Option<WrittenSet>,
    /// The write of an earlier run whose outcome was unknown, where this one found that it took effect.
    pub resolved: Option<Left<WrittenSet>>,
    /// When it saw that somebody had changed back what a run before had written.
    pub flipped_at: Option<DateTime<Utc>>,
    /// Whether a person has to decide from now on.
    pub contested: bool,
}

impl Found {
    /// That a look failed: what was known before stays, and says nothing about now.
    #[must_use]
    pub fn failed(location: LocationId) -> Self {
        Self {
            location,
            cause: Cause::Unknown,
            digest: None,
            settled: false,
            wanted: None,
            google: None,
            baseline: None,
            written: None,
            unresolved: None,
            resolved: None,
            flipped_at: None,
            contested: false,
        }
    }
}

/// What was recorded of the last look at a tenant's location: enough to tell whether there is anything new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastLook {
    /// See [`digest_of`][crate::domain::digest_of]; `None`: whoever looks next has to record it.
    pub digest: Option<String>,
    /// Whether that is what the last successful real run left.
    pub settled: bool,
    /// Whether it failed.
    pub failed: bool,
}

#[derive(Serialize)]
pub(super) struct FoundJson<'a> {
    run: RunId,
    #[serde(flatten)]
    found: &'a Found,
}

/// What is new of these runs' tenants.
pub(super) fn found(ends: &[Finish]) -> Json<Vec<FoundJson<'_>>> {
    Json(ends.iter().filter_map(|end| Some(FoundJson { run: end.held.id, found: end.found.as_ref()? })).collect())
}

/// Records what the runs that `moved` into the history have `found`. A tenant that has another location meanwhile is left out.
macro_rules! recorded {
    () => {
        "
            insert into tenant_sync as known (tenant_id, organization_id, gbp_location, cause, since_at, observed_at, observed_by,
                                              failed_at, failed_by, digest, settled, wanted, google, baseline, written,
                                              unresolved, flips, contested_at)
            select moved.tenant_id, tenant.organization_id, found.location, found.cause, moved.ended_at,
                   case when found.cause <> 'unknown' then moved.ended_at end, case when found.cause <> 'unknown' then moved.id end,
                   case when found.cause = 'unknown' then moved.ended_at end, case when found.cause = 'unknown' then moved.id end,
                   found.digest, found.settled, found.wanted, found.google,
                   found.baseline || jsonb_build_object('run', moved.id, 'at', moved.ended_at),
                   coalesce(found.written || jsonb_build_object('run', moved.id, 'at', moved.ended_at), found.resolved),
                   found.unresolved || jsonb_build_object('run', moved.id, 'at', moved.ended_at),
                   array_remove(array[found.flipped_at], null),
                   case when found.contested then moved.ended_at end
              from found
              join moved on moved.id = found.run
              -- Held until the commit, so that nobody takes away meanwhile what the row is about.
              join lateral (select organization_id from tenant
                             where id = moved.tenant_id and gbp_location = found.location
                               for key share) as tenant on true
             order by moved.tenant_id
            on conflict (tenant_id) do update
               set since_at = case when known.cause = excluded.cause then known.since_at else excluded.since_at end,
                   cause = excluded.cause,
                   observed_at = coalesce(excluded.observed_at, known.observed_at),
                   observed_by = coalesce(excluded.observed_by, known.observed_by),
                   failed_at = excluded.failed_at, failed_by = excluded.failed_by,
                   digest = excluded.digest, settled = excluded.settled,
                   wanted = coalesce(excluded.wanted, known.wanted), google = coalesce(excluded.google, known.google),
                   baseline = coalesce(excluded.baseline, known.baseline), written = coalesce(excluded.written, known.written),
                   -- A run that observed the location has seen what there is to see of it.
                   unresolved = case when excluded.unresolved is not null or excluded.cause <> 'unknown' then excluded.unresolved
                                     else known.unresolved end,
                   -- Older ones count no more.
                   flips = case when excluded.flips = '{}' then known.flips
                                else array(select flip from unnest(known.flips) as flip
                                            where flip > excluded.since_at - interval '7 days'
                                            order by flip) || excluded.flips end,
                   contested_at = coalesce(known.contested_at, excluded.contested_at) "
    };
}
pub(super) use recorded;
