//! A tenant and its location, and what happens to both sides between runs.

use std::sync::Arc;

use category_mirror::domain::{Slug, TenantId};
use category_mirror_client::{Client, Strategy};
use chrono::Utc;

use crate::{
    ask::Sides,
    record::Edit,
    set::{CATEGORIES, Set, UNMAPPABLE},
    stage::{Stage, pause},
};

/// Where a tenant is, and how it began.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// The tenant's id.
    pub(crate) tenant: String,
    /// The location's id.
    pub(crate) location: String,
    /// The organization's id.
    pub(crate) organization: String,
    /// Which side wins.
    pub(crate) strategy: Strategy,
    /// What the location had in the beginning.
    pub(crate) initial: Set,
}

/// A tenant and its location.
pub(crate) struct Shop {
    pub(crate) address: Address,
    stage: Arc<Stage>,
    /// What the tenant has on the platform.
    desired: Set,
}

/// A platform category that no tenant has: it is changed to see whether a server takes writes.
pub(crate) const PROBE: &str = "probe";

/// Adds the platform's categories.
pub(crate) async fn add_categories(client: &Client) {
    for name in CATEGORIES.into_iter().chain([UNMAPPABLE]) {
        let category = client.create_platform_category(slug(name)).display_name(name);
        category.gbp_category(format!("gcid:{name}")).send().await.expect("created");
    }
    client.create_platform_category(PROBE).display_name("Probe").send().await.expect("created");
}

impl Shop {
    /// Adds tenant number `number`, whose location differs from what it has on the platform.
    pub(crate) async fn add(
        stage: &Arc<Stage>,
        client: &Client,
        number: usize,
        organization: &str,
        strategy: Strategy,
        dice: &mut fastrand::Rng,
    ) -> Self {
        let (tenant, location) = (format!("store-{number}"), (10_000 + number).to_string());
        let (initial, desired) = (Set::any(dice), Set::any(dice));
        let create = client.create_tenant(&tenant).display_name(&tenant).location("1", &location);
        let create = create.organization(format!("organizations/{organization}"));
        create.region_code("US").language_code("en").send().await.expect("created");
        stage.google.put(&location, &initial).await;
        let address = Address { tenant, location, organization: organization.to_owned(), strategy, initial };
        let shop = Self { address, stage: stage.clone(), desired };
        shop.set_desired().await;
        shop
    }

    /// Gives the next run something to do, in nine of ten cases. No run of this tenant is live now.
    pub(crate) async fn change(&mut self, dice: &mut fastrand::Rng) {
        self.look_at_the_platform().await;
        let what = dice.u8(..10);
        if what < 6 {
            self.desired = self.desired.other(dice);
            self.set_desired().await;
        }
        if (4..9).contains(&what) {
            let set = self.desired.other(dice);
            self.stage.let_a_week_pass(&self.address.tenant).await;
            self.stage.owner_edits(&self.address.location, &set).await;
        }
    }

    /// What the tenant has on the platform may be what a run has left. No run of this tenant is live now.
    async fn look_at_the_platform(&mut self) {
        if self.address.strategy == Strategy::PlatformToGbp {
            return;
        }
        let tenant = TenantId::parse(&self.address.tenant).expect("an id");
        let side = loop {
            match self.stage.database.store.platform_catalog(&tenant, &[]).await {
                Ok(side) => break side,
                Err(_) => pause().await,
            }
        };
        let slugs: Vec<String> = side.get().chosen.iter().map(|category| category.slug.to_string()).collect();
        self.desired = Set::from_slugs(&slugs).expect("a tenant with categories");
    }

    /// What both sides are. No run of this tenant is live now.
    pub(crate) async fn sides(&mut self) -> Sides {
        self.look_at_the_platform().await;
        let at = Utc::now();
        let google = self.stage.google.shown(&self.address.location).await.expect("a location with categories");
        Sides { at, platform: self.desired.clone(), google }
    }

    async fn set_desired(&self) {
        self.stage.platform_wants(&self.address.tenant, &self.desired).await;
    }
}

impl Stage {
    /// The owner edits more often than anybody can before a person has to decide, and here is none.
    pub(crate) async fn let_a_week_pass(&self, tenant: &str) {
        self.until_done("update tenant_sync set overwritten_at = '{}' where tenant_id = $1", tenant).await;
    }

    /// Edits a location as its owner does.
    pub(crate) async fn owner_edits(&self, location: &str, set: &Set) {
        let at = self.google.edit(location, set).await;
        self.record.notes().edits.push(Edit { location: location.to_owned(), at, set: set.clone() });
    }

    /// Gives a tenant categories on the platform. Past the servers: one that was stopped would carry an old call out when it goes on, and
    /// nobody could say what is desired.
    pub(crate) async fn platform_wants(&self, tenant: &str, set: &Set) {
        let tenant = TenantId::parse(tenant).expect("an id");
        let slugs: Vec<Slug> = set.slugs().iter().map(|slug| Slug::parse(slug).expect("a slug")).collect();
        while self.database.store.set_tenant_categories(None, &tenant, &slugs).await.is_err() {
            pause().await;
        }
    }

    /// Maps a platform category to the GBP category of its name, or to none. Past the servers, as [`Stage::platform_wants`].
    pub(crate) async fn map_category(&self, name: &str, is_mapped: bool) {
        let sql = if is_mapped {
            "update platform_category set gcid = 'gcid:' || replace(slug, '-', '_') where slug = $1"
        } else {
            "update platform_category set gcid = null where slug = $1"
        };
        self.until_done(sql, &slug(name)).await;
    }

    /// Carries a statement about one thing out, also while the database is away.
    async fn until_done(&self, sql: &'static str, what: &str) {
        while sqlx::query(sql).bind(what).execute(&self.database.pool).await.is_err() {
            pause().await;
        }
    }
}

fn slug(name: &str) -> String {
    name.replace('_', "-")
}
