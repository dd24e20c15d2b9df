//! The live run of a tenant, and the error of a request that it conflicts with.

use crate::{
    domain::{Run, TenantId},
    error::Error,
    store::{
        connections::Connection,
        row::{RunRow, run_columns},
    },
};

/// Returns the live run of a tenant.
pub(in crate::store) async fn live_run(connection: &mut Connection, tenant: &TenantId) -> Result<Option<Run>, Error> {
    let row = sqlx::query_as::<_, RunRow>(concat!(
        "select ",
        run_columns!(),
        ", next_attempt_at from run where tenant_id = $1"
    ))
    .bind(tenant.as_str())
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.0))
}

/// Returns the error of a request that conflicts with a live run.
pub(in crate::store) fn in_progress(run: &Run) -> Error {
    Error::RunInProgress { run: run.resource_name(), kind: kind(run) }
}

/// Describes what a run does, for errors.
pub(in crate::store) fn kind(run: &Run) -> String {
    let dry = if run.kind.dry_run { ", dry run" } else { "" };
    let options = if run.options.is_empty() { "" } else { ", with orders of its own" };
    format!("{}{dry}{options}", run.kind.strategy)
}
