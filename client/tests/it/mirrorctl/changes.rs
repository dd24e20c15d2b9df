//! Changes of what is kept. Deletions are confirmed: on a terminal by an answer, elsewhere by an option.

use category_mirror_proto::v1;

use super::{mirrorctl, terminal::on_terminal, text};
use crate::fake::Fake;

const DELETES: [&[&str]; 3] =
    [&["tenant", "delete", "a"], &["platform-category", "delete", "a"], &["credentials", "delete", "a"]];

fn will_delete(fake: &Fake) {
    fake.methods.delete_tenant.will(Ok(v1::DeleteTenantResponse::default()));
    fake.methods.delete_platform_category.will(Ok(v1::DeletePlatformCategoryResponse::default()));
    fake.methods.delete_credentials.will(Ok(v1::DeleteCredentialsResponse::default()));
}

fn deleted(fake: &Fake) -> usize {
    let methods = &fake.methods;
    methods.delete_tenant.asked().len()
        + methods.delete_platform_category.asked().len()
        + methods.delete_credentials.asked().len()
}

#[tokio::test]
async fn nothing_is_deleted_without_a_terminal_or_the_option() {
    let fake = Fake::start().await;
    will_delete(&fake);
    for arguments in DELETES {
        let output = mirrorctl(&fake, arguments).await;
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{shown}");
        assert!(shown.contains("--yes"), "{shown}");
    }
    assert_eq!(deleted(&fake), 0);
    for arguments in DELETES {
        let output = mirrorctl(&fake, &[arguments, &["--yes"]].concat()).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    assert_eq!(deleted(&fake), 3);
}

#[tokio::test]
async fn a_terminal_is_asked_and_no_answer_is_no() {
    let fake = Fake::start().await;
    will_delete(&fake);
    for (typed, code) in [("\n", 6), ("no\n", 6), ("yep\n", 6), ("\u{4}", 6), ("y\n", 0)] {
        let shown = on_terminal(&fake, 80, DELETES[0], typed).await;
        assert_eq!(shown.code, Some(code), "{typed:?}: {}", shown.text);
        assert!(shown.text.contains("Delete tenant a? [y/N] "), "{}", shown.text);
        assert_eq!(shown.text.contains("nothing was deleted"), code != 0, "{}", shown.text);
    }
    assert_eq!(deleted(&fake), 1);
}

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
