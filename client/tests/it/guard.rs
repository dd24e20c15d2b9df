//! What the builder refuses, and what may leave the current thread.

use std::time::Duration;

use category_mirror_client::{Client, Items, Run, Strategy};

#[test]
fn a_token_is_not_sent_readable_to_another_machine() {
    let exposed = || Client::builder("http://mirror.example.com:50051").token("secret");
    let error = exposed().build().expect_err("in plain text");
    assert!(error.message().contains("plain text") && !error.to_string().contains("secret"), "{error}");
    exposed().allow_plaintext_token().build().expect("allowed by name");

    Client::builder("http://mirror.example.com:50051").build().expect("nothing to read");
    Client::builder("http://127.0.0.1:50051").token("secret").build().expect("loopback");
    Client::builder("http://[::1]:50051").token("secret").build().expect("loopback");
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let local = || Client::builder("http://127.0.0.1:1");
    let refused = [
        (Client::builder("127.0.0.1:50051").build(), "endpoint"),
        (local().timeout(Duration::ZERO).build(), "timeout"),
        (local().connect_timeout(Duration::MAX).build(), "connect_timeout"),
        (Client::builder("https://localhost").ca_certificate("not a PEM").build(), "ca_certificate"),
        (local().heartbeat_timeout(Duration::ZERO).build(), "heartbeat_timeout"),
    ];
    for (built, setting) in refused {
        let error = built.expect_err(setting);
        assert!(error.is_invalid_argument() && error.message().starts_with(setting), "{error}");
    }
}

/// Compiles only while clients, requests' futures and streams can move between threads.
#[test]
fn everything_can_move_between_threads() {
    fn movable<T: Send + 'static>(_: T) {}
    fn shared<T: Send + Sync + Clone + 'static>(_: T) {}
    let client = Client::builder("http://127.0.0.1:1").build().expect("good settings");
    movable(client.mirror("a", Strategy::PlatformToGbp).send());
    movable(client.get_run("a").send());
    let items: Items<Run> = client.watch_all().send();
    movable(items);
    movable(client.list_sync_logs().send());
    shared(client);
}
