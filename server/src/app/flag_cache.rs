//! Which features are on, as far as this process knows: what is in the database, read again and again, and what the process says itself.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use crate::{
    domain::{
        Flag, FlagAtAcceptance, FlagReason, FlagSetting, OrganizationId, ProcessFlags, Rollout, TenantId, evaluate,
    },
    error::Error,
    store::Store,
    wake::{WakeUp, WakeUpReceiver},
};

/// Between reads of the table. A read and the time it may take are within [`MAX_SETTINGS_AGE`], even if every wake-up about it was lost.
const POLL_INTERVAL: Duration = Duration::from_millis(1000);
/// How long a read may take.
const POLL_TIMEOUT: Duration = Duration::from_millis(900);
/// How long after a switch-off nothing goes on any more, on any server; and so for how long what was read may be believed.
const MAX_SETTINGS_AGE: Duration = Duration::from_secs(2);
const _: () = assert!(POLL_INTERVAL.as_millis() + POLL_TIMEOUT.as_millis() < MAX_SETTINGS_AGE.as_millis());

/// The flags of a process. Cheap to clone.
///
/// One task reads them, over a connection that no call uses. Whoever wants to know the flags gets what was read last, as long as that is
/// younger than the promised two seconds; otherwise the next read, or an error: flags that cannot be read are neither on nor off, so
/// nothing that they guard may begin.
#[derive(Debug, Clone)]
pub struct FlagCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    process: ProcessFlags,
    /// Asks the task for a read. One that has not begun yet serves all who ask.
    wanted: mpsc::Sender<()>,
    reads: watch::Receiver<Reads>,
}

type FlagSettings = Arc<HashMap<Flag, FlagSetting>>;

/// What reads have found.
#[derive(Debug, Default)]
struct Reads {
    /// When the last read began. `None`: none has ended yet.
    began_at: Option<Instant>,
    /// Why it failed, if it did.
    failure: Option<String>,
    /// What the last successful one found, and when it began.
    known: Option<(FlagSettings, Instant)>,
}

impl FlagCache {
    /// The flags in `store`, under what the process says. They are read when somebody asks, and kept fresh by [`Flags::keep_fresh`].
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn new(store: Store, process: ProcessFlags) -> Self {
        let (wanted, asked) = mpsc::channel(1);
        let (found, reads) = watch::channel(Reads::default());
        tokio::spawn(read_when_asked(store, asked, found));
        Self(Arc::new(Inner { process, wanted, reads }))
    }

    /// The flags as they are now, for any number of tenants.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] if they could not be read for longer than promised, or were never read.
    pub async fn now(&self) -> Result<FlagSnapshot, Error> {
        let known = self.0.reads.borrow().fresh();
        let settings = match known {
            Some(settings) => settings,
            None => self.refresh().await?,
        };
        Ok(FlagSnapshot { settings, process: self.0.process })
    }

    /// Waits for a read that begins from now on.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`]; then nothing changes.
    pub(super) async fn refresh(&self) -> Result<FlagSettings, Error> {
        let asked_at = Instant::now();
        // A full channel has a request that no read has begun for.
        let _ = self.0.wanted.try_send(());
        let mut reads = self.0.reads.clone();
        let read = reads.wait_for(|reads| reads.began_at.is_some_and(|began| began >= asked_at)).await;
        let read = read.map_err(|_| Error::Draining)?;
        match (&read.failure, &read.known) {
            (None, Some((settings, _))) => Ok(settings.clone()),
            (failure, _) => {
                let failure = failure.as_deref().unwrap_or("no answer");
                Err(Error::DatabaseUnavailable(format!("feature flags cannot be read: {failure}").into()))
            }
        }
    }

    /// Follows the table: reads it when it is told to, and every second. Never ends.
    pub async fn keep_fresh(self, mut wake_ups: WakeUpReceiver) {
        let mut is_failing = false;
        loop {
            let polled = self.refresh().await;
            // Once, and not every second.
            match (&polled, is_failing) {
                (Ok(_), true) => tracing::info!("feature flags can be read again"),
                (Err(error), false) => {
                    let cause = std::error::Error::source(error).unwrap_or(error);
                    tracing::warn!(error = %cause, "cannot read feature flags; nothing that they guard begins until they can be read");
                }
                _ => {}
            }
            is_failing = polled.is_err();
            tokio::select! {
                () = sleep(POLL_INTERVAL) => {}
                () = flags_changed(&mut wake_ups) => {}
            }
        }
    }

    /// What the process says by itself.
    #[must_use]
    pub fn process(&self) -> ProcessFlags {
        self.0.process
    }
}

impl Reads {
    /// What may be believed.
    fn fresh(&self) -> Option<FlagSettings> {
        let (settings, began_at) = self.known.as_ref()?;
        (began_at.elapsed() < MAX_SETTINGS_AGE).then(|| settings.clone())
    }
}

/// Reads the flags whenever that is asked for, one read at a time, until nobody can ask any more.
async fn read_when_asked(store: Store, mut asked: mpsc::Receiver<()>, found: watch::Sender<Reads>) {
    while asked.recv().await.is_some() {
        let began_at = Instant::now();
        let read = match timeout(POLL_TIMEOUT, store.flags_for_safety()).await {
            Ok(Ok(settings)) => Ok(Arc::new(settings)),
            Ok(Err(error)) => Err(std::error::Error::source(&error).unwrap_or(&error).to_string()),
            Err(_late) => Err("the database takes too long".to_owned()),
        };
        found.send_modify(|reads| {
            reads.began_at = Some(began_at);
            reads.failure = read.as_ref().err().cloned();
            if let Ok(settings) = read {
                if let Some((before, _)) = &reads.known {
                    log_changes(before, &settings);
                }
                reads.known = Some((settings, began_at));
            }
        });
    }
}

async fn flags_changed(wake_ups: &mut WakeUpReceiver) {
    while !matches!(wake_ups.next().await, WakeUp::FlagsChanged | WakeUp::Resync) {}
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
    settings: FlagSettings,
    process: ProcessFlags,
}

impl FlagSnapshot {
    /// Whether a flag is on for a tenant, and why.
    #[must_use]
    pub fn evaluate(&self, flag: Flag, tenant: &TenantId, organization: Option<&OrganizationId>) -> FlagReason {
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
    pub fn flag_at_acceptance(&self, flag: Flag) -> FlagAtAcceptance {
        let rollout = self.settings.get(&flag).map(|setting| setting.rollout.clone());
        let ProcessFlags { on_by_default, .. } = self.process;
        FlagAtAcceptance { flag, rollout, forced: self.process.forced(flag), on_by_default }
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
fn disabled(flag: Flag, why: FlagReason) -> Error {
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
