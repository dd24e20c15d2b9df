//! gRPC over TLS. The certificates are for tests only, and good for a hundred years.

use std::path::{Path, PathBuf};

use category_mirror_client::{Client, RetryPolicy};

use nix::sys::signal::Signal;

use super::{
    keys::replace,
    server::Server,
    settings::refused,
    site::{Site, until},
};

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

/// A client of a server with TLS that trusts one of the authorities of the tests, and shows a certificate of its own, if it has one.
fn caller(site: &Site, server: &Server, authority: &str, own: Option<&str>) -> Client {
    let read = |name: &str| std::fs::read(file(name)).expect("read");
    let client = Client::builder(format!("https://localhost:{}", server.address.port())).token(site.token());
    let client = client.retry(RetryPolicy::never()).ca_certificate(read(authority));
    let client = match own {
        Some(name) => client.client_certificate(read(&format!("{name}.pem")), read(&format!("{name}.key"))),
        None => client,
    };
    client.build().expect("a client")
}

#[tokio::test]
async fn a_renewed_certificate_is_served_to_new_connections_and_old_ones_go_on() {
    let site = Site::new().await;
    let (cert, key) = (site.path("cert.pem"), site.path("key.pem"));
    let put = |name: &str| {
        replace(&cert, std::fs::read(file(&format!("{name}.pem"))).expect("read"));
        replace(&key, std::fs::read(file(&format!("{name}.key"))).expect("read"));
    };
    put("server");
    let paths = [&cert, &key].map(|path| path.to_str().expect("text"));
    let server = site.serve(&[("TLS_CERT", paths[0]), ("TLS_KEY", paths[1])]).await;
    let old = caller(&site, &server, "authority.pem", None);
    old.get_sync_stats().send().await.expect("served");

    put("second");
    server.signal(Signal::SIGHUP);
    until("the new certificate", || async {
        caller(&site, &server, "second-authority.pem", None).get_sync_stats().send().await.is_ok()
    })
    .await;
    old.get_sync_stats().send().await.expect("over the connection of before");
    let error = caller(&site, &server, "authority.pem", None).get_sync_stats().send().await.expect_err("renewed");
    assert!(error.is_unavailable(), "{error}");

    // A certificate that does not fit its key changes nothing.
    replace(&key, std::fs::read(file("other.key")).expect("read"));
    let line = server.logged("changed key file rejected; the previous key stays in use").await;
    assert!(line["setting"] == "TLS_CERT, TLS_KEY", "{line}");
    caller(&site, &server, "second-authority.pem", None).get_sync_stats().send().await.expect("served");
    server.stop().await;
}

#[tokio::test]
async fn where_callers_need_a_certificate_only_those_of_the_authority_get_in() {
    let site = Site::new().await;
    let authority = site.path("clients.pem");
    replace(&authority, std::fs::read(file("client-authority.pem")).expect("read"));
    let (cert, key) = (file("server.pem"), file("server.key"));
    let settings =
        [("TLS_CERT", cert.as_str()), ("TLS_KEY", &key), ("TLS_CLIENT_CA", authority.to_str().expect("text"))];
    let server = site.serve(&settings).await;
    let caller = |own| caller(&site, &server, "authority.pem", own);

    caller(Some("client")).get_sync_stats().send().await.expect("served");
    for own in [None, Some("stranger")] {
        let error = caller(own).get_sync_stats().send().await.expect_err("no connection");
        assert!(error.is_unavailable(), "{own:?}: {error}");
    }
    // A certificate is no token.
    let anonymous = Client::builder(format!("https://localhost:{}", server.address.port()))
        .ca_certificate(std::fs::read(file("authority.pem")).expect("read"))
        .client_certificate(
            std::fs::read(file("client.pem")).expect("read"),
            std::fs::read(file("client.key")).expect("read"),
        )
        .build()
        .expect("a client");
    let error = anonymous.get_sync_stats().send().await.expect_err("no token");
    assert!(error.is_unauthenticated(), "{error}");

    // Another authority takes the place of the first one.
    replace(&authority, std::fs::read(file("second-authority.pem")).expect("read"));
    server.signal(Signal::SIGHUP);
    until("the other authority", || async { caller(Some("stranger")).get_sync_stats().send().await.is_ok() }).await;
    let error = caller(Some("client")).get_sync_stats().send().await.expect_err("no connection");
    assert!(error.is_unavailable(), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn an_authority_of_clients_that_cannot_be_used_is_refused() {
    let site = Site::embedded().await;
    let text = site.path("text");
    std::fs::write(&text, "no certificate").expect("written");
    let (text, missing) = (text.display().to_string(), site.path("missing").display().to_string());
    let (cert, key, authority) = (file("server.pem"), file("server.key"), file("client-authority.pem"));
    for (client_ca, with_tls, named) in [
        (&text, true, "TLS_CLIENT_CA=/"),
        (&missing, true, "TLS_CLIENT_CA=/"),
        (&key, true, "TLS_CLIENT_CA=/"),
        (&authority, false, "TLS_CERT and TLS_KEY are required with TLS_CLIENT_CA"),
    ] {
        let mut command = site.program(&["serve"]);
        command.env("TLS_CLIENT_CA", client_ca);
        if with_tls {
            command.env("TLS_CERT", &cert).env("TLS_KEY", &key);
        }
        let line = refused(command).await;
        assert!(line.contains(named), "{client_ca}: {line}");
    }
}
