//! What all callers share, and how they call: any server, and another one until there is an answer.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use category_mirror_client::{AcceptedRun, Batch, Client, Code, Error, RunState, Strategy};
use chrono::{DateTime, Utc};
use tokio::time::{sleep, timeout};

use crate::{
    ask::{Ask, Sides},
    database::{Database, until_some},
    fleet::Fleet,
    gate::Gate,
    google::Google,
    journal,
    pooler::Pooler,
    record::{Accepted, Cancel, Record, Refusal},
    switch::Switch,
    witness::{self, Ended},
};

/// How long whoever wants to cancel a run in the middle of a write waits for it to begin one.
const AIM: Duration = Duration::from_secs(3);

/// What all callers share.
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) google: Google,
    /// Between the servers and Google.
    pub(crate) gate: Gate,
    /// The kill switch.
    pub(crate) switch: Switch,
    pub(crate) database: Arc<Database>,
    /// Before the database, for one of the servers.
    pub(crate) pooler: Option<Arc<Pooler>>,
    /// Whether there is a standby to fail over to.
    pub(crate) has_failovers: bool,
    pub(crate) record: Arc<Record>,
    pub(crate) ended: Ended,
    pub(crate) seed: u64,
    /// Runs that were ordered and have not ended, one for each tenant of a batch.
    pub(crate) open: AtomicU64,
}

/// When a run is cancelled.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// So long after it was accepted: it is queued for its first attempt or another one, or running, or over.
    After(Duration),
    /// When it has begun to write.
    InAWrite,
}

impl Moment {
    /// Any.
    pub(crate) fn any(dice: &mut fastrand::Rng) -> Self {
        match dice.u8(..4) {
            0 => Self::After(Duration::ZERO),
            1 => Self::After(some_time(dice, 1500)),
            _ => Self::InAWrite,
        }
    }
}

