//! What an attempt has of Google: in whose name it is called, and no more than the run may use.

use super::{abort::Abort, context::AttemptContext, journal::Journal};
use crate::{
    domain::no_account,
    gbp::{Client, Reader, Validator, Writer},
    store::TenantSnapshot,
};

/// What a strategy whose target is Google's side has of it.
pub(in crate::runner) struct GbpTarget {
    pub(in crate::runner) reader: Reader,
    pub(in crate::runner) validator: Validator,
    /// Only a real run of that strategy has one: a dry run has nothing that could write.
    pub(in crate::runner) writer: Option<Writer>,
}

/// Returns what the run may use of Google, in the name of the tenant's account.
pub(in crate::runner) async fn gbp_target(
    context: &AttemptContext,
    journal: &mut Journal,
    source: &TenantSnapshot,
) -> Result<GbpTarget, Abort> {
    let client = client(context, journal, source).await?;
    let writer = context.run.kind.gbp_write_capability().map(|capability| client.writer(capability));
    Ok(GbpTarget { reader: client.reader(), validator: client.validator(), writer })
}

/// Returns what a run may use of Google that only reads there.
pub(in crate::runner) async fn gbp_reader(
    context: &AttemptContext,
    journal: &mut Journal,
    source: &TenantSnapshot,
) -> Result<Reader, Abort> {
    Ok(client(context, journal, source).await?.reader())
}

async fn client(context: &AttemptContext, journal: &mut Journal, source: &TenantSnapshot) -> Result<Client, Abort> {
    let account = source.tenant.account.as_ref().ok_or_else(|| no_account(&source.tenant.id))?;
    let version = source.credentials.as_ref();
    let accounts = &context.runner.accounts;
    let client = accounts.client(account, version, source.read_at, context.run.created_at).await??;
    // Only now: an attempt that got no client has shown nothing of the credentials.
    journal.calls_for(account.clone(), version.cloned());
    Ok(client.traced(context.traceparent.clone()))
}
