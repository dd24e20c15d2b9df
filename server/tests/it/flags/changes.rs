//! Changing flags: what is kept of it, who may, and what happens when two do at once.

use category_mirror::domain::Role;
use category_mirror_client::{FlagReason, FlagState};
use category_mirror_proto::v1;
use prost_types::FieldMask;
use tonic::Code;

use super::{CATEGORIES, MIRRORING, SYNC, evaluated, idle, switch};
use crate::{
    service,
    wire::{Wire, contents, refusal},
};

#[tokio::test]
async fn who_changed_what_when_and_why_is_kept() {
    let service = service::start_with(idle()).await;
    let client = &service.client;
    let before = client.get_flag(MIRRORING).send().await.expect("read");
    assert_eq!((before.revision, before.update_time), (0, None));
    let other = service.client_with(&service.token(Role::Admin, "other", None));

    let pilot = client.update_flag(MIRRORING).state(FlagState::Partial).tenants(["b", "a", "b"]).allow_unknown(true);
    let pilot = pilot.reason("pilot, #12");
    let first = pilot.send().await.expect("changed");
    assert_eq!(first.tenants, ["tenants/a", "tenants/b"], "a list is a set");
    let second = other.update_flag(MIRRORING).percent(12.5).send().await.expect("changed");
    assert_eq!((first.revision, second.revision), (1, 2));
    assert_eq!((second.percent, second.state), (12.5, FlagState::Partial), "what was not given stays");
    switch(client, SYNC, FlagState::Off).await;
    // A change that changes nothing is none, whatever it expected.
    let again = other.update_flag(MIRRORING).percent(12.5).expected_revision(1).send().await.expect("is so already");
    assert_eq!(again, second);

    let changes = client.list_flag_changes().flag(MIRRORING).page_size(1).send().collect().await.expect("listed");
    let kept: Vec<_> = changes.iter().map(|c| (c.revision, c.caller.as_str(), c.reason.as_deref())).collect();
    assert_eq!(kept, [(2, "other", None), (1, "tester", Some("pilot, #12"))], "newest first, over two pages");
    assert_eq!(changes[1].before, None);
    let [before, after] = [&changes[0].before, &changes[0].after].map(|flag| flag.as_ref().expect("it was set"));
    assert_eq!((before.revision, before.percent, &before.tenants), (1, 0.0, &first.tenants));
    assert_eq!((after.revision, after.percent, &after.tenants), (2, 12.5, &first.tenants));
    assert_eq!(changes[0].change_time, second.update_time);
    let all = client.list_flag_changes().send().collect().await.expect("listed");
    assert_eq!(
        all.iter().map(|c| c.flag.as_str()).collect::<Vec<_>>()[..2],
        [&format!("flags/{SYNC}"), "flags/FF_CATEGORY_MIRRORING"]
    );
}

#[tokio::test]
async fn of_two_who_decided_on_the_same_revision_one_decides_again() {
    let service = service::start_with(idle()).await;
    let client = &service.client;
    for revision in 0..4 {
        let update = |tenant: String| {
            client.update_flag(MIRRORING).tenants([tenant]).allow_unknown(true).expected_revision(revision).send()
        };
        let (one, other) = tokio::join!(update(format!("one-{revision}")), update(format!("other-{revision}")));
        let (changed, refused) = match (one, other) {
            (Ok(changed), Err(refused)) | (Err(refused), Ok(changed)) => (changed, refused),
            both => panic!("{both:?}"),
        };
        assert_eq!(changed.revision, revision + 1);
        assert_eq!((refused.code().as_str(), refused.reason()), ("ABORTED", Some("FLAG_CHANGED")));
        assert_eq!(refused.metadata()["revision"], (revision + 1).to_string());
        assert_eq!(client.get_flag(MIRRORING).send().await.expect("read"), changed);
    }
    assert_eq!(client.list_flag_changes().send().collect().await.expect("listed").len(), 4);
}

