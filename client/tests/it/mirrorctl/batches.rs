//! Batches: what they need, how far they are, and what became of them.

use category_mirror_proto::v1;

use super::{mirrorctl, text};
use crate::fake::Fake;

#[tokio::test]
async fn a_batch_of_everybody_needs_the_typed_number() {
    let fake = Fake::start().await;
    let batch = v1::Batch { name: "batches/b".into(), tenant_count: 12, ..Default::default() };
    let accepted = v1::MirrorCategoriesResponse { batch: Some(batch), ..Default::default() };
    fake.methods.mirror_categories.will(Ok(accepted));
    for refused in [
        &["batch", "create", "--strategy", "platform_to_gbp", "--all-tenants"][..],
        &["batch", "create", "--strategy", "platform_to_gbp"],
        &[
            "batch",
            "create",
            "--strategy",
            "platform_to_gbp",
            "--all-tenants",
            "--organization",
            "a",
            "--confirm-tenant-count",
            "12",
        ],
        &[
            "batch",
            "create",
            "--strategy",
            "platform_to_gbp",
            "--all-tenants",
            "--confirm-tenant-count",
            "12",
            "--override-guard",
            "batch_tenants",
        ],
    ] {
        assert_eq!(mirrorctl(&fake, refused).await.status.code(), Some(2), "{refused:?}");
    }
    let arguments = [
        "batch",
        "create",
        "--strategy",
        "platform_to_gbp",
        "--all-tenants",
        "--confirm-tenant-count",
        "12",
        "--override-guard",
        "a,b",
        "--reason",
        "x",
    ];
    let output = mirrorctl(&fake, &arguments).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("batches/b"), "{}", text(&output.stdout));
    let asked = fake.methods.mirror_categories.asked();
    assert_eq!(asked[0].message.target, Some(v1::mirror_categories_request::Target::AllTenants(true)));
    assert_eq!((asked[0].message.confirm_tenant_count, asked[0].message.reason.as_str()), (Some(12), "x"));
    assert_eq!(asked[0].message.override_guards, ["a", "b"]);
}

#[tokio::test]
async fn a_batch_shows_what_guards_stop_and_overrides_them_for_the_confirmed_number() {
    let fake = Fake::start().await;
    let batch = v1::Batch {
        name: "batches/1".into(),
        stopped_count: 44,
        stopped_counts: vec![v1::GuardCount { rule: "primary_change".into(), run_count: 44 }],
        failure_counts: vec![v1::BatchFailureCount { reason: "QUOTA_EXHAUSTED".into(), run_count: 2 }],
        overridden_guards: vec!["primary_change".into()],
        confirmed_override_count: Some(44),
        override_count: 40,
        ..Default::default()
    };
    fake.methods.mirror_categories.will(Ok(v1::MirrorCategoriesResponse { batch: Some(batch), ..Default::default() }));
    let arguments = [
        "batch",
        "create",
        "--strategy",
        "platform_to_gbp",
        "--organization",
        "chain",
        "--override-guard",
        "primary_change",
        "--reason",
        "seen",
        "--confirm-override-count",
        "44",
    ];
    let output = mirrorctl(&fake, &arguments).await;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for wanted in ["primary_change: 44", "primary_change: 40 of 44", "QUOTA_EXHAUSTED     2"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    let asked = fake.methods.mirror_categories.asked();
    assert_eq!((asked[0].message.confirm_override_count, asked[0].message.reason.as_str()), (Some(44), "seen"));
}
