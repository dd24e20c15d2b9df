//! What `serve` says to settings that are missing or wrong: one line, naming the variable and its value, and exit code 64.

use std::{fs, net::TcpListener, process::Command, time::Duration};

use super::site::{Site, program};

const EXIT_CONFIGURATION: i32 = 64;
/// Longer than any refusal takes.
const WAIT_TIMEOUT: Duration = Duration::from_secs(180);

/// The one line that it ended with.
pub(crate) async fn refused(command: Command) -> String {
    let (code, text) = ended(command).await;
    assert_eq!(code, Some(EXIT_CONFIGURATION), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(matches!(lines[..], [line] if line.starts_with("error: ")), "one line, and not {lines:#?}");
    text
}

/// The one line that it ended with because the database is not as it must be; what it logged before counts as none.
pub(crate) async fn refused_for_its_database(command: Command) -> String {
    let (code, text) = ended(command).await;
    assert_eq!(code, Some(1), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("\"level\":\"INFO\"")).collect();
    assert!(matches!(lines[..], [line] if line.starts_with("error: ")), "one line, and not {lines:#?}");
    lines.concat()
}

async fn ended(command: Command) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::from(command);
    let output = tokio::time::timeout(WAIT_TIMEOUT, command.kill_on_drop(true).output()).await;
    let output = output.unwrap_or_else(|_| panic!("it serves: {command:?}")).expect("ran");
    assert!(output.stdout.is_empty(), "nothing is printed but the error: {output:?}");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[tokio::test]
async fn without_settings_it_names_all_that_is_missing() {
    let line = refused(program(&["serve"])).await;
    for name in ["DATABASE_URL", "DATA_DIR", "GBP_ENDPOINT", "AUTH_HS256_SECRET_FILE", "AUTH_JWKS_URL", "serve --dev"] {
        assert!(line.contains(name), "{name}: {line}");
    }
}

#[tokio::test]
async fn a_wrong_value_is_named_with_its_variable() {
    let site = Site::embedded().await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    let garbage = site.path("garbage");
    fs::write(&garbage, "not a certificate, not a key and not JSON").expect("written");
    let garbage = garbage.to_str().expect("text");
    let missing = site.path("missing");
    let missing = missing.to_str().expect("text");

    for (name, value) in [
        ("LISTEN_ADDR", "nonsense"),
        ("LISTEN_ADDR", "localhost"),
        ("LISTEN_ADDR", &taken),
        ("ADMIN_LISTEN_ADDR", "127.0.0.1:99999"),
        ("ADMIN_LISTEN_ADDR", &taken),
        ("RATE_LIMIT_PER_SECOND", "-1"),
        ("RATE_LIMIT_BURST", "0"),
        ("MAX_STREAMS_PER_SUBJECT", "0"),
        ("MAX_BATCHES_PER_SUBJECT", "0"),
        ("MAX_STREAMS", "10000000"),
        ("REQUEST_MEMORY_BYTES", "67108863"),
        ("MAX_CONNECTIONS", "0"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "1000001"),
        ("CONNECTION_HANDSHAKE_TIMEOUT", "0s"),
        ("MAX_CONNECTION_AGE", "1000y"),
        ("MAX_CONNECTION_AGE_GRACE", "soon"),
        ("CALL_TIMEOUT", "0s"),
        ("CALL_TIMEOUT", "1000y"),
        ("RUNNER_CONCURRENCY", "-1"),
        ("RUNNER_LEASE", "abc"),
        ("RUNNER_LEASE", "1ms"),
        ("RUNNER_LEASE", "1000y"),
        ("RUNNER_COOLDOWN", "60"),
        ("RUNNER_COOLDOWN", "1000y"),
        ("RUNNER_ATTEMPTS", "0"),
        ("RUNNER_BACKOFF", "1h"),
        ("RUNNER_BACKOFF", "x"),
        ("RUNNER_BACKOFF_MAX", "1ms"),
        ("RUNNER_BACKOFF_MAX", "1000y"),
        ("RUNNER_BACKOFF_JITTER", "1000y"),
        ("SHUTDOWN_GRACE_PERIOD", "soon"),
        ("SHUTDOWN_GRACE_PERIOD", "1000y"),
        ("CREDENTIALS_KEYS_FILE", garbage),
        ("CREDENTIALS_KEYS_FILE", missing),
        ("GBP_MAX_ADDITIONAL_CATEGORIES", "many"),
        ("GUARD_MAX_PRIMARY_CHANGES", "2"),
        ("GUARD_MAX_REMOVALS", "-1"),
        ("GUARD_MAX_REMOVED_PERCENT", "101"),
        ("GUARD_MAX_FIRST_RUN_REMOVALS", "none"),
        ("DATABASE_MAX_CONNECTIONS", "1"),
        ("DATABASE_SCHEMA", "Shops"),
        ("DATABASE_SCHEMA", "pg_catalog"),
        ("DATABASE_SCHEMA", ""),
        ("GBP_ENDPOINT", "ftp://x"),
        ("GBP_ENDPOINT", ""),
        ("GBP_CREDENTIALS_FILE", missing),
        ("GBP_CREDENTIALS_FILE", garbage),
        ("GBP_TOKEN_URL", "nowhere"),
        ("GBP_TIMEOUT", "fast"),
        ("GBP_TIMEOUT", "0s"),
        ("GBP_TIMEOUT", "1000y"),
        ("AUTH_HS256_SECRET_FILE", missing),
        ("AUTH_JWKS_FILE", garbage),
        ("AUTH_JWKS_MAX_STALENESS", "1s"),
        ("AUTH_JWKS_MAX_STALENESS", "1000y"),
        ("INSECURE_LISTEN", "perhaps"),
        ("INSECURE_ADMIN_LISTEN", "perhaps"),
        ("FF_CATEGORY_MIRRORING", "maybe"),
        ("GBP_QUOTA_PER_MINUTE", "0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_RESOURCE_ATTRIBUTES", "test"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("RUST_LOG", "[[["),
        ("LOG_FORMAT", "xml"),
        ("PG_BIN_DIR", missing),
        ("DATA_DIR", garbage),
    ] {
        let mut command = site.program(&["serve"]);
        if name == "GBP_CREDENTIALS_FILE" {
            command.env_remove("GBP_ACCESS_TOKEN");
        }
        if name == "AUTH_JWKS_FILE" {
            command.env_remove("AUTH_HS256_SECRET_FILE");
        }
        command.env(name, value);
        let line = refused(command).await;
        assert!(line.contains(name) && line.contains(value), "{name}={value}: {line}");
        assert!(!site.path("data").exists(), "{name}={value}: nothing was begun");
    }
}

#[cfg(not(feature = "otel"))]
#[tokio::test]
async fn a_build_without_otlp_says_so() {
    let site = Site::embedded().await;
    let mut command = site.program(&["serve"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
    let line = refused(command).await;
    assert!(line.contains("OTEL_EXPORTER_OTLP_ENDPOINT: this build cannot export spans"), "{line}");
}

#[tokio::test]
async fn a_wrong_flag_is_named_like_its_variable() {
    let site = Site::embedded().await;
    let line = refused(site.program(&["serve", "--runner-lease=abc"])).await;
    assert!(line.contains("RUNNER_LEASE=abc"), "{line}");
}

#[tokio::test]
async fn a_secret_is_not_repeated() {
    let site = Site::embedded().await;
    let short = site.path("short");
    fs::write(&short, "hunter2").expect("written");
    for (name, value) in [
        ("DATABASE_URL", "mysql://user:hunter2@host/database"),
        ("DATABASE_URL", "postgres://user:hunter2@host:port/database"),
        ("DATABASE_URL", "postgres://user:hunter2@host/database?sslmode=hunter2"),
        ("DATABASE_DIRECT_URL", "postgres://user:hunter2@host:port/database"),
        ("GBP_ACCESS_TOKEN", "hunter2\nhunter2"),
        ("GBP_ENDPOINT", "https://user:hunter2@google.example"),
        ("GBP_TOKEN_URL", "https://user:hunter2@google.example"),
        ("AUTH_JWKS_URL", "ftp://user:hunter2@keys.example"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@collector:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        // Queries, fragments, and what is left where an `@` was forgotten.
        ("GBP_ENDPOINT", "https://google.example/?key=hunter2"),
        ("GBP_ENDPOINT", "https://google.example/#hunter2"),
        ("GBP_ENDPOINT", "https://user:hunter2"),
        ("GBP_ENDPOINT", "user:hunter2@google.example"),
        ("GBP_TOKEN_URL", "ftp://google.example/?key=hunter2"),
        ("GBP_TOKEN_URL", "https://user:hunter2"),
        ("AUTH_JWKS_URL", "ftp://keys.example?token=hunter2"),
        ("AUTH_JWKS_URL", "https://user:hunter2"),
        ("AUTH_JWKS_URL", "https://user:hu?nt#hunter2@keys.example"),
        ("AUTH_JWKS_URL", "https://user:hunter2?@keys.example"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318?token=hunter2"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2"),
        ("AUTH_HS256_SECRET_FILE", short.to_str().expect("text")),
    ] {
        let mut command = site.program(&["serve"]);
        if name == "AUTH_JWKS_URL" {
            command.env_remove("AUTH_HS256_SECRET_FILE");
        }
        command.env(name, value);
        let line = refused(command).await;
        assert!(line.contains(name) && !line.contains("hunter2"), "{name}: {line}");
    }
}
