//! Batches: what they need, how far they are (one moving line on a terminal, plain lines elsewhere), and what became of them.

use std::process::Output;

use category_mirror_proto::v1::{self, run::State};

use super::{mirrorctl, terminal::on_terminal, text};
use crate::fake::{Ending, Fake, run, updates};

#[tokio::test]
async fn a_batch_of_everybody_needs_the_typed_number() {
    let fake = Fake::start().await;
    let batch = v1::Batch { name: "batches/b".into(), tenant_count: 12, ..Default::default() };
    let accepted = v1::MirrorCategoriesResponse { batch: Some(batch), ..Default::default() };
    fake.methods.mirror_categories.will(Ok(accepted));
    for refused in [
        &["batch", "create", "--strategy", "platform_to_gbp", "--all-tenants"][..],
        &["batch", "create", "--strategy", "platform_to_gbp"],
        &[
            "batch",
            "create",
            "--strategy",
            "platform_to_gbp",
            "--all-tenants",
            "--organization",
            "a",
            "--confirm-tenant-count",
            "12",
        ],
        &[
            "batch",
            "create",
            "--strategy",
            "platform_to_gbp",
            "--all-tenants",
            "--confirm-tenant-count",
            "12",
            "--override-guard",
            "batch_tenants",
        ],
    ] {
        assert_eq!(mirrorctl(&fake, refused).await.status.code(), Some(2), "{refused:?}");
    }
    let arguments = [
        "batch",
        "create",
        "--strategy",
        "platform_to_gbp",
        "--all-tenants",
        "--confirm-tenant-count",
        "12",
        "--override-guard",
        "a,b",
        "--reason",
        "x",
    ];
    let output = mirrorctl(&fake, &arguments).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("batches/b"), "{}", text(&output.stdout));
    let asked = fake.methods.mirror_categories.asked();
    assert_eq!(asked[0].message.target, Some(v1::mirror_categories_request::Target::AllTenants(true)));
    assert_eq!((asked[0].message.confirm_tenant_count, asked[0].message.reason.as_str()), (Some(12), "x"));
    assert_eq!(asked[0].message.override_guards, ["a", "b"]);
}

#[tokio::test]
async fn a_batch_shows_what_guards_stop_and_overrides_them_for_the_confirmed_number() {
    let fake = Fake::start().await;
    let batch = v1::Batch {
        name: "batches/1".into(),
        stopped_count: 44,
        stopped_counts: vec![v1::GuardCount { rule: "primary_change".into(), run_count: 44 }],
        failure_counts: vec![v1::BatchFailureCount { reason: "QUOTA_EXHAUSTED".into(), run_count: 2 }],
        overridden_guards: vec!["primary_change".into()],
        confirmed_override_count: Some(44),
        override_count: 40,
        ..Default::default()
    };
    fake.methods.mirror_categories.will(Ok(v1::MirrorCategoriesResponse { batch: Some(batch), ..Default::default() }));
    let arguments = [
        "batch",
        "create",
        "--strategy",
        "platform_to_gbp",
        "--organization",
        "chain",
        "--override-guard",
        "primary_change",
        "--reason",
        "seen",
        "--confirm-override-count",
        "44",
    ];
    let output = mirrorctl(&fake, &arguments).await;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for wanted in ["primary_change: 44", "primary_change: 40 of 44", "QUOTA_EXHAUSTED     2"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    let asked = fake.methods.mirror_categories.asked();
    assert_eq!((asked[0].message.confirm_override_count, asked[0].message.reason.as_str()), (Some(44), "seen"));
}

const CREATE: [&str; 7] = ["batch", "create", "--strategy", "platform_to_gbp", "--organization", "acme", "--wait"];

fn batch(ended: bool) -> v1::Batch {
    let accepted = v1::Batch {
        name: "batches/b".into(),
        state: v1::batch::State::Expanding.into(),
        tenant_count: 3,
        pending_count: 3,
        ..Default::default()
    };
    if !ended {
        return accepted;
    }
    let count = |reason: &str, run_count| v1::BatchFailureCount { reason: reason.into(), run_count };
    v1::Batch {
        state: v1::batch::State::Completed.into(),
        pending_count: 0,
        succeeded_count: 1,
        failed_count: 2,
        failure_counts: vec![count("QUOTA_EXHAUSTED", 2)],
        end_time: Some(prost_types::Timestamp { seconds: 9, nanos: 0 }),
        ..accepted
    }
}

fn will_end(fake: &Fake) {
    let accepted = v1::MirrorCategoriesResponse { batch: Some(batch(false)), ..Default::default() };
    fake.methods.mirror_categories.will(Ok(accepted));
    let runs = vec![run("1", 1, State::Queued), run("1", 2, State::Failed)];
    fake.methods.stream_run_updates.will(Ok(updates(runs, Ending::Close)));
    // The watch asks whether the batch has ended, and so does the tool.
    for _ in 0..2 {
        fake.methods.get_batch.will(Ok(v1::GetBatchResponse { batch: Some(batch(true)) }));
    }
    let error = v1::RunError { message: "429 from Google".into(), ..Default::default() };
    let example = v1::Run { reason: "QUOTA_EXHAUSTED".into(), error: Some(error), ..run("1", 2, State::Failed) };
    fake.methods.list_sync_logs.will(Ok(v1::ListSyncLogsResponse { runs: vec![example], ..Default::default() }));
    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run("1", 2, State::Failed)) }));
}

fn assert_failures(shown: &str) {
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let table = ["FAILED FOR       RUNS  LAST RUN  ITS ERROR", "QUOTA_EXHAUSTED     2  1         429 from Google"];
    assert!(lines.windows(2).any(|two| two == table), "{shown}");
}

#[tokio::test]
async fn a_pipe_gets_plain_lines_and_the_failures_by_reason() {
    let fake = Fake::start().await;
    will_end(&fake);
    let Output { status, stdout, stderr } = mirrorctl(&fake, &CREATE).await;
    assert_eq!(status.code(), Some(1), "{}", text(&stderr));
    assert_eq!(text(&stderr), "0 of 3 ended\n3 of 3 ended, 1 succeeded, 2 failed\n");
    let shown = text(&stdout);
    assert!(shown.starts_with("accepted batches/b with 3 tenants\n"), "{shown}");
    assert!(!shown.contains("tenants/t/runs/1"), "no line for each run: {shown}");
    assert_failures(shown);
}

#[tokio::test]
async fn a_terminal_gets_one_line_that_moves_and_goes() {
    let fake = Fake::start().await;
    will_end(&fake);
    let shown = on_terminal(&fake, 80, &CREATE, "").await;
    assert_eq!(shown.code, Some(1), "{}", shown.text);
    assert!(shown.text.contains("\r\u{1b}[K0 of 3 ended"), "{:?}", shown.text);
    assert!(shown.text.contains("\r\u{1b}[Kbatch         batches/b"), "erased before the result: {:?}", shown.text);
    assert_failures(&shown.text);
}

#[tokio::test]
async fn programs_still_get_each_snapshot() {
    let fake = Fake::start().await;
    will_end(&fake);
    let output = mirrorctl(&fake, &[&CREATE[..], &["--output", "json"]].concat()).await;
    let names: Vec<serde_json::Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["name"].clone())
        .collect();
    assert_eq!(names, ["batches/b", "tenants/t/runs/1", "tenants/t/runs/1", "batches/b"]);
}
