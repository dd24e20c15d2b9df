//! What the server says about an error reaches the caller.

use std::{collections::HashMap, time::Duration};

use category_mirror_client::{Code, Strategy};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::fake::Fake;

#[tokio::test]
async fn all_details_are_read() {
    let fake = Fake::start().await;
    let mut details = ErrorDetails::new();
    let metadata = HashMap::from([("flag".to_owned(), "FF_X".to_owned())]);
    details.set_error_info("INVALID_REQUEST", "category-mirror", metadata);
    details.add_bad_request_violation("tenant", "must be set").add_bad_request_violation("strategy", "must be\nset");
    details.set_retry_info(Some(Duration::from_secs(3)));
    fake.methods.mirror_categories.will(Err(Status::with_error_details(
        tonic::Code::InvalidArgument,
        "2 fields are wrong\u{1b}[31m",
        details,
    )));

    let error = fake.client().mirror("", Strategy::Unknown(0)).send().await.expect_err("refused");
    assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, Some("INVALID_REQUEST")));
    assert!(error.is_invalid_argument() && !error.is_not_found() && !error.is_run_in_progress());
    let fields: Vec<&str> = error.field_violations().iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["tenant", "strategy"]);
    assert_eq!(error.metadata()["flag"], "FF_X");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    let line = r"INVALID_ARGUMENT (INVALID_REQUEST): 2 fields are wrong\u{1b}[31m [tenant: must be set; strategy: must be\nset]";
    assert_eq!(error.to_string(), line);
    assert_eq!(fake.methods.mirror_categories.asked().len(), 1, "a wrong request is not repeated");
}

/// The server's own message lists the violations, so that every client shows them: they are not listed again.
#[tokio::test]
async fn a_violation_that_the_message_tells_is_not_told_twice() {
    let fake = Fake::start().await;
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("tenant", "is required").add_bad_request_violation("strategy", "is required");
    let message = "the request is invalid: tenant is required; strategy is required";
    fake.methods.mirror_categories.will(Err(Status::with_error_details(
        tonic::Code::InvalidArgument,
        message,
        details,
    )));
    let error = fake.client().mirror("", Strategy::Unknown(0)).send().await.expect_err("refused");
    assert_eq!(error.to_string(), format!("INVALID_ARGUMENT: {message}"));
    assert_eq!(error.field_violations().len(), 2, "programs have them");
}

#[tokio::test]
async fn reasons_have_names() {
    let fake = Fake::start().await;
    let refused = |reason: &str| {
        let details = ErrorDetails::with_error_info(reason, "category-mirror", HashMap::new());
        Err(Status::with_error_details(tonic::Code::FailedPrecondition, "no", details))
    };
    fake.methods.cancel_run.will(refused("RUN_IN_PROGRESS")).will(refused("FEATURE_DISABLED"));
    fake.methods.cancel_run.will(Err(Status::not_found("no"))).will(Err(Status::permission_denied("no")));
    let client = fake.client();
    let next = async || client.cancel_run("1").send().await.expect_err("refused");
    assert!(next().await.is_run_in_progress());
    assert!(next().await.is_feature_disabled());
    assert!(next().await.is_not_found());
    assert!(next().await.is_permission_denied());
}

#[tokio::test]
async fn unreadable_details_do_not_hide_the_error() {
    let fake = Fake::start().await;
    let status = Status::with_details(tonic::Code::NotFound, "no such run", vec![0xff, 0xff, 0xff].into());
    fake.methods.get_run.will(Err(status));
    let error = fake.client().get_run("1").send().await.expect_err("not there");
    assert!(error.is_not_found());
    assert_eq!((error.message(), error.reason()), ("no such run", None));
}
