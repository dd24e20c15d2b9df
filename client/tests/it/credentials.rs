//! Accounts' own credentials: what is sent, what comes of the answer, and what never shows.

use category_mirror_client::{CredentialsOutcome, CredentialsState};
use category_mirror_proto::v1;
use tonic::Status;

use crate::fake::Fake;

fn credentials(state: v1::credentials::State) -> v1::Credentials {
    v1::Credentials {
        name: "accounts/1/credentials".into(),
        state: state.into(),
        client_id_suffix: "ghijkl".into(),
        key_id: "0a1b2c3d".into(),
        revision: 7,
        updated_by: "me".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn setting_is_retried_and_the_request_shows_no_secret() {
    let fake = Fake::start().await;
    let active = credentials(v1::credentials::State::Active);
    let response = v1::SetCredentialsResponse { credentials: Some(active) };
    fake.methods.set_credentials.will(Err(Status::unavailable("once"))).will(Ok(response));
    let request = fake.client().set_credentials("1", "hush-id", "hush-secret", "hush-token");
    let shown = format!("{request:?}");
    assert!(shown.contains("accounts/1") && !shown.contains("hush"), "{shown}");

    let set = request.send().await.expect("the second time");
    assert_eq!(
        (set.state, set.revision, set.reject_time, set.reject_reason),
        (CredentialsState::Active, 7, None, None)
    );
    let asked = fake.methods.set_credentials.asked();
    let sent = &asked[1].message;
    assert_eq!(sent.account, "accounts/1");
    assert_eq!([&sent.client_id, &sent.client_secret, &sent.refresh_token], ["hush-id", "hush-secret", "hush-token"]);
    assert!(!format!("{sent:?}").contains("hush"), "{sent:?}");
}

#[tokio::test]
async fn what_may_be_said_is_read_listed_tried_and_deleted() {
    let fake = Fake::start().await;
    let rejected = v1::Credentials {
        reject_time: Some(prost_types::Timestamp { seconds: 1_900_000_000, nanos: 0 }),
        reject_reason: "invalid_grant".into(),
        ..credentials(v1::credentials::State::Rejected)
    };
    let methods = &fake.methods;
    methods.get_credentials.will(Ok(v1::GetCredentialsResponse { credentials: Some(rejected.clone()) }));
    let list = v1::ListCredentialsResponse { credentials: vec![rejected.clone()], ..Default::default() };
    methods.list_credentials.will(Ok(list));
    methods.verify_credentials.will(Ok(v1::VerifyCredentialsResponse {
        outcome: v1::verify_credentials_response::Outcome::Rejected.into(),
        problem: "Google refuses the credentials".into(),
        credentials: Some(rejected),
    }));
    methods.delete_credentials.will(Err(Status::unavailable("once")));
    let response = v1::ReencryptCredentialsResponse { reencrypted_count: 2, unreadable_count: 1 };
    methods.reencrypt_credentials.will(Ok(response));

    let client = fake.client();
    let got = client.get_credentials("1").send().await.expect("told");
    assert_eq!((got.state, got.reject_reason.as_deref()), (CredentialsState::Rejected, Some("invalid_grant")));
    assert_eq!(client.list_credentials().send().collect().await.expect("a list"), std::slice::from_ref(&got));
    let verified = client.verify_credentials("accounts/1").send().await.expect("tried");
    assert_eq!((verified.outcome, &verified.credentials), (CredentialsOutcome::Rejected, &got));
    client.delete_credentials("1").send().await.expect_err("sent once");
    let done = client.reencrypt_credentials().send().await.expect("encrypted");
    assert_eq!((done.reencrypted, done.unreadable), (2, 1));
    assert_eq!(methods.verify_credentials.asked()[0].message.account, "accounts/1");
    assert_eq!(methods.delete_credentials.asked().len(), 1);
}
