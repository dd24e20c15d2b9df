//! What names or lists something.

use category_mirror_proto::v1;
use prost_types::Duration;
use tonic::Code;

use super::{ClaimLimits, press};
use crate::wire::{contents, refusal};

const RUN: &str = "tenants/store/runs/0190163d-8694-739b-aea5-966c26f8ad91";
/// `second`, in hexadecimal.
const SECOND: &str = "7365636f6e64";
/// What people put into fields that are names.
const HOSTILE: [&str; 14] = [
    "'; drop table run; --",
    "\" or \"\"=\"",
    "store' or '1'='1",
    "../store",
    "store/../other",
    "store?x=1",
    "store#x",
    "%73tore",
    "store\0",
    "store\r\nx-evil: 1",
    " store",
    "\u{202e}erots",
    "${jndi:ldap://x}",
    "tenants/tenants/store",
];

#[tokio::test]
async fn hostile_texts_in_every_name() {
    let mut room = ClaimLimits::new().await;
    for text in HOSTILE {
        let name = format!("tenants/{text}");
        let answer = room.wire.mirror.mirror_categories(press(1, &name, "")).await;
        room.names(answer, &["tenant"]).await;
        let answer = room.wire.tenants.get_tenant(v1::GetTenantRequest { name: name.clone() }).await;
        room.names(answer, &["name"]).await;
        let answer = room.wire.tenants.delete_tenant(v1::DeleteTenantRequest { name: name.clone() }).await;
        room.names(answer, &["name"]).await;
        let request = v1::ListTenantsRequest { organization: format!("organizations/{text}"), ..Default::default() };
        let answer = room.wire.tenants.list_tenants(request).await;
        room.names(answer, &["organization"]).await;
        let request = v1::GetTenantCategoriesRequest { tenant: name.clone() };
        let answer = room.wire.tenants.get_tenant_categories(request).await;
        room.names(answer, &["tenant"]).await;
        let request = v1::GetLastRunRequest { tenant: name.clone(), strategy: 1 };
        let answer = room.wire.mirror.get_last_run(request).await;
        room.names(answer, &["tenant"]).await;
        let request = v1::ListSyncLogsRequest { tenant: name.clone(), ..Default::default() };
        let answer = room.wire.mirror.list_sync_logs(request).await;
        room.names(answer, &["tenant"]).await;
        let answer = room
            .wire
            .mirror
            .get_sync_stats(v1::GetSyncStatsRequest { tenant: name.clone(), ..Default::default() })
            .await;
        room.names(answer, &["tenant"]).await;
        let answer = room.wire.mirror.stream_run_updates(v1::StreamRunUpdatesRequest { name, after_revision: 0 }).await;
        room.names(answer, &["name"]).await;
        let slug = format!("platformCategories/{text}");
        let answer =
            room.wire.categories.delete_platform_category(v1::DeletePlatformCategoryRequest { name: slug }).await;
        room.names(answer, &["name"]).await;
    }
}

#[tokio::test]
async fn names_of_runs() {
    let mut room = ClaimLimits::new().await;
    let upper = RUN.to_uppercase();
    let missing = refusal(room.wire.mirror.get_run(v1::GetRunRequest { name: RUN.to_owned() }).await);
    assert_eq!((missing.code, missing.reason.as_str()), (Code::NotFound, "RUN_NOT_FOUND"));
    for name in [
        "",
        "runs/1",
        "tenants/store",
        "tenants/store/runs/",
        "tenants/store/runs/1",
        "tenants//runs/x",
        &upper[..],
        &RUN[..RUN.len() - 1],
        &format!("{RUN}/x"),
        &format!("{RUN} "),
        &format!("/{RUN}"),
        &RUN.replace('-', ""),
        &RUN.replace("store", "st ore"),
        &RUN.replace("store", "*"),
        &RUN.repeat(1000),
    ] {
        let name = name.to_owned();
        let answer = room.wire.mirror.get_run(v1::GetRunRequest { name: name.clone() }).await;
        room.names(answer, &["name"]).await;
        let answer = room.wire.mirror.cancel_run(v1::CancelRunRequest { name }).await;
        room.names(answer, &["name"]).await;
    }
    let request = v1::StreamRunUpdatesRequest { name: RUN.to_owned(), after_revision: -1 };
    let answer = room.wire.mirror.stream_run_updates(request).await;
    room.names(answer, &["after_revision"]).await;
}

