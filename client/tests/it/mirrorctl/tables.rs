//! Tables on terminals of 80 and 120 columns, and in a pipe.

use category_mirror_proto::v1::{self, run::State};

use super::{mirrorctl, terminal::on_terminal, text};
use crate::fake::{Fake, run};

const ID: &str = "0198a6f2-6c1e-7b3a-9f00-2d4c5b1c09e2";

fn will_list(fake: &Fake) {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let one = v1::Run {
        tenant: "tenants/store-in-the-old-town".into(),
        strategy: v1::Strategy::PlatformToGbp.into(),
        reason: "UPSTREAM_UNAVAILABLE".into(),
        caller: "an-operator-with-a-long-name@example.com".into(),
        end_time: at(1_800_000_000),
        ..run(ID, 1, State::Failed)
    };
    fake.methods.list_sync_logs.will(Ok(v1::ListSyncLogsResponse { runs: vec![one], ..Default::default() }));
}

#[tokio::test]
async fn a_table_fits_the_terminal_and_keeps_what_can_be_copied() {
    let fake = Fake::start().await;
    for (width, header) in [
        (80, "RUN       TIME                       STATE   TENANT                 REASON"),
        (
            120,
            "RUN       TIME                       STATE   TENANT                 REASON                CHANGES   STRATEGY",
        ),
    ] {
        will_list(&fake);
        let shown = on_terminal(&fake, width, &["run", "list"], "").await;
        let lines = shown.lines();
        assert_eq!(lines[0], header, "{}", shown.text);
        assert!(lines.iter().all(|line| line.chars().count() <= width.into()), "{}", shown.text);
        assert!(
            lines[1].contains("5b1c09e2  2027-01-15 08:00:00+00:00  failed  store-in-the-old-town"),
            "{}",
            shown.text
        );
    }
    will_list(&fake);
    let shown = on_terminal(&fake, 80, &["run", "list"], "").await;
    assert!(shown.lines()[1].ends_with("  UPSTREAM_UN…"), "{}", shown.text);
}

#[tokio::test]
async fn a_pipe_cuts_nothing() {
    let fake = Fake::start().await;
    will_list(&fake);
    let output = mirrorctl(&fake, &["run", "list"]).await;
    let shown = text(&output.stdout);
    for whole in ["UPSTREAM_UNAVAILABLE", "an-operator-with-a-long-name@example.com", "platform_to_gbp"] {
        assert!(shown.contains(whole), "{whole}: {shown}");
    }
    assert!(!shown.contains('…'), "{shown}");
}

/// Wide characters take two columns, and the columns after them stay in line.
#[tokio::test]
async fn columns_stay_in_line_whatever_the_script() {
    let fake = Fake::start().await;
    let tenant = |id: &str, display_name: &str| v1::Tenant {
        name: format!("tenants/{id}"),
        display_name: display_name.into(),
        organization: "organizations/acme".into(),
        ..Default::default()
    };
    let tenants = vec![tenant("a", "角の店"), tenant("b", "Corner store"), tenant("c", "")];
    fake.methods.list_tenants.will(Ok(v1::ListTenantsResponse { tenants, ..Default::default() }));
    let output = mirrorctl(&fake, &["tenant", "list"]).await;
    let shown: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(shown[0], "TENANT  NAME          ORGANIZATION  LOCATION  REGION  LANGUAGE  ACCOUNT");
    assert_eq!(shown[1], "a       角の店        acme          -         -       -         -");
    assert_eq!(shown[2], "b       Corner store  acme          -         -       -         -");
    assert_eq!(shown[3], "c       -             acme          -         -       -         -");
}

#[tokio::test]
async fn a_list_of_batches_shows_time_strategy_and_caller() {
    let fake = Fake::start().await;
    let batch = v1::Batch {
        name: format!("batches/{ID}"),
        strategy: v1::Strategy::GbpToPlatform.into(),
        state: v1::batch::State::Running.into(),
        caller: "ada".into(),
        tenant_count: 40,
        queued_count: 28,
        create_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
        ..Default::default()
    };
    fake.methods.list_batches.will(Ok(v1::ListBatchesResponse { batches: vec![batch], ..Default::default() }));
    let shown = on_terminal(&fake, 80, &["batch", "list"], "").await;
    assert_eq!(
        shown.lines()[..2],
        [
            "BATCH     TIME                       STATE    STRATEGY         ENDED  CALLER",
            "5b1c09e2  2027-01-15 08:00:00+00:00  running  gbp_to_platform  12/40  ada",
        ],
        "{}",
        shown.text
    );
}
