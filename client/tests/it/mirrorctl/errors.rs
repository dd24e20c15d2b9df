//! What went wrong, once, and in the words of the command line.

use std::collections::HashMap;

use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::{mirrorctl, text};
use crate::fake::Fake;

/// A server's error with its reason and values.
fn refused(code: Code, message: &str, reason: &str, values: &[(&str, &str)]) -> Status {
    let values: HashMap<String, String> =
        values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let details = ErrorDetails::with_error_info(reason, "categorymirror.v1", values);
    Status::with_error_details(code, message, details)
}

#[tokio::test]
async fn each_kind_of_failure_has_its_exit_code() {
    let fake = Fake::start().await;
    let get = &fake.methods.get_run;
    get.will(Err(Status::not_found("no"))).will(Err(Status::permission_denied("no"))).will(Err(Status::internal("no")));
    for code in [3, 4, 6] {
        let output = mirrorctl(&fake, &["run", "get", "1"]).await;
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr).lines().count(), 1);
    }
    let output = mirrorctl(&fake, &["run", "last", "a", "sideways"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("platform_to_gbp, gbp_to_platform"));
    let output = mirrorctl(&fake, &["run", "stats", "--endpoint", "http://mirror.example.com"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("plain text"));
}

#[tokio::test]
async fn a_setting_is_named_by_its_option() {
    let fake = Fake::start().await;
    let output = mirrorctl(&fake, &["run", "stats", "--endpoint", "http://mirror.example.com"]).await;
    let shown = text(&output.stderr);
    assert!(shown.starts_with("mirrorctl: --endpoint \"http://mirror.example.com\": a token is not sent"), "{shown}");
    assert!(shown.ends_with("or --allow-plaintext-token\n"), "{shown}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_by_its_address() {
    let fake = Fake::start().await;
    // Bound and let go: nothing listens on it.
    let address = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port").local_addr().expect("bound");
    let endpoint = format!("http://{address}");
    let output = mirrorctl(&fake, &["run", "get", "1", "--endpoint", &endpoint]).await;
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(text(&output.stderr), format!("mirrorctl: cannot reach {endpoint}: Connection refused\n"));
}

#[tokio::test]
async fn a_wrong_count_is_told_with_the_option_that_has_it() {
    let fake = Fake::start().await;
    let mirror = &fake.methods.mirror_categories;
    let create = ["batch", "create", "--strategy", "platform_to_gbp"];
    for (target, arguments, expected) in [
        (
            "tenants/-",
            &["--all-tenants", "--confirm-tenant-count", "3"][..],
            "mirrorctl: --all-tenants touches 12 tenants with a location, and not the 3 of --confirm-tenant-count; nothing was \
             started: if that is right, repeat with --confirm-tenant-count 12 [CONFIRMATION_MISMATCH]\n",
        ),
        (
            "organizations/acme",
            &["--organization", "acme", "--confirm-tenant-count", "3"],
            "mirrorctl: --organization acme touches 12 tenants with a location, and not the 3 of --confirm-tenant-count; nothing was \
             started: if that is right, repeat with --confirm-tenant-count 12 [CONFIRMATION_MISMATCH]\n",
        ),
    ] {
        let values = [("target", target), ("expected", "12"), ("confirmed", "3")];
        let message = format!("{target} has 12 tenants to mirror, and 3 were confirmed");
        mirror.will(Err(refused(Code::FailedPrecondition, &message, "CONFIRMATION_MISMATCH", &values)));
        let output = mirrorctl(&fake, &[&create[..], arguments].concat()).await;
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(3), expected));
    }
    let values = [("batch", "batches/b"), ("expected", "7"), ("confirmed", "3")];
    mirror.will(Err(refused(Code::FailedPrecondition, "batches/b says", "CONFIRMATION_MISMATCH", &values)));
    let output = mirrorctl(&fake, &[&create[..], &["--organization", "acme"]].concat()).await;
    let shown = text(&output.stderr);
    assert!(shown.contains("repeat with --confirm-override-count 7"), "{shown}");
}

