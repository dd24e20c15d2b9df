//! Who may call, and what is refused: every field at once, nothing repeated.

use category_mirror::domain::Role;
use category_mirror_client::Client;
use category_mirror_proto::v1;
use tonic::Code;

use super::{HUSH, set};
use crate::{
    replica::idle,
    service,
    wire::{Wire, contents, refusal},
};

/// Every call, each as it would be carried out.
async fn calls(client: &Client) -> Vec<category_mirror_client::Error> {
    vec![
        client.set_credentials("1", "id", HUSH, HUSH).send().await.expect_err("set"),
        client.get_credentials("1").send().await.expect_err("get"),
        client.list_credentials().send().collect().await.expect_err("list"),
        client.delete_credentials("1").send().await.expect_err("delete"),
        client.verify_credentials("1").send().await.expect_err("verify"),
        client.reencrypt_credentials().send().await.expect_err("reencrypt"),
    ]
}

#[tokio::test]
async fn only_administrators_of_everything_may_call() {
    let service = service::start_with(idle()).await;
    set(&service.client, "1", "good").await;
    let before = contents(&service.pool).await;
    for token in [
        service.token(Role::Viewer, "viewer", None),
        service.token(Role::Admin, "limited", Some(&["store"])),
        service.token(Role::Viewer, "limited", Some(&["store"])),
    ] {
        for error in calls(&service.client_with(&token)).await {
            assert_eq!((error.code().as_str(), error.reason()), ("PERMISSION_DENIED", Some("PERMISSION_DENIED")));
        }
    }
    assert_eq!(contents(&service.pool).await, before);
}

#[tokio::test]
async fn all_wrong_fields_are_named_at_once_and_no_value_is_repeated() {
    let service = service::start_with(idle()).await;
    let mut wire = Wire::admin(&service);
    let before = contents(&service.pool).await;
    let valid = || v1::SetCredentialsRequest {
        account: "accounts/1".to_owned(),
        client_id: "id".to_owned(),
        client_secret: HUSH.to_owned(),
        refresh_token: HUSH.to_owned(),
    };
    type Edit<'a> = &'a dyn Fn(&mut v1::SetCredentialsRequest);
    let long = HUSH.repeat(300);
    let cases: [(Edit<'_>, &[&str]); 10] = [
        (&|m| *m = v1::SetCredentialsRequest::default(), &["account", "client_id", "client_secret", "refresh_token"]),
        (&|m| m.account = format!("{HUSH}\n"), &["account"]),
        (&|m| m.account = format!("accounts/1/{HUSH}"), &["account"]),
        (&|m| m.account = format!("locations/{HUSH}"), &["account"]),
        (&|m| m.client_id = format!("{HUSH} {HUSH}"), &["client_id"]),
        (&|m| m.client_id = long.clone(), &["client_id"]),
        (&|m| m.client_secret = format!("{HUSH}\r\nx: y"), &["client_secret"]),
        (&|m| m.client_secret = format!("{HUSH}\u{e9}"), &["client_secret"]),
        (&|m| m.refresh_token = format!("{HUSH}\n"), &["refresh_token"]),
        (&|m| m.refresh_token = format!("{HUSH}\0"), &["refresh_token"]),
    ];
    for (edit, fields) in cases {
        let mut message = valid();
        edit(&mut message);
        let refused = refusal(wire.credentials.set_credentials(message).await);
        assert_eq!(
            (refused.code, refused.fields.as_slice()),
            (Code::InvalidArgument, &fields.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
        );
        let shown = format!("{:?}{}", refused.status, String::from_utf8_lossy(refused.status.details()));
        assert!(!shown.contains(HUSH), "{shown}");
    }
    for account in ["", "accounts/", "a b", "../1"] {
        let account = account.to_owned();
        let get = v1::GetCredentialsRequest { account: account.clone() };
        assert_eq!(refusal(wire.credentials.get_credentials(get).await).fields, ["account"]);
        let delete = v1::DeleteCredentialsRequest { account: account.clone() };
        assert_eq!(refusal(wire.credentials.delete_credentials(delete).await).fields, ["account"]);
        let verify = v1::VerifyCredentialsRequest { account };
        assert_eq!(refusal(wire.credentials.verify_credentials(verify).await).fields, ["account"]);
    }
    let list = v1::ListCredentialsRequest { page_size: -1, ..Default::default() };
    assert_eq!(refusal(wire.credentials.list_credentials(list).await).fields, ["page_size"]);
    assert_eq!(contents(&service.pool).await, before);
}

#[tokio::test]
async fn accounts_without_credentials_of_their_own_are_not_found_and_pages_are_complete() {
    let service = service::start_with(idle()).await;
    let client = &service.client;
    for error in [
        client.get_credentials("1").send().await.expect_err("get"),
        client.delete_credentials("1").send().await.expect_err("delete"),
        client.verify_credentials("1").send().await.expect_err("verify"),
    ] {
        assert_eq!((error.code().as_str(), error.reason()), ("NOT_FOUND", Some("CREDENTIALS_NOT_FOUND")));
    }
    for account in ["30", "1", "2"] {
        set(client, account, "good").await;
    }
    let listed = client.list_credentials().page_size(2).send().collect().await.expect("listed");
    let names: Vec<_> = listed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["accounts/1/credentials", "accounts/2/credentials", "accounts/30/credentials"]);
    assert!(!format!("{listed:?}").contains(HUSH));
}
