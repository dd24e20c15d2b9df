//! The small commands.

use std::process::{Command, Stdio};

use category_mirror::{
    PROGRAM,
    postgres::{Durability, Embedded, Options},
    store::migrations,
};
use category_mirror_client::Client;
use serde_json::Value;
use sqlx::PgPool;

use super::{
    refused_for_its_database,
    server::Server,
    site::{self, Site},
};

fn printed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("ran");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn a_development_token_opens_the_development_server_and_no_other() {
    let (folder, other) = (site::folder(), site::folder());
    let data = folder.path().join("data");
    let mut serve = site::program(&["serve", "--dev"]);
    serve.env("DATA_DIR", &data).env("LOG_FORMAT", "json");
    serve.env("LISTEN_ADDR", "127.0.0.1:0").env("ADMIN_LISTEN_ADDR", "127.0.0.1:0");
    let server = Server::start(serve).await;
    let token = |data| {
        let text = printed(
            site::program(&["token", "--dev", "--role", "viewer", "--subject", "me", "--ttl", "10m"])
                .env("DATA_DIR", data),
        );
        let token = text.strip_suffix('\n').expect("a line").to_owned();
        assert_eq!(token.split('.').count(), 3, "the token alone: {token}");
        token
    };
    let client = |token| Client::builder(format!("http://{}", server.address)).token(token).build().expect("a client");

    client(token(data)).get_sync_stats().send().await.expect("let in");
    let error = client(token(other.path().join("data"))).get_sync_stats().send().await.expect_err("another key");
    assert!(error.is_unauthenticated(), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_token_says_what_was_asked_for() {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

    let site = Site::embedded().await;
    let mut command = site.program(&["token", "--role", "viewer", "--subject", "me", "--tenant", "a", "--tenant", "b"]);
    let token = printed(&mut command);
    let claims = token.split('.').nth(1).expect("claims");
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
    assert_eq!((claims["sub"].as_str(), &claims["roles"][0]), (Some("me"), &"viewer".into()));
    assert_eq!(claims["tenants"], serde_json::json!(["a", "b"]));
    assert_eq!(claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat"), 3600);
}

#[tokio::test]
async fn a_database_can_be_migrated_twice_and_then_served() {
    let site = Site::embedded().await;
    let first = printed(&mut site.program(&["migrate"]));
    assert_eq!(printed(&mut site.program(&["migrate"])), first);
    assert!(first.contains("version"), "{first}");
    site.serve(&[]).await.stop().await;
}

#[tokio::test]
async fn a_data_dir_from_before_the_baseline_is_named_in_the_error() {
    let site = Site::embedded().await;
    let data = site.path("data");
    let mut options = Options::new(PROGRAM, data.clone());
    options.durability = Durability::Volatile;
    let embedded = Embedded::start(options).await.expect("started");
    let pool = PgPool::connect_with(embedded.connect_options()).await.expect("connected");
    migrations::migrate(&pool).await.expect("migrated");
    let before = "update _sqlx_migrations set checksum = sha256(checksum)";
    sqlx::query(before).execute(&pool).await.expect("recorded");
    pool.close().await;
    embedded.stop().await;

    let mut serve = site.program(&["serve"]);
    serve.env("DATA_DIR", &data);
    let line = refused_for_its_database(serve).await;
    assert!(line.contains(&format!("DATA_DIR {data:?}: ")) && line.contains("an empty DATA_DIR"), "{line}");
}

#[test]
fn every_command_explains_itself() {
    let commands = ["demo", "serve", "migrate", "token", "gbp-emulator"];
    let all = printed(&mut site::program(&["--help"]));
    for name in commands {
        assert!(all.contains(&format!("\n  {name} ")), "{name}: {all}");
        let help = printed(&mut site::program(&[name, "--help"]));
        assert!(help.contains(&format!("category-mirror {name} ")), "{name}: {help}");
        let longest = help.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(110), "{name} has a line of {longest:?} characters");
    }
    // Each of these is a promise of the README.
    let help = printed(&mut site::program(&["serve", "--help"]));
    for name in ["LISTEN_ADDR", "DATABASE_URL", "DATA_DIR", "GBP_ENDPOINT", "AUTH_JWKS_URL", "TLS_CERT", "RUNNER_LEASE"]
    {
        assert!(help.contains(&format!("[env: {name}")), "{name}");
    }
}

#[test]
fn help_shows_no_secret_of_the_environment() {
    for command in ["demo", "serve", "migrate", "token", "gbp-emulator"] {
        for help in ["-h", "--help"] {
            let mut command = site::program(&[command, help]);
            for (name, value) in [
                ("DATABASE_URL", "postgres://user:hunter2@host/database"),
                ("GBP_ACCESS_TOKEN", "hunter2"),
                ("GBP_ENDPOINT", "https://user:hunter2@google.example"),
                ("GBP_TOKEN_URL", "https://user:hunter2@google.example"),
                ("AUTH_JWKS_URL", "https://keys.example?token=hunter2"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@collector:4318"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2"),
                ("OTEL_RESOURCE_ATTRIBUTES", "key=hunter2"),
            ] {
                command.env(name, value);
            }
            let help = printed(&mut command);
            assert!(!help.contains("hunter2"), "{help}");
        }
    }
}
