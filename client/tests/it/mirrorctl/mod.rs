//! The tool, as a process of its own.

mod commands;
mod connecting;
mod documented;
mod flags;
mod hostile;
mod output;
mod runs;

use std::process::{Output, Stdio};

use category_mirror_proto::v1::{self, run::State};
use tokio::{io::AsyncWriteExt, process::Command};
use tonic::Status;

use crate::fake::{Ending, Fake, run, updates};

async fn mirrorctl(fake: &Fake, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorctl"));
    command.args(arguments).env_clear().env("MIRRORCTL_ENDPOINT", fake.endpoint()).env("MIRRORCTL_TOKEN", "s3cret");
    command.kill_on_drop(true).output().await.expect("the tool starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn planned(state: State) -> v1::Run {
    let category = v1::GbpCategory { name: "categories/gcid:bakery".into(), display_name: "Bakery\u{1b}[2J".into() };
    let placed = v1::CategorySetMember {
        category: Some(category),
        role: v1::category_set_member::Role::Additional.into(),
        ..Default::default()
    };
    let operation = v1::change::Operation::Create.into();
    let plan =
        v1::Plan { changes: vec![v1::Change { operation, before: None, after: Some(placed) }], ..Default::default() };
    v1::Run { plan: Some(plan), dry_run: true, ..run("1", 2, state) }
}

fn will_run(fake: &Fake, end: State) {
    let accepted = v1::MirrorCategoriesResponse { run: Some(run("1", 1, State::Queued)), ..Default::default() };
    fake.methods.mirror_categories.will(Ok(accepted));
    let snapshots = vec![run("1", 1, State::Queued), planned(end)];
    fake.methods.stream_run_updates.will(Ok(updates(snapshots, Ending::Close)));
}

#[tokio::test]
async fn a_triggered_run_is_shown_to_its_end() {
    let fake = Fake::start().await;
    will_run(&fake, State::Succeeded);
    let output =
        mirrorctl(&fake, &["run", "create", "store-1", "--strategy", "platform_to_gbp", "--dry-run", "--wait"]).await;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(shown.starts_with("accepted tenants/t/runs/1\n"), "{shown}");
    assert!(shown.contains("+ additional  gcid:bakery (Bakery\\u{1b}[2J)\n"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no escapes in a pipe: {shown:?}");
    let asked = fake.methods.mirror_categories.asked();
    assert!(asked[0].message.dry_run);
    assert_eq!(asked[0].authorization.as_deref(), Some("Bearer s3cret"));
}

#[tokio::test]
async fn programs_get_a_json_object_a_line() {
    let fake = Fake::start().await;
    will_run(&fake, State::Failed);
    let output =
        mirrorctl(&fake, &["run", "create", "a", "--strategy", "platform_to_gbp", "--wait", "--output", "json"]).await;
    assert_eq!(output.status.code(), Some(1), "the run failed");
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["run"]["strategy"], "unknown_0");
    assert_eq!(lines[1]["state"], "queued");
    assert_eq!(lines[2]["plan"]["changes"][0]["after"]["category"]["name"], "categories/gcid:bakery");
}

#[tokio::test]
async fn each_kind_of_failure_has_its_exit_code() {
    let fake = Fake::start().await;
    let get = &fake.methods.get_run;
    get.will(Err(Status::not_found("no"))).will(Err(Status::permission_denied("no"))).will(Err(Status::internal("no")));
    for code in [3, 4, 6] {
        let output = mirrorctl(&fake, &["run", "get", "1"]).await;
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr).lines().count(), 1);
    }
    let output = mirrorctl(&fake, &["run", "last", "a", "sideways"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("platform_to_gbp or gbp_to_platform"));
    let output = mirrorctl(&fake, &["run", "stats", "--endpoint", "http://mirror.example.com"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("plain text"));
}

#[tokio::test]
async fn an_update_sends_what_was_given() {
    let fake = Fake::start().await;
    let tenant = v1::Tenant { name: "tenants/a".into(), ..Default::default() };
    fake.methods.update_tenant.will(Ok(v1::UpdateTenantResponse { tenant: Some(tenant) }));
    let output = mirrorctl(&fake, &["tenant", "update", "a", "--organization", "", "--region-code", "US"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let asked = fake.methods.update_tenant.asked();
    assert_eq!(asked[0].message.update_mask.as_ref().expect("a mask").paths, ["organization", "region_code"]);
}

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
async fn an_import_tells_the_line_of_what_was_refused() {
    let fake = Fake::start().await;
    let import = &fake.methods.import_tenants;
    let violation = v1::ImportViolation { field: "tenant.gbp_location".into(), description: "is required".into() };
    let failure = v1::ImportFailure { index: 1, name: "tenants/b\u{1b}".into(), violations: vec![violation] };
    import.will(Ok(v1::ImportTenantsResponse { created_count: 1, failures: vec![failure], ..Default::default() }));
    let folder = std::env::temp_dir().join(format!("mirrorctl-import-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("tenants.jsonl");
    let lines = "{\"tenant\":\"a\",\"display_name\":\"A\",\"primary\":\"cafe\",\"additional\":[\"bar\"]}\n{\"tenant\":\"b\",\"gbp_account\":\"1\"}\n";
    std::fs::write(&file, lines).expect("written");

    let output =
        mirrorctl(&fake, &["tenant", "import", "--file", file.to_str().expect("UTF-8"), "--validate-only"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let shown =
        "line 2, tenants/b\\u{1b}: tenant.gbp_location is required\n1 created, 0 changed, 0 as before, 1 refused\n";
    assert_eq!(text(&output.stdout), shown);
    {
        let asked = import.asked();
        let sent = &asked[0].message;
        assert!(sent.validate_only);
        let set = sent.tenants[0].categories.as_ref().expect("a set");
        assert_eq!(
            (set.primary.as_str(), set.additional[0].as_str()),
            ("platformCategories/cafe", "platformCategories/bar")
        );
        assert_eq!(sent.tenants[1].categories, None, "they are left alone");
    }
    std::fs::write(&file, "{\"tenant\":\"a\"}\n{\"tenatn\":\"b\"}\n").expect("written");
    let output = mirrorctl(&fake, &["tenant", "import", "--file", file.to_str().expect("UTF-8")]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("line 2: unknown field `tenatn`"), "{}", text(&output.stderr));
    assert_eq!(import.asked().len(), 1, "nothing of a broken file is sent");
    std::fs::remove_dir_all(&folder).expect("removed");
}

/// Files of editors and spreadsheets: with a byte order mark, blank lines, and lines that end as on Windows.
#[tokio::test]
async fn an_import_takes_a_byte_order_mark_and_blank_lines_and_names_the_lines_of_the_file() {
    let fake = Fake::start().await;
    let violation = v1::ImportViolation { field: "tenant.name".into(), description: "is required".into() };
    let failure = v1::ImportFailure { index: 1, name: String::new(), violations: vec![violation] };
    let report = v1::ImportTenantsResponse { failures: vec![failure.clone()], ..Default::default() };
    fake.methods.import_tenants.will(Ok(report));
    let report = v1::ImportPlatformCategoriesResponse { failures: vec![failure], ..Default::default() };
    fake.methods.import_platform_categories.will(Ok(report));
    let folder = std::env::temp_dir().join(format!("mirrorctl-marks-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    for (command, key) in [("tenant", "tenant"), ("platform-category", "slug")] {
        let file = folder.join(command);
        let lines = format!("\u{feff}\r\n{{\"{key}\":\"a\"}}\r\n\r\n  \t\r\n{{\"{key}\":\"b\"}}\r\n\n");
        std::fs::write(&file, lines).expect("written");
        let output = mirrorctl(&fake, &[command, "import", "--file", file.to_str().expect("UTF-8")]).await;
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with("line 5, : tenant.name is required\n"), "{}", text(&output.stdout));
    }
    std::fs::remove_dir_all(&folder).expect("removed");
    let names: Vec<String> = fake.methods.import_tenants.asked()[0]
        .message
        .tenants
        .iter()
        .map(|it| it.tenant.as_ref().expect("a tenant").name.clone())
        .collect();
    assert_eq!(names, ["tenants/a", "tenants/b"]);
    assert_eq!(fake.methods.import_platform_categories.asked()[0].message.platform_categories.len(), 2);
}

#[tokio::test]
async fn a_refreshed_list_is_told_in_full() {
    let fake = Fake::start().await;
    let category = |name: &str, display_name: &str| v1::GbpCategory {
        name: format!("categories/gcid:{name}"),
        display_name: display_name.into(),
    };
    let renamed =
        v1::RenamedGbpCategory { category: Some(category("bar", "Taproom")), previous_display_name: "Bar".into() };
    let mapping = v1::AffectedMapping {
        platform_category: "platformCategories/deli".into(),
        gbp_category: "categories/gcid:deli".into(),
        effect: v1::affected_mapping::Effect::Retired.into(),
        tenant_count: 7,
    };
    fake.methods.refresh_taxonomy.will(Ok(v1::RefreshTaxonomyResponse {
        version: Some(v1::TaxonomyVersion { version: 2, ..Default::default() }),
        added: vec![category("moon_base", "Moon base")],
        renamed: vec![renamed],
        retired: vec![category("deli", "Deli")],
        affected_mappings: vec![mapping],
        ..Default::default()
    }));
    let output = mirrorctl(&fake, &["taxonomy", "refresh", "US", "en", "--allow-shrink", "Google says so"]).await;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for line in [
        "+ gcid:moon_base (Moon base)",
        "~ gcid:bar (Taproom), was Bar",
        "- gcid:deli (Deli)",
        "  retired   platformCategories/deli maps to categories/gcid:deli, 7 tenants",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let asked = fake.methods.refresh_taxonomy.asked();
    let sent = &asked[0].message;
    assert_eq!((sent.region_code.as_str(), sent.allow_shrink, sent.reason.as_str()), ("US", true, "Google says so"));
}

#[tokio::test]
async fn a_plan_is_shown_as_text_json_and_markdown() {
    let fake = Fake::start().await;
    for _ in 0..3 {
        fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(planned(State::Succeeded)) }));
    }
    let mut shown = Vec::new();
    for format in ["text", "json", "markdown"] {
        let output = mirrorctl(&fake, &["plan", "get", "1", "--output", format]).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        shown.push(text(&output.stdout).to_owned());
    }
    assert!(shown[0].starts_with("+ additional  gcid:bakery"), "{}", shown[0]);
    let json: serde_json::Value = serde_json::from_str(&shown[1]).expect("JSON");
    assert_eq!(json["changes"][0]["operation"], "create");
    assert!(shown[2].starts_with("| change | before | after |"), "{}", shown[2]);

    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run("1", 1, State::Queued)) }));
    let output = mirrorctl(&fake, &["plan", "get", "1"]).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(6), 0));
}

