//! At rest: nothing in the database is of use without a key, and keys can be changed.

use std::fs;

use category_mirror::credential_cipher::CredentialCipher;
use category_mirror_client::RunState;

use super::{HUSH, dry_run, set, two_accounts};
use crate::{
    replica::{idle, replica_with_keys},
    service::{Service, Setup},
    wire::contents,
};

const OLD: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const NEW: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

fn cipher(service: &Service, keys: &[&str]) -> CredentialCipher {
    let path = service.key_folder().join("keys");
    fs::write(&path, keys.join("\n")).expect("written");
    CredentialCipher::from_file(&path).expect("keys")
}

#[tokio::test]
async fn the_database_holds_no_secret_and_nothing_that_another_account_could_use() {
    let service = two_accounts(Setup::default()).await;
    set(&service.client, "1", "good").await;
    set(&service.client, "2", "better").await;
    assert_eq!(dry_run(&service, &service.client, "one").await.state, RunState::Succeeded);
    // PostgreSQL shows bytes in hexadecimal.
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (hush, client) = (hex(HUSH), hex("1234567-client"));
    for (table, rows) in contents(&service.pool).await {
        let rows = rows.unwrap_or_default();
        let found = [HUSH, &hush, "1234567-client", &client, "ya29."].into_iter().find(|secret| rows.contains(*secret));
        assert_eq!(found, None, "{table}: {rows}");
    }

    let moved = "update gbp_credentials mine set ciphertext = other.ciphertext, revision = 1000 + mine.revision
                   from gbp_credentials other where mine.account_id = '1' and other.account_id = '2'";
    sqlx::raw_sql(moved).execute(&service.pool).await.expect("moved");
    let run = dry_run(&service, &service.client, "one").await;
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Failed, Some("CREDENTIALS_UNREADABLE")));
    assert_eq!(service.google.count("locations.get").await, 1);
}

#[tokio::test]
async fn a_new_key_takes_over_and_the_old_one_can_go() {
    let service = two_accounts(idle()).await;
    let start = async |keys: &[&str]| {
        replica_with_keys(&service, Setup::default(), &service.google.endpoint, cipher(&service, keys)).await
    };
    let server = start(&[OLD]).await;
    let before = set(&server.client, "1", "good").await;
    set(&server.client, "2", "better").await;
    server.stop().await;

    let server = start(&[NEW, OLD]).await;
    assert_eq!(dry_run(&service, &server.client, "one").await.state, RunState::Succeeded, "all keys open");
    set(&server.client, "2", "better").await;
    // Encrypted with a key that only the service has.
    set(&service.client, "3", "best").await;
    let done = server.client.reencrypt_credentials().send().await.expect("encrypted anew");
    assert_eq!((done.reencrypted, done.unreadable), (1, 1), "one was under the newest key already");
    let again = server.client.reencrypt_credentials().send().await.expect("nothing to do");
    assert_eq!((again.reencrypted, again.unreadable), (0, 1));
    server.stop().await;

    let server = start(&[NEW]).await;
    let after = server.client.get_credentials("1").send().await.expect("told");
    assert_eq!((after.revision, after.update_time), (before.revision, before.update_time), "they are the same");
    assert_ne!(after.key_id, before.key_id);
    for tenant in ["one", "two"] {
        assert_eq!(dry_run(&service, &server.client, tenant).await.state, RunState::Succeeded);
    }
}
