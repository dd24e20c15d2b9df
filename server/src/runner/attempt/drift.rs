//! The facts about how a tenant's two sides differ: fetched here, concluded from in the domain.

use std::collections::BTreeSet;

use super::{context::AttemptContext, journal::Journal};
use crate::{
    domain::{DesiredState, GbpState, Gcid, MappingState as InList, RegionCode, Strategy, TenantSync, observed_gcids},
    error::Error,
    store::TenantSnapshot,
};

/// What the platform wants of Google.
pub(in crate::runner) fn desired(context: &AttemptContext, source: &TenantSnapshot) -> DesiredState {
    DesiredState::of(&source.categories, context.settings().max_additional)
}

/// Finds out why the sides differ, with what is known from before. It costs statements of its own, so it is for sides that differ.
pub(in crate::runner) async fn assess(
    context: &AttemptContext,
    journal: &mut Journal,
    source: &TenantSnapshot,
) -> Result<(), Error> {
    let Some(desired) = journal.sync.desired() else { return Ok(()) };
    let known = known(context, source).await?;
    let retired = retired(context, source, desired, journal.sync.google()).await?;
    let options = &context.run.options;
    let counts_overwrites = context.run.kind.strategy == Strategy::PlatformToGbp && options.revert_of.is_none();
    journal.sync.assess(known, retired, counts_overwrites);
    Ok(())
}

/// Goes on with what the attempt that wrote had observed, so that the run records of the tenant what that attempt would have recorded.
pub(in crate::runner) async fn resume(
    context: &AttemptContext,
    journal: &mut Journal,
    source: &TenantSnapshot,
) -> Result<(), Error> {
    let desired = desired(context, source);
    let Some(earlier) = journal.sync.earlier().cloned() else {
        journal.sync.set_desired(desired);
        return Ok(());
    };
    let known = known(context, source).await?;
    let wanted = earlier.desired.as_ref().unwrap_or(&desired);
    let retired = retired(context, source, wanted, earlier.google.as_ref()).await?;
    journal.sync.resume(earlier, desired, known, retired);
    Ok(())
}

async fn known(context: &AttemptContext, source: &TenantSnapshot) -> Result<Option<TenantSync>, Error> {
    // The claim's read has shown already whether there is a row.
    match &source.last_observation {
        Some(_) => context.store().tenant_sync(&source.tenant.id).await,
        None => Ok(None),
    }
}

/// Which of the categories on either side Google's list no longer has.
async fn retired(
    context: &AttemptContext,
    source: &TenantSnapshot,
    desired: &DesiredState,
    google: Option<&GbpState>,
) -> Result<BTreeSet<Gcid>, Error> {
    // A list is one region's. For a region that is none, nothing is known to be retired.
    let Ok(region) = RegionCode::parse(&source.tenant.region_code) else { return Ok(BTreeSet::new()) };
    let gcids = observed_gcids(desired, google);
    let lookup = context.store().taxonomy_lookup(&gcids).await?;
    let is_retired = |gcid: &&&Gcid| lookup.of(gcid, Some(&region)) == InList::Retired;
    Ok(gcids.iter().filter(is_retired).map(|gcid| (*gcid).clone()).collect())
}
