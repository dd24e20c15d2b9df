//! Streams: whole snapshots, in order, to the last one, whatever becomes of the hints on the way.

use std::{collections::HashMap, time::Duration};

use category_mirror::{
    auth::{Grant, Signer},
    domain::{CategorySet, GbpCategory, Gcid, Mapped, Plan, Role, RunId, RunResult, Slug, Unmapped},
    runner::Settings,
    store::{BeginWrite, Claimed, Held, Progress, Store},
    wake::{Hint, Wake},
};
use category_mirror_client::{Code, Items, Run, RunState, Strategy};
use category_mirror_proto::v1::{
    StreamRunUpdatesRequest, StreamRunUpdatesResponse, category_mirror_service_client::CategoryMirrorServiceClient,
    run, stream_run_updates_response::Update,
};
use chrono::{TimeDelta, Utc};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Streaming, transport::Endpoint};

use super::{
    service::{self, Service, Setup},
    wake::disconnect_listeners,
};

const LEASE: Duration = Duration::from_secs(60);
/// Nothing takes so long: what does is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service that carries nothing out. The test makes the changes, as another server would, and decides who hears of them.
struct Quiet {
    service: Service,
    store: Store,
    elsewhere: Wake,
    _stop: DropGuard,
}

async fn quiet(tenants: &[&str]) -> Quiet {
    quiet_with(tenants, Setup::default()).await
}

async fn quiet_with(tenants: &[&str], setup: Setup) -> Quiet {
    let idle = Settings { concurrency: 0, ..setup.runner };
    let service = service::start_with(Setup { runner: idle, ..setup }).await;
    for tenant in tenants {
        service.tenant(tenant, &format!("at-{tenant}")).await;
    }
    let stop = CancellationToken::new();
    let elsewhere = Wake::start(service.pool.clone(), stop.clone());
    Quiet { store: Store::new(service.pool.clone()), elsewhere, service, _stop: stop.drop_guard() }
}

impl Quiet {
    /// Accepts a run; its name.
    async fn accepted(&self, tenant: &str) -> String {
        let mirrored = self.service.client.mirror(tenant, Strategy::PlatformToGbp).send().await;
        mirrored.expect("accepted").run.name
    }

    /// Claims the one run that is queued.
    async fn claimed(&self) -> Claimed {
        let mut claimed = self.store.claim(None, 10, LEASE).await.expect("claimed");
        assert_eq!(claimed.len(), 1);
        claimed.remove(0)
    }

    /// Changes a live run, so that its revision grows.
    async fn touch(&self, run: RunId) {
        self.store.cancel(None, run).await.expect("changed").expect("live");
    }

    async fn finish(&self, claimed: &Claimed) {
        let held = Held { id: claimed.run.id, fence: claimed.fence };
        let done = self.store.finish(None, held, 1, &RunResult::Succeeded, &Progress::default()).await;
        assert!(done.expect("finished"));
    }

    fn tell(&self, run: RunId) {
        self.elsewhere.hint(Hint::Changed([run].into()));
    }
}

async fn next(stream: &mut Items<Run>) -> Option<Run> {
    timeout(PATIENCE, stream.next()).await.expect("in time").transpose().expect("a snapshot")
}

async fn some(stream: &mut Items<Run>) -> Run {
    next(stream).await.expect("not the end")
}

