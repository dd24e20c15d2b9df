//! Calls: retries, deadlines, tokens, names.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use category_mirror_client::{Client, Code, RetryPolicy, Strategy};
use category_mirror_proto::v1::{self, mirror_categories_request::Target, run::State};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::fake::{Fake, run, too_much};

fn accepted() -> v1::MirrorCategoriesResponse {
    v1::MirrorCategoriesResponse { run: Some(run("1", 1, State::Queued)), joined: true, ..Default::default() }
}

#[tokio::test]
async fn a_repeated_request_for_a_run_keeps_its_id() {
    let fake = Fake::start().await;
    let mirror = &fake.methods.mirror_categories;
    mirror.will(Err(Status::unavailable("1"))).will(Err(Status::unavailable("2"))).will(Ok(accepted()));
    mirror.will(Ok(accepted())).will(Ok(accepted()));

    let client = fake.client();
    let mirrored = client.mirror("store-1", Strategy::PlatformToGbp).dry_run(true).send().await.expect("third time");
    assert_eq!((mirrored.run.name.as_str(), mirrored.joined), ("tenants/t/runs/1", true));
    client.mirror("store-1", Strategy::PlatformToGbp).send().await.expect("accepted");
    client.mirror("store-1", Strategy::PlatformToGbp).request_id("mine").send().await.expect("accepted");

    let asked = mirror.asked();
    let ids: Vec<&str> = asked.iter().map(|a| a.message.request_id.as_str()).collect();
    assert_eq!(ids.len(), 5);
    assert!(!ids[0].is_empty());
    assert_eq!((ids[0], ids[0]), (ids[1], ids[2]));
    assert_ne!(ids[0], ids[3]);
    assert_eq!(ids[4], "mine");
    assert_eq!(asked[0].message.target, Some(Target::Tenant("tenants/store-1".into())));
    assert_eq!((asked[0].message.strategy(), asked[0].message.dry_run), (v1::Strategy::PlatformToGbp, true));
    assert!(!asked[3].message.dry_run);
}

#[tokio::test]
async fn reads_are_retried_a_bounded_number_of_times() {
    let fake = Fake::start().await;
    for attempt in 1..=9 {
        fake.methods.get_run.will(Err(Status::unavailable(attempt.to_string())));
    }
    let error = fake.client().get_run("1").send().await.expect_err("never available");
    assert!(error.is_unavailable());
    assert_eq!(error.message(), "3");
    assert_eq!(fake.methods.get_run.asked().len(), 3);
}

#[tokio::test]
async fn only_what_is_the_same_done_twice_is_sent_twice() {
    let fake = Fake::start().await;
    let methods = &fake.methods;
    let client = fake.client();
    let busy = || Status::unavailable("busy");
    methods.create_tenant.will(Err(busy()));
    methods.delete_tenant.will(Err(busy()));
    methods.create_platform_category.will(Err(busy()));
    methods.delete_platform_category.will(Err(busy()));
    methods.update_tenant.will(Err(busy())).will(Ok(v1::UpdateTenantResponse { tenant: Some(v1::Tenant::default()) }));

    assert!(client.create_tenant("a").send().await.expect_err("busy").is_unavailable());
    assert!(client.delete_tenant("a").send().await.expect_err("busy").is_unavailable());
    assert!(client.create_platform_category("a").send().await.expect_err("busy").is_unavailable());
    assert!(client.delete_platform_category("a").send().await.expect_err("busy").is_unavailable());
    client.update_tenant("a").send().await.expect("the second time");

    assert_eq!(methods.create_tenant.asked().len(), 1);
    assert_eq!(methods.delete_tenant.asked().len(), 1);
    assert_eq!(methods.create_platform_category.asked().len(), 1);
    assert_eq!(methods.delete_platform_category.asked().len(), 1);
    assert_eq!(methods.update_tenant.asked().len(), 2);
}

#[tokio::test]
async fn a_retry_is_never_sooner_than_the_server_asks() {
    let fake = Fake::start().await;
    let later = |wait| {
        let details = ErrorDetails::with_retry_info(Some(wait));
        Err(Status::with_error_details(tonic::Code::Unavailable, "later", details))
    };
    let wait = Duration::from_millis(80);
    fake.methods.get_run.will(later(wait)).will(Ok(v1::GetRunResponse { run: Some(run("1", 1, State::Queued)) }));
    let begun = Instant::now();
    fake.client().get_run("1").send().await.expect("the second time");
    assert!(begun.elapsed() >= wait);

    // Longer than the call may take: the error now says more than a deadline later.
    fake.methods.get_run.will(later(Duration::from_secs(60)));
    let error = fake.client().get_run("1").send().await.expect_err("too long a wait");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    assert_eq!(fake.methods.get_run.asked().len(), 3);
}

#[tokio::test]
async fn what_was_too_much_at_once_is_sent_again_when_the_server_says() {
    let fake = Fake::start().await;
    let wait = Duration::from_millis(80);
    let create = &fake.methods.create_tenant;
    create.will(Err(too_much(wait)));
    create.will(Ok(v1::CreateTenantResponse { tenant: Some(v1::Tenant::default()) }));
    let begun = Instant::now();
    // It had not begun, so that even what cannot be done twice is sent again.
    fake.client().create_tenant("a").send().await.expect("the second time");
    assert!(begun.elapsed() >= wait);
    assert_eq!(create.asked().len(), 2);

    for _ in 0..9 {
        create.will(Err(too_much(Duration::ZERO)));
    }
    assert!(fake.client().create_tenant("a").send().await.expect_err("each time").is_rate_limited());
    assert_eq!(create.asked().len(), 5, "three tries, as the policy says");

    // From a proxy, or about something that waiting does not mend.
    fake.methods.get_run.will(Err(Status::resource_exhausted("no space left")));
    assert!(fake.client().get_run("1").send().await.expect_err("at once").is_rate_limited());
    assert_eq!(fake.methods.get_run.asked().len(), 1);
}

