//! Many streams on one server: what an idle one costs, and how soon a change arrives.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use category_mirror::{
    commands::CommandError,
    domain::{RunKind, RunOptions, Strategy as RunStrategy, TenantId},
    serve::STREAM_HEARTBEAT,
    store::{ID_BY_DATABASE, NewRun, Store},
    wake::{WakeUp, WakeUpBus},
};
use category_mirror_client::{Client, Strategy};
use category_mirror_proto::v1::{
    StreamRunUpdatesRequest, StreamRunUpdatesResponse, category_mirror_service_client::CategoryMirrorServiceClient,
    stream_run_updates_response::Update,
};
use serde_json::json;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Streaming,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{
    environment::BenchEnvironment,
    load::percentile_ms,
    process::Process,
    report::{report, rounded},
};

/// HTTP/2 connections that the streams share.
const CONNECTIONS: usize = 10;
/// Changes a second.
const RATE: u32 = 200;
/// The p99 that is wanted, ms.
const TARGET_MS: f64 = 100.0;
/// Memory of a stream that is wanted at least, and aimed at, kB.
const TARGETS_KB: [f64; 2] = [30.0, 10.0];
/// Within this time every change has arrived.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// A run that arrived at its tenant's stream.
struct Arrival {
    tenant: String,
    at: Instant,
}

/// Measures with `streams` streams, each of a tenant of its own.
pub(crate) async fn run(environment: &BenchEnvironment, streams: u64, window: Duration) -> Result<(), CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failed("streams", error);
    let settings = HashMap::from([
        ("MAX_STREAMS_PER_SUBJECT", streams.to_string()),
        ("MAX_STREAMS", (streams + 1).to_string()),
        ("RATE_LIMIT_PER_SECOND", "0".to_owned()),
        // What is accepted stays as it is: one change, one snapshot.
        ("RUNNER_CONCURRENCY", "0".to_owned()),
    ]);
    let server = Process::start(environment, settings).await?;
    let token = environment.token()?;
    let client = Client::builder(&server.address).token(token.clone()).build().map_err(|error| failed(&error))?;
    // What is made once for all is no part of the difference.
    client.list_tenants().send().next().await.transpose().map_err(|error| failed(&error))?;
    let none = server.resident_kb().await?;

    let mut readers = JoinSet::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "a full channel would slow down what is measured; the bench bounds the streams"
    )]
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let opened = Instant::now();
    open(&server.address, &token, streams, &arrived, &mut readers).await?;
    let opening = opened.elapsed();
    // Each has sent a heartbeat.
    sleep(STREAM_HEARTBEAT + window).await;
    let idle = server.resident_kb().await?;
    let each = kb_each(idle - none, streams);
    report(&json!({
        "bench": "streams",
        "scenario": "idle",
        "streams": streams,
        "opened_a_second": rounded(per_second(streams, opening)),
        "resident_kb": [none, idle],
        "kb_each": rounded(each),
        "kb_each_target": TARGETS_KB[0],
        "kb_each_aim": TARGETS_KB[1],
        "ratio_to_target": rounded(each / TARGETS_KB[0]),
    }))?;

    let changes = streams / 2;
    let here = changes_here(&client, 0..changes, window).await?;
    tell("same_server", &server, streams, &here, &mut arrivals).await?;
    // Until all have arrived: the last wake-ups are collected for some milliseconds before they go.
    let elsewhere_stops = CancellationToken::new();
    let _elsewhere = elsewhere_stops.clone().drop_guard();
    let elsewhere = changes_elsewhere(environment, elsewhere_stops, changes..streams, window).await?;
    tell("other_server", &server, streams, &elsewhere, &mut arrivals).await?;
    readers.abort_all();
    Ok(())
}

/// Opens the streams. Each tells of the runs that arrive.
async fn open(
    address: &str,
    token: &str,
    streams: u64,
    arrived: &UnboundedSender<Arrival>,
    readers: &mut JoinSet<()>,
) -> Result<(), CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failed("cannot open a stream", error);
    let token: MetadataValue<_> = format!("Bearer {token}").parse().map_err(|error| failed(&error))?;
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|error| failed(&error))?;
        channels.push(endpoint.connect().await.map_err(|error| failed(&error))?);
    }
    let mut opening = JoinSet::new();
    for (n, channel) in (0..streams).zip(channels.iter().cycle()) {
        if opening.len() >= 100
            && let Some(stream) = opening.join_next().await
        {
            readers.spawn(read(opened(stream)?, arrived.clone()));
        }
        opening.spawn(open_one(channel.clone(), token.clone(), n));
    }
    while let Some(stream) = opening.join_next().await {
        readers.spawn(read(opened(stream)?, arrived.clone()));
    }
    Ok(())
}

type Opened = Result<Streaming<StreamRunUpdatesResponse>, tonic::Status>;

