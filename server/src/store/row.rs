//! Reads [`Run`]s, identifiers and enums from rows.

use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use crate::domain::{ChangeCounts, OrganizationId, Run, RunKind, RunOptions, RunState, Strategy, TenantId};

/// The columns of a run that `run`, `run_history` and `all_runs` have in common, as [`RunRow`] reads them. A live run
/// has `next_attempt_at` as well, an ended one `ended_at`. Statements name columns, because a server must go on when a
/// newer one adds a column to a table: PostgreSQL refuses a prepared statement whose result has changed.
macro_rules! run_columns {
    () => {
        "id, tenant_id, organization_id, batch_id, strategy, dry_run, options, state, revision, fencing_token, uncounted_attempts, max_attempts,
                cancel_requested, plan, written, write_intent, attempts, attempt_started_at, created, updated, deleted, unmapped, reason, error, caller,
                request_id, created_at, started_at"
    };
}
pub(super) use run_columns;

/// A run as [`run_columns`] give it, with `next_attempt_at` or `ended_at`.
pub(super) struct RunRow(pub(super) Run);

impl FromRow<'_, PgRow> for RunRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let LightRunRow(run) = LightRunRow::from_row(row)?;
        Ok(Self(Run {
            plan: row.try_get::<Option<Json<_>>, _>("plan")?.map(|json| json.0),
            written: row.try_get::<Json<_>, _>("written")?.0,
            write_intent: row.try_get::<Option<Json<_>>, _>("write_intent")?.map(|json| json.0),
            attempts: row.try_get::<Json<_>, _>("attempts")?.0,
            attempt_started_at: row.try_get("attempt_started_at")?,
            ..run
        }))
    }
}

/// A run without the parts that make it large, and without the times that only live or only ended ones have.
macro_rules! light_columns {
    () => {
        "id, tenant_id, organization_id, batch_id, strategy, dry_run, options, state, revision, fencing_token, uncounted_attempts, max_attempts,
                cancel_requested, created, updated, deleted, unmapped, reason, error, caller, request_id, created_at, started_at"
    };
}
pub(super) use light_columns;

/// A run of a list, as [`light_columns`] give it: without what is read of single runs only.
pub(super) struct LightRunRow(pub(super) Run);

impl FromRow<'_, PgRow> for LightRunRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let state = text(row, "state", RunState::from_text)?;
        Ok(Self(Run {
            id: row.try_get("id")?,
            tenant: id(row, "tenant_id", TenantId::parse)?,
            organization: optional_id(row, "organization_id", OrganizationId::parse)?,
            batch: row.try_get("batch_id")?,
            kind: RunKind { strategy: text(row, "strategy", Strategy::from_text)?, dry_run: row.try_get("dry_run")? },
            options: row.try_get::<Option<Json<RunOptions>>, _>("options")?.map(|json| json.0).unwrap_or_default(),
            state,
            revision: row.try_get("revision")?,
            attempt: row.try_get::<i32, _>("fencing_token")? - row.try_get::<i32, _>("uncounted_attempts")?,
            max_attempts: row.try_get("max_attempts")?,
            uncounted_attempts: row.try_get("uncounted_attempts")?,
            cancel_requested: row.try_get("cancel_requested")?,
            plan: None,
            written: Vec::new(),
            write_intent: None,
            counts: ChangeCounts {
                created: row.try_get("created")?,
                updated: row.try_get("updated")?,
                deleted: row.try_get("deleted")?,
            },
            unmapped: row.try_get("unmapped")?,
            reason: row.try_get("reason")?,
            error: row.try_get::<Option<Json<_>>, _>("error")?.map(|json| json.0),
            caller: row.try_get("caller")?,
            request_id: row.try_get("request_id")?,
            created_at: row.try_get("created_at")?,
            started_at: row.try_get("started_at")?,
            attempts: Vec::new(),
            attempt_started_at: None,
            ended_at: if state.is_terminal() { row.try_get("ended_at")? } else { None },
            next_attempt_at: if state == RunState::Queued { row.try_get("next_attempt_at")? } else { None },
        }))
    }
}

/// Reads a column whose texts are an enum's.
pub(super) fn text<T>(row: &PgRow, column: &str, from_text: fn(&str) -> Option<T>) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    from_text(text).ok_or_else(|| decode(column, format!("unknown value `{text}`")))
}

/// Reads a column that holds an identifier.
pub(super) fn id<T, E: std::error::Error + Send + Sync + 'static>(
    row: &PgRow,
    column: &str,
    parse: fn(&str) -> Result<T, E>,
) -> Result<T, sqlx::Error> {
    parse(row.try_get(column)?).map_err(|error| decode(column, error))
}

/// Reads a column that may hold an identifier.
pub(super) fn optional_id<T, E: std::error::Error + Send + Sync + 'static>(
    row: &PgRow,
    column: &str,
    parse: fn(&str) -> Result<T, E>,
) -> Result<Option<T>, sqlx::Error> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(parse).transpose().map_err(|error| decode(column, error))
}

pub(super) fn decode(column: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: source.into() }
}