#[tokio::test]
async fn a_guard_is_lifted_with_a_reason_only() {
    let fake = Fake::start().await;
    will_run(&fake, State::Succeeded);
    let lift = [
        "run",
        "create",
        "a",
        "--strategy",
        "platform_to_gbp",
        "--plan",
        "7",
        "--override-guard",
        "removals",
        "--override-guard",
        "primary_change",
    ];
    let output = mirrorctl(&fake, &lift).await;
    assert_eq!(output.status.code(), Some(2), "no reason");
    let output = mirrorctl(&fake, &[&lift[..], &["--reason", "ticket 7"]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));

    let reverted = v1::RevertRunResponse { run: Some(run("2", 1, State::Queued)), joined: false };
    fake.methods.revert_run.will(Ok(reverted));
    let output = mirrorctl(&fake, &["run", "revert", "1"]).await;
    assert_eq!(text(&output.stdout), "accepted tenants/t/runs/2\n");
    let asked = fake.methods.mirror_categories.asked();
    let message = &asked[0].message;
    assert_eq!((message.plan.as_str(), message.reason.as_str()), ("tenants/-/runs/7", "ticket 7"));
    assert_eq!(message.override_guards, ["removals", "primary_change"]);
    assert_eq!(fake.methods.revert_run.asked()[0].message.name, "tenants/-/runs/1");
}