async fn open_one(channel: Channel, token: MetadataValue<Ascii>, tenant: u64) -> Opened {
    let name = format!("tenants/bench-{tenant}");
    let mut request = Request::new(StreamRunUpdatesRequest { name, ..StreamRunUpdatesRequest::default() });
    request.metadata_mut().insert("authorization", token);
    Ok(CategoryMirrorServiceClient::new(channel).stream_run_updates(request).await?.into_inner())
}

fn opened(stream: Result<Opened, tokio::task::JoinError>) -> Result<Streaming<StreamRunUpdatesResponse>, CommandError> {
    let stream = stream.map_err(|error| CommandError::failed("cannot open a stream", error))?;
    stream.map_err(|error| CommandError::failed("cannot open a stream", error))
}

async fn read(mut stream: Streaming<StreamRunUpdatesResponse>, arrived: UnboundedSender<Arrival>) {
    while let Ok(Some(message)) = stream.message().await {
        if let Some(Update::Run(run)) = message.update {
            // Nobody waits any longer when it fails.
            let _ = arrived.send(Arrival { tenant: run.tenant, at: Instant::now() });
        }
    }
}

/// Accepts runs through the server: the tenant of each, and when its caller had the answer.
async fn changes_here(
    client: &Client,
    tenants: std::ops::Range<u64>,
    window: Duration,
) -> Result<HashMap<String, Instant>, CommandError> {
    let mut calls = JoinSet::new();
    let (mut ticks, began) = (ticks(), Instant::now());
    for tenant in tenants {
        ticks.tick().await;
        if began.elapsed() > window {
            break;
        }
        let client = client.clone();
        calls.spawn(async move {
            // From the question on: the snapshot may be there before the answer.
            let asked = Instant::now();
            let mirrored = client.mirror(format!("bench-{tenant}"), Strategy::PlatformToGbp).send().await?;
            Ok::<_, category_mirror_client::Error>((mirrored.run.tenant, asked))
        });
    }
    let calls: Result<_, _> = calls.join_all().await.into_iter().collect();
    calls.map_err(|error| CommandError::failed("cannot accept a run", error))
}

/// Accepts runs as another server would: the tenant of each, and when it was committed.
async fn changes_elsewhere(
    environment: &BenchEnvironment,
    stop: CancellationToken,
    tenants: std::ops::Range<u64>,
    window: Duration,
) -> Result<HashMap<String, Instant>, CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failed("cannot accept a run", error);
    let (store, wake) = (Store::new(environment.pool.clone()), WakeUpBus::start(environment.pool.clone(), stop));
    let mut changes = HashMap::new();
    let (mut ticks, began) = (ticks(), Instant::now());
    for tenant in tenants {
        ticks.tick().await;
        if began.elapsed() > window {
            break;
        }
        let new = NewRun {
            id: ID_BY_DATABASE,
            tenant: TenantId::parse(&format!("bench-{tenant}")).map_err(|error| failed(&error))?,
            kind: RunKind { strategy: RunStrategy::PlatformToGbp, dry_run: false },
            options: RunOptions::default(),
            caller: "bench".to_owned(),
            request_id: None,
            asked: None,
            max_attempts: 5,
            traceparent: None,
        };
        let accepted = store.accept(None, &new).await.map_err(|error| failed(&error))?;
        changes.insert(accepted.run.tenant.resource_name(), Instant::now());
        wake.send(WakeUp::RunsChanged([accepted.run.id].into()));
    }
    Ok(changes)
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}

/// Waits until each change has arrived, and tells how long they took.
async fn tell(
    scenario: &str,
    server: &Process,
    streams: u64,
    changes: &HashMap<String, Instant>,
    arrivals: &mut UnboundedReceiver<Arrival>,
) -> Result<(), CommandError> {
    let mut waits: Vec<Duration> = Vec::new();
    let all = async {
        while waits.len() < changes.len()
            && let Some(arrival) = arrivals.recv().await
        {
            waits.extend(changes.get(&arrival.tenant).map(|at| arrival.at.saturating_duration_since(*at)));
        }
    };
    let is_complete = timeout(ARRIVAL_TIMEOUT, all).await.is_ok();
    let delivered = waits.len();
    waits.sort_unstable();
    let p99 = percentile_ms(&waits, 99);
    report(&json!({
        "bench": "streams",
        "scenario": scenario,
        "streams": streams,
        "updates": changes.len(),
        "updates_a_second": RATE,
        "delivered": delivered,
        "p50_ms": rounded(percentile_ms(&waits, 50)),
        "p99_ms": rounded(p99),
        "max_ms": rounded(percentile_ms(&waits, 100)),
        "p99_target_ms": TARGET_MS,
        "ratio_to_target": rounded(p99 / TARGET_MS),
        "resident_kb": server.resident_kb().await?,
    }))?;
    if is_complete { Ok(()) } else { Err(CommandError::failed("streams", "not every update arrived")) }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn kb_each(kb: i64, streams: u64) -> f64 {
    kb as f64 / streams as f64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn per_second(streams: u64, time: Duration) -> f64 {
    streams as f64 / time.as_secs_f64()
}
