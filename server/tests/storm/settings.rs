//! What decides whom a run may write to, written down when it changes: the location of each tenant, and whom the kill switch is on for.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::PgPool;

use crate::{database::rows, switch::FLAG};

/// The kill switch has to be obeyed within so long.
pub(crate) const SWITCH_OFF: TimeDelta = TimeDelta::seconds(2);

/// Both are written down at the commit, so that what comes after the answer comes after the entry.
const JOURNAL: &str = "
    create table storm.binding (
        seq bigint generated always as identity primary key,
        at timestamptz not null default clock_timestamp(),
        tenant_id text not null,
        location text
    );
    create function storm.note_binding() returns trigger language plpgsql as $$
    begin
        if tg_op = 'INSERT' or old.gbp_location is distinct from new.gbp_location then
            insert into storm.binding (tenant_id, location) values (new.id, new.gbp_location);
        end if;
        return null;
    end
    $$;
    create constraint trigger storm_note after insert or update on tenant
        deferrable initially deferred for each row execute function storm.note_binding();
    create table storm.switch (
        seq bigint generated always as identity primary key,
        at timestamptz not null default clock_timestamp(),
        flag text not null,
        is_off boolean not null,
        excluded text[] not null
    );
    create function storm.note_switch() returns trigger language plpgsql as $$
    begin
        insert into storm.switch (flag, is_off, excluded) values (new.name, new.state <> 'on', new.excluded_tenants);
        return null;
    end
    $$;
    create constraint trigger storm_note after insert or update on flag
        deferrable initially deferred for each row execute function storm.note_switch();
";

/// The location that a tenant has from then on.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Binding {
    /// When that was about to be committed.
    pub(crate) at: DateTime<Utc>,
    #[serde(rename = "tenant_id")]
    pub(crate) tenant: String,
    /// The location's id; `None`: it has none.
    pub(crate) location: Option<String>,
}

/// Whom the kill switch is off for from then on.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Switched {
    /// When that was about to be committed.
    pub(crate) at: DateTime<Utc>,
    is_off: bool,
    excluded: Vec<String>,
}

impl Switched {
    /// Off for everybody.
    pub(crate) fn off(at: DateTime<Utc>) -> Self {
        Self { at, is_off: true, excluded: Vec::new() }
    }

    fn is_off_for(&self, tenant: &str) -> bool {
        self.is_off || self.excluded.iter().any(|excluded| excluded == tenant)
    }
}

/// The location that a tenant has at `time`.
pub(crate) fn location_at<'a>(bindings: &'a [Binding], tenant: &str, time: DateTime<Utc>) -> Option<&'a str> {
    let last = bindings.iter().rfind(|binding| binding.tenant == tenant && binding.at <= time);
    last.and_then(|binding| binding.location.as_deref())
}

/// Since when the kill switch is off for a tenant at `time`; `None`: it is on.
pub(crate) fn off_since(switches: &[Switched], tenant: &str, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let before = switches.iter().rev().skip_while(|switched| switched.at > time);
    before.take_while(|switched| switched.is_off_for(tenant)).last().map(|switched| switched.at)
}

/// Whether the kill switch was off for a tenant at any time in a span, as far as a server could know.
pub(crate) fn was_off(switches: &[Switched], tenant: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
    let from = from - SWITCH_OFF;
    let changes = switches.iter().filter(|switched| from < switched.at && switched.at <= to);
    off_since(switches, tenant, from).is_some() || changes.into_iter().any(|switched| switched.is_off_for(tenant))
}

/// Begins the journal.
pub(crate) async fn begin(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::raw_sql(JOURNAL).execute(pool).await.map(drop)
}

/// Every location that every tenant ever had, in order.
pub(crate) async fn bindings(pool: &PgPool) -> sqlx::Result<Vec<Binding>> {
    rows(sqlx::query_scalar("select to_jsonb(entry) from storm.binding entry order by seq"), pool).await
}

/// Every change of the kill switch, in order.
pub(crate) async fn switches(pool: &PgPool) -> sqlx::Result<Vec<Switched>> {
    let sql = "select to_jsonb(entry) from storm.switch entry where flag = $1 order by seq";
    rows(sqlx::query_scalar(sql).bind(FLAG), pool).await
}