/// Runs `credentials set` with this on standard input, and gives what was sent, if anything.
async fn set_credentials(fake: &Fake, input: &str) -> (Output, usize) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorctl"));
    command.args(["credentials", "set", "1", "--file", "-"]).env_clear();
    command.env("MIRRORCTL_ENDPOINT", fake.endpoint()).env("MIRRORCTL_TOKEN", "s3cret");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().expect("the tool starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).await.expect("written");
    drop(stdin);
    (child.wait_with_output().await.expect("it ends"), fake.methods.set_credentials.asked().len())
}

#[tokio::test]
async fn credentials_come_from_a_file_or_standard_input_and_are_never_shown() {
    let fake = Fake::start().await;
    let credentials = Some(v1::Credentials { name: "accounts/1/credentials".into(), ..Default::default() });
    fake.methods.set_credentials.will(Ok(v1::SetCredentialsResponse { credentials }));
    let good =
        r#"{"type": "authorized_user", "client_id": "hush-1", "client_secret": "hush-2", "refresh_token": "hush-3"}"#;
    let (output, sent) = set_credentials(&fake, good).await;
    assert_eq!((output.status.code(), sent), (Some(0), 1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("credentials   accounts/1/credentials\n"), "{}", text(&output.stdout));
    assert_eq!(fake.methods.set_credentials.asked()[0].message.refresh_token, "hush-3");

    for bad in [
        "hush-1",
        r#"{"client_id": "hush-1", "client_secret": "hush-2"}"#,
        r#"{"client_id": "hush-1", "client_secret": ["hush-2"], "refresh_token": "hush-3"}"#,
        r#"{"type": "service_account", "private_key": "hush-1"}"#,
    ] {
        let (output, sent) = set_credentials(&fake, bad).await;
        assert_eq!((output.status.code(), sent), (Some(2), 1), "{bad}");
        let shown = text(&output.stderr);
        assert!(shown.lines().count() == 1 && !shown.contains("hush"), "{shown}");
    }
    let missing = mirrorctl(&fake, &["credentials", "set", "1", "--file", "/nonexistent/adc.json"]).await;
    assert_eq!(missing.status.code(), Some(2), "{}", text(&missing.stderr));
}

#[tokio::test]
async fn credentials_that_google_refuses_have_an_exit_code() {
    let fake = Fake::start().await;
    let credentials = Some(v1::Credentials { name: "accounts/1/credentials".into(), ..Default::default() });
    for outcome in
        [v1::verify_credentials_response::Outcome::Accepted, v1::verify_credentials_response::Outcome::Rejected]
    {
        let credentials = credentials.clone();
        let answer = v1::VerifyCredentialsResponse { outcome: outcome.into(), problem: String::new(), credentials };
        fake.methods.verify_credentials.will(Ok(answer));
    }
    for code in [0, 3] {
        let output = mirrorctl(&fake, &["credentials", "verify", "1"]).await;
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    }
}

#[tokio::test]
async fn a_decision_overrides_guards_and_its_state_is_shown() {
    let fake = Fake::start().await;
    let decision = v1::TenantSyncDecision {
        decision: v1::tenant_sync_decision::Decision::PushAgain.into(),
        caller: "me".into(),
        reason: "we are a café".into(),
        run: "tenants/t/runs/1".into(),
        state: v1::tenant_sync_decision::State::Failed.into(),
        run_reason: "GUARD".into(),
        ..Default::default()
    };
    let tenant_sync =
        Some(v1::TenantSync { tenant: "tenants/t".into(), decision: Some(decision), ..Default::default() });
    let run = v1::Run {
        decision: v1::tenant_sync_decision::Decision::PushAgain.into(),
        overridden_checks: vec!["cooldown".into(), "conflict".into()],
        ..run("1", 1, State::Queued)
    };
    fake.methods.decide_tenant_sync.will(Ok(v1::DecideTenantSyncResponse { tenant_sync, run: Some(run.clone()) }));
    let arguments = [
        "sync",
        "decide",
        "t",
        "push_again",
        "--reason",
        "we are a café",
        "--override-guard",
        "primary_change,removals",
    ];
    let output = mirrorctl(&fake, &arguments).await;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(shown.contains("push_again by me: we are a café"), "{shown}");
    assert!(shown.contains("tenants/t/runs/1") && shown.contains("failed: GUARD"), "{shown}");
    assert_eq!(fake.methods.decide_tenant_sync.asked()[0].message.override_guards, ["primary_change", "removals"]);

    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run) }));
    let shown = mirrorctl(&fake, &["run", "get", "tenants/t/runs/1"]).await;
    let shown = text(&shown.stdout);
    assert!(shown.contains("cooldown") && shown.contains("conflict") && shown.contains("push_again"), "{shown}");
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
    for wanted in ["primary_change: 44", "primary_change: 40 of 44", "QUOTA_EXHAUSTED: 2"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    let asked = fake.methods.mirror_categories.asked();
    assert_eq!((asked[0].message.confirm_override_count, asked[0].message.reason.as_str()), (Some(44), "seen"));
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
