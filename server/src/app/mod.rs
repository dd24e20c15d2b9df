//! The use cases, one function each, which the gRPC interface calls.
//!
//! Each takes the caller, and returns nothing that the caller may not see: a resource outside the caller's scope does
//! not exist. In the lists of errors, *a database error* is [`Error::DatabaseUnavailable`] if a retry may succeed, else
//! [`Error::Internal`].

mod account_clients;
mod batches;
mod categories;
mod category_indexes;
mod category_search;
mod credentials;
mod feed;
mod flag_cache;
mod flag_management;
mod import;
mod name_checks;
mod page;
mod recorded_responses;
mod runs;
mod taxonomy;
mod tenant_sync;
mod tenants;
mod trigger;
mod watch;

pub use account_clients::{AccountClients, CredentialsOutcome};
pub use batches::BatchRequest;
pub use categories::PlatformCategoryDetails;
pub use category_search::MappingSuggestion;
pub use credentials::{CredentialsDetails, CredentialsVerification, ReencryptionResult};
pub use feed::{Feed, Watch};
pub use flag_cache::{FlagCache, FlagSnapshot};
pub use flag_management::{Evaluation, FlagDetails, FlagRequest, RolloutEdit};
pub use import::{ImportReport, Item};
pub use page::{Page, PageRequest};
pub use recorded_responses::AcceptedRun;
pub use runs::RunName;
pub use taxonomy::{TaxonomyImportConfig, TaxonomyRefresh};
pub use tenant_sync::DecideRequest;
pub use tenants::check_set;
pub use trigger::{MirrorRequest, Overrides, RevertRequest};
pub use watch::Watched;

use self::name_checks::NameChecks;
use crate::{
    domain::{Caller, RunFilter, TenantId, TenantScope},
    error::Error,
    store::{Acceptor, Store},
    wake::WakeUpBus,
};

/// Settings of runs and batches.
#[derive(Debug, Clone, Copy)]
pub struct RunLimits {
    /// Maximum number of attempts of a new run.
    pub max_attempts: i32,
    /// Maximum number of additional categories that Google accepts.
    pub max_additional: usize,
    /// Maximum number of batches per caller that have not ended.
    pub max_live_batches: usize,
}

/// The use cases and what they work on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    store: Store,
    acceptor: Acceptor,
    wake: WakeUpBus,
    flags: FlagCache,
    accounts: AccountClients,
    feed: Feed,
    name_checks: NameChecks,
    runs: RunLimits,
    taxonomy: TaxonomyImportConfig,
    category_indexes: category_indexes::CategoryIndexes,
}

impl App {
    /// Creates the use cases.
    #[must_use]
    pub fn new(
        store: Store,
        acceptor: Acceptor,
        wake: WakeUpBus,
        flags: FlagCache,
        accounts: AccountClients,
        runs: RunLimits,
        taxonomy: TaxonomyImportConfig,
    ) -> Self {
        let (feed, name_checks) = (Feed::new(store.clone()), NameChecks::new(store.clone()));
        let category_indexes = category_indexes::CategoryIndexes::default();
        Self { store, acceptor, wake, flags, accounts, feed, name_checks, runs, taxonomy, category_indexes }
    }

    /// Returns the feed of run streams; see [`Feed::keep_fed`].
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Checks that the database responds.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`].
    pub async fn ping(&self) -> Result<(), Error> {
        self.store.ping().await
    }
}

/// Checks that the caller may see a tenant; otherwise it does not exist for the caller.
fn visible(caller: &Caller, tenant: &TenantId) -> Result<(), Error> {
    if caller.scope.allows(tenant) {
        Ok(())
    } else {
        Err(Error::NotFound(crate::error::Resource::Tenant, tenant.resource_name()))
    }
}

/// Returns a filter that matches the runs that the caller may see.
fn filter(caller: &Caller) -> RunFilter {
    RunFilter { visible_tenants: caller.scope.tenants().map(<[_]>::to_vec), ..RunFilter::default() }
}

/// Checks that the caller is not limited to tenants, for an action that affects all of them.
fn require_unrestricted(caller: &Caller, what: &str) -> Result<(), Error> {
    match caller.scope {
        TenantScope::All => Ok(()),
        TenantScope::Only(_) => {
            Err(Error::PermissionDenied(format!("{what} needs a token that is not limited to tenants")))
        }
    }
}