#[tokio::test]
async fn changes_of_different_fields_at_once_are_all_kept() {
    let service = service::start_with(idle()).await;
    let update = || service.client.update_flag(MIRRORING).allow_unknown(true);
    let done = tokio::join!(
        update().state(FlagState::Partial).send(),
        update().percent(50.0).send(),
        update().tenants(["a"]).send(),
        update().organizations(["b"]).send(),
        update().excluded_tenants(["c"]).send(),
        update().excluded_organizations(["d"]).send(),
    );
    for done in [done.0, done.1, done.2, done.3, done.4, done.5] {
        done.expect("changed");
    }
    let flag = service.client.get_flag(MIRRORING).send().await.expect("read");
    assert_eq!((flag.revision, flag.state, flag.percent), (6, FlagState::Partial, 50.0));
    let lists = [flag.tenants, flag.organizations, flag.excluded_tenants, flag.excluded_organizations];
    assert_eq!(lists.concat(), ["tenants/a", "organizations/b", "tenants/c", "organizations/d"]);
}

#[tokio::test]
async fn a_caller_sees_and_changes_what_the_token_allows() {
    let service = service::start_with(idle()).await;
    service.with_store(&[], "bar", &[]).await;
    service.tenant("mine", "78").await;
    let pilot = service.client.update_flag(MIRRORING).state(FlagState::Partial).tenants(["mine", "store"]);
    let pilot = pilot.organizations(["chain"]).excluded_tenants(["rival"]).allow_unknown(true);
    pilot.send().await.expect("changed");
    let before = contents(&service.pool).await;

    let viewer = service.client_with(&service.token(Role::Viewer, "me", None));
    let limited = service.client_with(&service.token(Role::Admin, "me", Some(&["mine"])));
    for client in [&viewer, &limited] {
        let error = client.update_flag(MIRRORING).state(FlagState::Off).send().await.expect_err("not theirs");
        assert!(error.is_permission_denied(), "{error:?}");
    }
    assert_eq!(viewer.get_flag(MIRRORING).send().await.expect("read").tenants, ["tenants/mine", "tenants/store"]);
    viewer.list_flag_changes().send().collect().await.expect("read");
    assert_eq!(evaluated(&viewer, MIRRORING, "store").await.reason, FlagReason::TenantListed);

    let shown = limited.get_flag(MIRRORING).send().await.expect("read");
    assert_eq!(shown, limited.list_flags().send().collect().await.expect("listed")[0]);
    assert_eq!(shown.tenants, ["tenants/mine"]);
    assert!(shown.organizations.is_empty() && shown.excluded_tenants.is_empty(), "{shown:?}");
    assert!(limited.list_flag_changes().send().collect().await.expect_err("others'").is_permission_denied());
    assert!(evaluated(&limited, MIRRORING, "mine").await.enabled);
    let error = limited.evaluate_flag(MIRRORING, "store").send().await.expect_err("it does not exist");
    assert_eq!(error.reason(), Some("TENANT_NOT_FOUND"));
    assert_eq!(contents(&service.pool).await, before);
}

