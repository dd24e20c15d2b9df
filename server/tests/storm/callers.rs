//! The callers: one a tenant, which changes something, asks for a run, and waits until it has ended.

use std::{sync::Arc, time::Duration};

use category_mirror::domain::{Slug, TenantId};
use category_mirror_client::{Client, Code, Error, Mirrored, Strategy};
use chrono::Utc;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    database::Database,
    fleet::Fleet,
    google::Google,
    record::{Accepted, Edit, Record},
    set::{CATEGORIES, Set},
    witness::Ended,
};

/// What all callers share.
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) google: Google,
    pub(crate) database: Arc<Database>,
    pub(crate) record: Arc<Record>,
    pub(crate) seed: u64,
}

/// A tenant, and who calls for it.
pub(crate) struct Caller {
    /// The tenant's id.
    pub(crate) tenant: String,
    /// The location's id.
    pub(crate) location: String,
    /// What the location had in the beginning.
    pub(crate) initial: Set,
    orders: mpsc::UnboundedSender<()>,
    task: JoinHandle<()>,
}

/// A caller at work.
struct Worker {
    stage: Arc<Stage>,
    ended: Ended,
    dice: fastrand::Rng,
    tenant: String,
    location: String,
    /// What the tenant has on the platform.
    desired: Set,
}

/// Adds the platform's categories.
pub(crate) async fn add_categories(client: &Client) {
    for name in CATEGORIES {
        let category = client.create_platform_category(slug(name)).display_name(name);
        category.gbp_category(format!("gcid:{name}")).send().await.expect("created");
    }
}

impl Caller {
    /// Adds tenant number `number`, whose location differs from what it has on the platform.
    pub(crate) async fn add(stage: &Arc<Stage>, client: &Client, number: usize, ended: Ended) -> Self {
        let mut dice = fastrand::Rng::with_seed(stage.seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        let (tenant, location) = (format!("store-{number}"), (10_000 + number).to_string());
        let (initial, desired) = (Set::any(&mut dice), Set::any(&mut dice));
        let create = client.create_tenant(&tenant).display_name(&tenant).location("1", &location);
        let create = create.organization(format!("organizations/chain-{}", number % 3));
        create.region_code("US").language_code("en").send().await.expect("created");
        stage.google.put(&location, &initial).await;
        let (orders, ordered) = mpsc::unbounded_channel();
        let worker =
            Worker { stage: stage.clone(), ended, dice, tenant: tenant.clone(), location: location.clone(), desired };
        worker.set_desired().await;
        let task = tokio::spawn(worker.work(ordered));
        Self { tenant, location, initial, orders, task }
    }

    /// Orders another run.
    pub(crate) fn order(&self) {
        // A caller that panicked is found when its end is waited for.
        let _ = self.orders.send(());
    }

    /// Waits until all that was ordered has ended.
    pub(crate) async fn finish(self) {
        drop(self.orders);
        if let Err(error) = self.task.await {
            panic!("the caller for {} broke off: {error}", self.tenant);
        }
    }
}

impl Worker {
    async fn work(mut self, mut orders: mpsc::UnboundedReceiver<()>) {
        let mut serial = 0;
        while orders.recv().await.is_some() {
            serial += 1;
            self.change().await;
            self.run(serial).await;
        }
    }

    /// Gives the next run something to do, in nine of ten cases. No run of this tenant is live now.
    async fn change(&mut self) {
        let what = self.dice.u8(..10);
        if what < 6 {
            self.desired = self.desired.other(&mut self.dice);
            self.set_desired().await;
        }
        if (4..9).contains(&what) {
            let set = self.desired.other(&mut self.dice);
            self.let_a_week_pass().await;
            self.stage.google.edit(&self.location, &set).await;
            let edit = Edit { tenant: self.tenant.clone(), at: Utc::now(), set };
            self.stage.record.notes().edits.push(edit);
        }
    }

    /// The owner edits more often than anybody can before a person has to decide, and here is none.
    async fn let_a_week_pass(&self) {
        let forget = || {
            sqlx::query("update tenant_sync set flips = '{}' where tenant_id = $1")
                .bind(&self.tenant)
                .execute(&self.stage.database.pool)
        };
        while forget().await.is_err() {
            pause().await;
        }
    }

    /// Past the servers: one that was stopped would carry an old call out when it goes on, and nobody could say what is desired.
    async fn set_desired(&self) {
        let tenant = TenantId::parse(&self.tenant).expect("an id");
        let slugs: Vec<Slug> =
            self.desired.names().iter().map(|name| Slug::parse(&slug(name)).expect("a slug")).collect();
        while self.stage.database.store.set_tenant_categories(None, &tenant, &slugs).await.is_err() {
            pause().await;
        }
    }

    async fn run(&mut self, serial: u64) {
        let request_id = format!("{}-{serial}", self.tenant);
        let first = self.ask(&request_id).await;
        let record = &self.stage.record;
        if first.joined {
            record.surprise(format!("{request_id} joined {}, though no run of the tenant was live", first.run.name));
        }
        let name = first.run.name;
        let accepted = Accepted { tenant: self.tenant.clone(), name: name.clone(), request_id: request_id.clone() };
        record.notes().accepted.push(accepted);
        if self.dice.u8(..5) == 0 {
            record.count("requests sent twice");
            let second = self.ask(&request_id).await.run.name;
            if second != name {
                record.surprise(format!("{request_id} was answered with {name} first, then with {second}"));
            }
        }
        self.ended.wait_for(&name).await;
    }

    /// Asks any server, and another one until there is an answer: always with the same request id.
    async fn ask(&self, request_id: &str) -> Mirrored {
        loop {
            let client = self.stage.fleet.client();
            let mirror = client.mirror(&self.tenant, Strategy::PlatformToGbp).request_id(request_id);
            match mirror.send().await {
                Ok(mirrored) => return mirrored,
                Err(error) if may_work_elsewhere(&error) => self.stage.record.count("calls repeated"),
                Err(error) => self.stage.record.surprise(format!("{request_id} was refused: {error}")),
            }
            pause().await;
        }
    }
}

fn may_work_elsewhere(error: &Error) -> bool {
    error.is_unavailable() || error.code() == Code::DeadlineExceeded
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(20..100))).await;
}

fn slug(name: &str) -> String {
    name.replace('_', "-")
}
