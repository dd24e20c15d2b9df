//! What a whole session logs: JSON on every line, and no secret at any level.

use std::fs;

use category_mirror_client::{Client, Strategy};
use serde_json::{Value, json};

use super::site::{ACCESS_TOKEN, SECRET, Site, ended};

const PASSWORD: &str = "only-for-tests-password";
const CLIENT_SECRET: &str = "only-for-tests-client-secret";
const REFRESH_TOKEN: &str = "1//only-for-tests-refresh-token";
/// Encrypts accounts' own credentials.
const KEY: &str = "a11ce5ec2e7000000000000000000000a11ce5ec2e7000000000000000000000";

/// A session with real calls, good ones and bad ones, and everything that it logged.
async fn session(site: &Site, settings: &[(&str, &str)]) -> Vec<String> {
    let server = site.serve(settings).await;
    let client = site.client(&server);
    site.load(&client).await;
    site.google.fault(json!({"method": "locations.patch", "status": 503, "times": 1})).await;
    let run = site.trigger(&client).await;
    ended(&client, &run).await;
    client.mirror("nobody", Strategy::PlatformToGbp).send().await.expect_err("no such tenant");
    for token in [format!("{}x", site.token()), "made-up-token".to_owned()] {
        let stranger = Client::builder(format!("http://{}", server.address)).token(token).build().expect("a client");
        stranger.get_sync_stats().send().await.expect_err("no token of ours");
    }
    assert_eq!(server.healthz().await, 200);
    server.signal(nix::sys::signal::Signal::SIGTERM);
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
    log
}

fn assert_no_secret(log: &[String], secrets: &[&str]) {
    for line in log {
        for secret in secrets {
            assert!(!line.contains(secret), "{secret}: {line}");
        }
        // Whatever token it is: ours begin so, as every JWT does, and so do Google's, and what they are sent with.
        assert!(!["eyJ", "ya29."].iter().any(|token| line.contains(token)), "{line}");
        assert!(!line.to_lowercase().contains("bearer "), "{line}");
    }
}

#[tokio::test]
async fn every_line_is_json_and_says_when_where_and_what() {
    let site = Site::embedded().await;
    let log = session(&site, &[("RUST_LOG", "info")]).await;
    for line in &log {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        // The house's style: lower case, so that a line reads on after its level, and no full stop.
        let message = line["message"].as_str().expect("text");
        assert!(!message.starts_with(char::is_uppercase) && !message.ends_with('.'), "{message:?}");
    }
    let named = |name: &str| log.iter().any(|line| line.contains(name));
    assert!(named("a run succeeded") && named("stopped"), "{log:#?}");
}

#[tokio::test]
async fn the_lines_of_an_attempt_name_its_run_and_what_was_found_is_in_fields() {
    let site = Site::new().await;
    let log = session(&site, &[("RUST_LOG", "info,category_mirror_gbp=debug")]).await;
    let lines: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of =
        |message: &str| lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("{message}"));
    let found = of("found a tenant out of sync");
    assert_eq!((&found["created"], &found["updated"], &found["deleted"]), (&json!(1), &json!(0), &json!(1)));
    assert_eq!((&found["tenant_id"], &found["strategy"]), (&json!("store"), &json!("platform_to_gbp")));
    for message in ["called google", "an attempt failed, another will follow", "a run succeeded"] {
        assert_eq!(of(message)["span"]["run_id"], found["run_id"], "{message}");
    }
    let failures = lines.iter().filter(|line| line["message"] == "an attempt failed, another will follow");
    assert_eq!(failures.count(), 1, "one line a failure");
}

#[tokio::test]
async fn no_secret_is_logged_however_much_is_logged() {
    let site = Site::new().await;
    let url = site.url_with_password(PASSWORD);
    let log = session(&site, &[("RUST_LOG", "trace"), ("DATABASE_URL", &url)]).await;
    assert!(
        log.iter().any(|line| line.contains(r#""level":"DEBUG""#) && line.contains("called google")),
        "not much is logged"
    );
    let token = site.token();
    let signature = token.rsplit('.').next().expect("a signature");
    assert_no_secret(&log, &[SECRET, ACCESS_TOKEN, PASSWORD, &token, signature, "made-up-token"]);
}

#[tokio::test]
async fn no_secret_of_google_s_is_logged_when_tokens_are_renewed() {
    let site = Site::new().await;
    let file = site.path("credentials.json");
    let credentials = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN,
    });
    fs::write(&file, credentials.to_string()).expect("written");
    let token_url = format!("{}/token", site.google.endpoint);
    let settings = [
        ("RUST_LOG", "trace"),
        ("GBP_ACCESS_TOKEN", ""),
        ("GBP_CREDENTIALS_FILE", file.to_str().expect("text")),
        ("GBP_TOKEN_URL", &token_url),
    ];
    site.google.fault(json!({"method": "locations.get", "status": 401, "times": 1})).await;
    let log = session(&site, &settings).await;
    assert!(site.google.count("token").await >= 2, "renewed after the 401");
    assert_no_secret(&log, &[CLIENT_SECRET, REFRESH_TOKEN, "only-for-tests-refresh"]);
}

