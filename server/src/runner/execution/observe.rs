//! The platform's side of a run, and whether the run is due.

use std::sync::Arc;

use crate::{
    domain::{cooldown_skip, tenant_deleted},
    runner::attempt::{Abort, AttemptContext, Journal, PrefetchedSnapshot},
    store::TenantSnapshot,
};

/// Returns the platform's side: as it was read after the claim, with that of other runs, or read now if that failed.
pub(super) async fn source(
    context: &AttemptContext,
    journal: &mut Journal,
    prefetched: PrefetchedSnapshot,
) -> Result<Arc<TenantSnapshot>, Abort> {
    let source = match prefetched {
        Some(source) => source,
        None => context.store().tenant_snapshots(context.now, &[&context.run]).await?.remove(&context.run.id),
    };
    let source = source.ok_or_else(|| tenant_deleted(&context.run.tenant))?;
    // Requests that have joined since may ask for something else: they are compared with this time when the run ends or writes.
    journal.read_source_at(source.read_at);
    Ok(Arc::new(source))
}

/// Goes on unless the run is switched off, or has to wait for the cooldown.
pub(super) async fn check_due(context: &AttemptContext, source: &TenantSnapshot) -> Result<(), Abort> {
    // The flag first: a run that is switched off says so, even if it would have had to wait anyway.
    context.check_flag(&source.tenant).await?;
    let since_success = source.last_success_at.map(|at| source.read_at - at);
    let run = &context.run;
    cooldown_skip(run.kind, &run.options, since_success, context.settings().cooldown)
        .map_or(Ok(()), |skip| Err(skip.into()))
}
