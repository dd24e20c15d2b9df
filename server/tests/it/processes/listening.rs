//! Whoever opens the service to a network without encryption, or with development keys, says so by name.

use category_mirror::config::Cli;
use clap::{ArgAction, CommandFactory};

use super::{
    server::Server,
    settings::refused,
    site::{self, Site},
};

const EVERYWHERE: &str = "0.0.0.0:0";

fn file(name: &str) -> String {
    format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn beyond_loopback_without_tls_is_refused_unless_it_is_asked_for_by_name() {
    let site = Site::embedded().await;
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        for name in ["LISTEN_ADDR", "ADMIN_LISTEN_ADDR"] {
            let mut command = site.program(&["serve"]);
            command.env(name, address);
            let line = refused(command).await;
            assert!(line.contains(&format!("{name}={address}")) && line.contains("INSECURE_LISTEN"), "{line}");
            assert!(!site.path("data").exists(), "nothing was begun");
        }
    }
    // TLS is for gRPC alone, and asking for one port is not asking for the other.
    let (cert, key) = (file("server.pem"), file("server.key"));
    let with_tls = [("TLS_CERT", cert.as_str()), ("TLS_KEY", key.as_str())];
    for (settings, named) in [
        ([with_tls[0], with_tls[1], ("ADMIN_LISTEN_ADDR", EVERYWHERE)], "ADMIN_LISTEN_ADDR=0.0.0.0:0"),
        (
            [("INSECURE_ADMIN_LISTEN", "true"), ("LISTEN_ADDR", EVERYWHERE), ("RUST_LOG", "info")],
            "LISTEN_ADDR=0.0.0.0:0",
        ),
        (
            [("INSECURE_LISTEN", "perhaps"), ("LISTEN_ADDR", EVERYWHERE), ("RUST_LOG", "info")],
            "INSECURE_LISTEN=perhaps",
        ),
    ] {
        let mut command = site.program(&["serve"]);
        command.envs(settings);
        let line = refused(command).await;
        assert!(line.contains(named), "{line}");
    }
}

#[tokio::test]
async fn development_keys_are_not_for_a_network_even_with_tls() {
    let folder = site::folder();
    let (cert, key) = (file("server.pem"), file("server.key"));
    for (name, value, named) in [
        ("LISTEN_ADDR", EVERYWHERE, "LISTEN_ADDR=0.0.0.0:0"),
        ("GBP_EMULATOR_LISTEN_ADDR", EVERYWHERE, "GBP_EMULATOR_LISTEN_ADDR=0.0.0.0:0"),
    ] {
        let mut command = site::program(&["serve", "--dev"]);
        command.env("DATA_DIR", folder.path().join("data")).env("LISTEN_ADDR", "127.0.0.1:0");
        command.env("TLS_CERT", &cert).env("TLS_KEY", &key).env("ADMIN_LISTEN_ADDR", "127.0.0.1:0").env(name, value);
        let line = refused(command).await;
        assert!(line.contains(named) && line.contains("INSECURE_LISTEN"), "{line}");
    }
    assert!(!folder.path().join("data").exists(), "nothing was begun");
}

#[tokio::test]
async fn what_is_asked_for_by_name_is_served() {
    let site = Site::new().await;
    let (cert, key) = (file("server.pem"), file("server.key"));
    for settings in [
        &[("INSECURE_LISTEN", "true"), ("LISTEN_ADDR", EVERYWHERE), ("ADMIN_LISTEN_ADDR", EVERYWHERE)][..],
        &[("INSECURE_LISTEN", "1"), ("LISTEN_ADDR", EVERYWHERE)],
        &[
            ("INSECURE_ADMIN_LISTEN", "true"),
            ("ADMIN_LISTEN_ADDR", EVERYWHERE),
            ("LISTEN_ADDR", EVERYWHERE),
            ("TLS_CERT", &cert),
            ("TLS_KEY", &key),
        ],
        // All of 127.0.0.0/8 is this machine.
        &[("LISTEN_ADDR", "127.0.0.2:0"), ("ADMIN_LISTEN_ADDR", "127.3.2.1:0")],
        &[("INSECURE_LISTEN", "false"), ("LISTEN_ADDR", "127.0.0.1:0")],
    ] {
        let server = site.serve(settings).await;
        server.stop().await;
    }
    let mut command = site.program(&["serve", "--insecure-listen"]);
    command.env("LISTEN_ADDR", EVERYWHERE);
    Server::start(command).await.stop().await;
}

/// Templates leave variables behind that are set to nothing.
#[tokio::test]
async fn a_switch_that_is_set_to_nothing_is_off() {
    let site = Site::new().await;
    let command = Cli::command();
    let arguments = command.find_subcommand("serve").expect("serve").get_arguments();
    let switches = arguments.filter(|argument| matches!(argument.get_action(), ArgAction::SetTrue));
    let names: Vec<_> = switches.filter_map(|argument| argument.get_env()?.to_str()).collect();
    assert_eq!(names, ["INSECURE_LISTEN", "INSECURE_ADMIN_LISTEN"]);
    let mut exposed = site.program(&["serve"]);
    exposed.env("LISTEN_ADDR", EVERYWHERE).envs(names.iter().map(|name| (name, "")));
    assert!(refused(exposed).await.contains("LISTEN_ADDR=0.0.0.0:0"));
    let mut command = site.program(&["serve"]);
    command.envs(names.iter().map(|name| (name, "")));
    Server::start(command).await.stop().await;
}