/// The whole life of credentials: set, used, tried, moved to another key, refused in every way, and echoed by Google.
#[tokio::test]
async fn no_secret_of_an_accounts_is_logged_or_answered_whatever_becomes_of_it() {
    let site = Site::new().await;
    let file = site.path("keys");
    fs::write(&file, KEY).expect("written");
    let token_url = format!("{}/token", site.google.endpoint);
    let file = file.to_str().expect("text");
    let settings = [("RUST_LOG", "trace"), ("CREDENTIALS_KEYS_FILE", file), ("GBP_TOKEN_URL", &token_url)];
    let server = site.serve(&settings).await;
    let client = site.client(&server);
    site.load(&client).await;
    let mut answers = Vec::new();
    let dry_run = async || {
        let run = client.mirror("store", Strategy::PlatformToGbp).dry_run(true).send().await.expect("accepted").run;
        format!("{:?}", ended(&client, &run.name).await)
    };
    // Google repeats what it was sent: the server's own token first, then the account's.
    let echo = |token: &str| {
        let info =
            json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "BAD", "metadata": {"token": token}});
        json!({"error": {"code": 403, "status": "X", "message": format!("token {token} is bad"), "details": [info, token]}})
    };
    site.google.fault(json!({"method": "locations.get", "times": 1, "status": 403, "body": echo(ACCESS_TOKEN)})).await;
    answers.push(dry_run().await);
    assert!(answers[0].contains("[redacted]"), "the echo is what was looked for: {}", answers[0]);

    let set = async |client_id: &str, token: &str| {
        client.set_credentials("1", client_id, CLIENT_SECRET, token).send().await.map(|set| format!("{set:?}"))
    };
    answers.push(set("id", REFRESH_TOKEN).await.expect("set"));
    answers.push(dry_run().await);
    answers.push(format!("{:?}", client.verify_credentials("1").send().await.expect("tried")));
    answers.push(format!("{:?}", client.list_credentials().send().collect().await.expect("listed")));
    answers.push(format!("{:?}", client.reencrypt_credentials().send().await.expect("nothing to do")));
    answers.push(format!("{:?}", set(&format!("{REFRESH_TOKEN} "), "\n").await.expect_err("in the wrong field")));
    let wrong = client.set_credentials(REFRESH_TOKEN, CLIENT_SECRET, "s", "t").send().await;
    answers.push(format!("{:?}", wrong.expect_err("in the wrong field")));

    // A token that is refused, also after its renewal; a token endpoint that repeats what it was sent; and a consent that was taken back.
    site.google.fault(json!({"method": "locations.get", "times": 2, "status": 401})).await;
    answers.push(dry_run().await);
    for said in [REFRESH_TOKEN, CLIENT_SECRET] {
        set("id", REFRESH_TOKEN).await.expect("set");
        let body = json!({"error": said, "error_description": said});
        site.google.fault(json!({"method": "token", "times": 1, "status": 400, "body": body})).await;
        answers.push(dry_run().await);
    }
    site.google.tokens(json!({"revoke_refresh": [REFRESH_TOKEN]})).await;
    set("id", REFRESH_TOKEN).await.expect("set");
    answers.push(dry_run().await);
    assert!(answers.last().is_some_and(|run| run.contains("CREDENTIALS_REJECTED")), "{answers:?}");
    let metrics = reqwest::get(format!("http://{}/metrics", server.admin)).await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    assert!(metrics.contains(r#"category_mirror_credentials_rejected{credentials="account"} 1"#), "{metrics}");
    answers.push(metrics);

    server.signal(nix::sys::signal::Signal::SIGTERM);
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
    let secrets =
        [SECRET, ACCESS_TOKEN, CLIENT_SECRET, REFRESH_TOKEN, "only-for-tests", KEY, &KEY[..16], &site.token()];
    assert_no_secret(&log, &secrets);
    assert_no_secret(&answers, &secrets);
}
