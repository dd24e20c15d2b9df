//! What a run wrote is taken back, where it still is what the run has left.

use category_mirror_client::{RunState, Strategy};
use serde_json::{Value, json};

use super::{counts, guarded, reason};
use crate::{
    replica::{idle, replica},
    service::{self, Setup},
};

const NO_WRITES: [Value; 0] = [];

#[tokio::test]
async fn a_revert_gives_google_back_what_was_there_and_can_be_reverted() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "bar", &["deli"]).await;
    let run = service.mirror("store", false).await;
    assert_eq!(service.google.merchant("77").await, ["cafe", "bakery"]);

    let back = service.taken_back(&run).await;
    assert_eq!((back.state, back.revert_of.as_deref()), (RunState::Succeeded, Some(run.name.as_str())));
    assert_eq!((back.caller.as_str(), counts(&back)), ("tester", (1, 1, 1)));
    assert_eq!(service.google.merchant("77").await, ["bar", "deli"]);
    assert_eq!(service.platform().await, ["cafe", "bakery"], "the source is as it was");

    let again = service.taken_back(&back).await;
    assert_eq!(
        (again.state, service.google.merchant("77").await),
        (RunState::Succeeded, vec!["cafe".into(), "bakery".into()])
    );
}

#[tokio::test]
async fn d2_a_revert_of_the_reverse_strategy_writes_to_the_platform_only() {
    let service = service::start().await;
    service.with_store(&["cafe", "yoga"], "bar", &["wine_bar"]).await;
    let run = service.adopt(false).await;
    assert_eq!(service.platform().await, ["bar", "yoga", "gbp-wine_bar"]);
    let calls = service.google.calls().await;

    let back = service.taken_back(&run).await;

    assert_eq!((back.state, back.strategy), (RunState::Succeeded, Strategy::GbpToPlatform));
    assert_eq!(service.platform().await, ["cafe", "yoga"]);
    assert_eq!(service.google.calls().await, calls, "Google is not even asked");
    assert_eq!(service.taken_back(&back).await.state, RunState::Succeeded);
    assert_eq!(service.platform().await, ["bar", "yoga", "gbp-wine_bar"]);
}

#[tokio::test]
async fn a_dry_revert_shows_the_way_back_and_writes_nothing() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &["deli"]).await;
    let run = service.mirror("store", false).await;
    let writes = service.google.writes().await;

    let dry_runs = service.client.revert_run(&run.name).dry_run(true).send().await.expect("accepted");
    let dry_runs = service.ended(&dry_runs.run.name).await;

    assert_eq!((dry_runs.state, counts(&dry_runs)), (RunState::Succeeded, (1, 1, 0)));
    assert_eq!(service.google.writes().await, writes);
}

#[tokio::test]
async fn what_somebody_has_changed_at_google_since_is_not_overwritten() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let run = service.mirror("store", false).await;
    service.google.edit("77", "owner", "cafe", &["deli"]).await;
    let writes = service.google.writes().await;

    let back = service.taken_back(&run).await;

    assert_eq!((back.state, reason(&back)), (RunState::Failed, "NOT_REVERTIBLE"));
    let error = back.error.expect("an error");
    assert_eq!(
        (error.metadata["expected"].as_str(), error.metadata["actual"].as_str()),
        ("gcid:cafe []", "gcid:cafe [gcid:deli]")
    );
    assert_eq!((error.metadata["run"].as_str(), service.google.writes().await), (run.name.as_str(), writes));
}

#[tokio::test]
async fn what_somebody_has_changed_on_the_platform_since_is_refused_at_once() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let run = service.adopt(false).await;
    service.set("store", &["bar", "deli"]).await;

    let error = service.client.revert_run(&run.name).send().await.expect_err("refused");

    assert_eq!((error.code().as_str(), error.reason()), ("FAILED_PRECONDITION", Some("NOT_REVERTIBLE")));
    assert_eq!((error.metadata()["expected"].as_str(), error.metadata()["actual"].as_str()), ("bar []", "bar [deli]"));
    assert_eq!(service.platform().await, ["bar", "deli"]);
}

#[tokio::test]
async fn what_somebody_changes_on_the_platform_before_the_revert_begins_is_found_out_then() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let first = replica(&service, Setup::default(), &service.google.endpoint).await;
    let run = service.adopt(false).await;
    first.stop().await;
    let back = service.client.revert_run(&run.name).send().await.expect("accepted").run;
    service.set("store", &["bar", "deli"]).await;

    replica(&service, Setup::default(), &service.google.endpoint).await;
    let back = service.ended(&back.name).await;

    assert_eq!((back.state, reason(&back)), (RunState::Failed, "NOT_REVERTIBLE"));
    assert_eq!(service.platform().await, ["bar", "deli"]);
}

#[tokio::test]
async fn a_run_that_wrote_nothing_has_nothing_to_take_back() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let live =
        service.client.mirror("store", Strategy::PlatformToGbp).dry_run(true).send().await.expect("accepted").run;
    let refused = async |name: &str, why: &str| {
        let error = service.client.revert_run(name).send().await.expect_err("refused");
        assert_eq!(error.reason(), Some("NOT_REVERTIBLE"));
        assert!(error.message().contains(why), "{error}");
    };
    refused(&live.name, "dry run").await;
    replica(&service, Setup::default(), &service.google.endpoint).await;
    service.ended(&live.name).await;

    assert_eq!(service.mirror("store", false).await.state, RunState::Succeeded);
    let idle_run = service.mirror("store", false).await;
    refused(&idle_run.name, "wrote nothing").await;
    let error = service.client.revert_run("0190163d-8694-739b-aea5-966c26f8ad91").send().await.expect_err("unknown");
    assert_eq!(error.reason(), Some("RUN_NOT_FOUND"));
}