#[tokio::test]
async fn windows() {
    let mut room = ClaimLimits::new().await;
    const DAY: i64 = 24 * 3600;
    let span = |seconds, nanos| Some(Duration { seconds, nanos });
    for window in [
        span(0, 0),
        span(-1, 0),
        span(0, -1),
        span(90 * DAY, 1),
        span(91 * DAY, 0),
        span(i64::MAX, 0),
        span(i64::MIN, i32::MIN),
        span(i64::MAX, i32::MAX),
    ] {
        let answer = room.wire.mirror.get_sync_stats(v1::GetSyncStatsRequest { window, ..Default::default() }).await;
        room.names(answer, &["window"]).await;
    }
    for window in [span(90 * DAY, 0), span(0, 1), None] {
        let request = v1::GetSyncStatsRequest { window, ..Default::default() };
        room.wire.mirror.get_sync_stats(request).await.expect("within the limits");
    }
}

#[tokio::test]
async fn pages() {
    let mut room = ClaimLimits::new().await;
    room.service.tenant("second", "78").await;
    room.service.tenant("third", "79").await;
    room.before = contents(&room.service.pool).await;
    let list = |page_size, page_token: &str, organization: &str| v1::ListTenantsRequest {
        page_size,
        page_token: page_token.to_owned(),
        organization: organization.to_owned(),
    };
    let first = room.wire.tenants.list_tenants(list(1, "", "")).await.expect("a page").into_inner();
    let token = first.next_page_token;
    room.wire.tenants.list_tenants(list(1, &token, "")).await.expect("the next page");

    // A token is not signed, so anybody can write another key into it.
    let binding = token.strip_suffix(SECOND).expect("the key of the last item, in hexadecimal");
    let forged = |key: &str| format!("{binding}{key}");
    for bad in [
        "x",
        "garbage!",
        "'; drop table run; --",
        "\0",
        &"a".repeat(500_000),
        &token[..10],
        &forged(""),
        &forged("00"),
        &forged("610062"),
        &forged("ff"),
    ] {
        let answer = room.wire.tenants.list_tenants(list(1, bad, "")).await;
        room.refuses(answer, "INVALID_PAGE_TOKEN").await;
    }
    let answer = room.wire.tenants.list_tenants(list(1, &token, "organizations/chain")).await;
    room.refuses(answer, "INVALID_PAGE_TOKEN").await;
    let request = v1::ListSyncLogsRequest { page_token: token.clone(), ..Default::default() };
    let answer = room.wire.mirror.list_sync_logs(request).await;
    room.refuses(answer, "INVALID_PAGE_TOKEN").await;
    let request = v1::ListPlatformCategoriesRequest { page_token: token.clone(), ..Default::default() };
    let answer = room.wire.categories.list_platform_categories(request).await;
    room.refuses(answer, "INVALID_PAGE_TOKEN").await;
    for size in [-1, i32::MIN] {
        let answer = room.wire.tenants.list_tenants(list(size, "", "")).await;
        room.names(answer, &["page_size"]).await;
    }
    let request = v1::ListSyncLogsRequest {
        tenant: "x y".into(),
        strategy: 9,
        page_size: -1,
        page_token: "x".into(),
        organization: "x y".into(),
        states: vec![3, 77],
        reason: "\0".into(),
        caller: "x".repeat(1000),
        start_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
        end_time: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
        ..Default::default()
    };
    let answer = room.wire.mirror.list_sync_logs(request).await;
    let all =
        ["tenant", "organization", "strategy", "states", "reason", "caller", "start_time", "end_time", "page_size"];
    room.names(answer, &all).await;
}
