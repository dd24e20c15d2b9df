//! What a failed attempt leads to, and what is kept of it.

use category_mirror_client::{RunState, Strategy};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{
    replica::{Door, idle, renewing_replica, replica},
    service::{self, Setup},
};

const TYPE: &str = "type.googleapis.com/google.rpc.ErrorInfo";

#[tokio::test]
async fn d14_a_failure_keeps_reason_message_attempt_and_googles_own_details() {
    let service = service::start().await;
    service.categories(&[("made-up", "gcid:no_category_of_googles")]).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.set("store", &["cafe", "made-up"]).await;

    let run = service.mirror("store", false).await;

    assert_eq!((run.state, run.reason.as_deref()), (RunState::Failed, Some("INVALID_CATEGORY")));
    let error = run.error.clone().expect("an error");
    assert_eq!((error.reason.as_str(), error.attempt), ("INVALID_CATEGORY", 1));
    assert!(error.message.contains("gcid:no_category_of_googles"), "{}", error.message);
    assert_eq!(
        (error.metadata["http_status"].as_str(), error.metadata["upstream_reason"].as_str()),
        ("400", "INVALID_CATEGORY")
    );
    let details: Vec<Value> =
        serde_json::from_str(error.upstream_details_json.as_deref().expect("details")).expect("JSON");
    let info = details.iter().find(|detail| detail["@type"] == TYPE).expect("Google's ErrorInfo");
    assert_eq!(info["metadata"]["value"], "categories/gcid:no_category_of_googles");

    // The same wherever it is shown.
    let last = service.client.get_last_run("store", Strategy::PlatformToGbp).send().await.expect("a run");
    let logged = service.client.list_sync_logs().send().collect().await.expect("logs");
    let failures = service.client.get_sync_stats().send().await.expect("stats").recent_failures;
    for shown in [&last, &logged[0], &failures[0]] {
        assert_eq!((&shown.name, shown.error.as_ref()), (&run.name, Some(&error)));
    }
    assert_eq!(service.google.merchant("77").await, ["bar"]);
}

#[tokio::test]
async fn d15_each_class_of_error_has_its_number_of_attempts() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let error = |status: u16, reason: &str, metadata: Value| {
        let details = json!([{"@type": TYPE, "reason": reason, "domain": "googleapis.com", "metadata": metadata}]);
        json!({"status": status, "body": {"error": {"code": status, "message": "No.", "status": "X", "details": details}}})
    };
    let page = |status: u16| json!({"status": status, "body": "<html>Bad gateway</html>"});
    let (once, often) = (1, 5);
    for (method, fault, reason, attempts) in [
        ("locations.get", json!({"status": 400}), "UPSTREAM_REJECTED", once),
        ("locations.get", json!({"status": 401}), "CREDENTIALS_REJECTED", once),
        ("locations.get", json!({"status": 403}), "PERMISSION_DENIED", once),
        ("locations.get", json!({"status": 404}), "LOCATION_NOT_FOUND", once),
        (
            "locations.get",
            error(429, "RATE_LIMIT_EXCEEDED", json!({"quota_limit_value": "0"})),
            "QUOTA_EXHAUSTED",
            once,
        ),
        (
            "locations.get",
            error(429, "RATE_LIMIT_EXCEEDED", json!({"quota_limit_value": "300"})),
            "QUOTA_EXHAUSTED",
            often,
        ),
        ("locations.get", json!({"status": 408}), "UPSTREAM_UNAVAILABLE", often),
        ("locations.get", json!({"status": 500}), "UPSTREAM_UNAVAILABLE", often),
        ("locations.get", page(502), "UPSTREAM_UNAVAILABLE", often),
        ("locations.get", json!({"status": 503}), "UPSTREAM_UNAVAILABLE", often),
        ("locations.get", json!({"status": 504}), "UPSTREAM_UNAVAILABLE", often),
        ("locations.get", page(200), "UPSTREAM_INVALID", often),
        ("locations.get", json!({"drop": "before"}), "UPSTREAM_UNAVAILABLE", often),
        ("locations.get", json!({"drop": "truncate"}), "UPSTREAM_UNAVAILABLE", often),
        ("locations.patch", error(400, "STOREFRONT_REQUIRED_FOR_CATEGORY", json!({})), "UPSTREAM_REJECTED", once),
        ("locations.patch", error(400, "TOO_MANY_ENTRIES", json!({"max_count": "9"})), "TOO_MANY_CATEGORIES", once),
        ("locations.patch", error(400, "STALE_DATA", json!({})), "UPSTREAM_REJECTED", once),
        ("locations.patch", error(400, "UNVERIFIED_LOCATION", json!({})), "UPSTREAM_REJECTED", once),
        ("locations.patch", json!({"status": 429}), "QUOTA_EXHAUSTED", often),
        ("locations.patch", json!({"status": 503}), "UPSTREAM_UNAVAILABLE", often),
        ("locations.patch", json!({"drop": "before"}), "UPSTREAM_UNAVAILABLE", often),
    ] {
        let case = format!("{method} {fault}");
        let mut scripted = fault;
        scripted["method"] = json!(method);
        service.google.fault(scripted).await;
        let before = service.google.count(method).await;

        let run = service.mirror("store", false).await;

        assert_eq!((run.state, run.attempt), (RunState::Failed, attempts), "{case}");
        let error = run.error.expect("an error");
        assert_eq!(error.attempt, attempts, "{case}");
        if attempts == once {
            assert_eq!(error.reason, reason, "{case}");
        } else {
            assert_eq!(
                (error.reason.as_str(), error.metadata["last_reason"].as_str()),
                ("ATTEMPTS_EXHAUSTED", reason),
                "{case}"
            );
        }
        if method == "locations.patch" || attempts == often {
            assert_eq!(service.google.count(method).await - before, u64::try_from(attempts).expect("few"), "{case}");
        }
        service.google.heal().await;
    }
    assert_eq!(service.google.writes().await, Vec::<Value>::new());
}

