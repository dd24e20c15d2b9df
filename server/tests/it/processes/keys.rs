//! Keys that change under a running server: read again by themselves and on SIGHUP, and the old ones kept where the new ones are bad.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use axum::{Router, http::StatusCode, routing::get};
use category_mirror::{
    auth::{AuthArgs, Grant, Signer},
    domain::Role,
};
use category_mirror_client::{Client, Code, RetryPolicy};
use jsonwebtoken::{Algorithm, EncodingKey, jwk::Jwk};
use nix::{pty::openpty, sys::signal::Signal};
use serde_json::{Value, json};
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use super::{
    server::Server,
    site::{Site, until},
};

const SECOND_SECRET: &str = "only-for-tests-fedcba98765432100";

/// Replaces a file as careful programs do, and `kubectl` and certbot: whole or not at all.
pub(super) fn replace(path: &Path, content: impl AsRef<[u8]>) {
    let beside = path.with_extension("new");
    fs::write(&beside, content).expect("written");
    fs::rename(&beside, path).expect("renamed");
}

fn signed(args: &AuthArgs) -> String {
    let grant = Grant { subject: "tester".into(), role: Role::Admin, tenants: None, ttl: Duration::from_secs(600) };
    Signer::from_args(args).expect("a key").sign(&grant, chrono::Utc::now()).expect("a token")
}

/// A token of whoever knows the secret in this file.
fn token_of_secret(file: PathBuf) -> String {
    signed(&AuthArgs { auth_hs256_secret_file: Some(file), ..AuthArgs::default() })
}

/// A key pair of the tests, by its file.
fn private_key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

/// A token of a key in a key set.
pub(crate) fn token_of_key(name: &str) -> String {
    let args = AuthArgs {
        auth_private_key_file: Some(private_key(name)),
        auth_key_id: Some(name.into()),
        ..AuthArgs::default()
    };
    signed(&args)
}

/// A key set that holds the public halves of these keys.
pub(crate) fn key_set(names: &[&str]) -> String {
    let jwk = |name: &&str| {
        let pem = fs::read(private_key(name)).expect("read");
        let key = EncodingKey::from_ec_pem(&pem).expect("a P-256 key");
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).expect("a JWK")).expect("JSON");
        jwk["kid"] = Value::from(*name);
        jwk
    };
    json!({ "keys": names.iter().map(jwk).collect::<Vec<_>>() }).to_string()
}

async fn asked(server: &Server, token: &str) -> Result<(), Code> {
    let client = Client::builder(format!("http://{}", server.address)).token(token.to_owned());
    let client = client.retry(RetryPolicy::never()).build().expect("a client");
    client.get_sync_stats().send().await.map(drop).map_err(|error| error.code())
}

async fn becomes(server: &Server, token: &str, wanted: Result<(), Code>) {
    until(&format!("{wanted:?}"), || async { asked(server, token).await == wanted }).await;
}

async fn metric(server: &Server, name: &str) -> String {
    let text = reqwest::get(format!("http://{}/metrics", server.admin)).await.expect("an answer");
    let text = text.text().await.expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
}

async fn number(server: &Server, name: &str) -> f64 {
    metric(server, name).await.parse().expect("a number")
}

#[tokio::test]
async fn sighup_reads_the_secret_again_and_ends_nothing() {
    let site = Site::new().await;
    let server = site.serve(&[]).await;
    let (old, other) = (site.token(), site.path("other"));
    fs::write(&other, SECOND_SECRET).expect("written");
    let new = token_of_secret(other);
    assert_eq!((asked(&server, &old).await, asked(&server, &new).await), (Ok(()), Err(Code::Unauthenticated)));

    replace(&site.path("secret"), SECOND_SECRET);
    server.signal(Signal::SIGHUP);
    becomes(&server, &new, Ok(())).await;
    assert_eq!(asked(&server, &old).await, Err(Code::Unauthenticated), "the old secret is worth nothing any longer");
    // Nothing has changed since: there is nothing to do, and nothing ends.
    server.signal(Signal::SIGHUP);
    assert_eq!(asked(&server, &new).await, Ok(()));
    server.stop().await;
}