#[tokio::test]
async fn a_tenant_that_had_nothing_is_not_emptied_again() {
    let service = service::start().await;
    service.with_store(&[], "bar", &["deli"]).await;
    let run = service.adopt(false).await;
    assert_eq!((run.state, service.platform().await), (RunState::Succeeded, vec!["bar".into(), "deli".into()]));

    let error = service.client.revert_run(&run.name).send().await.expect_err("refused");
    assert_eq!(error.reason(), Some("NOT_REVERTIBLE"));
    assert!(error.message().contains("an empty set is never written"), "{error}");
}

#[tokio::test]
async fn a_revert_is_guarded_and_waits_for_no_cooldown() {
    let mut setup = Setup::default();
    setup.runner.cooldown = std::time::Duration::from_secs(3600);
    let service = service::start_with(super::guards_of(setup, Default::default())).await;
    service.with_store(&["cafe", "bakery", "deli"], "cafe", &[]).await;
    let run = service.mirror("store", false).await;
    assert_eq!((run.state, counts(&run)), (RunState::Succeeded, (2, 0, 0)));

    let stopped = service.taken_back(&run).await;
    assert_eq!((stopped.state, reason(&stopped)), (RunState::Failed, "GUARD"));
    assert_eq!(stopped.error.expect("an error").metadata["rule"], "removed_share");
    let lifted = service.client.revert_run(&run.name).override_guards(["removed_share"], "it was a mistake");
    let lifted = service.ended(&lifted.send().await.expect("accepted").run.name).await;
    assert_eq!((lifted.state, lifted.overridden_guards.len()), (RunState::Succeeded, 1));
    assert_eq!(service.google.merchant("77").await, ["cafe"]);
}

#[tokio::test]
async fn d16_a_lost_answer_of_a_revert_is_settled_and_not_written_twice() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let run = service.mirror("store", false).await;
    service.google.fault(json!({"method": "locations.patch", "times": 1, "drop": "after"})).await;

    let back = service.taken_back(&run).await;

    assert_eq!((back.state, counts(&back)), (RunState::Succeeded, (0, 1, 0)));
    assert_eq!(service.google.writes().await.len(), 2);
    assert_eq!(service.google.merchant("77").await, ["bar"]);
}

#[tokio::test]
async fn a_revert_obeys_the_one_live_run_and_repeats_its_first_answer() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let run = service.adopt(false).await;
    let ask = || service.client.revert_run(&run.name).request_id("once");
    let first = ask().send().await.expect("accepted").run;
    assert_eq!(service.ended(&first.name).await.state, RunState::Succeeded);
    assert_eq!(ask().send().await.expect("the first answer").run.name, first.name);
    assert_eq!(service.client.revert_run(&run.name).send().await.expect_err("done").reason(), Some("NOT_REVERTIBLE"));
    assert_eq!(service.google.writes().await, NO_WRITES);

    let service = guarded().await;
    service.with_store(&["cafe"], "cafe", &["bar"]).await;
    let stopped = service.mirror("store", false).await;
    let error = service.client.revert_run(&stopped.name).send().await.expect_err("nothing to take back");
    assert!(error.message().contains("wrote nothing"), "{error}");
}

#[tokio::test]
async fn d27_what_is_gained_and_lost_is_written_at_once_so_the_limit_of_ten_is_never_passed() {
    let (ten, other) = (
        [
            "cafe",
            "bakery",
            "deli",
            "bar",
            "restaurant",
            "wine_bar",
            "pizza_restaurant",
            "supermarket",
            "grocery_store",
            "butcher_shop",
        ],
        ["cafe", "bakery", "deli", "bar", "restaurant", "florist", "book_store", "pharmacy", "shoe_store", "toy_store"],
    );
    let service = service::start().await;
    let mapped: Vec<(String, String)> = ten.iter().map(|slug| ((*slug).to_owned(), format!("gcid:{slug}"))).collect();
    let mapped: Vec<(&str, &str)> = mapped.iter().map(|(slug, gcid)| (slug.as_str(), gcid.as_str())).collect();
    service.categories(&mapped).await;
    service.tenant("store", "77").await;
    service.set("store", &ten).await;
    service.google.put("77", other[0], &other[1..]).await;

    let run = service.mirror("store", false).await;
    assert_eq!((run.state, counts(&run)), (RunState::Succeeded, (5, 0, 5)), "{:?}", run.error);
    assert_eq!(service.google.writes().await.len(), 1, "ten before, ten after, and nothing in between");

    service.google.edit("77", "owner", other[0], &other[1..]).await;
    let run = service.adopt(false).await;
    assert_eq!((run.state, counts(&run)), (RunState::Succeeded, (5, 0, 5)), "{:?}", run.error);
    assert_eq!(service.platform().await.len(), 10);
    assert_eq!(service.taken_back(&run).await.state, RunState::Succeeded);
    let (mut now, mut before) = (service.platform().await, ten.map(str::to_owned).to_vec());
    now.sort();
    before.sort();
    assert_eq!(now, before);
}
