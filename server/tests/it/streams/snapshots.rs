//! What a stream shows, and to whom.

use std::time::Duration;

use category_mirror::{
    auth::{Grant, Signer},
    domain::{Role, RunId},
};
use category_mirror_client::{Code, RunState, Strategy};
use chrono::{TimeDelta, Utc};
use tokio::time::timeout;

use super::{WAIT_TIMEOUT, next, quiet, some};
use crate::service;

#[tokio::test]
async fn a_run_is_followed_to_its_end() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;
    let run = service.client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;
    let mut stream = service.client.watch_run(&run.name).send();
    let mut seen = Vec::new();
    while let Some(run) = next(&mut stream).await {
        seen.push(run);
    }
    assert!(seen.is_sorted_by(|a, b| a.revision < b.revision), "no revision twice or backwards");
    let (last, before) = seen.split_last().expect("a snapshot");
    assert!(before.iter().all(|run| !run.is_terminal()));
    assert_eq!(*last, service.client.get_run(&run.name).send().await.expect("the run"));
    assert_eq!(last.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_revision_seen() {
    let stage = quiet(&["a"]).await;
    let name = stage.accepted("a").await;
    let mut stream = stage.service.client.watch_run(&name).after_revision(1).send();
    let claimed = async {
        // Something else happens in between, and is not sent.
        stage.tell(RunId::now_v7());
        let claimed = stage.claimed().await;
        stage.tell(claimed.run.id);
        claimed
    };
    let (run, claimed) = tokio::join!(some(&mut stream), claimed);
    assert_eq!((run.revision, run.state), (2, RunState::Running));
    stage.finish(&claimed).await;
    stage.tell(claimed.run.id);
    assert_eq!(some(&mut stream).await.state, RunState::Succeeded);
    assert_eq!(next(&mut stream).await, None);

    // The run is over: there is one more thing to say, or nothing.
    let mut late = stage.service.client.watch_run(&name).send();
    assert_eq!(some(&mut late).await.revision, 3);
    assert_eq!(next(&mut late).await, None);
    let mut later = stage.service.client.watch_run(&name).after_revision(3).send();
    assert_eq!(next(&mut later).await, None);
}

#[tokio::test]
async fn everything_shows_what_is_live_at_once_and_then_each_change() {
    let stage = quiet(&["a", "b", "c"]).await;
    let a = stage.accepted("a").await;
    let first = stage.claimed().await;
    let b = stage.accepted("b").await;
    let mut stream = stage.service.client.watch_all().send();
    assert_eq!([some(&mut stream).await.name, some(&mut stream).await.name], [a.clone(), b], "oldest first");

    let c = stage.accepted("c").await;
    assert_eq!(some(&mut stream).await.name, c);
    stage.finish(&first).await;
    stage.tell(first.run.id);
    let ended = some(&mut stream).await;
    assert_eq!((ended.name, ended.state), (a, RunState::Succeeded));

    // Who comes later sees what is live, and no history.
    let mut late = stage.service.client.watch_all().send();
    let names = [some(&mut late).await.tenant, some(&mut late).await.tenant];
    assert_eq!(names, ["tenants/b", "tenants/c"]);
}

#[tokio::test]
async fn a_limited_caller_hears_of_its_tenants_only() {
    let stage = quiet(&["a", "b"]).await;
    let [a, b] = [stage.accepted("a").await, stage.accepted("b").await];
    let token = stage.service.token(Role::Viewer, "viewer", Some(&["a"]));
    let viewer = stage.service.client_with(&token);
    let mut stream = viewer.watch_all().send();
    assert_eq!(some(&mut stream).await.name, a);

    for name in [&b, &a] {
        stage.service.client.cancel_run(name).send().await.expect("cancelled");
    }
    let ended = some(&mut stream).await;
    assert_eq!((ended.name, ended.state), (a, RunState::Cancelled), "and the other's end, which was before, not");

    for (mut stream, reason) in
        [(viewer.watch_run(&b).send(), "RUN_NOT_FOUND"), (viewer.watch_tenant("b").send(), "TENANT_NOT_FOUND")]
    {
        let error = stream.next().await.expect("an answer").expect_err("refused");
        assert_eq!((error.code(), error.reason()), (Code::NotFound, Some(reason)));
    }
}

/// Or it would be silent for ever.
#[tokio::test]
async fn a_watch_of_a_tenant_that_does_not_exist_is_refused() {
    let stage = quiet(&["a"]).await;
    let error = stage.service.client.watch_tenant("aa").send().next().await.expect("an answer").expect_err("none");
    assert_eq!((error.code(), error.reason()), (Code::NotFound, Some("TENANT_NOT_FOUND")), "{error}");
    let mut stream = stage.service.client.watch_tenant("a").send();
    let run = stage.accepted("a").await;
    assert_eq!(some(&mut stream).await.name, run);
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let stage = quiet(&["a"]).await;
    stage.accepted("a").await;
    let ttl = Duration::from_secs(600);
    let grant = Grant { subject: "tester".to_owned(), role: Role::Viewer, tenants: None, ttl };
    let signer = Signer::development(&stage.service.key_folder()).expect("a key");
    // Believed for a minute beyond its end, of which so many seconds are left: a machine that is too busy for few gets more.
    for left in [2, 8, 20] {
        let signed_at = Utc::now() - TimeDelta::seconds(600 + 60 - left);
        let client = stage.service.client_with(&signer.sign(&grant, signed_at).expect("a token"));
        let mut stream = client.watch_all().send();
        let first = timeout(WAIT_TIMEOUT, stream.next()).await.expect("in time").expect("an item");
        let Ok(run) = first else { continue };
        assert_eq!(run.tenant, "tenants/a");
        let error =
            timeout(WAIT_TIMEOUT, stream.next()).await.expect("in time").expect("an item").expect_err("the end");
        assert_eq!(error.code(), Code::Unauthenticated);
        return;
    }
    panic!("it never began");
}
