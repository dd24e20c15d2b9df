//! Every change of a run, written down by a trigger in the transaction that makes it: who, when, from what to what.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{database::rows, platform::recorded, set::Set};

/// Each process names itself in its connections' options. A run that ends leaves the run table, and is in the history by the time that
/// the triggers of the statement run: both are one change. A row's lock is held while its trigger runs, so the entries of one run, and by
/// the unique index those of one tenant, are in the order in which they happened.
///
/// Where nothing is left to do of a cancelled batch, none of its live runs is as if nothing had happened: those that are, are noted.
const JOURNAL: &str = "
    create schema storm;
    create table storm.journal (
        seq bigint generated always as identity primary key,
        at timestamptz not null default clock_timestamp(),
        began timestamptz not null default now(),
        xid text not null default pg_current_xact_id()::text,
        process text default nullif(current_setting('storm.process', true), ''),
        run_id uuid not null,
        tenant_id text not null,
        before jsonb,
        after jsonb
    );
    create index on storm.journal (process, at);
    create index on storm.journal (run_id);
    create function storm.side(run jsonb) returns jsonb language sql immutable as $$
        select case when run is not null then jsonb_build_object(
            'state', run -> 'state', 'attempt', run -> 'fencing_token', 'uncounted_attempts', run -> 'uncounted_attempts', 'revision', run -> 'revision',
            'lease_expires_at', run -> 'lease_expires_at', 'cancel_requested', run -> 'cancel_requested', 'intent', run -> 'write_intent',
            'written', run -> 'written', 'batch_write_reserved', coalesce(run -> 'batch_write_reserved', 'false'),
            'joined_at', run -> 'joined_at', 'bulk', coalesce(run -> 'bulk', 'false')) end
    $$;
    create function storm.note() returns trigger language plpgsql as $$
    declare
        run record := coalesce(new, old);
        before jsonb := to_jsonb(old);
        after jsonb := to_jsonb(new);
    begin
        if tg_op = 'DELETE' and tg_table_name = 'run' then
            select to_jsonb(ended) into after from run_history ended where id = old.id;
        end if;
        insert into storm.journal (run_id, tenant_id, before, after)
        values (run.id, run.tenant_id, storm.side(before), storm.side(after));
        return null;
    end
    $$;
    create trigger storm_note after insert or update or delete on run for each row execute function storm.note();
    create trigger storm_note after update or delete on run_history for each row execute function storm.note();
    create table storm.left_alone (run_id uuid not null);
    create function storm.note_left_alone() returns trigger language plpgsql as $$
    begin
        insert into storm.left_alone
        select run.id
          from batch
          join run on run.batch_id = batch.id
         where batch.id = old.batch_id and batch.cancel_requested_at is not null and not run.cancel_requested
           -- What another request has joined is promised to that.
           and run.bulk and run.joined_at is null;
        return null;
    end
    $$;
    create trigger storm_note after delete on batch_expansion for each row execute function storm.note_left_alone();
";

/// A run on one side of a change.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Side {
    pub(crate) state: String,
    pub(crate) attempt: i32,
    pub(crate) uncounted_attempts: i32,
    pub(crate) revision: i64,
    pub(crate) lease_expires_at: Option<DateTime<Utc>>,
    pub(crate) cancel_requested: bool,
    pub(crate) intent: Option<Value>,
    /// What it tells of.
    pub(crate) written: Value,
    /// Whether it has one of its batch's places.
    pub(crate) batch_write_reserved: bool,
    /// When a request last joined it, while it is live.
    pub(crate) joined_at: Option<DateTime<Utc>>,
    /// Whether it waits behind the runs that a caller waits for.
    pub(crate) bulk: bool,
}

/// One change of one run.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entry {
    /// When it was made.
    pub(crate) at: DateTime<Utc>,
    /// When its transaction began: what `now()` was.
    pub(crate) began: DateTime<Utc>,
    /// The transaction's number.
    pub(crate) xid: String,
    /// Who made it; `None` is nobody of the storm's.
    pub(crate) process: Option<String>,
    #[serde(rename = "run_id")]
    pub(crate) run: Uuid,
    #[serde(rename = "tenant_id")]
    pub(crate) tenant: String,
    /// `None`: the run is new.
    pub(crate) before: Option<Side>,
    /// `None`: the run is gone.
    pub(crate) after: Option<Side>,
}

