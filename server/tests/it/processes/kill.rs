//! `kill -9` of a server in the middle of a run: the next one finishes it, and nothing happens twice.

use serde_json::json;

use super::site::{FOR_EVER_MS, Site, ended};

#[tokio::test]
async fn d11_killed_while_it_reads_the_run_is_finished_by_the_next_server() {
    let site = Site::embedded().await;
    let server = site.serve(&[]).await;
    let client = site.client(&server);
    site.load(&client).await;
    site.google.fault(json!({"method": "locations.get", "delay_ms": FOR_EVER_MS, "times": 1})).await;
    let run = site.trigger(&client).await;
    site.asked("locations.get", 1).await;

    server.kill().await;
    let server = site.serve(&[]).await;

    let run = ended(&site.client(&server), &run).await;
    site.assert_mirrored_once(&run).await;
    assert_eq!((run.attempt, run.uncounted_attempts), (1, 1), "the killed attempt does not count");
    assert_eq!(site.google.count("locations.patch").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn d16_killed_after_its_write_took_effect_the_run_knows_what_it_wrote_and_does_not_write_again() {
    let site = Site::embedded().await;
    let server = site.serve(&[]).await;
    let client = site.client(&server);
    site.load(&client).await;
    // The write takes effect and its answer is lost; so the server reads again, and there it is stuck.
    site.google.fault(json!({"method": "locations.get", "delay_ms": 1, "times": 1})).await;
    site.google.fault(json!({"method": "locations.patch", "drop": "after", "times": 1})).await;
    site.google.fault(json!({"method": "locations.get", "delay_ms": FOR_EVER_MS, "times": 1})).await;
    let run = site.trigger(&client).await;
    site.asked("locations.get", 2).await;
    assert_eq!(site.google.writes().await.len(), 1);

    server.kill().await;
    let server = site.serve(&[]).await;

    let run = ended(&site.client(&server), &run).await;
    site.assert_mirrored_once(&run).await;
    assert_eq!((run.attempt, run.uncounted_attempts), (1, 1));
    assert_eq!(site.google.count("locations.patch").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn killed_before_its_write_took_effect_the_run_is_written_by_the_next_server() {
    let site = Site::new().await;
    let server = site.serve(&[]).await;
    let client = site.client(&server);
    site.load(&client).await;
    site.google.fault(json!({"method": "locations.patch", "delay_ms": FOR_EVER_MS, "times": 1})).await;
    let run = site.trigger(&client).await;
    site.asked("locations.patch", 1).await;

    server.kill().await;
    let server = site.serve(&[]).await;

    let run = ended(&site.client(&server), &run).await;
    site.assert_mirrored_once(&run).await;
    assert_eq!((run.attempt, run.uncounted_attempts), (1, 1));
    server.stop().await;
}

#[tokio::test]
async fn a_second_server_takes_over_from_one_that_is_killed() {
    let site = Site::new().await;
    let (first, client) = {
        let first = site.serve(&[]).await;
        let client = site.client(&first);
        (first, client)
    };
    site.load(&client).await;
    site.google.fault(json!({"method": "locations.get", "delay_ms": FOR_EVER_MS, "times": 1})).await;
    let run = site.trigger(&client).await;
    site.asked("locations.get", 1).await;
    let second = site.serve(&[]).await;

    first.kill().await;

    let run = ended(&site.client(&second), &run).await;
    site.assert_mirrored_once(&run).await;
    assert_eq!((run.attempt, run.uncounted_attempts), (1, 1));
    second.stop().await;
}