#[tokio::test]
async fn fields_are_told_as_options_and_arguments() {
    let fake = Fake::start().await;
    let violations = [
        ("tenant.name", "must be 1 to 64 characters"),
        ("tenant.display_name", "is required"),
        ("tenant.region_code", "must be two letters"),
    ];
    let mut details = ErrorDetails::new();
    details.set_error_info("INVALID_REQUEST", "categorymirror.v1", []);
    details.set_bad_request(violations.map(|(field, problem)| FieldViolation::new(field, problem)).to_vec());
    let message = violations.map(|(field, problem)| format!("{field} {problem}")).join("; ");
    let status =
        Status::with_error_details(Code::InvalidArgument, format!("the request is invalid: {message}"), details);
    fake.methods.create_tenant.will(Err(status));
    let output = mirrorctl(&fake, &["tenant", "create", "A B"]).await;
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        text(&output.stderr),
        "mirrorctl: TENANT must be 1 to 64 characters; --display-name is required; --region-code must be two letters \
         [INVALID_REQUEST]\n"
    );
}

#[tokio::test]
async fn a_command_is_advised_instead_of_an_rpc() {
    let fake = Fake::start().await;
    let message = "no list of Google's categories was imported for US/en; RefreshTaxonomy imports it";
    fake.methods.search_categories.will(Err(refused(Code::NotFound, message, "TAXONOMY_NOT_FOUND", &[])));
    let output = mirrorctl(&fake, &["taxonomy", "search", "US", "en", "x"]).await;
    let shown = text(&output.stderr);
    assert!(shown.contains("`mirrorctl taxonomy refresh` imports it") && !shown.contains("RefreshTaxonomy"), "{shown}");

    let message = "tenants/a has no GBP location; set gbp_account and gbp_location first";
    fake.methods.mirror_categories.will(Err(refused(Code::FailedPrecondition, message, "NO_LOCATION", &[])));
    let output = mirrorctl(&fake, &["run", "create", "a", "--strategy", "gbp_to_platform"]).await;
    let shown = text(&output.stderr);
    assert!(shown.contains("--gbp-account and --gbp-location") && !shown.contains("gbp_account"), "{shown}");

    let message = "send a token: `authorization: Bearer <token>`";
    fake.methods.get_run.will(Err(refused(Code::Unauthenticated, message, "UNAUTHENTICATED", &[])));
    let output = mirrorctl(&fake, &["run", "get", "1"]).await;
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(4), "mirrorctl: no token: give one with --token-file or MIRRORCTL_TOKEN [UNAUTHENTICATED]\n")
    );
}

/// Each value that an option can have is one of the client crate's, and a typo is answered with all of them.
#[tokio::test]
async fn a_typo_is_answered_with_what_there_is() {
    let fake = Fake::start().await;
    for (arguments, values) in [
        (&["run", "create", "a", "--strategy"][..], 2),
        (&["run", "create", "a", "--strategy", "gbp_to_platform", "--gbp-view"], 2),
        (&["run", "list", "--state"], 6),
        (&["sync", "list", "--cause"], 12),
        (&["sync", "decide", "a", "--reason", "x"], 3),
        (&["flag", "update", "F", "--state"], 3),
    ] {
        let output = mirrorctl(&fake, &[arguments, &["nonsense"]].concat()).await;
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{shown}");
        let listed = shown.lines().find_map(|line| line.trim().strip_prefix("[possible values: "));
        let listed: Vec<&str> = listed.unwrap_or_else(|| panic!("{shown}")).trim_end_matches(']').split(", ").collect();
        assert_eq!(listed.len(), values, "{shown}");
        for value in listed {
            let output = mirrorctl(&fake, &[arguments, &[value]].concat()).await;
            assert_ne!(output.status.code(), Some(2), "{value}: {}", text(&output.stderr));
        }
    }
    let causes: Vec<String> = category_mirror_client::SyncCause::ALL.iter().map(ToString::to_string).collect();
    let output = mirrorctl(&fake, &["sync", "list", "--help"]).await;
    let help = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains(&causes.join(", ")), "{help}");
}
