//! The wire form of run streams: snapshots as they arrive, heartbeats while there are none, and the end of a stream.

use std::{future::pending, time::Duration};

use category_mirror_proto::v1::{self as proto, stream_run_updates_response::Update};
use chrono::{DateTime, Utc};
use futures::{Stream, stream};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::api::{
    encode,
    middleware::{deadline::Deadline, open_streams::StreamPermit},
};
use crate::{
    app::{RunName, Watch, Watched},
    domain::{OrganizationId, Run, TenantId, parse_batch_name},
    error::Error,
};

/// Parses the name of the resource to watch.
pub(in crate::api) fn parse(name: &str) -> Result<Watched, String> {
    if name == "tenants/-" {
        return Ok(Watched::Everything);
    }
    if name.contains("/runs/") {
        return RunName::parse(name).map(Watched::Run).map_err(str::to_owned);
    }
    if name.starts_with("batches/") {
        return parse_batch_name(name).map(Watched::Batch).map_err(str::to_owned);
    }
    let tenant = || Some(Watched::Tenant(name.strip_prefix("tenants/").and_then(|_| TenantId::parse(name).ok())?));
    let organization = || {
        let organization = name.strip_prefix("organizations/").and_then(|_| OrganizationId::parse(name).ok())?;
        Some(Watched::Organization(organization))
    };
    tenant().or_else(organization).ok_or_else(|| {
        "must be a run, `tenants/{tenant}/runs/{run}`, a tenant, `tenants/{tenant}`, an organization, \
         `organizations/{organization}`, `tenants/-`, or a batch, `batches/{batch}`"
            .to_owned()
    })
}

/// What ends a stream or keeps it alive.
#[derive(Debug)]
pub(in crate::api) struct StreamLimits {
    /// Maximum idle time before a heartbeat.
    pub(in crate::api) heartbeat: Duration,
    /// The deadline that its caller set.
    pub(in crate::api) deadline: Option<Deadline>,
    /// Expiration of its caller's token.
    pub(in crate::api) expires_at: DateTime<Utc>,
    /// The server's drain.
    pub(in crate::api) drain: CancellationToken,
    /// Cancelled at the connection's maximum age, before the connection is closed.
    pub(in crate::api) expired: CancellationToken,
    /// Its permit among the open streams.
    pub(in crate::api) _place: StreamPermit,
}

struct Updates {
    watch: Watch,
    bounds: StreamLimits,
    /// Time at which the last message was sent.
    last_sent: Instant,
    is_over: bool,
}

/// Streams the snapshots of a watch.
pub(in crate::api) fn stream(
    watch: Watch,
    bounds: StreamLimits,
) -> impl Stream<Item = Result<proto::StreamRunUpdatesResponse, Error>> + Send + 'static {
    let updates = Updates { watch, bounds, last_sent: Instant::now(), is_over: false };
    stream::unfold(updates, |mut updates| async { Some((updates.next().await?, updates)) })
}

impl Updates {
    async fn next(&mut self) -> Option<Result<proto::StreamRunUpdatesResponse, Error>> {
        if self.is_over {
            return None;
        }
        let StreamLimits { heartbeat, deadline, expires_at, drain, expired, _place } = &self.bounds;
        // In this order: the end of the stream takes precedence over its messages.
        let next = tokio::select! {
            biased;
            () = drain.cancelled() => Err(Error::Draining),
            () = expired.cancelled() => Err(Error::ConnectionExpired),
            after = passing(*deadline) => Err(Error::DeadlineExceeded(after)),
            () = expiry(*expires_at) => Err(Error::Unauthenticated("the token has expired".to_owned())),
            run = self.watch.next() => run.map(|run| run.map(snapshot)),
            () = sleep_until(self.last_sent + *heartbeat) => Ok(Some(alive())),
        };
        self.last_sent = Instant::now();
        self.is_over = !matches!(next, Ok(Some(_)));
        next.transpose().map(|update| update.map(|update| proto::StreamRunUpdatesResponse { update: Some(update) }))
    }
}

fn snapshot(run: std::sync::Arc<Run>) -> Update {
    Update::Run(Box::new(encode::run(std::sync::Arc::unwrap_or_clone(run))))
}

fn alive() -> Update {
    Update::Heartbeat(proto::Heartbeat { time: Some(encode::time(Utc::now())) })
}

async fn expiry(at: DateTime<Utc>) {
    let left = (at - Utc::now()).to_std().unwrap_or_default();
    // A token may contain any year; the timer must not overflow.
    tokio::time::sleep(left.min(Duration::from_secs(365 * 24 * 3600))).await;
}

/// Completes once the deadline has passed; never without a deadline.
async fn passing(deadline: Option<Deadline>) -> Duration {
    let Some(Deadline { at, after }) = deadline else { return pending().await };
    sleep_until(at).await;
    after
}