#[tokio::test]
async fn d15_an_error_that_passes_ends_in_success() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.google.fault(json!({"method": "locations.get", "times": 2, "status": 503})).await;
    service.google.fault(json!({"method": "locations.patch", "times": 2, "status": 500})).await;

    let run = service.mirror("store", false).await;

    assert_eq!((run.state, run.attempt), (RunState::Succeeded, 5));
    assert_eq!((run.reason, run.error), (None, None));
    assert_eq!(service.google.writes().await.len(), 1);
}

#[tokio::test]
async fn d15_retry_after_is_honoured() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    for (status, header, wait) in [(503, "120", 120), (429, "600", 600), (429, "999999999", 3600)] {
        let fault =
            json!({"method": "locations.get", "times": 1, "status": status, "headers": {"retry-after": header}});
        service.google.fault(fault).await;

        let run = service.client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;
        let mut snapshots = service.client.watch_run(&run.name).send();
        let waiting = loop {
            let run = snapshots.next().await.expect("a live run").expect("a snapshot");
            if run.state == RunState::Queued && run.attempt == 1 {
                break run;
            }
        };

        let due = waiting.next_attempt_time.expect("due") - waiting.start_time.expect("started");
        assert!((TimeDelta::seconds(wait)..TimeDelta::seconds(wait + 60)).contains(&due), "{header}: {due}");
        assert!(waiting.reason.is_some() && waiting.error.is_some(), "it says why it waits");
        service.client.cancel_run(&run.name).send().await.expect("cancelled");
    }
}

#[tokio::test]
async fn d15_a_rejected_access_token_is_renewed_once() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let client = renewing_replica(&service, Setup::default()).await.client;
    let mirror = async || {
        let run = client.mirror("store", Strategy::PlatformToGbp).dry_run(true).send().await.expect("accepted").run;
        service.ended(&run.name).await
    };

    service.google.fault(json!({"method": "locations.get", "times": 1, "status": 401})).await;
    let run = mirror().await;
    assert_eq!((run.state, run.attempt), (RunState::Succeeded, 1));
    assert_eq!((service.google.count("token").await, service.google.count("locations.get").await), (2, 2));

    service.google.fault(json!({"method": "locations.get", "status": 401})).await;
    let run = mirror().await;
    assert_eq!((run.state, run.reason.as_deref(), run.attempt), (RunState::Failed, Some("CREDENTIALS_REJECTED"), 1));
    assert_eq!((service.google.count("token").await, service.google.count("locations.get").await), (3, 4));
}

#[tokio::test]
async fn d16_a_write_whose_answer_was_lost_is_recorded_once() {
    let service = service::start().await;
    service.with_store(&["cafe", "deli"], "bar", &[]).await;
    service.google.fault(json!({"method": "locations.patch", "times": 1, "drop": "after"})).await;

    let run = service.mirror("store", false).await;

    assert_eq!((run.state, run.attempt), (RunState::Succeeded, 1));
    assert_eq!(run.written_changes, run.plan.expect("a plan").changes);
    assert_eq!((run.counts.created, run.counts.updated, run.counts.deleted), (1, 1, 0));
    assert_eq!(service.google.writes().await.len(), 1);
}

#[tokio::test]
async fn d16_a_write_that_only_the_next_attempt_finds_is_recorded_once() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe", "deli"], "bar", &[]).await;
    let door = Door::closed(&service.google.endpoint).await;
    let client = replica(&service, Setup::default(), &door.endpoint).await.client;
    let run = client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;
    // The location was read. Now the answer to the update is lost, and so is the first look at what became of it.
    door.update_waits().await;
    service.google.fault(json!({"method": "locations.patch", "times": 1, "drop": "after"})).await;
    service.google.fault(json!({"method": "locations.get", "times": 1, "status": 503})).await;
    door.open();

    let run = service.ended(&run.name).await;

    assert_eq!((run.state, run.attempt), (RunState::Succeeded, 2));
    assert_eq!((run.counts.created, run.counts.updated, run.counts.deleted), (1, 1, 0));
    assert_eq!(run.written_changes.len(), 2);
    assert_eq!(run.plan.expect("a plan").changes, run.written_changes, "what the first attempt found is not hidden");
    let stats = service.client.get_sync_stats().send().await.expect("counted");
    assert_eq!(stats.out_of_sync_runs, 1, "nor is the run counted as in sync");
    assert_eq!(service.google.writes().await.len(), 1);
}
