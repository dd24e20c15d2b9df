//! Where secrets come from, and who else could read or exchange them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use category_mirror_client::{Client, RunState, Strategy};
use serde_json::json;

use super::{
    server::Server,
    settings::refused,
    site::{ACCESS_TOKEN, Site, ended, until},
};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

#[tokio::test]
async fn what_is_secret_can_come_from_a_file() {
    let site = Site::new().await;
    site.google.tokens(json!({"allow_access": [ACCESS_TOKEN]})).await;
    let (url, token) = (site.path("url"), site.path("token"));
    // With the line's end that editors add.
    fs::write(&url, format!("{}\n", site.url_with_password("hunter2"))).expect("written");
    fs::write(&token, format!("{ACCESS_TOKEN}\n")).expect("written");
    let settings = [
        ("DATABASE_URL", ""),
        ("DATABASE_URL_FILE", url.to_str().expect("text")),
        ("GBP_ACCESS_TOKEN", ""),
        ("GBP_ACCESS_TOKEN_FILE", token.to_str().expect("text")),
    ];
    let server = site.serve(&settings).await;
    let client = site.client(&server);
    site.load(&client).await;
    let run = site.trigger(&client).await;
    site.assert_mirrored_once(&ended(&client, &run).await).await;

    // Google takes another token now, and the server shows it as soon as it is in the file.
    site.google.tokens(json!({"allow_access": ["ya29.only-for-tests-2"]})).await;
    fs::write(&token, "ya29.only-for-tests-2").expect("written");
    until("the other token", || async {
        let run = client.mirror("store", Strategy::PlatformToGbp).dry_run(true).send().await.expect("accepted").run;
        ended(&client, &run.name).await.state == RunState::Succeeded
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_secret_that_is_given_twice_or_not_at_all_is_refused_by_name() {
    let site = Site::new().await;
    let (file, blank, garbage) = (site.path("file"), site.path("blank"), site.path("garbage"));
    fs::write(&file, "postgres://user:hunter2@host/database").expect("written");
    fs::write(&blank, " \n").expect("written");
    fs::write(&garbage, "user=me password=hunter2").expect("written");
    let missing = site.path("missing");
    for (unset, name, path, named) in [
        ("", "DATABASE_URL_FILE", &file, "DATABASE_URL and DATABASE_URL_FILE cannot be combined"),
        ("", "GBP_ACCESS_TOKEN_FILE", &file, "GBP_ACCESS_TOKEN and GBP_ACCESS_TOKEN_FILE cannot be combined"),
        ("DATABASE_URL", "DATABASE_URL_FILE", &blank, "DATABASE_URL_FILE=/"),
        ("DATABASE_URL", "DATABASE_URL_FILE", &garbage, "DATABASE_URL_FILE=/"),
        ("DATABASE_URL", "DATABASE_URL_FILE", &missing, "DATABASE_URL_FILE=/"),
        ("GBP_ACCESS_TOKEN", "GBP_ACCESS_TOKEN_FILE", &blank, "GBP_ACCESS_TOKEN_FILE: `/"),
        ("GBP_ACCESS_TOKEN", "GBP_ACCESS_TOKEN_FILE", &garbage, "GBP_ACCESS_TOKEN_FILE: `/"),
        ("GBP_ACCESS_TOKEN", "GBP_ACCESS_TOKEN_FILE", &missing, "GBP_ACCESS_TOKEN_FILE: `/"),
    ] {
        let mut command = site.program(&["serve"]);
        command.env(name, path);
        if !unset.is_empty() {
            command.env_remove(unset);
        }
        let line = refused(command).await;
        assert!(line.contains(named) && !line.contains("hunter2"), "{name}={}: {line}", path.display());
    }
}

/// A warning, because a secret that Kubernetes mounts has mode 0644 where nobody says otherwise, and belongs to root.
#[tokio::test]
async fn secret_files_that_others_can_read_are_warned_of() {
    const READABLE: &str = "a secret file can be read by other users of this machine";
    let site = Site::new().await;
    let key_file = site.path("credentials.keys");
    fs::write(&key_file, "ab".repeat(32)).expect("written");
    let tls = |name: &str| format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let tls_key = site.path("tls.key");
    fs::copy(tls("server.key"), &tls_key).expect("copied");
    let token = site.path("token");
    fs::write(&token, ACCESS_TOKEN).expect("written");
    let secret = site.path("secret");
    let files = [
        ("AUTH_HS256_SECRET_FILE", &secret),
        ("CREDENTIALS_KEYS_FILE", &key_file),
        ("TLS_KEY", &tls_key),
        ("GBP_ACCESS_TOKEN_FILE", &token),
    ];
    let cert = tls("server.pem");
    let mut settings = vec![("GBP_ACCESS_TOKEN", ""), ("TLS_CERT", cert.as_str())];
    settings.extend(files.iter().map(|(name, path)| (*name, path.to_str().expect("text"))));

    for (mode, warnings) in [(0o600, 0), (0o400, 0), (0o644, files.len()), (0o640, files.len())] {
        files.iter().for_each(|(_, path)| chmod(path, mode));
        let server = site.serve(&settings).await;
        assert_eq!(server.count(READABLE), warnings, "{mode:o}");
        if warnings > 0 {
            let line = server.logged(READABLE).await;
            assert_eq!(
                (&line["level"], &line["setting"]),
                (&"WARN".into(), &"AUTH_HS256_SECRET_FILE".into()),
                "{line}"
            );
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn key_files_that_others_can_write_are_refused() {
    let site = Site::embedded().await;
    let tls = |name: &str| fs::read(format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR"))).expect("read");
    let write = |name: &str, content: &[u8]| {
        let path = site.path(name);
        fs::write(&path, content).expect("written");
        chmod(&path, 0o646);
        path.to_str().expect("text").to_owned()
    };
    chmod(&site.path("secret"), 0o602);
    let line = refused(site.program(&["serve"])).await;
    assert!(line.contains("AUTH_HS256_SECRET_FILE") && line.contains("can be written by"), "{line}");
    let line = refused(site.program(&["token", "--role", "admin", "--subject", "me"])).await;
    assert!(line.contains("AUTH_HS256_SECRET_FILE") && line.contains("can be written by"), "{line}");
    chmod(&site.path("secret"), 0o600);

    let adc = r#"{"type": "authorized_user", "client_id": "i", "client_secret": "hush-1", "refresh_token": "hush-2"}"#;
    let (cert, key) = (write("cert.pem", &tls("server.pem")), write("key.pem", &tls("server.key")));
    chmod(Path::new(&cert), 0o644);
    for (name, path) in [
        ("TLS_KEY", key),
        ("CREDENTIALS_KEYS_FILE", write("keys", "ab".repeat(32).as_bytes())),
        ("GBP_CREDENTIALS_FILE", write("adc.json", adc.as_bytes())),
        ("GBP_ACCESS_TOKEN_FILE", write("token", ACCESS_TOKEN.as_bytes())),
        ("DATABASE_URL_FILE", write("url", b"postgres://localhost/nothing")),
    ] {
        let mut command = site.program(&["serve"]);
        if name == "TLS_KEY" {
            command.env("TLS_CERT", &cert);
        }
        command.env_remove("GBP_ACCESS_TOKEN").env_remove("DATABASE_URL").env(name, &path);
        if !name.starts_with("GBP") {
            command.env("GBP_ACCESS_TOKEN", ACCESS_TOKEN);
        }
        let line = refused(command).await;
        assert!(line.contains(name) && line.contains("can be written by"), "{name}: {line}");
    }
}

/// As Kubernetes changes a mounted secret: `secret` is a link to `..data/secret`, and `..data` a link that is exchanged.
#[tokio::test]
async fn a_mounted_secret_that_is_exchanged_is_read_again() {
    let site = Site::new().await;
    let mount = |version: &str, secret: &str| {
        let folder = site.path(version);
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("key"), secret).expect("written");
        std::os::unix::fs::symlink(version, site.path("..data_tmp")).expect("linked");
        fs::rename(site.path("..data_tmp"), site.path("..data")).expect("exchanged");
    };
    mount("..2026_1", "only-for-tests-aaaabbbbccccdddd1");
    std::os::unix::fs::symlink("..data/key", site.path("key")).expect("linked");
    let key = site.path("key");
    let server = site.serve(&[("AUTH_HS256_SECRET_FILE", key.to_str().expect("text"))]).await;
    mount("..2026_2", super::site::SECRET);
    let client = Client::builder(format!("http://{}", server.address)).token(site.token()).build().expect("a client");
    until("the new secret", || async { client.get_sync_stats().send().await.is_ok() }).await;
    server.stop().await;
}

/// Everybody on a machine can read the arguments of its processes.
#[tokio::test]
async fn secrets_among_the_arguments_are_warned_of() {
    const ARGUMENT: &str = "a secret is among the arguments, which every user of this machine can read";
    let site = Site::new().await;
    let url = site.url_with_password("hunter2");
    let mut command = site.program(&["serve", "--gbp-access-token", ACCESS_TOKEN, "--database-url", &url]);
    command.env_remove("GBP_ACCESS_TOKEN").env_remove("DATABASE_URL");
    let server = Server::start(command).await;
    assert_eq!(server.count(ARGUMENT), 2);
    let line = server.logged(ARGUMENT).await;
    assert!(line["setting"] == "DATABASE_URL" && !line.to_string().contains("hunter2"), "{line}");
    server.stop().await;
    let server = site.serve(&[]).await;
    assert!(!server.has_logged(ARGUMENT));
    server.stop().await;
}