impl Stage {
    /// The dice of whoever begins with tenant number `number`.
    pub(crate) fn dice(&self, number: usize) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(number as u64))
    }

    /// Asks for a run that makes the location equal to the platform, as [`Stage::ask`] does, beside whatever run is live: one that it
    /// cannot join is waited for.
    pub(crate) async fn mirror(&self, tenant: &str, request_id: &str, twice: bool) -> AcceptedRun {
        let ask = || {
            let send = |client: Client| Ask::MIRROR.send(&client, tenant, request_id);
            self.answer_unless(request_id, &["RUN_IN_PROGRESS"], send)
        };
        let (at, first) = loop {
            let at = Utc::now();
            match ask().await {
                Some(first) => break (at, first),
                None => self.record.count("live runs waited for"),
            }
            pause().await;
        };
        self.accepted(&Ask::MIRROR, tenant, request_id, at, None, &first);
        if twice {
            let second = ask().await.map_or_else(|| "a refusal".to_owned(), |second| second.run.name);
            self.repeated(request_id, &first.run.name, &second);
        }
        first
    }

    /// Asks for a run until it is accepted, always with the same request id; in `twice` once more than that. `sides` are what both were
    /// before, where somebody has looked.
    pub(crate) async fn ask(
        &self,
        what: &Ask,
        tenant: &str,
        request_id: &str,
        sides: Option<Sides>,
        twice: bool,
    ) -> AcceptedRun {
        let ask = || self.answer(request_id, |client| what.send(&client, tenant, request_id));
        let at = Utc::now();
        let first = ask().await;
        self.accepted(what, tenant, request_id, at, sides, &first);
        if twice {
            self.repeated(request_id, &first.run.name, &ask().await.run.name);
        }
        first
    }

    /// Asks for a run that makes the location equal to the platform beside a live one. `None`: that was refused, as another one is live.
    pub(crate) async fn mirror_beside(&self, tenant: &str, request_id: &str) -> Option<AcceptedRun> {
        let at = Utc::now();
        let send = |client: Client| Ask::MIRROR.send(&client, tenant, request_id);
        let answer = self.answer_unless(request_id, &["RUN_IN_PROGRESS"], send).await?;
        self.accepted(&Ask::MIRROR, tenant, request_id, at, None, &answer);
        Some(answer)
    }

    /// Gives a tenant another location, or none, until that is answered. False: it was refused, as a run is live or another tenant has
    /// the location.
    pub(crate) async fn bind(&self, tenant: &str, location: Option<&str>) -> bool {
        let send = |client: Client| {
            let update = client.update_tenant(tenant);
            match location {
                Some(location) => update.location("1", location),
                None => update.clear_location(),
            }
            .send()
        };
        let what = format!("the change of the location of {tenant}");
        let is_changed = self.answer_unless(&what, &["RUN_IN_PROGRESS", "LOCATION_TAKEN"], send).await.is_some();
        self.record.count(if is_changed { "changes of location" } else { "changes of location refused" });
        is_changed
    }

    /// Asks for a run to be taken back, as [`Stage::ask`] does. `None`: that was refused.
    pub(crate) async fn ask_back(
        &self,
        what: &Ask,
        run: &str,
        tenant: &str,
        request_id: &str,
        sides: Sides,
        twice: bool,
    ) -> Option<AcceptedRun> {
        let ask = || {
            let send = |client: Client| what.send(&client, tenant, request_id);
            self.answer_unless(request_id, &["NOT_REVERTIBLE"], send)
        };
        let at = Utc::now();
        let Some(first) = ask().await else {
            let (run, request_id) = (run.to_owned(), request_id.to_owned());
            self.record.notes().refusals.push(Refusal { run, request_id, sides });
            return None;
        };
        self.accepted(what, tenant, request_id, at, Some(sides), &first);
        if twice {
            let second = ask().await.map_or_else(|| "a refusal".to_owned(), |second| second.run.name);
            self.repeated(request_id, &first.run.name, &second);
        }
        Some(first)
    }

    /// Notes an answer that joins a run, where no run of the tenant was live.
    pub(crate) fn joins_nothing(&self, request_id: &str, answer: &AcceptedRun) {
        if answer.joined {
            let name = &answer.run.name;
            self.record.surprise(format!("{request_id} joined {name}, though no run of the tenant was live"));
        }
    }

    /// Notes what the service has promised.
    fn accepted(
        &self,
        what: &Ask,
        tenant: &str,
        request_id: &str,
        at: DateTime<Utc>,
        sides: Option<Sides>,
        answer: &AcceptedRun,
    ) {
        self.record.notes().accepted.push(Accepted {
            tenant: tenant.to_owned(),
            name: answer.run.name.clone(),
            request_id: request_id.to_owned(),
            at,
            joined: answer.joined,
            ask: what.clone(),
            sides,
        });
    }

    /// Cancels a run when the moment has come, until that is answered; in `twice` once more than that.
    pub(crate) async fn cancel(&self, run: &str, moment: Moment, twice: bool) {
        match moment {
            Moment::After(wait) => sleep(wait).await,
            Moment::InAWrite => self.begins_to_write(run).await,
        }
        self.record.count("cancels");
        for _ in 0..=u8::from(twice) {
            let cancelled = self.answer(run, |client| client.cancel_run(run).send()).await;
            self.record.notes().cancels.push(Cancel { name: run.to_owned(), answer: cancelled.state });
        }
    }

    async fn begins_to_write(&self, run: &str) {
        let (pool, id, mut ended) = (&self.database.pool, witness::id(run), self.ended.clone());
        let begun = until_some(|| async move { Ok(journal::has_begun(pool, id).await?.then_some(())) });
        tokio::select! {
            begun = timeout(AIM, begun) => if begun.is_ok() {
                self.record.count("cancels in a write");
            },
            () = ended.wait_for(run) => {}
        }
    }

    /// Cancels a batch after a while, until that is answered; in `twice` once more than that.
    pub(crate) async fn cancel_batch(&self, batch: &str, wait: Duration, twice: bool) {
        sleep(wait).await;
        self.record.count("batches cancelled");
        for _ in 0..=u8::from(twice) {
            let cancelled = self.answer(batch, |client| client.cancel_batch(batch).send()).await;
            self.record.notes().batch_cancels.push(Cancel { name: batch.to_owned(), answer: cancelled.state });
        }
    }

    /// Asks for a batch until it is accepted. Without the guards it changes whatever differs.
    pub(crate) async fn mirror_organization(
        &self,
        organization: &str,
        tenants: u32,
        request_id: &str,
        is_guarded: bool,
    ) -> Batch {
        self.answer(request_id, |client| {
            let batch = client.mirror_organization(organization, Strategy::PlatformToGbp).confirm(tenants);
            let batch = batch.request_id(request_id);
            if is_guarded {
                batch.send()
            } else {
                batch.override_guards(["batch_tenants", "batch_primary"], "a storm").send()
            }
        })
        .await
    }

    /// What a run is now.
    pub(crate) async fn state_of(&self, run: &str) -> RunState {
        self.answer(run, |client| client.get_run(run).send()).await.state
    }

    /// Notes a request that was sent again though it had been answered.
    pub(crate) fn repeated(&self, request_id: &str, first: &str, second: &str) {
        self.record.count("requests sent twice");
        if second != first {
            self.record.surprise(format!("{request_id} was answered with {first} first, then with {second}"));
        }
    }

    /// Asks any server, and another one until there is an answer.
    pub(crate) async fn answer<T, F>(&self, what: &str, ask: impl Fn(Client) -> F) -> T
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.answer_unless(what, &[], ask).await.expect("no refusal is an answer")
    }

    /// The same, where a refusal with one of these reasons is an answer, too. It says nothing of an earlier call that got none: whichever
    /// server has that may yet carry it out, when what the refusal is about is over.
    async fn answer_unless<T, F>(&self, what: &str, reasons: &[&str], ask: impl Fn(Client) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let (mut is_noted, mut is_open) = (false, false);
        loop {
            match ask(self.fleet.client()).await {
                Ok(answer) => return Some(answer),
                Err(error) if error.reason().is_some_and(|reason| reasons.contains(&reason)) => {
                    if is_open {
                        self.record.notes().left_open.insert(what.to_owned());
                    }
                    return None;
                }
                Err(error) if may_work_elsewhere(&error) => {
                    is_open = true;
                    self.record.count("calls repeated");
                }
                Err(_) if is_noted => self.record.count("calls repeated"),
                Err(error) => {
                    is_noted = true;
                    self.record.surprise(format!("{what} was refused: {error}"));
                }
            }
            pause().await;
        }
    }
}

fn may_work_elsewhere(error: &Error) -> bool {
    error.is_unavailable() || error.code() == Code::DeadlineExceeded
}

/// Up to so many milliseconds.
pub(crate) fn some_time(dice: &mut fastrand::Rng, at_most: u64) -> Duration {
    Duration::from_millis(dice.u64(..at_most))
}

/// Before something is tried again.
pub(crate) async fn pause() {
    sleep(Duration::from_millis(fastrand::u64(20..100))).await;
}
