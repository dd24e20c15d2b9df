//! Who may call: a verified token, or nothing.

use category_mirror::domain::Role;
use category_mirror_client::{Client, Error, RunState, Strategy};
use category_mirror_proto::v1::{self, mirror_categories_request::Target};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tonic::{Code, Request};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::{
    replica::idle,
    service::{self, Service},
    wire::{Wire, channel, contents, refusal},
};

fn press() -> v1::MirrorCategoriesRequest {
    v1::MirrorCategoriesRequest {
        strategy: v1::Strategy::PlatformToGbp.into(),
        target: Some(Target::Tenant("tenants/store".to_owned())),
        ..Default::default()
    }
}

async fn store() -> Service {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service
}

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// A token with any claims, signed by any key.
fn signed(algorithm: Algorithm, claims: &Value, key: &[u8]) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).expect("signed")
}

fn key(service: &Service) -> Vec<u8> {
    std::fs::read(service.key_folder().join("dev.key")).expect("the key")
}

#[tokio::test]
async fn the_version_is_sent_to_admitted_callers_only() {
    const HEADER: &str = "category-mirror-version";
    let service = store().await;
    let list = async |wire: Wire| wire.flags.clone().list_flags(v1::ListFlagsRequest::default()).await;
    let admitted = list(Wire::admin(&service)).await.expect("admitted");
    let version = admitted.metadata().get(HEADER).expect("a version").to_str().expect("ASCII");
    assert_eq!(version.split('+').next(), Some(env!("CARGO_PKG_VERSION")));
    let known = service
        .client_with(&service.token(Role::Viewer, "viewer", None))
        .get_server_version()
        .send()
        .await
        .expect("admitted");
    assert_eq!(known.expect("a version").version, env!("CARGO_PKG_VERSION"));
    let refused = list(Wire::with_header(&service, None)).await.expect_err("no token");
    assert_eq!((refused.code(), refused.metadata().get(HEADER)), (Code::Unauthenticated, None));
}

#[tokio::test]
async fn d10_headers_that_nobody_signed_are_no_identity() {
    let service = store().await;
    let before = contents(&service.pool).await;
    for header in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic YWRtaW46YWRtaW4="), Some("admin")] {
        let mut wire = Wire::with_header(&service, header);
        let mut request = Request::new(press());
        for (name, value) in [
            ("x-user-id", "admin"),
            ("x-tenant-id", "store"),
            ("x-organization-id", "chain"),
            ("x-user-role", "admin"),
            ("x-forwarded-user", "admin"),
            ("x-api-key", "admin"),
            ("cookie", "session=admin"),
        ] {
            request.metadata_mut().insert(name, value.parse().expect("a value"));
        }
        let refused = refusal(wire.mirror.mirror_categories(request).await);
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"), "{header:?}");
    }
    assert_eq!(contents(&service.pool).await, before);
}

#[tokio::test]
async fn d10_a_token_that_is_nearly_good_is_none() {
    let service = store().await;
    let before = contents(&service.pool).await;
    let key = key(&service);
    let valid = json!({"sub": "me", "roles": ["admin"], "exp": now() + 600});
    let but = |claim: &str, value: Value| {
        let mut claims = valid.clone();
        match value {
            Value::Null => drop(claims.as_object_mut().expect("an object").remove(claim)),
            value => claims[claim] = value,
        }
        signed(Algorithm::HS256, &claims, &key)
    };
    let token = signed(Algorithm::HS256, &valid, &key);
    let payload = token.split('.').nth(1).expect("a payload");
    // `{"alg":"none","typ":"JWT"}`
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
    for (what, token) in [
        ("alg none", none),
        ("no signature", token.rsplit_once('.').expect("three parts").0.to_owned() + "."),
        ("another key", signed(Algorithm::HS256, &valid, b"another secret of the right len.")),
        ("another algorithm", signed(Algorithm::HS512, &valid, &key)),
        ("no exp", but("exp", Value::Null)),
        ("expired", but("exp", json!(now() - 3600))),
        ("not yet valid", but("nbf", json!(now() + 3600))),
        ("no subject", but("sub", Value::Null)),
        ("a subject that breaks lines", but("sub", json!("me\nadmin"))),
        ("roles that are no list", but("roles", json!("admin"))),
        ("tenants that are no list", but("tenants", json!("store"))),
        ("9 kB", but("padding", json!("x".repeat(9000)))),
        ("garbage", "a.b.c".to_owned()),
    ] {
        let refused = refusal(Wire::with_token(&service, &token).mirror.mirror_categories(press()).await);
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"), "{what}");
        assert!(!refused.status.message().contains(payload), "{what}: the token is repeated");
    }
    assert_eq!(contents(&service.pool).await, before);
    Wire::with_token(&service, &token).mirror.mirror_categories(press()).await.expect("the good one is good");
}

