//! The streams of runs. Level-triggered: hints say when to look, and what is sent is what the table says.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use category_mirror_proto::v1::{self as proto, stream_run_updates_response::Update};
use chrono::{DateTime, Utc};
use futures::{Stream, stream};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::convert;
use crate::{
    app::{App, RunName},
    auth::LEEWAY,
    domain::{Caller, Run, RunId, TenantId},
    error::Error,
    wake::{Hint, Hints},
};

/// How long a stream may be quiet.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long an ended run is remembered, so that a second look does not send it again; longer than any look goes back.
const REMEMBER: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

/// What a stream watches.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// One run, to its end.
    Run(RunName),
    /// A tenant's runs, or every visible one's, without end.
    Tenant(Option<TenantId>),
}

impl Scope {
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        if name == "tenants/-" {
            return Ok(Self::Tenant(None));
        }
        if name.contains("/runs/") {
            return RunName::parse(name).map(Self::Run).map_err(str::to_owned);
        }
        match name.strip_prefix("tenants/").and_then(|_| TenantId::parse(name).ok()) {
            Some(tenant) => Ok(Self::Tenant(Some(tenant))),
            None => {
                Err("must be a run, `tenants/{tenant}/runs/{run}`, a tenant, `tenants/{tenant}`, or `tenants/-`"
                    .to_owned())
            }
        }
    }
}

struct Updates {
    app: App,
    caller: Caller,
    scope: Scope,
    hints: Hints,
    drain: CancellationToken,
    /// Read and not yet sent. Bounded by one look; there is no further look before it is sent.
    pending: VecDeque<Run>,
    /// The newest revision sent of each run, and when the run ended.
    sent: HashMap<RunId, (i64, Option<DateTime<Utc>>)>,
    next_heartbeat: Instant,
    is_over: bool,
}

/// Opens a stream. Its first look is made here, so that a call for what does not exist fails at once.
pub(super) async fn open(
    app: App,
    caller: Caller,
    scope: Scope,
    after_revision: i64,
    drain: CancellationToken,
) -> Result<impl Stream<Item = Result<proto::StreamRunUpdatesResponse, Error>> + Send + 'static, Error> {
    let sent = match &scope {
        Scope::Run(name) => HashMap::from([(name.id, (after_revision, None))]),
        Scope::Tenant(_) => HashMap::new(),
    };
    let mut updates = Updates {
        // Subscribed before the first look: nothing falls between.
        hints: app.wake().subscribe(),
        app,
        caller,
        scope,
        drain,
        pending: VecDeque::new(),
        sent,
        next_heartbeat: Instant::now() + HEARTBEAT,
        is_over: false,
    };
    updates.look_at_everything(false).await?;
    Ok(stream::unfold(updates, |mut updates| async { Some((updates.next().await?, updates)) }))
}

impl Updates {
    async fn next(&mut self) -> Option<Result<proto::StreamRunUpdatesResponse, Error>> {
        loop {
            while let Some(run) = self.pending.pop_front() {
                if let Some(update) = self.take(run) {
                    self.next_heartbeat = Instant::now() + HEARTBEAT;
                    return Some(Ok(message(update)));
                }
            }
            if self.is_over {
                return None;
            }
            let looked = tokio::select! {
                () = self.drain.cancelled() => Err(Error::Draining),
                () = expiry(self.caller.expires_at + LEEWAY) => Err(Error::Unauthenticated("the token has expired".to_owned())),
                hint = self.hints.next() => self.look(hint).await,
                () = sleep_until(self.next_heartbeat) => self.beat().await,
            };
            match looked {
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
        let is_news = self.sent.get(&run.id).is_none_or(|(revision, _)| run.revision > *revision);
        if matches!(self.scope, Scope::Run(_)) && run.state.is_terminal() {
            self.is_over = true;
        }
        if !is_news {
            return None;
        }
        self.sent.insert(run.id, (run.revision, run.ended_at));
        Some(Update::Run(Box::new(convert::run(run))))
    }

    async fn look(&mut self, hint: Hint) -> Result<Option<Update>, Error> {
        match hint {
            Hint::Queued | Hint::Cancel(_) => {}
            Hint::Everything => self.look_at_everything(true).await?,
            Hint::Changed(ids) => match &self.scope {
                Scope::Run(name) if !ids.contains(&name.id) => {}
                Scope::Run(_) => self.look_at_everything(true).await?,
                Scope::Tenant(tenant) => {
                    let mut runs = self.app.changed_runs(&self.caller, &ids).await?;
                    runs.retain(|run| tenant.as_ref().is_none_or(|tenant| run.tenant == *tenant));
                    self.pending.extend(runs);
                }
            },
        }
        Ok(None)
    }

    /// Looks at all that the stream watches; `ended_too` also at what ended a moment ago.
    async fn look_at_everything(&mut self, ended_too: bool) -> Result<(), Error> {
        match &self.scope {
            Scope::Run(name) => self.pending.push_back(self.app.run(&self.caller, name).await?),
            Scope::Tenant(tenant) => {
                self.pending.extend(self.app.current_runs(&self.caller, tenant.clone(), ended_too).await?);
            }
        }
        let forgotten = Utc::now() - REMEMBER;
        self.sent.retain(|_, (_, ended_at)| ended_at.is_none_or(|ended_at| ended_at > forgotten));
        Ok(())
    }

    /// Quiet for long: looks, in case a hint was lost, and says that the stream is alive.
    async fn beat(&mut self) -> Result<Option<Update>, Error> {
        self.next_heartbeat = Instant::now() + HEARTBEAT;
        self.look_at_everything(true).await?;
        Ok(Some(Update::Heartbeat(proto::Heartbeat { time: Some(convert::time(Utc::now())) })))
    }
}

async fn expiry(at: DateTime<Utc>) {
    let left = (at - Utc::now()).to_std().unwrap_or_default();
    // A token may say any year; a timer must not overflow over it.
    tokio::time::sleep(left.min(Duration::from_secs(365 * 24 * 3600))).await;
}

fn message(update: Update) -> proto::StreamRunUpdatesResponse {
    proto::StreamRunUpdatesResponse { update: Some(update) }
}
