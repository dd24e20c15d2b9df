//! Whose tenants a batch touches, and for whom it exists.

use category_mirror::domain::Role;
use category_mirror_client::{Client, Error, FlagState};
use category_mirror_proto::v1::{self as proto, mirror_categories_request::Target};

use super::{WINS, chain};
use crate::{
    flags::{MIRRORING, switch, until},
    replica::idle,
    service::{self, Service},
    wire::{Wire, contents, refusal},
};

fn reason(error: &Error) -> (&str, Option<&str>) {
    (error.code().as_str(), error.reason())
}

async fn batches(service: &Service) -> i64 {
    sqlx::query_scalar("select count(*) from batch").fetch_one(&service.pool).await.expect("counted")
}

#[tokio::test]
async fn d5_the_scope_is_explicit_and_every_tenant_needs_the_typed_number() {
    let service = service::start_with(idle()).await;
    chain(&service, "chain", 3).await;
    chain(&service, "other", 2).await;
    let before = contents(&service.pool).await;

    let error = service.client.mirror_all(WINS, 4).send().await.expect_err("not 5");
    assert_eq!(reason(&error), ("FAILED_PRECONDITION", Some("CONFIRMATION_MISMATCH")));
    assert_eq!((error.metadata()["expected"].as_str(), error.metadata()["confirmed"].as_str()), ("5", "4"));
    let error = service.client.mirror_organization("chain", WINS).confirm(5).send().await.expect_err("not 3");
    assert_eq!(error.metadata()["expected"], "3");
    let error = service.client.mirror_organization("", WINS).send().await.expect_err("nobody");
    assert_eq!(error.reason(), Some("INVALID_REQUEST"));
    assert_eq!(contents(&service.pool).await, before, "nothing was begun");

    let chain = service.client.mirror_organization("chain", WINS).confirm(3).send().await.expect("accepted");
    assert_eq!(chain.tenant_count, 3, "an organization is not everybody");
    let all = service.client.mirror_all(WINS, 5).send().await.expect("accepted");
    assert_eq!((all.tenant_count, all.organization), (5, None));
}

#[tokio::test]
async fn d5_without_a_target_or_a_number_nothing_is_guessed() {
    let service = service::start_with(idle()).await;
    chain(&service, "chain", 1).await;
    let requests = [
        (None, None, "target"),
        (Some(Target::AllTenants(true)), None, "confirm_tenant_count"),
        (Some(Target::AllTenants(false)), Some(1), "all_tenants"),
        (Some(Target::Organization("a/b".to_owned())), None, "organization"),
        (Some(Target::Tenant("chain-000".to_owned())), Some(1), "confirm_tenant_count"),
    ];
    for (target, confirm_tenant_count, field) in requests {
        let message = proto::MirrorCategoriesRequest {
            strategy: proto::Strategy::PlatformToGbp.into(),
            target,
            confirm_tenant_count,
            ..Default::default()
        };
        let refused = refusal(Wire::admin(&service).mirror.mirror_categories(message).await);
        assert_eq!(refused.fields, [field]);
    }
    assert_eq!(batches(&service).await, 0);
}

#[tokio::test]
async fn d30_a_batch_of_nobody_is_an_error_and_never_a_success() {
    let service = service::start_with(idle()).await;
    let error = service.client.mirror_organization("nobody", WINS).send().await.expect_err("no tenants");
    assert_eq!(reason(&error), ("NOT_FOUND", Some("ORGANIZATION_NOT_FOUND")));
    let error = service.client.mirror_all(WINS, 0).send().await.expect_err("no tenants");
    assert_eq!(reason(&error), ("FAILED_PRECONDITION", Some("NO_LOCATION")));

    chain(&service, "chain", 2).await;
    sqlx::query("update tenant set gbp_account = null, gbp_location = null")
        .execute(&service.pool)
        .await
        .expect("done");
    let error = service.client.mirror_organization("chain", WINS).send().await.expect_err("no locations");
    assert_eq!(reason(&error), ("FAILED_PRECONDITION", Some("NO_LOCATION")));
    assert_eq!(batches(&service).await, 0);
}

