//! Troubled tenants: what the service has read changes before it writes, its writes are lost and the next attempt meets an error for good,
//! locations move under live runs. What of that may end how is the service's business; what it tells of it has to be true.

mod pairs;
mod singles;

use std::sync::Arc;

use category_mirror_client::Client;
use chrono::{DateTime, Utc};

use crate::{database::until_some, orders::Orders, set::Set, shop::Address, stage::Stage};

/// Their organization.
const ORGANIZATION: &str = "troubled";
/// The number of the first one's tenant, beyond those of all others.
const FIRST: usize = 30_000;

/// An episode of trouble.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    /// The tenants' ids.
    pub(crate) tenants: Vec<String>,
    /// In words.
    pub(crate) kind: &'static str,
    /// When it began.
    pub(crate) from: DateTime<Utc>,
    /// When all was well again.
    pub(crate) to: DateTime<Utc>,
}

/// A location that troubled tenants have, or may have.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    /// The location's id.
    pub(crate) location: String,
    /// What it had in the beginning.
    pub(crate) initial: Set,
    /// What it has in the end.
    pub(crate) shown: Option<Set>,
}

/// Tenants, and who makes trouble for them.
pub(crate) struct Troubled {
    /// The tenants'.
    pub(crate) addresses: Vec<Address>,
    /// Locations that none of them has in the beginning.
    pub(crate) spare: Vec<Spot>,
    pub(crate) orders: Orders,
}

impl Troubled {
    /// Adds all.
    pub(crate) async fn add_all(stage: &Arc<Stage>, client: &Client) -> Vec<Self> {
        let mut all = singles::add(stage, client).await;
        all.extend(pairs::add(stage, client).await);
        all
    }
}

impl Address {
    /// Whether trouble is made for the tenant.
    pub(crate) fn is_troubled(&self) -> bool {
        self.organization == ORGANIZATION
    }
}

impl Stage {
    /// Ends what may be left of all trouble, when every server is up again: one that was stopped may have carried an old call out late.
    pub(crate) async fn restore(&self, addresses: &[Address]) {
        self.switch_on().await;
        self.map_category(crate::set::UNMAPPABLE, true).await;
        let troubled: Vec<&Address> = addresses.iter().filter(|address| address.is_troubled()).collect();
        // Two that have each other's location both have to let go first.
        for location in [None, Some(())] {
            for address in &troubled {
                let wanted = location.map(|()| address.location.as_str());
                let tenant = self.answer(&address.tenant, |client| client.get_tenant(&address.tenant).send()).await;
                let has = tenant.gbp_location.as_deref().map(|name| name.rsplit('/').next().unwrap_or_default());
                if has != Some(&address.location) {
                    self.bind(&address.tenant, wanted).await;
                }
                self.let_a_week_pass(&address.tenant).await;
            }
        }
    }

    /// Waits until no run of a tenant is live.
    async fn all_have_ended(&self, tenant: &str) {
        let sql = "select true where not exists (select from all_runs where tenant_id = $1 and ended_at is null)";
        until_some(|| sqlx::query_scalar::<_, bool>(sql).bind(tenant).fetch_optional(&self.database.pool)).await;
    }

    /// Notes an episode that is over.
    fn troubled(&self, tenants: &[&str], kind: &'static str, from: DateTime<Utc>) {
        let tenants = tenants.iter().map(|&tenant| tenant.to_owned()).collect();
        self.record.notes().troubles.push(Trouble { tenants, kind, from, to: Utc::now() });
    }
}
