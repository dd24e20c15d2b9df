//! Request ids of every method that has them: a first answer is a read, and every field is one of the request's words.

mod others;

use std::collections::BTreeSet;

use category_mirror::domain::Role;
use category_mirror_client::{Strategy, SyncDecision};
use category_mirror_proto::v1::{self as proto, mirror_categories_request::Target};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use self::others::others;
use super::{call, methods, path, reason};
use crate::service::{self, Service};

const METHODS: [&str; 3] = ["DecideTenantSync", "MirrorCategories", "RevertRun"];
/// What no answer to a caller of other tenants may hold: the names of what the request has made, and of whose it is.
const SECRETS: [&str; 2] = ["own", "batches/"];

/// `own` and `second` of a chain, and `other` of nobody; a run of `own` has written.
async fn setting() -> (Service, String) {
    let service = service::start().await;
    service.with_store(&[], "bar", &[]).await;
    for tenant in ["own", "second", "other"] {
        service.tenant(tenant, tenant).await;
        service.set(tenant, &["cafe"]).await;
        service.google.put(tenant, "bar", &[]).await;
    }
    for tenant in ["own", "second"] {
        service.client.update_tenant(tenant).organization("chain").send().await.expect("updated");
    }
    let written = service.mirror("own", false).await.name;
    (service, written)
}

fn mirror(target: Target, confirm: Option<i64>) -> proto::MirrorCategoriesRequest {
    proto::MirrorCategoriesRequest {
        strategy: proto::Strategy::PlatformToGbp.into(),
        target: Some(target),
        dry_run: true,
        confirm_tenant_count: confirm,
        ..Default::default()
    }
}

fn texts(status: &Status) -> String {
    let details = status.get_error_details();
    let metadata = details.error_info().map(|info| format!("{:?}", info.metadata)).unwrap_or_default();
    format!("{} {metadata}", status.message())
}

#[test]
fn the_methods_with_request_ids_are_these() {
    let with_ids: BTreeSet<String> = methods()
        .into_iter()
        .filter(|method| method.fields.iter().any(|field| field == "request_id"))
        .map(|method| method.name)
        .collect();
    assert_eq!(with_ids, METHODS.map(str::to_owned).into());
}

