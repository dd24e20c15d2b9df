//! D20, the environment name that was doubled: a flag's variable is called like the flag, and forces it for one process.

use category_mirror_client::{FlagOrigin, FlagReason, FlagState};

use super::site::Site;
use crate::flags::{CATEGORIES, MIRRORING, SYNC, evaluated, switch};

#[tokio::test]
async fn d20_a_flag_is_forced_by_the_variable_of_its_name_and_by_no_other() {
    let site = Site::new().await;
    let settings = [
        (MIRRORING, "off"),
        (CATEGORIES, "on"),
        (SYNC, ""),
        // What the predecessor listened to.
        ("FF_FF_TENANT_GBP_CATEGORY_SYNC", "on"),
        ("FF_FF_CATEGORY_MIRRORING", "on"),
    ];
    let server = site.serve(&settings).await;
    let client = site.client(&server);
    let tenant = client.create_tenant("store").display_name("Store").region_code("US").language_code("en");
    tenant.send().await.expect("created");

    let flags = client.list_flags().send().collect().await.expect("listed");
    let forced: Vec<_> = flags.iter().map(|flag| (flag.name.as_str(), flag.forced)).collect();
    assert_eq!(
        forced,
        [
            ("flags/FF_CATEGORY_MIRRORING", Some(false)),
            ("flags/FF_TENANT_GBP_CATEGORY_SYNC", None),
            ("flags/FF_TENANT_PLATFORM_CATEGORY", Some(true)),
        ]
    );
    let verdict = async |flag| {
        let evaluation = evaluated(&client, flag, "store").await;
        (evaluation.enabled, evaluation.reason, evaluation.origin)
    };
    assert_eq!(verdict(SYNC).await, (false, FlagReason::NeverSet, FlagOrigin::Default));
    assert_eq!(verdict(CATEGORIES).await, (true, FlagReason::ForcedOn, FlagOrigin::Environment));
    // It forces, whatever is set; but off beats on, whoever says it.
    switch(&client, MIRRORING, FlagState::On).await;
    assert_eq!(verdict(MIRRORING).await, (false, FlagReason::ForcedOff, FlagOrigin::Environment));
    switch(&client, CATEGORIES, FlagState::Partial).await;
    assert_eq!(verdict(CATEGORIES).await, (true, FlagReason::ForcedOn, FlagOrigin::Environment));
    switch(&client, CATEGORIES, FlagState::Off).await;
    assert_eq!(verdict(CATEGORIES).await, (false, FlagReason::SwitchedOff, FlagOrigin::Database));
}