#[tokio::test]
async fn what_is_wrong_with_a_change_is_named_all_at_once() {
    let service = service::start_with(idle()).await;
    let mut wire = Wire::admin(&service);
    let before = contents(&service.pool).await;
    let mask = |paths: &[&str]| Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() });
    let flag = v1::Flag {
        name: format!("flags/{CATEGORIES}"),
        state: 7,
        percent: 100.5,
        tenants: vec!["tenants/a".to_owned(), "tenants/ b".to_owned()],
        organizations: (0..1001).map(|n| format!("organizations/{n}")).collect(),
        ..Default::default()
    };
    let request = v1::UpdateFlagRequest {
        flag: Some(flag.clone()),
        update_mask: mask(&["state", "percent", "tenants", "organizations", "revision"]),
        expected_revision: Some(-1),
        reason: "because\n".to_owned(),
        allow_unknown: false,
    };
    let refused = refusal(wire.flags.update_flag(request).await);
    let fields = ["update_mask", "flag.state", "flag.percent", "flag.tenants[1]", "flag.organizations"];
    assert_eq!(refused.fields, [&fields[..], &["expected_revision", "reason"]].concat(), "{refused:?}");

    let valid = v1::Flag { name: flag.name.clone(), state: 2, ..Default::default() };
    for (change, fields) in [
        (v1::UpdateFlagRequest::default(), "flag"),
        (
            v1::UpdateFlagRequest {
                flag: Some(v1::Flag { name: valid.name.clone(), ..Default::default() }),
                ..Default::default()
            },
            "update_mask",
        ),
        (
            v1::UpdateFlagRequest {
                flag: Some(v1::Flag { state: 0, ..valid.clone() }),
                update_mask: mask(&["state"]),
                ..Default::default()
            },
            "flag.state",
        ),
        (
            v1::UpdateFlagRequest { flag: Some(v1::Flag { percent: f64::NAN, ..valid.clone() }), ..Default::default() },
            "flag.percent",
        ),
        (
            v1::UpdateFlagRequest {
                flag: Some(v1::Flag { name: "flags/ff x".to_owned(), ..valid.clone() }),
                ..Default::default()
            },
            "flag.name",
        ),
        (v1::UpdateFlagRequest { flag: Some(valid.clone()), reason: "x".repeat(501), ..Default::default() }, "reason"),
    ] {
        let refused = refusal(wire.flags.update_flag(change).await);
        assert_eq!((refused.code, refused.fields), (Code::InvalidArgument, vec![fields.to_owned()]));
    }

    let unknown = "flags/FF_FF_CATEGORY_MIRRORING".to_owned();
    let change =
        v1::UpdateFlagRequest { flag: Some(v1::Flag { name: unknown.clone(), ..valid }), ..Default::default() };
    let refused = refusal(wire.flags.update_flag(change).await);
    assert_eq!((refused.code, refused.reason.as_str()), (Code::NotFound, "FLAG_NOT_FOUND"));
    let refused = refusal(wire.flags.get_flag(v1::GetFlagRequest { name: unknown.clone() }).await);
    assert_eq!((refused.code, refused.reason.as_str()), (Code::NotFound, "FLAG_NOT_FOUND"));
    let changes = v1::ListFlagChangesRequest { flag: unknown, ..Default::default() };
    let refused = refusal(wire.flags.list_flag_changes(changes).await);
    assert_eq!((refused.code, refused.reason.as_str()), (Code::NotFound, "FLAG_NOT_FOUND"));
    let refused = refusal(wire.flags.evaluate_flag(v1::EvaluateFlagRequest::default()).await);
    assert_eq!(refused.fields, ["name", "tenant"]);
    assert_eq!(contents(&service.pool).await, before);
}

/// A misspelt name would be in a pilot, or excluded, without effect and without a sign of it.
#[tokio::test]
async fn a_name_that_nobody_has_is_listed_only_where_it_is_meant() {
    let service = service::start_with(idle()).await;
    service.with_store(&[], "bar", &[]).await;
    service.client.update_tenant("store").organization("organizations/chain").send().await.expect("updated");
    let before = contents(&service.pool).await;
    let update = || service.client.update_flag(MIRRORING);

    let lists = update().tenants(["store", "stroe"]).organizations(["chian", "chain"]);
    let lists = lists.excluded_tenants(["gone"]).excluded_organizations(["chain", "far"]);
    let refused = lists.clone().send().await.expect_err("misspelt");
    let violations: Vec<_> =
        refused.field_violations().iter().map(|v| (v.field.as_str(), v.description.as_str())).collect();
    assert_eq!(
        violations.iter().map(|(field, _)| *field).collect::<Vec<_>>(),
        ["flag.tenants", "flag.excluded_tenants", "flag.organizations", "flag.excluded_organizations"]
    );
    for ((_, description), name) in
        violations.iter().zip(["tenants/stroe", "tenants/gone", "organizations/chian", "organizations/far"])
    {
        assert!(description.contains(name) && description.contains("allow_unknown"), "{description}");
    }
    assert_eq!(contents(&service.pool).await, before);

    lists.allow_unknown(true).send().await.expect("they are to come");
    // What is listed already is in the way of nothing: a list that grows, another field, the kill switch.
    update().tenants(["stroe", "store"]).state(FlagState::Off).send().await.expect("as before");
    update().percent(5.0).send().await.expect("another field");
    let refused = update().tenants(["stroe", "store", "new"]).send().await.expect_err("one more");
    assert_eq!(refused.field_violations().len(), 1, "{refused:?}");
    assert!(refused.field_violations()[0].description.contains("tenants/new"), "{refused:?}");
    update().tenants(["store"]).send().await.expect("a name is removed");
}
