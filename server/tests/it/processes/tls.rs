//! gRPC over TLS. The certificates are for tests only, and good for a hundred years.

use std::path::{Path, PathBuf};

use category_mirror_client::{Client, RetryPolicy};

use super::{settings::refused, site::Site};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name);
    path.to_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_served_and_others_are_not() {
    let site = Site::new().await;
    let server = site.serve(&[("TLS_CERT", &file("server.pem")), ("TLS_KEY", &file("server.key"))]).await;
    let port = server.address.port();
    let authority = std::fs::read(file("authority.pem")).expect("read");
    let client = |url: String, authority: Option<&[u8]>| {
        let client = Client::builder(url).token(site.token()).retry(RetryPolicy::never());
        let client = if let Some(pem) = authority { client.ca_certificate(pem) } else { client };
        client.build().expect("a client")
    };

    for host in ["localhost", "127.0.0.1"] {
        let trusting = client(format!("https://{host}:{port}"), Some(&authority));
        trusting.get_sync_stats().send().await.expect("served");
    }
    for stranger in [
        // The operating system's authorities do not know this one.
        client(format!("https://localhost:{port}"), None),
        client(format!("http://localhost:{port}"), None),
        // The certificate is for two names only.
        client(format!("https://localhost.localdomain:{port}"), Some(&authority)),
    ] {
        let error = stranger.get_sync_stats().send().await.expect_err("no connection");
        assert!(error.is_unavailable(), "{error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_or_its_key_is_said_before_anything_is_started() {
    let site = Site::embedded().await;
    let (text, damaged) = (site.path("text"), site.path("damaged.pem"));
    std::fs::write(&text, "neither a certificate nor a key").expect("written");
    std::fs::write(&damaged, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("written");
    let path = |path: PathBuf| path.to_str().expect("text").to_owned();
    let (text, damaged, missing) = (path(text), path(damaged), path(site.path("missing.pem")));
    let (cert, key) = (file("server.pem"), file("server.key"));
    for (cert, key, named) in [
        (&missing, &key, "TLS_CERT=/"),
        (&text, &key, "TLS_CERT=/"),
        (&damaged, &key, "TLS_CERT=/"),
        (&String::new(), &key, "TLS_CERT is required"),
        (&cert, &missing, "TLS_KEY=/"),
        (&cert, &text, "TLS_KEY=/"),
        (&cert, &cert, "TLS_KEY=/"),
        (&cert, &file("other.key"), "TLS_KEY=/"),
        (&cert, &String::new(), "TLS_KEY is required"),
    ] {
        let mut command = site.program(&["serve"]);
        for (name, value) in [("TLS_CERT", cert), ("TLS_KEY", key)] {
            if !value.is_empty() {
                command.env(name, value);
            }
        }
        let line = refused(command).await;
        assert!(line.contains(named), "{cert} with {key}: {line}");
        assert!(!site.path("data").exists(), "{cert} with {key}: nothing was begun");
    }
}
