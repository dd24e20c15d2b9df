//! Lists fetch pages as they are read.

use category_mirror_client::{Code, Strategy};
use category_mirror_proto::v1::{self, run::State};
use tonic::Status;

use crate::fake::{Fake, run};

fn page(ids: &[&str], next_page_token: &str) -> v1::ListSyncLogsResponse {
    let runs = ids.iter().map(|id| run(id, 1, State::Failed)).collect();
    v1::ListSyncLogsResponse { runs, next_page_token: next_page_token.into() }
}

#[tokio::test]
async fn a_page_is_fetched_when_the_one_before_is_used_up() {
    let fake = Fake::start().await;
    let list = &fake.methods.list_sync_logs;
    list.will(Ok(page(&["a", "b"], "two"))).will(Ok(page(&[], "three"))).will(Ok(page(&["c"], "")));

    let client = fake.client();
    let mut runs = client.list_sync_logs().tenant("t").strategy(Strategy::PlatformToGbp).page_size(2).send();
    assert!(list.asked().is_empty(), "nothing is read yet");
    let mut next = async || runs.next().await.map(|run| run.expect("a run").name);
    assert_eq!(next().await.as_deref(), Some("tenants/t/runs/a"));
    assert_eq!(next().await.as_deref(), Some("tenants/t/runs/b"));
    assert_eq!(list.asked().len(), 1);
    assert_eq!(next().await.as_deref(), Some("tenants/t/runs/c"));
    assert_eq!(next().await, None);

    let asked = list.asked();
    let tokens: Vec<&str> = asked.iter().map(|a| a.message.page_token.as_str()).collect();
    assert_eq!(tokens, ["", "two", "three"]);
    for asked in asked.iter() {
        let v1::ListSyncLogsRequest { tenant, page_size, .. } = &asked.message;
        assert_eq!((tenant.as_str(), *page_size), ("tenants/t", 2));
        assert_eq!(asked.message.strategy(), v1::Strategy::PlatformToGbp);
    }
}

#[tokio::test]
async fn a_list_ends_at_its_first_error() {
    let fake = Fake::start().await;
    let list = &fake.methods.list_sync_logs;
    list.will(Ok(page(&["a"], "two"))).will(Err(Status::permission_denied("no more")));
    let mut runs = fake.client().list_sync_logs().send();
    assert!(runs.next().await.expect("an item").is_ok());
    assert!(runs.next().await.expect("an item").expect_err("refused").is_permission_denied());
    assert!(runs.next().await.is_none());
}

#[tokio::test]
async fn a_list_that_leads_in_a_circle_is_an_error() {
    let fake = Fake::start().await;
    fake.methods.list_sync_logs.will(Ok(page(&["a"], "x"))).will(Ok(page(&["a"], "x")));
    let error = fake.client().list_sync_logs().send().collect().await.expect_err("a circle");
    assert_eq!(error.code(), Code::Internal);
    assert!(error.message().contains("repeats a page token"), "{error}");
}

#[tokio::test]
async fn tenants_and_categories_are_lists_too() {
    let fake = Fake::start().await;
    let tenants = vec![v1::Tenant { name: "tenants/a".into(), ..Default::default() }];
    fake.methods.list_tenants.will(Ok(v1::ListTenantsResponse { tenants, ..Default::default() }));
    let platform_categories = vec![v1::PlatformCategory { name: "platformCategories/b".into(), ..Default::default() }];
    let response = v1::ListPlatformCategoriesResponse { platform_categories, ..Default::default() };
    fake.methods.list_platform_categories.will(Ok(response));

    let client = fake.client();
    let tenants = client.list_tenants().organization("o").send().collect().await.expect("a list");
    assert_eq!(tenants[0].name, "tenants/a");
    assert_eq!(fake.methods.list_tenants.asked()[0].message.organization, "organizations/o");
    let categories = client.list_platform_categories().unmapped_only(true).send().collect().await.expect("a list");
    assert_eq!((categories[0].name.as_str(), &categories[0].gbp_category), ("platformCategories/b", &None));
    assert!(fake.methods.list_platform_categories.asked()[0].message.unmapped_only);
}
