//! The tool, as a process of its own.

use std::process::{Output, Stdio};

use category_mirror_proto::v1::{self, run::State};
use tokio::{io::AsyncWriteExt, process::Command};
use tonic::Status;

use crate::fake::{Ending, Fake, run, updates};

async fn mirrorctl(fake: &Fake, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorctl"));
    command.args(arguments).env_clear().env("MIRROR_ENDPOINT", fake.endpoint()).env("MIRROR_TOKEN", "s3cret");
    command.kill_on_drop(true).output().await.expect("the tool starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn planned(state: State) -> v1::Run {
    let category = v1::GbpCategory { name: "categories/gcid:bakery".into(), display_name: "Bakery\u{1b}[2J".into() };
    let placed = v1::PlacedCategory { category: Some(category), role: v1::placed_category::Role::Additional.into() };
    let operation = v1::change::Operation::Create.into();
    let plan =
        v1::Plan { changes: vec![v1::Change { operation, before: None, after: Some(placed) }], ..Default::default() };
    v1::Run { plan: Some(plan), dry_run: true, ..run("1", 2, state) }
}

fn will_run(fake: &Fake, end: State) {
    let accepted = v1::MirrorCategoriesResponse { run: Some(run("1", 1, State::Queued)), joined: false };
    fake.methods.mirror_categories.will(Ok(accepted));
    let snapshots = vec![run("1", 1, State::Queued), planned(end)];
    fake.methods.stream_run_updates.will(Ok(updates(snapshots, Ending::Close)));
}

#[tokio::test]
async fn a_triggered_run_is_shown_to_its_end() {
    let fake = Fake::start().await;
    will_run(&fake, State::Succeeded);
    let output = mirrorctl(&fake, &["trigger", "store-1", "platform_to_gbp", "--dry-run", "--watch"]).await;
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
    let output = mirrorctl(&fake, &["trigger", "a", "platform_to_gbp", "--watch", "--json"]).await;
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
    let output = mirrorctl(&fake, &["stats", "--endpoint", "http://mirror.example.com"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("plain text"));
}

#[tokio::test]
async fn an_update_sends_what_was_given() {
    let fake = Fake::start().await;
    let tenant = v1::Tenant { name: "tenants/a".into(), ..Default::default() };
    fake.methods.update_tenant.will(Ok(v1::UpdateTenantResponse { tenant: Some(tenant) }));
    let output = mirrorctl(&fake, &["tenants", "update", "a", "--organization", "", "--region", "US"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let asked = fake.methods.update_tenant.asked();
    assert_eq!(asked[0].message.update_mask.as_ref().expect("a mask").paths, ["organization", "region_code"]);
}

#[tokio::test]
async fn a_flag_is_switched_off_in_one_line_and_its_lists_are_given_with_commas() {
    let fake = Fake::start().await;
    let update = &fake.methods.update_flag;
    for _ in 0..2 {
        let flag = v1::Flag { name: "flags/FF_X".into(), ..Default::default() };
        update.will(Ok(v1::UpdateFlagResponse { flag: Some(flag) }));
    }
    for arguments in [
        &["flags", "update", "FF_X", "--state", "off", "--reason", "too many complaints"][..],
        &["flags", "update", "FF_X", "--percent", "12.5", "--tenants", "a, b,c", "--organizations", ""],
    ] {
        let output = mirrorctl(&fake, arguments).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let asked = update.asked();
    let paths = |n: usize| asked[n].message.update_mask.as_ref().expect("a mask").paths.clone();
    assert_eq!(
        (paths(0), paths(1)),
        (vec!["state".to_owned()], vec!["percent".into(), "tenants".into(), "organizations".into()])
    );
    assert_eq!(asked[0].message.reason, "too many complaints");
    let flag = asked[1].message.flag.as_ref().expect("a flag");
    assert_eq!((flag.tenants.join(" "), flag.organizations.len()), ("tenants/a tenants/b tenants/c".to_owned(), 0));
}

/// Runs `credentials set` with this on standard input, and gives what was sent, if anything.
async fn set_credentials(fake: &Fake, input: &str) -> (Output, usize) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorctl"));
    command.args(["credentials", "set", "1", "--file", "-"]).env_clear();
    command.env("MIRROR_ENDPOINT", fake.endpoint()).env("MIRROR_TOKEN", "s3cret");
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