#[tokio::test]
async fn a_changed_key_set_is_read_without_a_signal_and_an_empty_one_is_a_set() {
    let site = Site::new().await;
    let file = site.path("keys.json");
    fs::write(&file, key_set(&["server.key"])).expect("written");
    let settings = [("AUTH_HS256_SECRET_FILE", ""), ("AUTH_JWKS_FILE", file.to_str().expect("text"))];
    let server = site.serve(&settings).await;
    let (first, second) = (token_of_key("server.key"), token_of_key("second.key"));
    assert_eq!((asked(&server, &first).await, asked(&server, &second).await), (Ok(()), Err(Code::Unauthenticated)));
    // Written in place, as editors do.
    fs::write(&file, key_set(&["second.key"])).expect("written");
    becomes(&server, &second, Ok(())).await;
    assert_eq!(asked(&server, &first).await, Err(Code::Unauthenticated));
    replace(&file, r#"{"keys": []}"#);
    becomes(&server, &second, Err(Code::Unauthenticated)).await;
    server.stop().await;
}

#[tokio::test]
async fn a_bad_new_file_keeps_the_old_keys_and_is_reported_once() {
    const REJECTED: &str = "changed key file rejected; the previous key stays in use";
    const GAUGE: &str = "category_mirror_key_files_rejected";
    let site = Site::new().await;
    let server = site.serve(&[]).await;
    let token = site.token();
    assert_eq!(metric(&server, GAUGE).await, "0");
    replace(&site.path("secret"), "hush-too-short");
    let line = server.logged(REJECTED).await;
    assert!(line["setting"] == "AUTH_HS256_SECRET_FILE" && line["level"] == "ERROR", "{line}");
    assert!(line["error"].as_str().is_some_and(|error| error.contains("needs at least 32")), "{line}");
    assert!(!line.to_string().contains("hush"), "{line}");
    assert_eq!(asked(&server, &token).await, Ok(()));
    assert_eq!(metric(&server, GAUGE).await, "1");

    // Missing, and then good again.
    fs::remove_file(site.path("secret")).expect("removed");
    until("the file is missed", || async { server.count(REJECTED) == 2 }).await;
    assert_eq!(asked(&server, &token).await, Ok(()));
    replace(&site.path("secret"), SECOND_SECRET);
    becomes(&server, &token_of_secret(site.path("secret")), Ok(())).await;
    assert_eq!(metric(&server, GAUGE).await, "0");
    assert_eq!(server.count(REJECTED), 2, "each state is reported once, however often it is seen");
    server.stop().await;
}

#[tokio::test]
async fn a_provider_that_is_away_at_the_start_is_waited_for() {
    let site = Site::new().await;
    let place = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = place.local_addr().expect("an address");
    drop(place);
    let url = format!("http://{address}/keys?token=hunter2");
    let server = site.serve(&[("AUTH_HS256_SECRET_FILE", ""), ("AUTH_JWKS_URL", &url)]).await;
    let mut health = server.health().await;
    health.becomes(NotServing).await;
    let token = token_of_key("server.key");
    assert_eq!(asked(&server, &token).await, Err(Code::Unavailable));
    let line = server.logged("the key set cannot be fetched; tokens cannot be verified until it can").await;
    assert!(!line.to_string().contains("hunter2"), "{line}");

    provide(address, key_set(&["server.key"])).await;
    becomes(&server, &token, Ok(())).await;
    health.becomes(Serving).await;
    server.stop().await;
}

#[tokio::test]
async fn a_provider_that_never_comes_does_not_hold_up_the_stop() {
    let site = Site::new().await;
    // Nobody accepts what this listens for.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/keys", silent.local_addr().expect("an address"));
    let server = site.serve(&[("AUTH_HS256_SECRET_FILE", ""), ("AUTH_JWKS_URL", &url)]).await;
    server.stop().await;
}

/// Nobody calls, and the probes know that whoever did would be refused.
#[tokio::test]
async fn keys_that_are_too_old_end_health_until_they_are_fetched_again() {
    const REFUSING: &str = "key set cannot be fetched, and none is fresh enough: no token is accepted";
    const FAILURES: &str = "category_mirror_jwks_fetch_failures_total";
    let site = Site::new().await;
    let (answers, answered) = tokio::sync::watch::channel(StatusCode::OK);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
    let keys = key_set(&["server.key"]);
    let answer = move || async move { (*answered.borrow(), keys) };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", get(answer))).await });

    let settings = [("AUTH_HS256_SECRET_FILE", ""), ("AUTH_JWKS_URL", &*url), ("AUTH_JWKS_MAX_STALENESS", "10s")];
    let server = site.serve(&settings).await;
    let mut health = server.health().await;
    health.becomes(Serving).await;
    let token = token_of_key("server.key");
    for round in 1..=2 {
        answers.send_replace(StatusCode::SERVICE_UNAVAILABLE);
        health.becomes(NotServing).await;
        assert_eq!(server.healthz().await, 503);
        assert_eq!(asked(&server, &token).await, Err(Code::Unavailable));
        let fetched = number(&server, "category_mirror_jwks_fetch_timestamp_seconds").await;
        let age = UNIX_EPOCH.elapsed().expect("after 1970").as_secs_f64() - fetched;
        assert!(age >= 9.0, "{age}");
        // However often it is tried: there is a line when the tries begin to fail, and one when no key is good any longer. The latter is
        // written by the first try that fails after health has told of it.
        let failed = number(&server, FAILURES).await;
        until("it is tried", || async { number(&server, FAILURES).await >= failed + 3.0 }).await;
        answers.send_replace(StatusCode::OK);
        health.becomes(Serving).await;
        assert_eq!(asked(&server, &token).await, Ok(()));
        until("the recovery is logged", || async { server.count("key set fetched") == round }).await;
        let lines = [REFUSING, "key set cannot be fetched, keeping the one before"];
        assert_eq!(lines.map(|line| server.count(line)), [round, round]);
    }
    server.stop().await;
}

/// Publishes a key set at an address.
async fn provide(address: SocketAddr, keys: String) {
    let listener = tokio::net::TcpListener::bind(address).await.expect("the port is still free");
    let router = Router::new().route("/keys", get(move || async move { keys }));
    tokio::spawn(async move { axum::serve(listener, router).await });
}

/// The change of keys that `--help` describes, without a restart.
#[tokio::test]
async fn keys_of_credentials_change_under_a_running_server() {
    const OLD: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const NEW: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
    let site = Site::new().await;
    let file = site.path("credentials.keys");
    fs::write(&file, OLD).expect("written");
    let server = site.serve(&[("CREDENTIALS_KEYS_FILE", file.to_str().expect("text"))]).await;
    let client = site.client(&server);
    let first = client.set_credentials("accounts/1", "client", "hush-1", "hush-2").send().await.expect("set");
    replace(&file, "no key, hush-3");
    let line = server.logged("changed key file rejected; the previous key stays in use").await;
    assert!(line["setting"] == "CREDENTIALS_KEYS_FILE" && !line.to_string().contains("hush"), "{line}");
    replace(&file, format!("{NEW}\n{OLD}\n"));
    server.signal(Signal::SIGHUP);
    until("the new key", || async {
        client.reencrypt_credentials().send().await.is_ok_and(|done| done.reencrypted == 1)
    })
    .await;
    let second = client.get_credentials("accounts/1").send().await.expect("there");
    assert_ne!(first.key_id, second.key_id);
    server.stop().await;
}

/// Whoever closes the terminal that a server was started from could not stop it any longer.
#[tokio::test]
async fn the_end_of_its_terminal_drains_a_server_and_sighup_beside_that_does_not() {
    let site = Site::new().await;
    let terminal = openpty(None, None).expect("a terminal");
    // No process inherits the clones, so that the terminal ends with this one.
    let (master, slave) = (terminal.master.try_clone().expect("open"), terminal.slave.try_clone().expect("open"));
    let name = fs::read_link(format!("/proc/self/fd/{}", slave.as_raw_fd())).expect("a name");
    drop((terminal.master, terminal.slave));
    let serve = site.program(&["serve"]);
    let mut command = Command::new("sh");
    command.args(["-c", "exec setsid --ctty \"$0\" serve <\"$TERMINAL\""]).arg(serve.get_program()).env_clear();
    command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERMINAL", name);
    let server = Server::start(command).await;
    drop(slave);
    server.signal(Signal::SIGHUP);
    server.logged("SIGHUP: reading key files again").await;
    assert_eq!(asked(&server, &site.token()).await, Ok(()));

    drop(master);
    server.logged("draining").await;
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
}
