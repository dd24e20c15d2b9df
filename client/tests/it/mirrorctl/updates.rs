//! Changes of single fields.

use category_mirror_proto::v1;

use super::{mirrorctl, text};
use crate::fake::Fake;

#[tokio::test]
async fn an_update_sends_what_was_given() {
    let fake = Fake::start().await;
    let tenant = v1::Tenant { name: "tenants/a".into(), ..Default::default() };
    fake.methods.update_tenant.will(Ok(v1::UpdateTenantResponse { tenant: Some(tenant) }));
    let output = mirrorctl(&fake, &["tenant", "update", "a", "--organization", "", "--region-code", "US"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let asked = fake.methods.update_tenant.asked();
    assert_eq!(asked[0].message.update_mask.as_ref().expect("a mask").paths, ["organization", "region_code"]);
}
