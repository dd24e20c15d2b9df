//! The use cases, one function each: what the gRPC interface and the page share.
//!
//! Each takes the caller, and gives away nothing that the caller may not see: what is out of scope does not exist.

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
    domain::{Caller, TenantId, TenantScope},
    error::Error,
    store::{Acceptor, RunFilter, Store},
    wake::WakeUpBus,
};

/// What the settings say about runs.
#[derive(Debug, Clone, Copy)]
pub struct RunLimits {
    /// How many attempts a new run gets.
    pub max_attempts: i32,
    /// How many additional categories Google takes.
    pub max_additional: usize,
    /// How many batches one caller may have that have not ended.
    pub max_live_batches: usize,
}

/// What the use cases work on. Cheap to clone.
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
    /// Puts the use cases together.
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

    /// What streams are fed from; see [`Feed::keep_fed`].
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`].
    pub async fn ping(&self) -> Result<(), Error> {
        self.store.ping().await
    }
}

/// A tenant that the caller may not see does not exist.
fn visible(caller: &Caller, tenant: &TenantId) -> Result<(), Error> {
    if caller.scope.allows(tenant) {
        Ok(())
    } else {
        Err(Error::NotFound(crate::error::Resource::Tenant, tenant.resource_name()))
    }
}

/// What a caller may list.
fn filter(caller: &Caller) -> RunFilter {
    RunFilter { visible_tenants: caller.scope.tenants().map(<[_]>::to_vec), ..RunFilter::default() }
}

/// Some things concern every tenant; a caller who is limited to some must not change them.
fn require_unrestricted(caller: &Caller, what: &str) -> Result<(), Error> {
    match caller.scope {
        TenantScope::All => Ok(()),
        TenantScope::Only(_) => {
            Err(Error::PermissionDenied(format!("{what} needs a token that is not limited to tenants")))
        }
    }
}
