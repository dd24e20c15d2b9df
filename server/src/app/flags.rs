//! Which features are on, as far as this process knows: what is in the database, read again and again, and what the process says itself.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, watch},
    time::{sleep, timeout},
};

use crate::{
    domain::{Admission, Flag, FlagSetting, OrganizationId, ProcessFlags, Rollout, TenantId, Why, evaluate},
    error::Error,
    store::Store,
    wake::{Hint, Hints},
};

/// Between looks at the table. A look and the time it may take are within [`SWITCH_OFF`], also where every hint at it was lost.
const POLL: Duration = Duration::from_millis(1000);
/// How long a look may take.
const PATIENCE: Duration = Duration::from_millis(900);
/// How long after a switch-off nothing goes on any more, on any server.
const SWITCH_OFF: Duration = Duration::from_secs(2);
const _: () = assert!(POLL.as_millis() + PATIENCE.as_millis() < SWITCH_OFF.as_millis());

/// The flags of a process. Cheap to clone.
///
/// What was read last stays in force while the database cannot be read: a database that is away must not switch features, and without
/// it nothing is carried out anyhow. Before the first successful look nothing is on; who asks then waits for one.
#[derive(Debug, Clone)]
pub struct Flags(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    process: ProcessFlags,
    /// What was read last; `None` before the first time.
    known: watch::Sender<Option<Settings>>,
    /// One look at a time: an older one must not overwrite what a newer one found.
    looking: Mutex<()>,
}

type Settings = Arc<HashMap<Flag, FlagSetting>>;

impl Flags {
    /// The flags in `store`, under what the process says. They are read when somebody asks, and kept fresh by [`Flags::keep_fresh`].
    #[must_use]
    pub fn new(store: Store, process: ProcessFlags) -> Self {
        let known = watch::Sender::new(None);
        Self(Arc::new(Inner { store, process, known, looking: Mutex::new(()) }))
    }

    /// The flags as they are now, for any number of tenants.
    ///
    /// # Errors
    /// The database's, before the first successful look.
    pub async fn now(&self) -> Result<FlagSnapshot, Error> {
        let known = self.0.known.borrow().clone();
        let settings = match known {
            Some(settings) => settings,
            None => self.look().await?,
        };
        Ok(FlagSnapshot { settings, process: self.0.process })
    }

    /// Looks at the table, and takes over what is there.
    ///
    /// # Errors
    /// The database's; then nothing changes.
    pub(super) async fn look(&self) -> Result<Settings, Error> {
        let _one_at_a_time = self.0.looking.lock().await;
        let found = Arc::new(self.0.store.flags().await?);
        if let Some(before) = self.0.known.send_replace(Some(found.clone())) {
            log_changes(&before, &found);
        }
        Ok(found)
    }

    /// Follows the table: looks when it is told to, and every second. Never ends.
    pub async fn keep_fresh(self, mut hints: Hints) {
        let mut is_lost = false;
        loop {
            let looked = match timeout(PATIENCE, self.look()).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(std::error::Error::source(&error).unwrap_or(&error).to_string()),
                Err(_late) => Err("the database takes too long".to_owned()),
            };
            // Once, and not every second.
            match (&looked, is_lost) {
                (Ok(()), true) => tracing::info!("feature flags can be read again"),
                (Err(cause), false) => tracing::warn!(cause, "cannot read feature flags; the last ones stay in force"),
                _ => {}
            }
            is_lost = looked.is_err();
            tokio::select! {
                () = sleep(POLL) => {}
                () = flags_changed(&mut hints) => {}
            }
        }
    }

    /// What the process says by itself.
    #[must_use]
    pub fn process(&self) -> ProcessFlags {
        self.0.process
    }
}

async fn flags_changed(hints: &mut Hints) {
    while !matches!(hints.next().await, Hint::Flags | Hint::Everything) {}
}

fn log_changes(before: &HashMap<Flag, FlagSetting>, after: &HashMap<Flag, FlagSetting>) {
    for (flag, setting) in after {
        if before.get(flag) != Some(setting) {
            let Rollout { state, percent, .. } = &setting.rollout;
            tracing::info!(%flag, %state, percent = percent.value(), revision = setting.revision, "follows a changed flag");
        }
    }
}

/// Every flag at one moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FlagSnapshot {
    settings: Settings,
    process: ProcessFlags,
}

impl FlagSnapshot {
    /// Whether a flag is on for a tenant, and why.
    #[must_use]
    pub fn evaluate(&self, flag: Flag, tenant: &TenantId, organization: Option<&OrganizationId>) -> Why {
        let rollout = self.settings.get(&flag).map(|setting| &setting.rollout);
        evaluate(flag, rollout, &self.process, tenant, organization)
    }

    /// Whether a flag is on for a tenant.
    #[must_use]
    pub fn is_on(&self, flag: Flag, tenant: &TenantId, organization: Option<&OrganizationId>) -> bool {
        self.evaluate(flag, tenant, organization).is_on()
    }

    /// The flag as it is now, to be kept.
    #[must_use]
    pub fn admission(&self, flag: Flag) -> Admission {
        let rollout = self.settings.get(&flag).map(|setting| setting.rollout.clone());
        let ProcessFlags { on_by_default, .. } = self.process;
        Admission { flag, rollout, forced: self.process.forced(flag), on_by_default }
    }

    /// Whether a tenant's organization can decide about a flag.
    #[must_use]
    pub fn asks_for_organization(&self, flag: Flag) -> bool {
        self.settings.get(&flag).is_some_and(|setting| setting.rollout.asks_for_organization())
    }

    /// The flag's revision; 0 while nobody has set it.
    #[must_use]
    pub fn revision(&self, flag: Flag) -> i64 {
        self.settings.get(&flag).map_or(0, |setting| setting.revision)
    }

    /// Refuses what is off for a tenant, and counts it.
    ///
    /// # Errors
    /// [`Error::FeatureDisabled`] with the flag, and why it is off.
    pub fn require(&self, flag: Flag, tenant: &TenantId, organization: Option<&OrganizationId>) -> Result<(), Error> {
        let why = self.evaluate(flag, tenant, organization);
        if why.is_on() {
            return Ok(());
        }
        Err(disabled(flag, why))
    }
}

/// Refuses what is off, and counts it.
fn disabled(flag: Flag, why: Why) -> Error {
    let refusal = Error::FeatureDisabled { flag, why };
    count_disabled(&refusal);
    refusal
}

/// Counts a call that was refused because a flag is off; other refusals are none of these.
pub(super) fn count_disabled(refusal: &Error) {
    if let Error::FeatureDisabled { flag, .. } = refusal {
        metrics::counter!("category_mirror_feature_disabled_total", "flag" => flag.as_str()).increment(1);
    }
}
