//! Every change of what a tenant has on the platform, written down at the commit of the transaction that makes it.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    database::rows,
    journal::{Entry, Side},
    set::Set,
};

/// The journal has one entry a transaction and tenant. Whoever changes a tenant's categories locks the tenant until the commit, so the
/// entries of one tenant are in the order in which they happened. What a run does in the same transaction has the same number there.
const JOURNAL: &str = "
    create table storm.platform (
        seq bigint generated always as identity,
        at timestamptz not null default clock_timestamp(),
        xid text not null default pg_current_xact_id()::text,
        process text default nullif(current_setting('storm.process', true), ''),
        tenant_id text not null,
        slugs text[] not null,
        primary key (xid, tenant_id)
    );
    create function storm.note_platform() returns trigger language plpgsql as $$
    declare
        changed record := coalesce(new, old);
    begin
        insert into storm.platform (tenant_id, slugs)
        select changed.tenant_id, coalesce(array_agg(slug order by position), '{}')
          from tenant_category
         where tenant_id = changed.tenant_id
        on conflict do nothing;
        return null;
    end
    $$;
    create constraint trigger storm_note after insert or update or delete on tenant_category
        deferrable initially deferred for each row execute function storm.note_platform();
";

/// What a tenant has since a transaction.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Turn {
    /// When it was about to be committed.
    pub(crate) at: DateTime<Utc>,
    /// The transaction's number.
    pub(crate) xid: String,
    /// Who made it; `None` is the storm itself.
    pub(crate) process: Option<String>,
    #[serde(rename = "tenant_id")]
    pub(crate) tenant: String,
    slugs: Vec<String>,
}

impl Turn {
    /// What the tenant has; `None` is nothing.
    pub(crate) fn set(&self) -> Option<Set> {
        Set::from_slugs(&self.slugs)
    }

    /// The same, with something else.
    pub(crate) fn with(self, set: &Set) -> Self {
        Self { slugs: set.slugs(), ..self }
    }
}

/// A run that recorded what it wrote to the platform.
pub(crate) struct Recorded<'a> {
    /// The run.
    pub(crate) run: Uuid,
    /// When its transaction began.
    pub(crate) began: DateTime<Utc>,
    /// The run before it.
    pub(crate) before: &'a Side,
    /// The run after it.
    pub(crate) after: &'a Side,
}

/// Whether a run records with this change what it has written. Of Google's side that comes with the run's end.
pub(crate) fn recorded(entry: &Entry) -> Option<Recorded<'_>> {
    let (before, after) = (entry.before.as_ref()?, entry.after.as_ref()?);
    let is_record = before.written != after.written && after.is_live() && before.intent.is_none();
    is_record.then_some(Recorded { run: entry.run, began: entry.began, before, after })
}

/// Begins the journal.
pub(crate) async fn begin(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::raw_sql(JOURNAL).execute(pool).await.map(drop)
}

/// The whole journal, in order.
pub(crate) async fn read(pool: &PgPool) -> sqlx::Result<Vec<Turn>> {
    rows(sqlx::query_scalar("select to_jsonb(turn) from storm.platform turn order by seq"), pool).await
}
