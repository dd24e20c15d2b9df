//! Watches runs.

use super::{App, RunName, Watch, feed::SubscriptionScope, visible};
use crate::{
    domain::{BatchId, Caller, OrganizationId, TenantId, TenantScope},
    error::Error,
    store::LiveFilter,
};

/// The resource to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// One run, until it ends.
    Run(RunName),
    /// A tenant's runs, without end.
    Tenant(TenantId),
    /// The runs of an organization that the caller may see, without end.
    Organization(OrganizationId),
    /// The runs of a batch that the caller may see, until the batch ends.
    Batch(BatchId),
    /// All runs that the caller may see, without end.
    Everything,
}

impl App {
    /// Begins a watch: live runs come first, then each change. For one run, only revisions after `after_revision`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a run, tenant, organization or batch, or a database error.
    pub async fn watch(&self, caller: &Caller, watched: &Watched, after_revision: i64) -> Result<Watch, Error> {
        let tenants = caller.scope.tenants().map(<[_]>::to_vec);
        let (subscription_scope, filter) = match watched {
            Watched::Run(name) => {
                return self.feed.watch_one(name.id, after_revision, caller, self.run(caller, name)).await;
            }
            Watched::Batch(batch) => {
                let batch = self.batch(caller, *batch).await?;
                let filter = LiveFilter { tenants, batch: Some(batch.id), ..LiveFilter::default() };
                return self.feed.watch_batch(&batch, caller, filter).await;
            }
            Watched::Tenant(tenant) => {
                visible(caller, tenant)?;
                // A caller that misspelled a name must get an error, not a stream without messages.
                self.store.tenant(tenant).await?;
                let tenants = vec![tenant.clone()];
                (
                    SubscriptionScope::Tenants(tenants.clone()),
                    LiveFilter { tenants: Some(tenants), ..LiveFilter::default() },
                )
            }
            Watched::Organization(organization) => {
                self.require_known_organization(caller, organization).await?;
                (
                    SubscriptionScope::Organization(organization.clone()),
                    LiveFilter { tenants, organization: Some(organization.clone()), batch: None },
                )
            }
            Watched::Everything => {
                let subscription_scope = match &caller.scope {
                    TenantScope::All => SubscriptionScope::Everything,
                    TenantScope::Only(tenants) => SubscriptionScope::Tenants(tenants.clone()),
                };
                (subscription_scope, LiveFilter { tenants, ..LiveFilter::default() })
            }
        };
        self.feed.watch_many(&subscription_scope, caller, filter).await
    }
}
