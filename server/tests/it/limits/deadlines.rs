//! How long calls may take, while the database hangs.

use category_mirror::api::CallLimits;
use category_mirror_client::Strategy;
use category_mirror_proto::v1::{GetRunRequest, MirrorCategoriesRequest, mirror_categories_request::Target};
use futures::future::join_all;
use prost::Message;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::time::timeout;
use tonic::{Code, Status};

use super::*;
use crate::wire::refusal;

/// Makes every statement about runs wait until this ends.
async fn hang(pool: &PgPool) -> Transaction<'static, Postgres> {
    let mut lock = pool.begin().await.expect("begun");
    sqlx::raw_sql("lock table run in access exclusive mode").execute(&mut *lock).await.expect("locked");
    lock
}

/// Calls as a client without a timer of its own does, so that what ends the call is the server's.
async fn call(service: &Service, method: &str, message: impl Message, grpc_timeout: &str) -> Status {
    let http = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let message = message.encode_to_vec();
    // Not compressed, and the length.
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).expect("short").to_be_bytes());
    frame.extend(message);
    let call = http
        .post(format!("http://{}/categorymirror.v1.{method}", service.address))
        .bearer_auth(service.token(Role::Admin, "tester", None))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", grpc_timeout)
        .body(frame);
    let answer = timeout(ARRIVAL_TIMEOUT, call.send()).await.expect("the server ends it").expect("an answer");
    // An answer that is nothing but an error has it in its headers.
    Status::from_header_map(answer.headers()).expect("an error")
}

fn press(tenant: &str) -> MirrorCategoriesRequest {
    let target = Some(Target::Tenant(format!("tenants/{tenant}")));
    MirrorCategoriesRequest { strategy: v1::Strategy::PlatformToGbp.into(), target, ..Default::default() }
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_what_had_not_begun_never_happens() {
    let service = limited(no_rate()).await;
    for tenant in ["a", "b", "c", "d", "e"] {
        service.tenant(tenant, tenant).await;
    }
    let lock = hang(&service.pool).await;
    // Whoever comes now has to wait until one of these is done.
    let mut begun = Vec::new();
    for (tenant, question) in [("a", ONE_WAITS), ("b", TWO_WAIT), ("e", THREE_WAIT)] {
        begun.push(tokio::spawn(service.client.mirror(tenant, Strategy::PlatformToGbp).send()));
        service.database_says(question).await;
    }

    let late = call(&service, "CategoryMirrorService/MirrorCategories", press("c"), "300m").await;

    let refused = refusal::<()>(Err(late));
    assert_eq!((refused.code, refused.reason.as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"), "{refused:?}");
    assert_eq!(value(&refused, "limit_ms"), "300");
    lock.rollback().await.expect("unlocked");
    for begun in begun {
        begun.await.expect("no panic").expect("accepted");
    }
    service.client.mirror("d", Strategy::PlatformToGbp).send().await.expect("accepted, after all that was waiting");
    let again = service.client.mirror("c", Strategy::PlatformToGbp).send().await.expect("accepted");
    assert!(!again.joined, "it had happened");
    let runs: Vec<String> = sqlx::query_scalar("select tenant_id from all_runs order by 1")
        .fetch_all(&service.pool)
        .await
        .expect("the runs");
    assert_eq!(runs, ["a", "b", "c", "d", "e"]);
}

const ONE_WAITS: &str = "select count(*) >= 1 from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and query like 'with wanted%'";
const TWO_WAIT: &str = "select count(*) >= 2 from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and query like 'with wanted%'";
const THREE_WAIT: &str = "select count(*) >= 3 from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and query like 'with wanted%'";
/// The runner's own statements, which somebody waits for, change runs; the one that counts a day nobody gives up.
const NO_READ_WAITS: &str = "select count(*) = 0 from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and query like 'select%'
       and query not like 'select roll_up_next_chunk%'";

#[tokio::test]
async fn calls_that_nobody_waits_for_give_their_connections_back() {
    let service = limited(CallLimits { call_timeout: Duration::from_millis(300), ..no_rate() }).await;
    let lock = hang(&service.pool).await;
    // More than there are connections.
    let stuck = join_all((0..20).map(|_| {
        let mut caller = caller(&service, "one");
        let name = format!("tenants/-/runs/{}", uuid::Uuid::nil());
        async move { refusal(caller.mirror.get_run(GetRunRequest { name }).await) }
    }));
    for refused in timeout(ARRIVAL_TIMEOUT, stuck).await.expect("no call without a deadline waits for ever") {
        assert_eq!(refused.code, Code::DeadlineExceeded, "{refused:?}");
        assert_eq!(value(&refused, "limit_ms"), "300");
    }

    // The table is locked all the while.
    let mut other = caller(&service, "other");
    let served = async { while other.tenants.list_tenants(list()).await.is_err() {} };
    timeout(ARRIVAL_TIMEOUT, served).await.expect("a connection is free");
    // Long before the statements' own timeout.
    timeout(ARRIVAL_TIMEOUT, service.database_says(NO_READ_WAITS)).await.expect("the statements are given up");
    lock.rollback().await.expect("unlocked");
}

#[tokio::test]
async fn a_caller_cannot_wait_longer_than_the_server_allows() {
    let service = limited(CallLimits { call_timeout: Duration::from_millis(300), ..no_rate() }).await;
    let _lock = hang(&service.pool).await;
    let request = GetRunRequest { name: format!("tenants/-/runs/{}", uuid::Uuid::nil()) };
    for asked in ["99999999H", "1000S", "nonsense"] {
        let refused = refusal::<()>(Err(call(&service, "CategoryMirrorService/GetRun", request.clone(), asked).await));
        assert_eq!((refused.code, value(&refused, "limit_ms")), (Code::DeadlineExceeded, "300".to_owned()), "{asked}");
    }
}