impl Side {
    /// Whether it is queued or running.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state.as_str(), "queued" | "running")
    }

    /// Whether attempt `attempt` holds the run at `time`.
    pub(crate) fn is_held(&self, attempt: i32, time: DateTime<Utc>) -> bool {
        self.state == "running" && self.attempt == attempt && self.lease_expires_at.is_some_and(|until| until > time)
    }

    /// What the attempt set out to write.
    pub(crate) fn goal(&self) -> Option<Set> {
        Set::from_row(&self.intent.as_ref()?["after"])
    }

    /// What the attempt saw before.
    pub(crate) fn observed(&self) -> Option<Set> {
        Set::from_row(&self.intent.as_ref()?["before"])
    }
}

impl Entry {
    /// The attempt that begins to write with this change, and how the run is then. A heartbeat does not count a revision, and whoever
    /// asks to begin after a cancellation is told not to.
    pub(crate) fn begins_to_write(&self) -> Option<&Side> {
        let (before, after) = (self.before.as_ref()?, self.after.as_ref()?);
        let stays = before.state == "running" && after.state == "running" && before.attempt == after.attempt;
        let begins = after.revision > before.revision && after.intent.is_some() && !after.cancel_requested;
        (stays && begins).then_some(after)
    }

    /// Whether somebody asked to cancel the run, once more perhaps, and nothing else has changed: anybody may, whoever holds it.
    pub(crate) fn marks_as_cancelled(&self) -> bool {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return false };
        let asks = after.cancel_requested && after.revision == before.revision + 1;
        let was = (&before.state, before.attempt, before.uncounted_attempts, before.lease_expires_at, &before.intent);
        asks && was == (&after.state, after.attempt, after.uncounted_attempts, after.lease_expires_at, &after.intent)
    }

    /// Whether a request joined the run, which took it out of the bulk perhaps, and nothing else has changed: any process may, whoever
    /// holds it.
    pub(crate) fn marks_as_joined(&self) -> bool {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return false };
        let is_joined = after.joined_at > before.joined_at || (before.bulk && !after.bulk);
        is_joined && Side { joined_at: after.joined_at, bulk: after.bulk, ..before.clone() } == *after
    }
}

/// Begins the journal.
pub(crate) async fn begin(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::raw_sql(JOURNAL).execute(pool).await.map(drop)
}

/// The whole journal, in order.
pub(crate) async fn read(pool: &PgPool) -> sqlx::Result<Vec<Entry>> {
    rows(sqlx::query_scalar("select to_jsonb(entry) from storm.journal entry order by seq"), pool).await
}

/// Runs that were live, and not to be cancelled, when nothing was left to do of their cancelled batch.
pub(crate) async fn left_alone(pool: &PgPool) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar("select run_id from storm.left_alone").fetch_all(pool).await
}

/// The write that a process has begun last since `time`.
pub(crate) async fn begun_since(pool: &PgPool, process: &str, time: DateTime<Utc>) -> sqlx::Result<Option<Entry>> {
    let recent = "select to_jsonb(entry) from storm.journal entry where process = $1 and at > $2 order by seq";
    let entries: Vec<Entry> = rows(sqlx::query_scalar(recent).bind(process).bind(time), pool).await?;
    Ok(entries.into_iter().rfind(|entry| entry.begins_to_write().is_some()))
}

/// Whether an attempt of a run has begun to write to Google, or has written to the platform.
pub(crate) async fn has_begun(pool: &PgPool, run: Uuid) -> sqlx::Result<bool> {
    let all = "select to_jsonb(entry) from storm.journal entry where run_id = $1 order by seq";
    let entries: Vec<Entry> = rows(sqlx::query_scalar(all).bind(run), pool).await?;
    Ok(entries.iter().any(|entry| entry.begins_to_write().is_some() || recorded(entry).is_some()))
}

/// Whether another process has claimed a run since one wrote this entry.
pub(crate) async fn is_taken_over(pool: &PgPool, entry: &Entry) -> sqlx::Result<bool> {
    let attempt = entry.after.as_ref().map_or(0, |side| side.attempt);
    sqlx::query_scalar("select exists (select from all_runs where id = $1 and fencing_token > $2)")
        .bind(entry.run)
        .bind(attempt)
        .fetch_one(pool)
        .await
}
