//! Lists: what they say of themselves, ids and times.

use category_mirror_proto::v1::{self, run::State};

use super::{command, mirrorctl, text};
use crate::fake::{Fake, run};

/// Ids as the server makes them: equal at their beginning, which is their time.
const FIRST: &str = "0198a6f2-6c1e-7b3a-9f00-2d4c5b1c09e2";
const SECOND: &str = "0198a6f2-6c1e-7c11-8a51-77aa7d20aa41";
/// Ends as the first one does.
const THIRD: &str = "0198a6f2-0000-7c11-8a51-77aa5b1c09e2";

fn will_list(fake: &Fake, runs: Vec<v1::Run>) {
    fake.methods.list_sync_logs.will(Ok(v1::ListSyncLogsResponse { runs, ..Default::default() }));
}

#[tokio::test]
async fn runs_are_listed_by_batch() {
    let fake = Fake::start().await;
    let page = v1::ListSyncLogsResponse { runs: vec![run("1", 2, State::Failed)], ..Default::default() };
    fake.methods.list_sync_logs.will(Ok(page));
    let output = mirrorctl(&fake, &["run", "list", "--batch", "7", "--reason", "GUARD"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let asked = fake.methods.list_sync_logs.asked();
    assert_eq!((asked[0].message.batch.as_str(), asked[0].message.reason.as_str()), ("batches/7", "GUARD"));
}

#[tokio::test]
async fn an_empty_list_says_so_beside_the_output() {
    let fake = Fake::start().await;
    for form in ["text", "json"] {
        will_list(&fake, Vec::new());
        let output = mirrorctl(&fake, &["run", "list", "--output", form]).await;
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""));
        assert_eq!(text(&output.stderr), "mirrorctl: no runs match\n");
    }
}

#[tokio::test]
async fn a_list_that_is_cut_short_says_so() {
    let fake = Fake::start().await;
    for (limit, said) in [("2", "mirrorctl: 2 runs are shown, and there are more: --limit shows them\n"), ("3", "")] {
        will_list(&fake, ["1", "2", "3"].map(|id| run(id, 1, State::Queued)).to_vec());
        let output = mirrorctl(&fake, &["run", "list", "-n", limit]).await;
        assert_eq!(text(&output.stderr), said);
        let rows = text(&output.stdout).lines().skip(1).count();
        assert_eq!(rows.to_string(), limit);
    }
    let asked: Vec<i32> = fake.methods.list_sync_logs.asked().iter().map(|one| one.message.page_size).collect();
    assert_eq!(asked, [3, 4], "one more, in the same page");
}

#[tokio::test]
async fn ids_are_shortened_to_their_end_and_accepted_so() {
    let fake = Fake::start().await;
    let runs = || [FIRST, SECOND].map(|id| run(id, 1, State::Queued)).to_vec();
    for (arguments, ids) in [(&[][..], ["5b1c09e2", "7d20aa41"]), (&["--full-ids"], [FIRST, SECOND])] {
        will_list(&fake, runs());
        let output = mirrorctl(&fake, &[&["run", "list"], arguments].concat()).await;
        let shown = text(&output.stdout);
        let first: Vec<&str> = shown.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(first, ids, "{shown}");
    }
    for typed in ["5b1c09e2", "5B1C09E2", FIRST] {
        will_list(&fake, runs());
        fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run(FIRST, 1, State::Queued)) }));
        let output = mirrorctl(&fake, &["run", "get", typed]).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let asked: Vec<String> = fake.methods.get_run.asked().iter().map(|one| one.message.name.clone()).collect();
    let full = format!("tenants/t/runs/{FIRST}");
    assert_eq!(asked, [full.clone(), full, format!("tenants/-/runs/{FIRST}")]);
}

#[tokio::test]
async fn a_short_id_that_is_ambiguous_or_unknown_is_refused() {
    let fake = Fake::start().await;
    will_list(&fake, [FIRST, SECOND, THIRD].map(|id| run(id, 1, State::Queued)).to_vec());
    let output = mirrorctl(&fake, &["run", "cancel", "5b1c09e2"]).await;
    let shown = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(shown.contains("ambiguous") && shown.contains(FIRST) && shown.contains(THIRD), "{shown}");

    fake.methods.list_batches.will(Ok(v1::ListBatchesResponse::default()));
    let output = mirrorctl(&fake, &["batch", "cancel", "5b1c09e2"]).await;
    let shown = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{shown}");
    assert!(shown.contains("none of the newest 1000 batches has an id that ends in 5b1c09e2"), "{shown}");
    assert!(fake.methods.cancel_run.asked().is_empty() && fake.methods.cancel_batch.asked().is_empty());
}

#[tokio::test]
async fn a_batch_is_found_by_its_short_id() {
    let fake = Fake::start().await;
    let batch = v1::Batch { name: format!("batches/{SECOND}"), ..Default::default() };
    fake.methods.list_batches.will(Ok(v1::ListBatchesResponse { batches: vec![batch.clone()], ..Default::default() }));
    fake.methods.get_batch.will(Ok(v1::GetBatchResponse { batch: Some(batch) }));
    let output = mirrorctl(&fake, &["batch", "get", "7d20aa41"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(fake.methods.get_batch.asked()[0].message.name, format!("batches/{SECOND}"));
}

/// Five hours behind UTC, in the form of POSIX, which needs no data of the machine; and UTC.
#[tokio::test]
async fn every_time_has_the_same_form_in_the_local_zone_or_in_utc() {
    let fake = Fake::start().await;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 123_456_789 });
    let times = v1::Run { create_time: at(86_400), end_time: at(86_401), ..run("1", 1, State::Failed) };
    for (arguments, created, ended) in [
        (&[][..], "1970-01-01 19:00:00-05:00", "1970-01-01 19:00:01-05:00"),
        (&["--utc"], "1970-01-02 00:00:00Z", "1970-01-02 00:00:01Z"),
    ] {
        fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(times.clone()) }));
        let mut get = command(&fake, &[&["run", "get", "1"], arguments].concat());
        let output = get.env("TZ", "EST5").output().await.expect("the tool starts");
        let shown = text(&output.stdout);
        for line in [format!("accepted      {created}"), format!("ended         {ended}")] {
            assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
        }
        will_list(&fake, vec![times.clone()]);
        let mut list = command(&fake, &[&["run", "list"], arguments].concat());
        let output = list.env("TZ", "EST5").output().await.expect("the tool starts");
        assert!(text(&output.stdout).contains(&format!("1    {ended}  failed")), "{}", text(&output.stdout));
    }
}
