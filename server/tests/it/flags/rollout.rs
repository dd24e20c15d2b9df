//! D21, the rollout percentage that nobody read: pilots, percentages and exclusions, each decided for a tenant and explained.

use category_mirror::domain::{Flag, FlagState as State, Percent, ProcessFlags, Rollout, TenantId, evaluate};
use category_mirror_client::{FlagOrigin, FlagReason, FlagState, RunState, Strategy};

use super::{CATEGORIES, MIRRORING, SYNC, evaluated, flag, idle, switch};
use crate::service::{self, Service};

/// A service with tenants `lone`, and `first` and `second` of a chain, one location each.
async fn chain() -> Service {
    let service = service::start_with(idle()).await;
    service.categories(&[("cafe", "gcid:cafe")]).await;
    for (tenant, location) in [("lone", "1"), ("first", "2"), ("second", "3")] {
        service.tenant(tenant, location).await;
    }
    for tenant in ["first", "second"] {
        service.client.update_tenant(tenant).organization("chain").send().await.expect("updated");
    }
    service
}

#[tokio::test]
async fn d21_every_way_to_be_in_or_out_is_evaluated_and_explained() {
    let service = chain().await;
    let client = &service.client;
    let why = |tenant: &'static str| async move {
        let evaluation = evaluated(client, MIRRORING, tenant).await;
        let accepted = client.mirror(tenant, Strategy::PlatformToGbp).dry_run(true).send().await;
        match accepted {
            Ok(_) => assert!(evaluation.enabled, "{tenant}: {evaluation:?}"),
            Err(error) => {
                assert_eq!(flag(&error), MIRRORING);
                assert!(!evaluation.enabled, "{tenant}: {evaluation:?}");
            }
        }
        (evaluation.enabled, evaluation.reason)
    };

    assert_eq!(why("lone").await, (true, FlagReason::NeverSet), "as tests are set up");
    let pilot = client.update_flag(MIRRORING).state(FlagState::Partial).percent(0.0).tenants(["first"]);
    pilot.send().await.expect("changed");
    assert_eq!(why("first").await, (true, FlagReason::TenantListed));
    assert_eq!(why("second").await, (false, FlagReason::Percentage));
    assert_eq!(why("lone").await, (false, FlagReason::Percentage));

    client.update_flag(MIRRORING).organizations(["chain"]).send().await.expect("changed");
    assert_eq!(why("second").await, (true, FlagReason::OrganizationListed));
    client.update_flag(MIRRORING).excluded_tenants(["first"]).send().await.expect("changed");
    assert_eq!(why("first").await, (false, FlagReason::TenantExcluded));
    client.update_flag(MIRRORING).percent(100.0).excluded_organizations(["chain"]).send().await.expect("changed");
    assert_eq!(why("second").await, (false, FlagReason::OrganizationExcluded));
    assert_eq!(why("lone").await, (true, FlagReason::Percentage));

    switch(client, MIRRORING, FlagState::On).await;
    assert_eq!(why("lone").await, (true, FlagReason::SwitchedOn));
    assert_eq!(why("second").await, (false, FlagReason::OrganizationExcluded));
    switch(client, MIRRORING, FlagState::Off).await;
    assert_eq!(why("lone").await, (false, FlagReason::SwitchedOff));

    let shown = client.get_flag(MIRRORING).send().await.expect("read");
    assert_eq!((shown.percent, shown.tenants.as_slice()), (100.0, &["tenants/first".to_owned()][..]), "off keeps them");
    let evaluation = evaluated(client, MIRRORING, "lone").await;
    assert_eq!((evaluation.origin, evaluation.revision), (FlagOrigin::Database, shown.revision));
    assert!(evaluation.explanation.contains("FF_CATEGORY_MIRRORING is off for tenants/lone"), "{evaluation:?}");
}

#[tokio::test]
async fn d21_a_percentage_takes_the_tenants_that_it_says_and_keeps_them() {
    let service = service::start_with(idle()).await;
    service.categories(&[("cafe", "gcid:cafe")]).await;
    let tenants: Vec<String> = (0..20).map(|n| format!("store-{n}")).collect();
    for (n, tenant) in tenants.iter().enumerate() {
        service.tenant(tenant, &n.to_string()).await;
    }
    let mut before = Vec::new();
    for percent in [0.0, 25.0, 62.5, 100.0] {
        let update = service.client.update_flag(CATEGORIES).state(FlagState::Partial).percent(percent);
        update.send().await.expect("changed");
        let rollout = Rollout {
            state: State::Partial,
            percent: Percent::parse(percent).expect("a percentage"),
            ..Rollout::all(false)
        };
        let mut taken = Vec::new();
        for tenant in &tenants {
            let id = TenantId::parse(tenant).expect("an id");
            let process = ProcessFlags::default();
            let wanted = evaluate(Flag::TenantPlatformCategory, Some(&rollout), &process, &id, None).is_on();
            let set = service.client.set_tenant_categories(tenant, "cafe").send().await;
            assert_eq!(set.is_ok(), wanted, "{tenant} at {percent} %");
            taken.extend(set.is_ok().then(|| tenant.clone()));
        }
        assert!(before.iter().all(|tenant| taken.contains(tenant)), "{before:?} and then {taken:?}");
        before = taken;
    }
    assert_eq!(before, tenants);
}

#[tokio::test]
async fn d21_the_worker_asks_for_the_tenant_of_each_run() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.tenant("other", "78").await;
    service.set("other", &["cafe"]).await;
    service.google.put("78", "bar", &[]).await;
    let pilot = service.client.update_flag(SYNC).state(FlagState::Partial).tenants(["store"]);
    pilot.send().await.expect("changed");

    assert_eq!(service.mirror("store", true).await.state, RunState::Succeeded);
    let run = service.mirror("other", true).await;
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Skipped, Some("FEATURE_DISABLED")));
    let error = run.error.expect("it says why");
    assert_eq!((error.metadata["flag"].as_str(), error.metadata["flag_reason"].as_str()), (SYNC, "PERCENTAGE"));
    assert!(error.message.contains("0.00 %"), "{}", error.message);
}
