//! Feature flags: what is sent, and what comes of the answer.

use category_mirror_client::{FlagOrigin, FlagReason, FlagState};
use category_mirror_proto::v1::{self, evaluate_flag_response as evaluated};
use tonic::Status;

use crate::fake::Fake;

fn flag() -> v1::Flag {
    v1::Flag {
        name: "flags/FF_X".into(),
        state: v1::flag::State::Partial.into(),
        percent: 12.5,
        tenants: vec!["tenants/a".into()],
        revision: 3,
        forced: v1::flag::Forced::Off.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_update_sends_what_was_set_and_is_retried() {
    let fake = Fake::start().await;
    let update = &fake.methods.update_flag;
    update.will(Err(Status::unavailable("once"))).will(Ok(v1::UpdateFlagResponse { flag: Some(flag()) }));
    update.will(Ok(v1::UpdateFlagResponse { flag: Some(flag()) }));

    let client = fake.client();
    let request = client.update_flag("FF_X").percent(12.5).tenants(["a", "tenants/b"]).organizations([""; 0]);
    let changed = request.expected_revision(0).reason("pilot").send().await.expect("the second time");
    assert_eq!((changed.state, changed.percent, changed.revision), (FlagState::Partial, 12.5, 3));
    assert_eq!((changed.forced, changed.update_time), (Some(false), None));
    client.update_flag("flags/FF_X").state(FlagState::Off).send().await.expect("changed");

    let asked = update.asked();
    let message = &asked[1].message;
    let sent = message.flag.as_ref().expect("a flag");
    assert_eq!((sent.name.as_str(), &sent.tenants[..]), ("flags/FF_X", &["tenants/a".into(), "tenants/b".into()][..]));
    let paths = &message.update_mask.as_ref().expect("a mask").paths;
    assert_eq!(paths, &["percent", "tenants", "organizations"]);
    assert_eq!((message.expected_revision, message.reason.as_str()), (Some(0), "pilot"), "0 is a revision, too");
    let last = &asked[2].message;
    assert_eq!((last.expected_revision, last.flag.as_ref().expect("a flag").state()), (None, v1::flag::State::Off));
}

#[tokio::test]
async fn an_evaluation_says_why_also_for_reasons_of_a_newer_server() {
    let fake = Fake::start().await;
    let answer = v1::EvaluateFlagResponse {
        enabled: true,
        reason: evaluated::Reason::TenantListed.into(),
        origin: evaluated::Origin::Database.into(),
        revision: 3,
        explanation: "because".into(),
    };
    fake.methods.evaluate_flag.will(Ok(answer.clone())).will(Ok(v1::EvaluateFlagResponse { reason: 99, ..answer }));
    let client = fake.client();
    let evaluation = client.evaluate_flag("FF_X", "a").send().await.expect("evaluated");
    assert_eq!(
        (evaluation.enabled, evaluation.reason, evaluation.origin),
        (true, FlagReason::TenantListed, FlagOrigin::Database)
    );
    assert_eq!(client.evaluate_flag("FF_X", "a").send().await.expect("evaluated").reason, FlagReason::Unknown(99));
    let asked = fake.methods.evaluate_flag.asked();
    assert_eq!((asked[0].message.name.as_str(), asked[0].message.tenant.as_str()), ("flags/FF_X", "tenants/a"));
}

#[tokio::test]
async fn flags_and_their_changes_are_lists() {
    let fake = Fake::start().await;
    let flags = vec![flag()];
    fake.methods.list_flags.will(Ok(v1::ListFlagsResponse { flags, ..Default::default() }));
    let change = v1::FlagChange { flag: "flags/FF_X".into(), after: Some(flag()), ..Default::default() };
    let response = v1::ListFlagChangesResponse { changes: vec![change], ..Default::default() };
    fake.methods.list_flag_changes.will(Ok(response));

    let client = fake.client();
    assert_eq!(client.list_flags().send().collect().await.expect("a list")[0].tenants, ["tenants/a"]);
    let changes = client.list_flag_changes().flag("FF_X").send().collect().await.expect("a list");
    assert_eq!((&changes[0].before, &changes[0].reason), (&None, &None));
    assert_eq!(fake.methods.list_flag_changes.asked()[0].message.flag, "flags/FF_X");
}
