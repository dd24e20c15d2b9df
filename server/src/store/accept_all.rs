//! Accepting many runs with one statement and one commit.

use sqlx::{FromRow, Row, postgres::PgRow};

use super::{Accepted, LogFilter, NewRun, Now, Store, accept::in_progress, row::optional_id, tenant::not_found};
use crate::{
    domain::{ChangeCounts, OrganizationId, Run, RunId, RunState, TraceParent},
    error::Error,
};

/// What the statement found for one of the wanted runs.
struct Found {
    position: i64,
    has_location: Option<bool>,
    /// The run was made, at this time, for this organization.
    created: Option<(chrono::DateTime<chrono::Utc>, Option<OrganizationId>)>,
    /// The live run of the tenant, from before.
    live: Option<RunId>,
    /// The first answer to the request id: run, joined, and whether its arguments were the same.
    first: Option<(RunId, bool, bool)>,
}

impl Store {
    /// Accepts runs of different tenants, with different request ids, in one commit. Each gets an answer of its own; `None` is a
    /// run that met another transaction on its way, and has to go the way of [`Store::accept`].
    ///
    /// # Errors
    /// The database's, which concern all of them; what concerns one is in its answer.
    pub async fn accept_all(&self, now: Now, wanted: &[NewRun]) -> Result<Vec<Option<Result<Accepted, Error>>>, Error> {
        let mut found = self.accept_statement(now, wanted).await?;
        found.sort_by_key(|found| found.position);
        let others: Vec<RunId> = found.iter().filter_map(|f| f.first.map(|first| first.0).or(f.live)).collect();
        let others = if others.is_empty() { Vec::new() } else { self.runs(&LogFilter::default(), &others).await? };
        let run = |id: RunId| others.iter().find(|run| run.id == id).cloned();
        Ok(wanted.iter().zip(found).map(|(new, found)| answer(new, &found, run)).collect())
    }

    async fn accept_statement(&self, now: Now, wanted: &[NewRun]) -> Result<Vec<Found>, Error> {
        fn column<'a, T>(wanted: &'a [NewRun], value: impl Fn(&'a NewRun) -> T) -> Vec<T> {
            wanted.iter().map(value).collect()
        }
        Ok(sqlx::query_as::<_, Found>(
            "with wanted as materialized (
                 select * from unnest($2::uuid[], $3::text[], $4::text[], $5::boolean[], $6::integer[], $7::text[], $8::text[],
                                      $9::uuid[], $10::uuid[], $11::text[])
                     with ordinality
                     as wanted (id, tenant_id, strategy, dry_run, max_attempts, caller, request_id, key, fingerprint, traceparent, position)
             ), place as materialized (
                 -- Held until the commit, so that no tenant is deleted between the look and its run; in one order for all.
                 select id, organization_id, gbp_location is not null as has_location
                   from tenant
                  where id = any ($3)
                  order by id
                    for key share
             ), first as materialized (
                 -- First answers, as they were before this statement.
                 select key, fingerprint, run_id, joined from mirror_request
                  where key = any ($9) and created_at >= coalesce($1, now()) - interval '24 hours'
             ), live as materialized (
                 select id, tenant_id, strategy, dry_run from run where tenant_id = any ($3) and state in ('queued', 'running')
             ), acceptable as (
                 select wanted.*, place.organization_id, live.id as live_id
                   from wanted
                   join place on place.id = wanted.tenant_id and place.has_location
                   left join live on live.tenant_id = wanted.tenant_id
                  where live.id is null or (live.strategy = wanted.strategy and live.dry_run = wanted.dry_run)
             ), claimed_request as (
                 insert into mirror_request as old (key, fingerprint, run_id, joined, created_at)
                 select key, fingerprint, coalesce(live_id, id), live_id is not null, coalesce($1, now())
                   from acceptable
                  where key is not null
                  order by key
                 on conflict (key) do update
                    set fingerprint = excluded.fingerprint, run_id = excluded.run_id,
                        joined = excluded.joined, created_at = excluded.created_at
                  where old.created_at < excluded.created_at - interval '24 hours'
                 returning key
             ), first_in_line as materialized (
                 select turn from run
                  where state = 'queued' and due_at is null and not bulk
                  order by turn, id
                  limit 1
             ), last_of_lane as materialized (
                 select lane, (select turn from run
                                where state = 'queued' and due_at is null and lane = lanes.lane and not bulk
                                order by turn desc
                                limit 1) as turn
                   from (select distinct organization_id as lane from acceptable where organization_id is not null) lanes
             ), created as (
                 insert into run (id, tenant_id, organization_id, strategy, dry_run, state, max_attempts, lane, turn,
                                  caller, request_id, created_at, traceparent)
                 select id, tenant_id, organization_id, strategy, dry_run, 'queued', max_attempts, organization_id,
                        greatest((select turn from first_in_line), last_of_lane.turn, 0)
                        + case when organization_id is null then 1
                               else row_number() over (partition by organization_id order by position) end,
                        caller, request_id, coalesce($1, now()), traceparent
                   from acceptable
                   left join claimed_request using (key)
                   left join last_of_lane on last_of_lane.lane = organization_id
                  where live_id is null
                    and (acceptable.key is null or claimed_request.key is not null)
                  order by tenant_id
                 on conflict (tenant_id) where state in ('queued', 'running') do nothing
                 returning id, organization_id, created_at
             )
             select wanted.position, place.has_location, created.created_at, created.organization_id, live.id as live_id,
                    first.run_id as first_run_id, first.joined as first_joined, first.fingerprint = wanted.fingerprint as is_same
               from wanted
               left join place on place.id = wanted.tenant_id
               left join created on created.id = wanted.id
               left join live on live.tenant_id = wanted.tenant_id
               left join first on first.key = wanted.key",
        )
        .bind(now)
        .bind(column(wanted, |new| new.id))
        .bind(column(wanted, |new| new.tenant.as_str()))
        .bind(column(wanted, |new| new.kind.strategy.as_str()))
        .bind(column(wanted, |new| new.kind.dry_run))
        .bind(column(wanted, |new| new.max_attempts))
        .bind(column(wanted, |new| new.caller.as_str()))
        .bind(column(wanted, |new| new.request_id.as_deref()))
        .bind(column(wanted, |new| new.request().map(|request| request.key)))
        .bind(column(wanted, |new| new.request().map(|request| request.fingerprint)))
        .bind(column(wanted, |new| new.traceparent.as_ref().map(TraceParent::as_str)))
        .fetch_all(&self.hot)
        .await?)
    }
}

