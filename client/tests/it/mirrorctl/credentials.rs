//! Accounts' own credentials for Google.

use std::process::Output;

use category_mirror_proto::v1;

use super::{command, fed, mirrorctl, text};
use crate::fake::Fake;

/// Runs `credentials set` with this on standard input, and gives what was sent, if anything.
async fn set_credentials(fake: &Fake, input: &str) -> (Output, usize) {
    let output = fed(command(fake, &["credentials", "set", "1", "--file", "-"]), input.as_bytes()).await;
    (output, fake.methods.set_credentials.asked().len())
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
