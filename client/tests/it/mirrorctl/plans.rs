//! Plans in their three forms.

use category_mirror_proto::v1::{self, run::State};

use super::{mirrorctl, planned, text};
use crate::fake::{Fake, run};

#[tokio::test]
async fn a_plan_is_shown_as_text_json_and_markdown() {
    let fake = Fake::start().await;
    for _ in 0..3 {
        fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(planned(State::Succeeded)) }));
    }
    let mut shown = Vec::new();
    for format in ["text", "json", "markdown"] {
        let output = mirrorctl(&fake, &["plan", "get", "1", "--output", format]).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        shown.push(text(&output.stdout).to_owned());
    }
    assert!(shown[0].starts_with("+ additional  gcid:bakery"), "{}", shown[0]);
    let json: serde_json::Value = serde_json::from_str(&shown[1]).expect("JSON");
    assert_eq!(json["changes"][0]["operation"], "create");
    assert!(shown[2].contains("\n\n| change | before | after |"), "{}", shown[2]);

    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run("1", 1, State::Queued)) }));
    let output = mirrorctl(&fake, &["plan", "get", "1"]).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(6), 0));
}

#[tokio::test]
async fn a_plan_in_a_ticket_names_its_tenant_run_and_strategy() {
    let fake = Fake::start().await;
    let strategy = v1::Strategy::PlatformToGbp.into();
    let run = v1::Run { tenant: "tenants/store-1".into(), strategy, ..planned(State::Succeeded) };
    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run) }));
    let output = mirrorctl(&fake, &["plan", "get", "1", "--output", "markdown"]).await;
    let first = text(&output.stdout).lines().next();
    assert_eq!(first, Some(r"Plan of dry run 1 of tenant store-1, strategy platform\_to\_gbp"));
}
