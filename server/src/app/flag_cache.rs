//! The flags that are on, as far as this process knows: polled from the database, combined with what the process itself
//! forces.

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

/// Interval of polling the table. Together with the time that a read may take, it is within [`MAX_SETTINGS_AGE`], even
/// if every wake-up is lost.
const POLL_INTERVAL: Duration = Duration::from_millis(1000);
/// Timeout of a read.
const POLL_TIMEOUT: Duration = Duration::from_millis(900);
/// Time after which no server acts on a flag that has been turned off; and so the time for which a read is valid.
const MAX_SETTINGS_AGE: Duration = Duration::from_secs(2);
const _: () = assert!(POLL_INTERVAL.as_millis() + POLL_TIMEOUT.as_millis() < MAX_SETTINGS_AGE.as_millis());

/// The flags of a process. Cheap to clone.
///
/// One task reads them, over a connection that no call uses. A caller gets the result of the last read if it is younger
/// than the guaranteed two seconds; otherwise that of the next read, or an error. Flags that cannot be read are neither
/// on nor off, so nothing that they guard may begin.
#[derive(Debug, Clone)]
pub struct FlagCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    process: ProcessFlags,
    /// Requests a read from the task. A read that has not begun yet serves all requests.
    wanted: mpsc::Sender<()>,
    reads: watch::Receiver<Reads>,
}

type FlagSettings = Arc<HashMap<Flag, FlagSetting>>;

/// Results of reads.
#[derive(Debug, Default)]
struct Reads {
    /// Time at which the last read began. `None`: none has ended yet.
    began_at: Option<Instant>,
    /// Why it failed, if it did.
    failure: Option<String>,
    /// Result of the last successful read, and the time at which it began.
    known: Option<(FlagSettings, Instant)>,
}

impl FlagCache {
    /// Creates the cache of the flags in `store`, overridden by those that the process forces. They are read on
    /// request, and kept fresh by [`FlagCache::keep_fresh`].
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

    /// Returns the current flags, for any number of tenants.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] if they could not be read for longer than 2 seconds, or never.
    pub async fn now(&self) -> Result<FlagSnapshot, Error> {
        let known = self.0.reads.borrow().fresh();
        let settings = match known {
            Some(settings) => settings,
            None => self.refresh().await?,
        };
        Ok(FlagSnapshot { settings, process: self.0.process })
    }

    /// Waits for a read that begins after this call.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`]; nothing is changed.
    pub(super) async fn refresh(&self) -> Result<FlagSettings, Error> {
        let asked_at = Instant::now();
        // If the channel is full, it contains a request that no read has begun for.
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

    /// Reads the table on every wake-up and every second. Never returns.
    pub async fn keep_fresh(self, mut wake_ups: WakeUpReceiver) {
        let mut is_failing = false;
        loop {
            let polled = self.refresh().await;
            // Logged once, not every second.
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

    /// Returns the flags that the process forces.
    #[must_use]
    pub fn process(&self) -> ProcessFlags {
        self.0.process
    }
}

impl Reads {
    /// Returns the result of the last read if it is still valid.
    fn fresh(&self) -> Option<FlagSettings> {
        let (settings, began_at) = self.known.as_ref()?;
        (began_at.elapsed() < MAX_SETTINGS_AGE).then(|| settings.clone())
    }
}

/// Reads the flags on request, one read at a time, until all senders of requests are dropped.
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

/// The state of all flags at one moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FlagSnapshot {
    settings: FlagSettings,
    process: ProcessFlags,
}

impl FlagSnapshot {
    /// Returns whether a flag is on for a tenant, and why.
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

    /// Returns the flag's current state, to be stored.
    #[must_use]
    pub fn flag_at_acceptance(&self, flag: Flag) -> FlagAtAcceptance {
        let rollout = self.settings.get(&flag).map(|setting| setting.rollout.clone());
        let ProcessFlags { on_by_default, .. } = self.process;
        FlagAtAcceptance { flag, rollout, forced: self.process.forced(flag), on_by_default }
    }

    /// Whether a tenant's organization can affect the value of a flag.
    #[must_use]
    pub fn asks_for_organization(&self, flag: Flag) -> bool {
        self.settings.get(&flag).is_some_and(|setting| setting.rollout.asks_for_organization())
    }

    /// Returns the flag's revision; 0 if it has never been set.
    #[must_use]
    pub fn revision(&self, flag: Flag) -> i64 {
        self.settings.get(&flag).map_or(0, |setting| setting.revision)
    }

    /// Checks that a flag is on for a tenant, and counts the call if not.
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

/// Returns the error for a flag that is off, and counts the call.
fn disabled(flag: Flag, why: FlagReason) -> Error {
    let refusal = Error::FeatureDisabled { flag, why };
    count_disabled(&refusal);
    refusal
}

/// Counts a call that was refused because a flag is off. Ignores all other refusals.
pub(super) fn count_disabled(refusal: &Error) {
    if let Error::FeatureDisabled { flag, .. } = refusal {
        metrics::counter!("category_mirror_feature_disabled_total", "flag" => flag.as_str()).increment(1);
    }
}