/// Every call that is not a read, each as it would be carried out.
async fn writes(client: &Client, run: &str) -> Vec<Error> {
    vec![
        client.mirror("store", Strategy::PlatformToGbp).send().await.expect_err("mirror"),
        client.mirror("store", Strategy::PlatformToGbp).dry_run(true).send().await.expect_err("mirror"),
        client.cancel_run(run).send().await.expect_err("cancel"),
        client.update_tenant("store").display_name("Mine").send().await.expect_err("update"),
        client.delete_tenant("store").send().await.expect_err("delete"),
        client.set_tenant_categories("store", "bar").send().await.expect_err("set"),
    ]
}

#[tokio::test]
async fn d10_a_role_allows_what_it_says() {
    let service = store().await;
    let run = service.client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run.name;
    let before = contents(&service.pool).await;
    let claims = |roles: Value| json!({"sub": "me", "roles": roles, "exp": now() + 600});
    let client = |roles| service.client_with(&signed(Algorithm::HS256, &claims(roles), &key(&service)));

    for roles in [json!(["viewer"]), json!([]), json!(["Admin", "root"])] {
        let mut errors = writes(&client(roles.clone()), &run).await;
        let tenant =
            client(roles.clone()).create_tenant("new").display_name("New").region_code("US").language_code("en");
        errors.push(tenant.send().await.expect_err("create"));
        let category = client(roles.clone()).create_platform_category("new").display_name("New");
        errors.push(category.send().await.expect_err("create"));
        errors.push(client(roles.clone()).delete_platform_category("bar").send().await.expect_err("delete"));
        for error in errors {
            assert_eq!(
                (error.code().as_str(), error.reason()),
                ("PERMISSION_DENIED", Some("PERMISSION_DENIED")),
                "{roles}"
            );
        }
    }
    assert_eq!(contents(&service.pool).await, before);

    let viewer = client(json!(["billing", "viewer"]));
    viewer.get_run(&run).send().await.expect("read");
    viewer.get_tenant("store").send().await.expect("read");
    assert_eq!(viewer.watch_run(&run).send().next().await.expect("streamed").expect("a snapshot").name, run);
    let nobody = client(json!([]));
    assert!(nobody.get_run(&run).send().await.expect_err("no role").is_permission_denied());
    let error = nobody.watch_all().send().next().await.expect("an answer").expect_err("no role");
    assert!(error.is_permission_denied(), "{error}");
}

