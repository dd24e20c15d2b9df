//! What callers send beside their messages: traces and metadata, with each request and with each call that it makes.

use std::{fs, path::Path};

use category_mirror_client::{Code, Strategy};
use category_mirror_proto::v1::{self, run::State};
use tonic::Status;

use crate::fake::{Ending, Fake, run, updates};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203332-00";

/// A trace, and a tag.
type Sent = (Option<String>, Option<String>);

fn both(trace: &str, tag: &str) -> Sent {
    (Some(trace.to_owned()), Some(tag.to_owned()))
}

#[tokio::test]
async fn a_request_carries_its_own_and_no_other_does() {
    let fake = Fake::start().await;
    let mirror = &fake.methods.mirror_categories;
    let accepted = || v1::MirrorCategoriesResponse { run: Some(run("1", 1, State::Queued)), ..Default::default() };
    mirror.will(Err(Status::unavailable("again"))).will(Ok(accepted())).will(Ok(accepted()));
    let client = fake.client();
    let request = client.mirror("store-1", Strategy::PlatformToGbp).traceparent(OTHER).metadata("x-tag", "one");
    request.traceparent(TRACE).metadata("X-Tag", "two").send().await.expect("accepted");
    client.mirror("store-1", Strategy::PlatformToGbp).send().await.expect("accepted");
    let sent: Vec<Sent> = mirror.asked().iter().map(|asked| (asked.traceparent.clone(), asked.tag.clone())).collect();
    assert_eq!(sent, [both(TRACE, "two"), both(TRACE, "two"), (None, None)], "each attempt, and this request alone");
}

#[tokio::test]
async fn lists_and_watches_carry_it_with_every_call_that_they_make() {
    let fake = Fake::start().await;
    let page = |token: &str| v1::ListSyncLogsResponse { next_page_token: token.into(), ..Default::default() };
    fake.methods.list_sync_logs.will(Ok(page("more"))).will(Ok(page("")));
    let list = fake.client().list_sync_logs().traceparent(TRACE).metadata("x-tag", "list");
    list.send().collect().await.expect("both pages");
    let sent: Vec<Sent> = {
        let asked = fake.methods.list_sync_logs.asked();
        asked.iter().map(|asked| (asked.traceparent.clone(), asked.tag.clone())).collect()
    };
    assert_eq!(sent, [both(TRACE, "list"), both(TRACE, "list")]);

    // The server ends the stream early, so that the run is read, and the stream opened again.
    let stream = &fake.methods.stream_run_updates;
    stream.will(Ok(updates(vec![run("1", 1, State::Queued)], Ending::Close)));
    stream.will(Ok(updates(vec![run("1", 3, State::Succeeded)], Ending::Close)));
    let running = v1::GetRunResponse { run: Some(run("1", 2, State::Running)) };
    fake.methods.get_run.will(Ok(running));
    let watch = fake.client().watch_run("tenants/t/runs/1").traceparent(TRACE).metadata("x-tag", "watch");
    watch.send().collect().await.expect("to its end");
    let streams: Vec<Sent> = stream.asked().iter().map(|one| (one.traceparent.clone(), one.tag.clone())).collect();
    assert_eq!(streams, [both(TRACE, "watch"), both(TRACE, "watch")]);
    let read = fake.methods.get_run.asked();
    assert_eq!((read[0].traceparent.clone(), read[0].tag.clone()), both(TRACE, "watch"));
}

#[tokio::test]
async fn a_client_sends_what_its_builder_was_told_unless_a_request_knows_better() {
    let fake = Fake::start().await;
    let found = || Ok(v1::GetRunResponse { run: Some(run("1", 1, State::Queued)) });
    fake.methods.get_run.will(found()).will(found());
    let client = fake.builder().traceparent(TRACE).metadata("x-tag", "client").build().expect("good settings");
    client.get_run("1").send().await.expect("found");
    client.get_run("1").metadata("x-tag", "request").send().await.expect("found");
    let asked = fake.methods.get_run.asked();
    let sent: Vec<Sent> = asked.iter().map(|asked| (asked.traceparent.clone(), asked.tag.clone())).collect();
    assert_eq!(sent, [both(TRACE, "client"), both(TRACE, "request")]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_by_name_and_nothing_is_sent() {
    let fake = Fake::start().await;
    let client = fake.client();
    for (name, value) in
        [("authorization", "Bearer x"), ("grpc-timeout", "1S"), ("a b", "x"), ("x", "hush\n"), ("traceparent", "x")]
    {
        let error = client.get_run("1").metadata(name, value).send().await.expect_err(name);
        assert_eq!(error.code(), Code::InvalidArgument, "{name}: {error}");
        assert!(error.message().contains(name) && !error.message().contains("hush"), "{name}: {error}");
        assert!(fake.builder().metadata(name, value).build().is_err(), "{name}");
    }
    let error = client.get_run("1").traceparent("made up").send().await.expect_err("no trace");
    assert!(error.message().starts_with("traceparent \"made up\""), "{error}");
    let error = client.watch_all().traceparent("made up").send().next().await.expect("an end").expect_err("no trace");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(fake.methods.get_run.asked().is_empty() && fake.methods.stream_run_updates.asked().is_empty());
}

/// A request that is added by hand, beside the macros, would lack it.
#[test]
fn every_request_can_carry_metadata() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/request");
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let source = fs::read_to_string(&path).expect("UTF-8");
        let requests =
            source.matches("\n    client: Client,\n").count() + source.matches("client: $crate::Client,").count();
        let carrying = source.matches("carries_metadata!(").count();
        assert_eq!(requests, carrying, "{}", path.display());
    }
}