#[tokio::test]
async fn who_is_left_out_is_told() {
    let service = service::start_with(idle()).await;
    chain(&service, "chain", 4).await;
    sqlx::query("update tenant set gbp_account = null, gbp_location = null where id = 'chain-003'")
        .execute(&service.pool)
        .await
        .expect("done");
    switch(&service.client, MIRRORING, FlagState::Off).await;
    let error = service.client.mirror_organization("chain", WINS).send().await.expect_err("off");
    assert_eq!(reason(&error), ("FAILED_PRECONDITION", Some("FEATURE_DISABLED")));
    assert_eq!(
        (error.metadata()["flag"].as_str(), error.metadata()["flag_reason"].as_str()),
        (MIRRORING, "SWITCHED_OFF")
    );

    let pilot = service.client.update_flag(MIRRORING).state(FlagState::Partial).tenants(["chain-001", "chain-002"]);
    pilot.send().await.expect("set");
    let batch = service.client.mirror_organization("chain", WINS).confirm(2).send().await.expect("accepted");
    assert_eq!((batch.tenant_count, batch.disabled_count, batch.without_location_count), (2, 1, 1));
}

#[tokio::test]
async fn for_a_token_of_some_tenants_only_those_exist() {
    let service = service::start_with(idle()).await;
    chain(&service, "chain", 3).await;
    chain(&service, "other", 1).await;
    let of = |tenants: &[&str]| service.client_with(&service.token(Role::Admin, "limited", Some(tenants)));
    let limited = of(&["chain-000", "chain-001"]);

    let error = limited.mirror_organization("other", WINS).send().await.expect_err("not theirs");
    assert_eq!(reason(&error), ("NOT_FOUND", Some("ORGANIZATION_NOT_FOUND")));
    let whole = service.client.mirror_organization("chain", WINS).dry_run(true).send().await.expect("accepted");
    let theirs = limited.mirror_organization("chain", WINS).dry_run(true).send().await.expect("accepted");
    assert_eq!((whole.tenant_count, theirs.tenant_count), (3, 2));
    assert_eq!(limited.mirror_all(WINS, 2).dry_run(true).send().await.expect("accepted").tenant_count, 2);

    let error = limited.get_batch(&whole.name).send().await.expect_err("of others, too");
    assert_eq!(reason(&error), ("NOT_FOUND", Some("BATCH_NOT_FOUND")));
    let error = limited.cancel_batch(&whole.name).send().await.expect_err("of others, too");
    assert_eq!(error.reason(), Some("BATCH_NOT_FOUND"));
    let mut stream = limited.watch_batch(&whole.name).send();
    assert_eq!(stream.next().await.expect("an answer").expect_err("of others").reason(), Some("BATCH_NOT_FOUND"));
    assert_eq!(limited.list_batches().send().collect().await.expect("listed").len(), 2);
    assert_eq!(of(&["chain-000"]).list_batches().send().collect().await.expect("listed").len(), 0);
    assert_eq!(service.client.list_batches().send().collect().await.expect("listed").len(), 3);

    let viewer = service.client_with(&service.token(Role::Viewer, "viewer", None));
    assert_eq!(viewer.get_batch(&whole.name).send().await.expect("read").name, whole.name);
    let error = viewer.cancel_batch(&whole.name).send().await.expect_err("a viewer");
    assert_eq!(error.reason(), Some("PERMISSION_DENIED"));
}

#[tokio::test]
async fn logs_of_a_batch_that_nobody_or_somebody_else_knows_are_an_error_and_not_an_empty_list() {
    let service = service::start_with(idle()).await;
    chain(&service, "chain", 2).await;
    chain(&service, "other", 1).await;
    let batch = service.client.mirror_organization("chain", WINS).dry_run(true).send().await.expect("accepted");
    let viewer = |tenant: &str| service.client_with(&service.token(Role::Viewer, "limited", Some(&[tenant])));
    until("its runs are made", async || {
        service.client.get_batch(&batch.name).send().await.expect("the batch").queued_count == 2
    })
    .await;
    let listed = async |client: &Client, batch: &str, reason: &str| {
        let request = client.list_sync_logs().batch(batch);
        let request = if reason.is_empty() { request } else { request.reason(reason) };
        request.send().collect().await.map(|runs| runs.len())
    };
    let unknown = "batches/0190163d-8694-739b-aea5-966c26f8ad91";
    for (client, batch) in
        [(&service.client, unknown), (&viewer("other-000"), unknown), (&viewer("other-000"), &batch.name)]
    {
        let error = listed(client, batch, "").await.expect_err("nothing is known of it");
        assert_eq!(self::reason(&error), ("NOT_FOUND", Some("BATCH_NOT_FOUND")), "{error}");
        assert!(error.to_string().contains(batch), "{error}");
    }
    for (client, runs) in [(&service.client, 2), (&viewer("chain-001"), 1)] {
        assert_eq!(listed(client, &batch.name, "").await.expect("known"), runs);
        assert_eq!(listed(client, &batch.name, "GUARD").await.expect("known"), 0, "none of its runs has that");
    }
}