#[tokio::test]
async fn a_run_is_followed_to_its_end() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;
    let run = service.client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;
    let mut stream = service.client.watch_run(&run.name).send();
    let mut seen = Vec::new();
    while let Some(run) = next(&mut stream).await {
        seen.push(run);
    }
    assert!(seen.is_sorted_by(|a, b| a.revision < b.revision), "no revision twice or backwards");
    let (last, before) = seen.split_last().expect("a snapshot");
    assert!(before.iter().all(|run| !run.is_terminal()));
    assert_eq!(*last, service.client.get_run(&run.name).send().await.expect("the run"));
    assert_eq!(last.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_revision_seen() {
    let stage = quiet(&["a"]).await;
    let name = stage.accepted("a").await;
    let mut stream = stage.service.client.watch_run(&name).after_revision(1).send();
    let claimed = async {
        // Something else happens in between, and is not sent.
        stage.tell(RunId::now_v7());
        let claimed = stage.claimed().await;
        stage.tell(claimed.run.id);
        claimed
    };
    let (run, claimed) = tokio::join!(some(&mut stream), claimed);
    assert_eq!((run.revision, run.state), (2, RunState::Running));
    stage.finish(&claimed).await;
    stage.tell(claimed.run.id);
    assert_eq!(some(&mut stream).await.state, RunState::Succeeded);
    assert_eq!(next(&mut stream).await, None);

    // The run is over: there is one more thing to say, or nothing.
    let mut late = stage.service.client.watch_run(&name).send();
    assert_eq!(some(&mut late).await.revision, 3);
    assert_eq!(next(&mut late).await, None);
    let mut later = stage.service.client.watch_run(&name).after_revision(3).send();
    assert_eq!(next(&mut later).await, None);
}

#[tokio::test]
async fn everything_shows_what_is_live_at_once_and_then_each_change() {
    let stage = quiet(&["a", "b", "c"]).await;
    let a = stage.accepted("a").await;
    let first = stage.claimed().await;
    let b = stage.accepted("b").await;
    let mut stream = stage.service.client.watch_all().send();
    assert_eq!([some(&mut stream).await.name, some(&mut stream).await.name], [a.clone(), b], "oldest first");

    let c = stage.accepted("c").await;
    assert_eq!(some(&mut stream).await.name, c);
    stage.finish(&first).await;
    stage.tell(first.run.id);
    let ended = some(&mut stream).await;
    assert_eq!((ended.name, ended.state), (a, RunState::Succeeded));

    // Who comes later sees what is live, and no history.
    let mut late = stage.service.client.watch_all().send();
    let names = [some(&mut late).await.tenant, some(&mut late).await.tenant];
    assert_eq!(names, ["tenants/b", "tenants/c"]);
}

#[tokio::test]
async fn a_limited_caller_hears_of_its_tenants_only() {
    let stage = quiet(&["a", "b"]).await;
    let [a, b] = [stage.accepted("a").await, stage.accepted("b").await];
    let token = stage.service.token(Role::Viewer, "viewer", Some(&["a"]));
    let viewer = stage.service.client_with(&token);
    let mut stream = viewer.watch_all().send();
    assert_eq!(some(&mut stream).await.name, a);

    for name in [&b, &a] {
        stage.service.client.cancel_run(name).send().await.expect("cancelled");
    }
    let ended = some(&mut stream).await;
    assert_eq!((ended.name, ended.state), (a, RunState::Cancelled), "and the other's end, which was before, not");

    for (mut stream, reason) in
        [(viewer.watch_run(&b).send(), "RUN_NOT_FOUND"), (viewer.watch_tenant("b").send(), "TENANT_NOT_FOUND")]
    {
        let error = stream.next().await.expect("an answer").expect_err("refused");
        assert_eq!((error.code(), error.reason()), (Code::NotFound, Some(reason)));
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let stage = quiet(&["a"]).await;
    stage.accepted("a").await;
    // Believed for a minute beyond its end, of which three seconds are left.
    let ttl = Duration::from_secs(600);
    let grant = Grant { subject: "tester".to_owned(), role: Role::Viewer, tenants: None, ttl };
    let signed_at = Utc::now() - TimeDelta::seconds(600 + 57);
    let signer = Signer::development(&stage.service.key_folder()).expect("a key");
    let client = stage.service.client_with(&signer.sign(&grant, signed_at).expect("a token"));

    let mut stream = client.watch_all().send();
    assert_eq!(some(&mut stream).await.tenant, "tenants/a");
    let error = timeout(PATIENCE, stream.next()).await.expect("in time").expect("an item").expect_err("the end");
    assert_eq!(error.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn no_snapshot_comes_twice_or_is_older_than_the_one_before() {
    let stage = quiet(&["a", "b"]).await;
    stage.accepted("a").await;
    let a = stage.claimed().await;
    stage.accepted("b").await;
    let b = stage.claimed().await;
    let mut stream = stage.service.client.watch_all().send();
    let mut newest: HashMap<String, i64> = HashMap::new();
    let reader = async {
        let mut ended = 0;
        while ended < 2 {
            let run = some(&mut stream).await;
            let before = newest.insert(run.name.clone(), run.revision).unwrap_or_default();
            assert!(run.revision > before, "{} after {before}", run.revision);
            ended += usize::from(run.is_terminal());
        }
    };
    let writer = async {
        for _ in 0..30 {
            for run in [&a.run, &b.run] {
                stage.touch(run.id).await;
                // Each hint three times, by two processes.
                stage.tell(run.id);
                stage.tell(run.id);
                stage.service.client.cancel_run(run.resource_name()).send().await.expect("cancelled");
            }
        }
        for claimed in [&a, &b] {
            stage.finish(claimed).await;
            stage.tell(claimed.run.id);
        }
    };
    tokio::join!(reader, writer);
    for claimed in [&a, &b] {
        let run = stage.store.run(claimed.run.id).await.expect("read").expect("there");
        assert_eq!(newest[&run.resource_name()], run.revision, "the last is never missed");
    }
}

#[tokio::test]
async fn a_change_is_delivered_although_its_notification_was_lost() {
    let stage = quiet(&["a"]).await;
    stage.accepted("a").await;
    let mut stream = stage.service.client.watch_all().send();
    assert_eq!(some(&mut stream).await.state, RunState::Queued);

    // Nobody tells of the end, as if it had happened while nobody listened.
    let claimed = stage.claimed().await;
    stage.finish(&claimed).await;
    disconnect_listeners(&stage.service.pool).await;

    assert_eq!(some(&mut stream).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_reader_that_pauses_misses_states_in_the_middle_and_not_the_last() {
    const CHANGES: usize = 60;
    let stage = quiet(&["a"]).await;
    let name = stage.accepted("a").await;
    let claimed = stage.claimed().await;
    let held = Held { id: claimed.run.id, fence: claimed.fence };
    let large = Progress { plan: Some(large_plan()), ..Progress::default() };
    assert_eq!(stage.store.begin_write(None, held, &large, LEASE).await.expect("begun"), BeginWrite::Go);
    let mut stream = stage.service.client.watch_run(&name).send();
    some(&mut stream).await;

    for _ in 0..CHANGES {
        stage.touch(claimed.run.id).await;
        stage.tell(claimed.run.id);
        // One round trip, in which the server may send what it can.
        stage.service.client.get_run(&name).send().await.expect("the run");
    }
    stage.finish(&claimed).await;
    stage.tell(claimed.run.id);

    let mut seen = Vec::new();
    while let Some(run) = next(&mut stream).await {
        seen.push(run);
    }
    assert!(seen.is_sorted_by(|a, b| a.revision < b.revision));
    assert_eq!(seen.last().map(|run| run.state), Some(RunState::Succeeded));
    assert!(seen.len() < CHANGES / 2, "{} snapshots of {} kB were kept for it", seen.len(), 300);
}

/// About 300 kB: a few fill what a connection buffers.
fn large_plan() -> Plan {
    let category = GbpCategory::new(Gcid::parse("gcid:cafe").expect("a gcid"), "");
    let unmapped = |n| Unmapped { slug: Slug::parse(&format!("s{n}")).expect("a slug"), display_name: "x".repeat(300) };
    let set = CategorySet::new(category, vec![]).expect("a set");
    Plan::new(Mapped { set, unmapped: (0..1000).map(unmapped).collect(), merged: vec![] }, None, Utc::now())
}

/// The stream as it is on the wire, with its heartbeats, which the client keeps to itself.
async fn raw(stage: &Quiet, name: &str) -> Streaming<StreamRunUpdatesResponse> {
    let channel = Endpoint::try_from(format!("http://{}", stage.service.address)).expect("a URL").connect().await;
    let mut client = CategoryMirrorServiceClient::new(channel.expect("connected"));
    let mut request =
        tonic::Request::new(StreamRunUpdatesRequest { name: name.to_owned(), ..StreamRunUpdatesRequest::default() });
    let token = stage.service.token(Role::Viewer, "viewer", None);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
    client.stream_run_updates(request).await.expect("a stream").into_inner()
}

async fn update(stream: &mut Streaming<StreamRunUpdatesResponse>) -> Update {
    let message = timeout(PATIENCE, stream.message()).await.expect("in time").expect("a message");
    message.expect("not the end").update.expect("an update")
}

#[tokio::test]
async fn a_quiet_stream_says_that_it_is_alive_and_looks_for_itself() {
    let stage = quiet_with(&["a"], Setup { stream_heartbeat: Duration::from_millis(100), ..Setup::default() }).await;
    let mut stream = raw(&stage, "tenants/-").await;
    for _ in 0..2 {
        assert!(matches!(update(&mut stream).await, Update::Heartbeat(_)));
    }
    let name = stage.accepted("a").await;
    let claimed = stage.claimed().await;
    stage.finish(&claimed).await;
    let is_over = |update: &Update| match update {
        Update::Run(run) => run.name == name && run.state == i32::from(run::State::Succeeded),
        Update::Heartbeat(_) => false,
    };
    let wait = async { while !is_over(&update(&mut stream).await) {} };
    timeout(PATIENCE, wait).await.expect("found without a hint");
}

#[tokio::test]
async fn a_busy_stream_looks_for_itself_too() {
    let stage =
        quiet_with(&["busy", "lost"], Setup { stream_heartbeat: Duration::from_millis(200), ..Setup::default() }).await;
    stage.accepted("busy").await;
    let busy = stage.claimed().await;
    let mut stream = stage.service.client.watch_all().send();
    some(&mut stream).await;
    stage.accepted("lost").await;
    assert_eq!(some(&mut stream).await.tenant, "tenants/lost");
    // Nobody tells of this.
    let lost = stage.claimed().await;
    stage.finish(&lost).await;

    let work = async {
        loop {
            stage.touch(busy.run.id).await;
            stage.tell(busy.run.id);
        }
    };
    let reader = async { while some(&mut stream).await.state != RunState::Succeeded {} };
    tokio::select! {
        () = work => {}
        () = reader => {}
    }
}