#[tokio::test]
async fn a_first_answer_is_given_to_whom_it_may_be_shown_whatever_the_scope() {
    let (service, written) = setting().await;
    let nameless = format!("tenants/-/runs/{}", written.rsplit('/').next().expect("an id"));
    let decide = proto::DecideTenantSyncRequest {
        name: "tenants/own/sync".to_owned(),
        decision: proto::tenant_sync_decision::Decision::Ignore.into(),
        reason: "why".to_owned(),
        ..Default::default()
    };
    let requests: Vec<(&str, &str, Vec<u8>)> = vec![
        ("MirrorCategories", "tenant", with_id(mirror(Target::Tenant("tenants/own".to_owned()), None), "tenant")),
        (
            "MirrorCategories",
            "chain",
            with_id(mirror(Target::Organization("organizations/chain".to_owned()), None), "chain"),
        ),
        ("MirrorCategories", "all", with_id(mirror(Target::AllTenants(true), Some(4)), "all")),
        ("RevertRun", "revert", {
            let request_id = "revert".to_owned();
            proto::RevertRunRequest { name: nameless.clone(), request_id, dry_run: true, ..Default::default() }
                .encode_to_vec()
        }),
        ("DecideTenantSync", "decide", {
            let request_id = "decide".to_owned();
            proto::DecideTenantSyncRequest { request_id, ..decide }.encode_to_vec()
        }),
    ];
    // The store of the setting has a location, too: four in all.
    let token = |tenants: Option<&[&str]>| service.token(Role::Admin, "me", tenants);
    for (name, what, message) in &requests {
        let path = path(name);
        call(&service, &path, Some(&token(None)), message.clone()).await.expect(what);
        until_quiet(&service).await;
        let is_of_one = *what != "chain" && *what != "all";
        for (tenants, is_shown) in [
            (None, true),
            (Some(&["own"][..]), is_of_one),
            (Some(&["own", "other"]), is_of_one),
            (Some(&["other"]), false),
            (Some(&[]), false),
        ] {
            match call(&service, &path, Some(&token(tenants)), message.clone()).await {
                Ok(()) => assert!(is_shown, "{what} {tenants:?}"),
                Err(status) => {
                    assert!(!is_shown, "{what} {tenants:?}: {status:?}");
                    let refused = ["REQUEST_ID_REUSED", "TENANT_NOT_FOUND", "RUN_NOT_FOUND"];
                    assert!(refused.contains(&reason(&status).as_str()), "{what} {tenants:?}: {status:?}");
                    // What the caller has named themselves is no secret.
                    let said = texts(&status).replace("tenants/own/sync", "").replace("tenants/own does", "");
                    let said = said.replace("\"name\": \"tenants/own\"", "");
                    for secret in SECRETS {
                        assert!(!said.contains(secret), "{what} {tenants:?}: {said}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn every_field_is_one_of_the_words_of_a_request() {
    let (service, written) = setting().await;
    let token = service.token(Role::Admin, "me", None);
    let first = mirror(Target::Organization("organizations/chain".to_owned()), Some(2));
    let firsts = [
        with_id(first, "fields"),
        proto::RevertRunRequest {
            name: written.clone(),
            dry_run: true,
            request_id: "fields".to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
        proto::DecideTenantSyncRequest {
            name: "tenants/own/sync".to_owned(),
            decision: proto::tenant_sync_decision::Decision::Ignore.into(),
            reason: "why".to_owned(),
            request_id: "fields".to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
    ];
    for (name, first) in ["MirrorCategories", "RevertRun", "DecideTenantSync"].into_iter().zip(firsts) {
        sqlx::query("delete from idempotency_key").execute(&service.pool).await.expect("forgotten");
        let path = path(name);
        call(&service, &path, Some(&token), first.clone()).await.expect(name);
        until_quiet(&service).await;
        let others = others(name, &written);
        let method = methods().into_iter().find(|method| method.name == name).expect(name);
        let fields: BTreeSet<&str> =
            method.fields.iter().map(String::as_str).filter(|field| *field != "request_id").collect();
        assert_eq!(fields, others.keys().copied().collect(), "{name}");
        for (field, other) in others {
            let Some(other) = other else { continue };
            let status = call(&service, &path, Some(&token), other).await.expect_err(field);
            assert_eq!(
                (status.code(), reason(&status).as_str()),
                (Code::InvalidArgument, "REQUEST_ID_REUSED"),
                "{name} {field}: {status:?}"
            );
        }
        call(&service, &path, Some(&token), first).await.expect("the first answer");
    }
}

#[tokio::test]
async fn a_decision_with_a_run_is_answered_with_it_to_whom_it_may_be_shown() {
    let (service, _) = setting().await;
    let decide = async |tenants: Option<&[&str]>| {
        let client = service.client_with(&service.token(Role::Admin, "me", tenants));
        client.decide_tenant_sync("own", SyncDecision::PushAgain, "why").request_id("push").send().await
    };
    let run = decide(None).await.expect("decided").run.expect("a run").name;
    service.ended(&run).await;
    assert_eq!(decide(Some(&["own"])).await.expect("the first answer").run.expect("the run").name, run);
    assert_eq!(decide(Some(&["other"])).await.expect_err("not theirs").reason(), Some("TENANT_NOT_FOUND"));
    let runs = service.client.list_sync_logs().tenant("own").strategy(Strategy::PlatformToGbp).send().collect().await;
    assert_eq!(runs.expect("listed").len(), 2, "the one of the setting, and the decision's");
}

fn with_id(request: proto::MirrorCategoriesRequest, id: &str) -> Vec<u8> {
    proto::MirrorCategoriesRequest { request_id: id.to_owned(), ..request }.encode_to_vec()
}

/// Waits until no run is live: a live one would be in the way of the next request.
async fn until_quiet(service: &Service) {
    crate::flags::until("no run is live", async || {
        let live: i64 =
            sqlx::query_scalar("select (select count(*) from run) + (select count(*) from batch_expansion)")
                .fetch_one(&service.pool)
                .await
                .expect("counted");
        live == 0
    })
    .await;
}
