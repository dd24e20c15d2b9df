//! The streams of runs. Level-triggered: hints say when to look, and what is sent is what the table says.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    future::{pending, ready},
    time::Duration,
};

use category_mirror_proto::v1::{self as proto, stream_run_updates_response::Update};
use chrono::{DateTime, Utc};
use futures::{Stream, stream};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{convert, deadline::Deadline, open_streams::StreamPlace};
use crate::{
    app::{App, Of, RunName},
    domain::{BatchId, Caller, Run, RunId, TenantId, parse_batch_name},
    error::Error,
    wake::{Hint, Hints, Topic},
};

/// How far a look goes back behind the look before it: a commit may be seen later than the time that it wrote.
const OVERLAP: Duration = Duration::from_secs(60);
/// How long an ended run is remembered, so that the next look does not send it again; well above [`OVERLAP`].
const REMEMBER: chrono::TimeDelta = chrono::TimeDelta::minutes(5);
/// Runs that are read at once, which bounds what a stream holds of them.
const READ: usize = 100;

/// What a stream watches.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// One run, to its end.
    Run(RunName),
    /// A tenant's runs, or every visible one's, without end.
    Tenant(Option<TenantId>),
    /// A batch's runs, until it is over.
    Batch(BatchId),
}

impl Scope {
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        if name == "tenants/-" {
            return Ok(Self::Tenant(None));
        }
        if name.contains("/runs/") {
            return RunName::parse(name).map(Self::Run).map_err(str::to_owned);
        }
        if name.starts_with("batches/") {
            return parse_batch_name(name).map(Self::Batch).map_err(str::to_owned);
        }
        match name.strip_prefix("tenants/").and_then(|_| TenantId::parse(name).ok()) {
            Some(tenant) => Ok(Self::Tenant(Some(tenant))),
            None => Err(
                "must be a run, `tenants/{tenant}/runs/{run}`, a tenant, `tenants/{tenant}`, `tenants/-`, or a batch, \
                     `batches/{batch}`"
                    .to_owned(),
            ),
        }
    }
}

/// What ends a stream, or keeps it alive.
#[derive(Debug)]
pub(super) struct Bounds {
    /// How long it may be quiet.
    pub(super) heartbeat: Duration,
    /// When its caller wants it to end.
    pub(super) deadline: Option<Deadline>,
    /// The server's drain.
    pub(super) drain: CancellationToken,
    /// Its place among the open streams.
    pub(super) _place: StreamPlace,
}

struct Updates {
    app: App,
    caller: Caller,
    scope: Scope,
    hints: Hints,
    bounds: Bounds,
    /// May have changed, and was not read since. Ids only: runs are read just before they are sent, so a slow reader gets the newest.
    wanted: BTreeSet<RunId>,
    /// Read, and not yet sent.
    read: VecDeque<Run>,
    /// The newest revision sent of each run, and when the run ended.
    sent: HashMap<RunId, (i64, Option<DateTime<Utc>>)>,
    /// When everything was last looked at.
    looked: Instant,
    /// When a message was last sent.
    said: Instant,
    is_over: bool,
    /// The stream is over, too, as soon as everything wanted is sent.
    batch_is_over: bool,
}

/// Opens a stream. Its first look is made here, so that a call for what does not exist fails at once.
pub(super) async fn open(
    app: App,
    caller: Caller,
    scope: Scope,
    after_revision: i64,
    bounds: Bounds,
) -> Result<impl Stream<Item = Result<proto::StreamRunUpdatesResponse, Error>> + Send + 'static, Error> {
    let mut updates = Updates {
        // Subscribed before the first look: nothing falls between.
        hints: app.wake().subscribe(Topic::Changes),
        app,
        caller,
        scope,
        bounds,
        wanted: BTreeSet::new(),
        read: VecDeque::new(),
        sent: HashMap::new(),
        looked: Instant::now(),
        said: Instant::now(),
        is_over: false,
        batch_is_over: false,
    };
    match &updates.scope {
        Scope::Run(name) => {
            updates.sent.insert(name.id, (after_revision, None));
            updates.read.push_back(updates.app.run(&updates.caller, name).await?);
        }
        Scope::Tenant(_) => updates.look(Duration::ZERO).await?,
        Scope::Batch(batch) => {
            let batch = updates.app.batch(&updates.caller, *batch).await?;
            updates.look(Duration::ZERO).await?;
            updates.batch_is_over = batch.ended_at.is_some();
        }
    }
    Ok(stream::unfold(updates, |mut updates| async { Some((updates.next().await?, updates)) }))
}