#[tokio::test]
async fn d10_other_tenants_do_not_exist_for_a_limited_token() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.tenant("mine", "78").await;
    service.set("mine", &["bar"]).await;
    service.google.put("78", "deli", &[]).await;
    let limited = service.client_with(&service.token(Role::Admin, "me", Some(&["mine"])));
    let mut all = limited.watch_all().send();

    let foreign = service.mirror("store", false).await.name;
    let id = foreign.rsplit('/').next().expect("an id").to_owned();
    let before = contents(&service.pool).await;
    let mut errors = writes(&limited, &foreign).await;
    errors.push(limited.get_tenant("store").send().await.expect_err("get"));
    errors.push(limited.get_tenant_categories("store").send().await.expect_err("get"));
    errors.push(limited.get_run(&foreign).send().await.expect_err("get"));
    errors.push(limited.get_run(format!("tenants/-/runs/{id}")).send().await.expect_err("get"));
    errors.push(limited.get_run(format!("tenants/mine/runs/{id}")).send().await.expect_err("get"));
    errors.push(limited.get_last_run("store", Strategy::PlatformToGbp).send().await.expect_err("get"));
    errors.push(limited.list_sync_logs().tenant("store").send().collect().await.expect_err("list"));
    errors.push(limited.get_sync_stats().tenant("store").send().await.expect_err("stats"));
    errors.push(limited.watch_run(&foreign).send().next().await.expect("an answer").expect_err("watch"));
    errors.push(limited.watch_tenant("store").send().next().await.expect("an answer").expect_err("watch"));
    for error in errors {
        assert!(error.is_not_found(), "{error:?}");
        assert!(matches!(error.reason(), Some("TENANT_NOT_FOUND" | "RUN_NOT_FOUND")), "{error:?}");
    }
    // What concerns every tenant is refused as such.
    let tenant = limited.create_tenant("new").display_name("New").region_code("US").language_code("en");
    assert!(tenant.send().await.expect_err("create").is_permission_denied());
    let category = limited.update_platform_category("cafe").display_name("Mine");
    assert!(category.send().await.expect_err("update").is_permission_denied());
    assert_eq!(contents(&service.pool).await, before);

    let own = limited.mirror("mine", Strategy::PlatformToGbp).send().await.expect("accepted").run.name;
    loop {
        let run = all.next().await.expect("endless").expect("a snapshot");
        assert_eq!(run.name, own, "the stream shows another tenant's");
        if run.state == RunState::Succeeded {
            break;
        }
    }
    let tenants = limited.list_tenants().send().collect().await.expect("listed");
    assert_eq!(tenants.iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>(), ["tenants/mine"]);
    let logs = limited.list_sync_logs().send().collect().await.expect("listed");
    assert_eq!(logs.iter().map(|run| &run.name).collect::<Vec<_>>(), [&own]);
    assert_eq!(limited.get_sync_stats().send().await.expect("stats").total_runs, 1);
}

/// Two clocks may differ by 60 s, for a stream as for every other call.
#[tokio::test]
async fn d10_a_stream_has_the_leeway_of_a_call() {
    let service = store().await;
    let run = service.client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run.name;
    let claims = json!({"sub": "me", "roles": ["viewer"], "exp": now() - 20});
    let mut wire = Wire::with_token(&service, &signed(Algorithm::HS256, &claims, &key(&service)));
    let request = v1::StreamRunUpdatesRequest { name: run.clone(), after_revision: 0 };
    let mut updates = wire.mirror.stream_run_updates(request).await.expect("opened").into_inner();
    updates.message().await.expect("a snapshot").expect("a message");

    service.client.cancel_run(run).send().await.expect("cancelled");

    updates.message().await.expect("the stream is still there").expect("the last snapshot");
    assert_eq!(updates.message().await.expect("ended in good order"), None);
}

#[tokio::test]
async fn health_and_reflection_are_open() {
    let service = service::start().await;
    let mut health = HealthClient::new(channel(&service));
    for name in ["", "categorymirror.v1.CategoryMirrorService", "categorymirror.v1.TenantService"] {
        // It says how things are now; that they are well is said a moment after the start, and the stream tells when.
        let request = HealthCheckRequest { service: name.to_owned() };
        let mut statuses = health.watch(request).await.expect("open").into_inner();
        while statuses.message().await.expect("open").expect("endless").status != 1 {}
    }
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(channel(&service));
    let requests = futures::stream::iter([list]);
    let mut answers = reflection.server_reflection_info(requests).await.expect("open").into_inner();
    let answer = answers.message().await.expect("open").expect("an answer").message_response;
    let Some(MessageResponse::ListServicesResponse(services)) = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = services.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["CategoryMirrorService", "TenantService", "CategoryService", "CredentialService", "FlagService"] {
        assert!(names.contains(&format!("categorymirror.v1.{name}").as_str()), "{names:?}");
    }
    for path in ["healthz", "metrics"] {
        let answer = reqwest::get(format!("http://{}/{path}", service.admin)).await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
    }
    drop(answers);
    service.stop().await;
}
