//! Accepting many runs with one statement and one commit.

use sqlx::{FromRow, Row, postgres::PgRow};

use super::{
    Accepted, LogFilter, NewRun, Now, Store,
    accept::{in_progress, reused},
    row::optional_id,
    tenant::not_found,
};
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
        let requests = column(wanted, NewRun::request);
        Ok(sqlx::query_as::<_, Found>(
            "with wanted as materialized (
                 -- A look-up for each, by an index: a plan is made once, for a table of any size, and must not read one whole.
                 select asked.*, place.organization_id, place.has_location, live.id as live_id,
                        live.strategy = asked.strategy and live.dry_run = asked.dry_run
                            and live.orders is not distinct from asked.orders as is_joined,
                        first.run_id as first_run_id, first.joined as first_joined,
                        first.fingerprint = asked.fingerprint as is_same
                   from unnest($2::uuid[], $3::text[], $4::text[], $5::boolean[], $6::integer[], $7::text[], $8::text[],
                               $9::uuid[], $10::uuid[], $11::jsonb[], $12::text[])
                       with ordinality
                       as asked (id, tenant_id, strategy, dry_run, max_attempts, caller, request_id, key, fingerprint, orders,
                                 traceparent, position)
                   left join lateral (select organization_id, gbp_location is not null as has_location
                                        from tenant
                                       where tenant.id = asked.tenant_id
                                       limit 1) place on true
                   left join lateral (select run.id, run.strategy, run.dry_run, run.orders
                                        from run
                                       where run.tenant_id = asked.tenant_id
                                       limit 1) live on true
                   left join lateral (select run_id, joined, mirror_request.fingerprint
                                        from mirror_request
                                       where mirror_request.key = asked.key
                                         and created_at >= coalesce($1, now()) - interval '24 hours'
                                       limit 1) first on true
             ), claimed_request as (
                 insert into mirror_request as old (key, fingerprint, run_id, joined, created_at)
                 select key, fingerprint, coalesce(live_id, id), live_id is not null, coalesce($1, now())
                   from wanted
                  where key is not null and first_run_id is null and has_location and (live_id is null or is_joined)
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
             ), created as (
                 insert into run (id, tenant_id, organization_id, strategy, dry_run, state, max_attempts, lane, turn,
                                  caller, request_id, created_at, orders, traceparent)
                 select id, tenant_id, organization_id, strategy, dry_run, 'queued', max_attempts, organization_id,
                        case when organization_id is null then 1 + coalesce((select turn from first_in_line), 0)
                             else row_number() over (partition by organization_id order by position)
                                  + greatest((select turn from first_in_line),
                                             (select turn from run
                                               where state = 'queued' and due_at is null
                                                 and lane = wanted.organization_id and not bulk
                                               order by turn desc
                                               limit 1),
                                             0)
                        end,
                        caller, request_id, coalesce($1, now()), orders, traceparent
                   from wanted
                  where has_location and live_id is null
                    and (key is null or key in (select key from claimed_request))
                  order by tenant_id
                 on conflict (tenant_id) do nothing
                 returning id
             )
             select position, has_location, organization_id, live_id, first_run_id, first_joined, is_same,
                    case when id in (select id from created) then coalesce($1, now()) end as created_at
               from wanted",
        )
        .bind(now)
        .bind(column(wanted, |new| new.id))
        .bind(column(wanted, |new| new.tenant.as_str()))
        .bind(column(wanted, |new| new.kind.strategy.as_str()))
        .bind(column(wanted, |new| new.kind.dry_run))
        .bind(column(wanted, |new| new.max_attempts))
        .bind(column(wanted, |new| new.caller.as_str()))
        .bind(column(wanted, |new| new.request_id.as_deref()))
        .bind(requests.iter().map(|request| request.map(|request| request.key)).collect::<Vec<_>>())
        .bind(requests.iter().map(|request| request.map(|request| request.fingerprint)).collect::<Vec<_>>())
        .bind(column(wanted, NewRun::orders))
        .bind(column(wanted, |new| new.traceparent.as_ref().map(TraceParent::as_str)))
        .fetch_all(&self.hot)
        .await?)
    }
}

/// `None`: a race.
fn answer(new: &NewRun, found: &Found, run: impl Fn(RunId) -> Option<Run>) -> Option<Result<Accepted, Error>> {
    if let Some((id, joined, is_same)) = found.first {
        if !is_same {
            return Some(Err(reused(new)));
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
    if new.is_met_by(&live) {
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
            batch: None,
            kind: self.kind,
            orders: self.orders.clone(),
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
            attempts: Vec::new(),
            attempted_at: None,
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