impl Updates {
    async fn next(&mut self) -> Option<Result<proto::StreamRunUpdatesResponse, Error>> {
        loop {
            while let Some(run) = self.read.pop_front() {
                if let Some(update) = self.take(run) {
                    self.said = Instant::now();
                    return Some(Ok(message(update)));
                }
            }
            if self.is_over || self.batch_is_over && self.wanted.is_empty() {
                return None;
            }
            // In this order: what ends the stream goes before what feeds it, and all hints that are there before one read for them.
            let beat = sleep_until(self.looked.min(self.said) + self.bounds.heartbeat);
            let done = tokio::select! {
                biased;
                () = self.bounds.drain.cancelled() => Err(Error::Draining),
                after = passing(self.bounds.deadline) => Err(Error::DeadlineExceeded(after)),
                () = expiry(self.caller.expires_at) => Err(Error::Unauthenticated("the token has expired".to_owned())),
                () = beat => self.beat().await,
                hint = self.hints.next() => self.note(hint).await,
                () = ready(()), if !self.wanted.is_empty() => self.read().await,
            };
            match done {
                Ok(None) => {}
                Ok(Some(heartbeat)) => return Some(Ok(message(heartbeat))),
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Decides whether a run that was read is news.
    fn take(&mut self, run: Run) -> Option<Update> {
        if matches!(self.scope, Scope::Run(_)) && run.state.is_terminal() {
            self.is_over = true;
        }
        if !self.is_news(run.id, run.revision) {
            return None;
        }
        self.sent.insert(run.id, (run.revision, run.ended_at));
        Some(Update::Run(Box::new(convert::run(run))))
    }

    fn is_news(&self, run: RunId, revision: i64) -> bool {
        self.sent.get(&run).is_none_or(|(sent, _)| revision > *sent)
    }

    async fn note(&mut self, hint: Hint) -> Result<Option<Update>, Error> {
        match hint {
            Hint::Everything => self.look_again().await?,
            Hint::Changed(ids) => match &self.scope {
                Scope::Run(name) => self.wanted.extend(ids.iter().filter(|id| **id == name.id)),
                Scope::Tenant(_) | Scope::Batch(_) => self.wanted.extend(ids.iter()),
            },
            _ => {}
        }
        Ok(None)
    }

    async fn read(&mut self) -> Result<Option<Update>, Error> {
        let mut ids = Vec::with_capacity(READ);
        while ids.len() < READ
            && let Some(id) = self.wanted.pop_first()
        {
            ids.push(id);
        }
        let runs = self.app.runs(&self.caller, self.of(), &ids).await?;
        if let Scope::Batch(batch) = self.scope {
            // Its last run, or a sign of the batch itself, which goes by its own id.
            let may_be_last = ids.contains(&batch) || runs.iter().any(|run| run.state.is_terminal());
            if may_be_last && !self.batch_is_over {
                self.look_at_batch(batch).await?;
            }
        }
        self.read.extend(runs);
        Ok(None)
    }

    /// Whose runs the stream is of.
    fn of(&self) -> Of {
        match &self.scope {
            Scope::Run(name) => Of { tenant: name.tenant.clone(), batch: None },
            Scope::Tenant(tenant) => Of { tenant: tenant.clone(), batch: None },
            Scope::Batch(batch) => Of { tenant: None, batch: Some(*batch) },
        }
    }

    /// Asks whether a batch is over. What of it was not seen yet is looked for once more, because nobody will tell of it afterwards.
    async fn look_at_batch(&mut self, batch: BatchId) -> Result<(), Error> {
        if self.app.batch(&self.caller, batch).await?.ended_at.is_some() {
            self.batch_is_over = true;
            self.look_for_runs(self.looked.elapsed() + OVERLAP).await?;
        }
        Ok(())
    }

    /// Looks at everything that is live, or ended since the last look.
    async fn look_again(&mut self) -> Result<(), Error> {
        self.look(self.looked.elapsed() + OVERLAP).await
    }

    /// Looks for news in everything that the stream watches.
    async fn look(&mut self, ended: Duration) -> Result<(), Error> {
        let now = Instant::now();
        match &self.scope {
            Scope::Run(name) => drop(self.wanted.insert(name.id)),
            Scope::Tenant(_) => self.look_for_runs(ended).await?,
            // Its sign, so that the batch itself is looked at, too.
            Scope::Batch(batch) => {
                self.wanted.insert(*batch);
                self.look_for_runs(ended).await?;
            }
        }
        self.looked = now;
        Ok(())
    }

    async fn look_for_runs(&mut self, ended: Duration) -> Result<(), Error> {
        let current = self.app.current_revisions(&self.caller, self.of(), ended).await?;
        let news = current.into_iter().filter(|(id, revision)| self.is_news(*id, *revision));
        let news: Vec<RunId> = news.map(|(id, _)| id).collect();
        self.wanted.extend(news);
        let forgotten = Utc::now() - REMEMBER;
        self.sent.retain(|_, (_, ended_at)| ended_at.is_none_or(|ended_at| ended_at > forgotten));
        Ok(())
    }

    /// Looks, in case a hint was lost, also while the stream is busy; says that it is alive only while it is quiet.
    async fn beat(&mut self) -> Result<Option<Update>, Error> {
        if self.looked.elapsed() >= self.bounds.heartbeat {
            self.look_again().await?;
        }
        if self.said.elapsed() < self.bounds.heartbeat {
            return Ok(None);
        }
        self.said = Instant::now();
        Ok(Some(Update::Heartbeat(proto::Heartbeat { time: Some(convert::time(Utc::now())) })))
    }
}

async fn expiry(at: DateTime<Utc>) {
    let left = (at - Utc::now()).to_std().unwrap_or_default();
    // A token may say any year; a timer must not overflow over it.
    tokio::time::sleep(left.min(Duration::from_secs(365 * 24 * 3600))).await;
}

/// Ends when the deadline has passed, and never where there is none.
async fn passing(deadline: Option<Deadline>) -> Duration {
    let Some(Deadline { at, after }) = deadline else { return pending().await };
    sleep_until(at).await;
    after
}

fn message(update: Update) -> proto::StreamRunUpdatesResponse {
    proto::StreamRunUpdatesResponse { update: Some(update) }
}
