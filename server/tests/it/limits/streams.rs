//! Open streams.

use category_mirror::api::CallLimits;
use tokio::time::timeout;
use tonic::Code;

use super::*;
use crate::wire::refusal;

#[tokio::test]
async fn streams_are_bounded_for_a_subject_and_in_total_and_their_places_come_free() {
    let service = limited(CallLimits { max_streams_per_subject: 2, max_streams: 3, ..no_rate() }).await;
    let (mut one, mut other) = (caller(&service, "one"), caller(&service, "other"));
    let first = one.mirror.stream_run_updates(everything()).await.expect("open");
    let _second = one.mirror.stream_run_updates(everything()).await.expect("open");
    let refused = refusal(one.mirror.stream_run_updates(everything()).await);
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "RATE_LIMITED"), "{refused:?}");
    assert_eq!(value(&refused, "limit"), "2");
    assert!(!wait(&refused).is_zero());
    one.tenants.list_tenants(list()).await.expect("calls go on");

    let third = other.mirror.stream_run_updates(everything()).await.expect("open");
    assert_eq!(value(&refusal(other.mirror.stream_run_updates(everything()).await), "limit"), "3");

    drop((first, third));
    // The server hears of it a moment later.
    let again = async { while one.mirror.stream_run_updates(everything()).await.is_err() {} };
    timeout(ARRIVAL_TIMEOUT, again).await.expect("a place is free again");
}

#[tokio::test]
async fn a_stream_that_cannot_be_opened_takes_no_place() {
    let service = limited(CallLimits { max_streams_per_subject: 1, ..no_rate() }).await;
    let mut one = caller(&service, "one");
    for _ in 0..3 {
        let name = format!("tenants/none/runs/{}", uuid::Uuid::nil());
        let missing = v1::StreamRunUpdatesRequest { name, after_revision: 0 };
        assert_eq!(refusal(one.mirror.stream_run_updates(missing).await).code, Code::NotFound);
    }
    one.mirror.stream_run_updates(everything()).await.expect("open");
}

#[tokio::test]
async fn a_stream_ends_at_the_deadline_of_its_caller() {
    let service = limited(CallLimits { call_timeout: Duration::from_secs(600), ..no_rate() }).await;
    let mut caller = caller(&service, "one");
    // The client's own timer ends with the answer's headers. Where the machine takes longer for these, the caller gives it more time.
    let mut deadline = Duration::from_secs(1);
    let mut updates = loop {
        let mut request = Request::new(everything());
        request.set_timeout(deadline);
        match caller.mirror.stream_run_updates(request).await {
            Ok(opened) => break opened.into_inner(),
            Err(late) => assert_eq!(late.code(), Code::DeadlineExceeded, "{late}"),
        }
        deadline *= 2;
    };
    let ended =
        timeout(ARRIVAL_TIMEOUT, updates.message()).await.expect("ended").expect_err("before there was a message");
    assert_eq!(ended.code(), Code::DeadlineExceeded);
    assert_eq!(ended.get_error_details().error_info().expect("an ErrorInfo").reason, "DEADLINE_EXCEEDED");
}
