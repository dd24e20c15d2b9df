//! Places: whatever a caller or a method waits for, the others have connections left. Here a method waits for a table that the test has
//! locked, as it would for a statement that takes long.

use std::sync::Arc;

use category_mirror::domain::Role;
use category_mirror_proto::v1 as proto;
use prost::Message;
use sqlx::{Postgres, Transaction};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use super::{call, path, reason};
use crate::{
    flags::until,
    pooler,
    replica::idle,
    service::{self, Service},
    wire::channel,
};

/// Connections of a test's service.
const CONNECTIONS: i64 = 10;
const CALLERS: usize = 24;
/// Expensive calls of one subject that wait.
const EXPENSIVE_WAITING: usize = 16;

async fn locked(service: &Service, table: &str) -> Transaction<'static, Postgres> {
    let mut transaction = service.pool.begin().await.expect("begun");
    let lock = format!("lock table {table} in access exclusive mode");
    sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut *transaction).await.expect("locked");
    transaction
}

/// How many statements that begin so wait for the lock: those of calls, and not what the server does by itself.
async fn held(service: &Service, statement: &str) -> i64 {
    let waiting = "select count(*) from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock' and starts_with(query, $1)";
    sqlx::query_scalar(waiting).bind(statement).fetch_one(&service.pool).await.expect("counted")
}

/// Calls a method at once, each caller with a subject of `subjects` in turns.
fn crowd(service: &Arc<Service>, method: &str, subjects: usize, message: &[u8]) -> JoinSet<Result<(), Status>> {
    let (path, mut calls) = (path(method), JoinSet::new());
    for caller in 0..CALLERS {
        let token = service.token(Role::Viewer, &format!("crowd-{}", caller % subjects), None);
        let (service, path, message) = (service.clone(), path.clone(), message.to_vec());
        calls.spawn(async move { call(&service, &path, Some(&token), message).await });
    }
    calls
}

/// Each call is answered when it is its turn, or refused after it has waited for long: the machine may be slow.
async fn all_end(calls: JoinSet<Result<(), Status>>) {
    let answers = calls.join_all().await;
    assert!(answers.iter().any(Result::is_ok), "{answers:?}");
    for refused in answers.into_iter().filter_map(Result::err) {
        assert_eq!(reason(&refused), "RATE_LIMITED", "{refused:?}");
    }
}

/// Other callers are answered, and the server calls itself well.
async fn others_are_served(service: &Service) {
    let token = service.token(Role::Viewer, "another", None);
    let list = proto::ListTenantsRequest::default().encode_to_vec();
    for _ in 0..3 {
        call(service, &path("ListTenants"), Some(&token), list.clone()).await.expect("there is a connection");
        let health = HealthClient::new(channel(service)).check(HealthCheckRequest::default()).await;
        assert_eq!(health.expect("an answer").into_inner().status, 1, "serving");
    }
}

async fn is_serving(service: &Service) {
    let mut client = HealthClient::new(channel(service));
    let mut statuses = client.watch(HealthCheckRequest::default()).await.expect("open").into_inner();
    while statuses.message().await.expect("open").expect("endless").status != 1 {}
}

#[tokio::test]
async fn an_expensive_method_has_places_of_its_own_and_too_many_callers_are_told_when_to_come_back() {
    let service = Arc::new(service::start_with(idle()).await);
    is_serving(&service).await;
    let lock = locked(&service, "rollup").await;
    let message = proto::GetSyncStatsRequest::default().encode_to_vec();
    let mut calls = crowd(&service, "GetSyncStats", 1, &message);
    // One has the place of its subject, and some wait for it.
    for _ in 0..CALLERS - 1 - EXPENSIVE_WAITING {
        let refused = calls.join_next().await.expect("a call").expect("no panic").expect_err("one too many");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::ResourceExhausted, "RATE_LIMITED"),
            "{refused:?}"
        );
        assert!(refused.message().contains("read or write much"), "{refused:?}");
        assert!(refused.get_error_details().retry_info().is_some_and(|info| info.retry_delay.is_some()));
    }
    let statement = "with fresh";
    until("one call waits for the table", async || held(&service, statement).await == 1).await;
    others_are_served(&service).await;
    assert_eq!(held(&service, statement).await, 1, "no more than its share");
    lock.rollback().await.expect("let go");
    all_end(calls).await;
}

#[tokio::test]
async fn no_caller_and_no_method_holds_more_than_a_share_of_the_connections() {
    if pooler::has_few_sessions() {
        return;
    }
    let service = Arc::new(service::start_with(idle()).await);
    is_serving(&service).await;
    service.categories(&[("bar", "gcid:bar")]).await;
    let message = proto::GetPlatformCategoryRequest { name: "platformCategories/bar".to_owned() }.encode_to_vec();
    for (subjects, share) in [(1, CONNECTIONS / 2), (CALLERS, 8)] {
        let lock = locked(&service, "platform_category").await;
        let calls = crowd(&service, "GetPlatformCategory", subjects, &message);
        until("the share is taken", async || held(&service, "select slug").await == share).await;
        others_are_served(&service).await;
        assert_eq!(held(&service, "select slug").await, share, "{subjects} subjects");
        lock.rollback().await.expect("let go");
        all_end(calls).await;
    }
}

/// What a search costs does not depend on what is searched for, and no connection is held for it.
#[tokio::test]
async fn searches_and_suggestions_for_anything_are_answered_while_the_names_are_locked() {
    let service = Arc::new(service::start_with(idle()).await);
    service.categories(&[("bar", "gcid:bar"), ("groceries", "")]).await;
    service.client.refresh_taxonomy("US", "en").send().await.expect("imported");
    let search = |query: &str| service.client.search_categories(query, "US", "en").send();
    search("bar").collect().await.expect("the index is made");

    let lock = locked(&service, "taxonomy_category").await;
    let long = "store restaurant ".repeat(12);
    for query in ["", "a", "e e e e e e e", &long.as_str()[..200], "gcid:", "zzzzzzzz"] {
        search(query).collect().await.expect(query);
    }
    let suggestions = service.client.list_mapping_suggestions("US", "en").match_count(10).send().collect().await;
    assert_eq!(suggestions.expect("listed").len(), 1);
    lock.rollback().await.expect("let go");
}
