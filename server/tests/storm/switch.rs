//! The kill switch: it is off now and then, for everybody or for some. Everybody who wants a tenant excluded says so here, as a change of
//! the flag replaces all of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use category_mirror_client::FlagState;
use tokio::{sync::Mutex, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::stage::Stage;

/// Its flag.
pub(crate) const FLAG: &str = "FF_TENANT_GBP_CATEGORY_SYNC";
/// How long it is off each time: so much longer than the 2 s within which it has to be obeyed that what comes later is seen.
const OFF: Duration = Duration::from_millis(4500);
/// Within so long every server obeys a change: the promised 2 s, and as much again, because the machine may be busy.
pub(crate) const OBEYED: Duration = Duration::from_secs(4);
/// Every so manieth tenant is excluded when it is off for some.
const SHARE: usize = 3;

/// Whom the flag is to be on for.
#[derive(Debug, Default)]
pub(crate) struct Switch(Mutex<SwitchState>);

#[derive(Debug, Default)]
struct SwitchState {
    is_off: bool,
    /// A tenant is here as often as somebody wants it excluded.
    excluded: Vec<String>,
}

/// Switches off and on until it is ended.
pub(crate) struct Switching {
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl Switching {
    /// Begins, for these tenants.
    pub(crate) fn begin(stage: &Arc<Stage>, tenants: Vec<String>) -> Self {
        let end = CancellationToken::new();
        let (stage, ended) = (stage.clone(), end.clone());
        let task = tokio::spawn(async move {
            let mut dice = fastrand::Rng::with_seed(stage.seed.wrapping_add(2));
            for turn in 0_u32.. {
                let wait = Duration::from_millis(dice.u64(4000..9000));
                let number = tenants.len() / SHARE;
                let some = dice.choose_multiple(&tenants, number).into_iter().cloned().collect();
                if ended.run_until_cancelled(sleep(wait)).await.is_none() {
                    return;
                }
                if turn % 3 == 1 { stage.off_for_all(&ended).await } else { stage.off_for(some, &ended).await }
            }
        });
        Self { end, task }
    }

    /// Ends with the switch on, and everybody included again.
    pub(crate) async fn end(self) {
        self.end.cancel();
        self.task.await.expect("switching does not panic");
    }
}

impl Stage {
    /// Switches it on for everybody.
    pub(crate) async fn switch_on(&self) {
        self.set_switch(|wanted| *wanted = SwitchState::default()).await;
    }

    /// Excludes a tenant, or ends that.
    pub(crate) async fn exclude(&self, tenant: &str, is_excluded: bool) {
        self.set_switch(|wanted| {
            if is_excluded {
                wanted.excluded.push(tenant.to_owned());
            } else if let Some(place) = wanted.excluded.iter().position(|excluded| excluded == tenant) {
                wanted.excluded.swap_remove(place);
            }
        })
        .await;
    }

    async fn off_for_all(&self, end: &CancellationToken) {
        self.record.count("switches off for all");
        self.set_switch(|wanted| wanted.is_off = true).await;
        end.run_until_cancelled(sleep(OFF)).await;
        self.set_switch(|wanted| wanted.is_off = false).await;
    }

    async fn off_for(&self, tenants: Vec<String>, end: &CancellationToken) {
        self.record.count("switches off for some");
        self.set_switch(|wanted| wanted.excluded.extend(tenants.iter().cloned())).await;
        end.run_until_cancelled(sleep(OFF)).await;
        self.set_switch(|wanted| {
            for tenant in &tenants {
                let place = wanted.excluded.iter().position(|excluded| excluded == tenant);
                place.map(|place| wanted.excluded.swap_remove(place));
            }
        })
        .await;
    }

    /// One change at a time, so that none is lost.
    async fn set_switch(&self, change: impl FnOnce(&mut SwitchState)) {
        let mut wanted = self.switch.0.lock().await;
        change(&mut wanted);
        let state = if wanted.is_off { FlagState::Off } else { FlagState::On };
        let excluded: BTreeSet<&str> = wanted.excluded.iter().map(String::as_str).collect();
        self.answer("a change of the kill switch", |client| {
            client.update_flag(FLAG).state(state).excluded_tenants(excluded.iter().copied()).send()
        })
        .await;
    }
}