#[tokio::test]
async fn a_call_without_an_answer_ends_at_its_deadline() {
    // Accepts connections, and says nothing.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let client = Client::builder(endpoint).timeout(Duration::from_millis(50)).build().expect("good settings");
    let error = client.get_run("1").send().await.expect_err("silence");
    assert_eq!(error.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_server_is_told_the_deadline() {
    let fake = Fake::start().await;
    let client = fake.builder().timeout(Duration::from_secs(7 * 3600)).build().expect("good settings");
    client.get_run("1").send().await.expect_err("no answer is prepared");
    let asked = fake.methods.get_run.asked();
    let header = asked[0].timeout.as_deref().expect("a deadline");
    // Less what has passed since the call began.
    let (value, unit) = header.split_at(header.len() - 1);
    let value: f64 = value.parse().expect("a number");
    let hours = match unit {
        "H" => value,
        "M" => value / 60.0,
        "S" => value / 3600.0,
        "m" => value / 3_600_000.0,
        other => panic!("{other}: {header}"),
    };
    assert!(6.0 < hours && hours <= 7.0, "{header}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    // Bound and not listening: no other test can get the port in the meantime.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let endpoint = format!("http://{}", socket.local_addr().expect("bound"));
    let client = Client::builder(endpoint).retry(RetryPolicy::never()).build().expect("good settings");
    let error = client.get_run("1").send().await.expect_err("nobody listens");
    assert!(error.is_unavailable());
    assert!(error.message().contains("refused"), "{error}");
}

#[tokio::test]
async fn each_attempt_asks_for_the_token() {
    let fake = Fake::start().await;
    fake.methods.get_run.will(Err(Status::unavailable("again")));
    let count = AtomicU32::new(0);
    let client = fake.builder().token(move || {
        let token = format!("token-{}", count.fetch_add(1, Ordering::Relaxed));
        async move { Ok(token) }
    });
    let client = client.build().expect("loopback is private");
    client.get_run("1").send().await.expect_err("no answer is prepared");
    client.get_run("1").send().await.expect_err("no answer is prepared");
    let asked = fake.methods.get_run.asked();
    let tokens: Vec<_> = asked.iter().map(|a| a.authorization.as_deref().expect("a token")).collect();
    assert_eq!(tokens, ["Bearer token-0", "Bearer token-1", "Bearer token-2"]);
}

#[tokio::test]
async fn without_a_usable_token_nothing_is_sent() {
    let fake = Fake::start().await;
    let broken = fake.builder().token(|| async { Err("the vault is shut".into()) }).build().expect("loopback");
    let error = broken.get_run("1").send().await.expect_err("no token");
    assert!(error.is_unauthenticated() && error.message().contains("the vault is shut"), "{error}");

    let odd = fake.builder().token("se\ncret").build().expect("loopback");
    let error = odd.get_run("1").send().await.expect_err("not a header");
    assert!(error.is_unauthenticated() && !format!("{error} {error:?} {odd:?}").contains("cret"), "{error}");
    assert!(fake.methods.get_run.asked().is_empty());
}

#[tokio::test]
async fn an_update_names_the_fields_that_were_set_and_no_other() {
    let fake = Fake::start().await;
    let client = fake.client();
    let update = client.update_tenant("a").display_name("A").clear_organization().location("1", "locations/2");
    update.send().await.expect_err("no answer is prepared");
    let asked = fake.methods.update_tenant.asked();
    let message = &asked[0].message;
    let paths = &message.update_mask.as_ref().expect("a mask").paths;
    assert_eq!(paths, &["display_name", "organization", "gbp_account", "gbp_location"]);
    let tenant = message.tenant.as_ref().expect("a tenant");
    assert_eq!((tenant.name.as_str(), tenant.display_name.as_str()), ("tenants/a", "A"));
    assert_eq!((tenant.gbp_account.as_str(), tenant.gbp_location.as_str()), ("accounts/1", "locations/2"));
    assert_eq!(tenant.organization, "");
}

#[tokio::test]
async fn categories_are_sent_by_their_names() {
    let fake = Fake::start().await;
    let client = fake.client();
    let set = client.set_tenant_categories("a", "bread").additional(["cake", "platformCategories/tea"]);
    set.send().await.expect_err("no answer is prepared");
    let create = client.create_platform_category("bread").display_name("Bread").gbp_category("gcid:bakery");
    create.send().await.expect_err("no answer is prepared");

    let set = &fake.methods.set_tenant_categories.asked()[0].message;
    let categories = set.categories.clone().expect("a set");
    assert_eq!((set.tenant.as_str(), categories.primary.as_str()), ("tenants/a", "platformCategories/bread"));
    assert_eq!(categories.additional, ["platformCategories/cake", "platformCategories/tea"]);
    let create = &fake.methods.create_platform_category.asked()[0].message;
    assert_eq!(create.platform_category.as_ref().expect("a category").gbp_category, "categories/gcid:bakery");
}

#[tokio::test]
async fn an_answer_without_its_run_is_an_error_of_the_server() {
    let fake = Fake::start().await;
    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: None }));
    let error = fake.client().get_run("1").send().await.expect_err("no run");
    assert_eq!(error.code(), Code::Internal);
    assert_eq!(error.message(), "an empty answer to get_run");
}