/// `None`: a race.
fn answer(new: &NewRun, found: &Found, run: impl Fn(RunId) -> Option<Run>) -> Option<Result<Accepted, Error>> {
    if let Some((id, joined, is_same)) = found.first {
        if !is_same {
            return Some(Err(Error::RequestIdReused(new.request_id.clone().unwrap_or_default())));
        }
        return run(id).map(|run| Ok(Accepted { run, joined, created: false }));
    }
    match found.has_location {
        None => return Some(Err(not_found(&new.tenant))),
        Some(false) => return Some(Err(Error::NoLocation(new.tenant.clone()))),
        Some(true) => {}
    }
    if let Some((created_at, organization)) = &found.created {
        let run = new.as_queued(organization.clone(), *created_at);
        return Some(Ok(Accepted { run, joined: false, created: true }));
    }
    let live = run(found.live?)?;
    if live.kind == new.kind {
        Some(Ok(Accepted { run: live, joined: true, created: false }))
    } else {
        Some(Err(in_progress(&live)))
    }
}

impl NewRun {
    /// The run as the insert left it.
    fn as_queued(&self, organization: Option<OrganizationId>, created_at: chrono::DateTime<chrono::Utc>) -> Run {
        Run {
            id: self.id,
            tenant: self.tenant.clone(),
            organization,
            kind: self.kind,
            state: RunState::Queued,
            revision: 1,
            attempt: 0,
            max_attempts: self.max_attempts,
            handed_back: 0,
            cancel_requested: false,
            plan: None,
            written: Vec::new(),
            counts: ChangeCounts::default(),
            skipped_categories: 0,
            reason: None,
            error: None,
            caller: self.caller.clone(),
            request_id: self.request_id.clone(),
            created_at,
            started_at: None,
            ended_at: None,
            due_at: None,
        }
    }
}

impl FromRow<'_, PgRow> for Found {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let created_at: Option<_> = row.try_get("created_at")?;
        let organization = optional_id(row, "organization_id", OrganizationId::parse)?;
        let first: Option<RunId> = row.try_get("first_run_id")?;
        let first = match first {
            None => None,
            Some(id) => Some((id, row.try_get("first_joined")?, row.try_get("is_same")?)),
        };
        Ok(Self {
            position: row.try_get("position")?,
            has_location: row.try_get("has_location")?,
            created: created_at.map(|at| (at, organization)),
            live: row.try_get("live_id")?,
            first,
        })
    }
}
