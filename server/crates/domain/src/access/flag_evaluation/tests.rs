//! Cohorts: how large they are, that nobody falls out of one, and that two of them have nothing to do with each other.

use proptest::prelude::*;

use super::*;

const TENANTS: usize = 100_000;
const SILENT: ProcessFlags = ProcessFlags {
    category_mirroring: None,
    tenant_platform_category: None,
    tenant_gbp_category_sync: None,
    on_by_default: false,
};

fn tenant(text: &str) -> TenantId {
    TenantId::parse(text).expect("an id")
}

fn organization(text: &str) -> OrganizationId {
    OrganizationId::parse(text).expect("an id")
}

/// Ids as platforms choose them: numbered, so that nothing but the hash can mix them.
fn tenants() -> impl Iterator<Item = TenantId> {
    (0..TENANTS).map(|number| tenant(&format!("store-{number}")))
}

fn partial(percent: f64) -> Rollout {
    Rollout {
        state: FlagState::Partial,
        percent: Percent::parse(percent).expect("a percentage"),
        ..Rollout::all(false)
    }
}

fn is_on(flag: Flag, rollout: &Rollout, tenant: &TenantId) -> bool {
    evaluate(flag, Some(rollout), &SILENT, tenant, None).is_on()
}

/// Whom a flag is on for, tenant by tenant.
fn cohort(flag: Flag, rollout: &Rollout) -> Vec<bool> {
    tenants().map(|tenant| is_on(flag, rollout, &tenant)).collect()
}

/// How many of a cohort are in, in percent.
fn share(cohort: &[bool]) -> f64 {
    let on = u32::try_from(cohort.iter().filter(|on| **on).count()).expect("few");
    f64::from(on) * 100.0 / f64::from(u32::try_from(cohort.len()).expect("few"))
}

#[test]
fn d21_from_five_pilots_over_a_quarter_to_all() {
    for flag in Flag::ALL.iter().copied() {
        let mut rollout = partial(0.0);
        rollout.tenants = tenants().step_by(TENANTS / 5).collect();
        let mut before = cohort(flag, &rollout);
        assert_eq!(before.iter().filter(|on| **on).count(), 5);
        for percent in [1.0, 5.0, 25.0, 25.01, 50.0, 75.0, 99.0, 100.0] {
            rollout.percent = Percent::parse(percent).expect("a percentage");
            let after = cohort(flag, &rollout);
            let share = share(&after);
            assert!((share - percent).abs() < 0.5, "{flag}: {share} % are in, and not {percent} %");
            assert!(before.iter().zip(&after).all(|(before, after)| !before || *after), "{flag}: somebody fell out");
            before = after;
        }
        assert!(before.iter().all(|on| *on), "100 % is everybody");
    }
}

#[test]
fn d21_the_cohorts_of_two_flags_are_independent() {
    let [first, second, third] = [0, 1, 2].map(|n| cohort(Flag::ALL[n], &partial(25.0)));
    for (one, other) in [(&first, &second), (&first, &third), (&second, &third)] {
        let both: Vec<bool> = one.iter().zip(other).map(|(one, other)| *one && *other).collect();
        let share = share(&both);
        // A quarter of a quarter; one salt for all flags would make it a quarter.
        assert!((share - 6.25).abs() < 0.5, "{share} % are in both");
    }
}

#[test]
fn d21_a_place_never_changes() {
    // Known answers: another hash, salt or order of bytes would move every tenant of a running rollout.
    for (flag, id, hundredths) in [
        (Flag::CategoryMirroring, "store-1", 4742),
        (Flag::TenantPlatformCategory, "store-1", 9330),
        (Flag::TenantGbpCategorySync, "store-1", 4100),
        (Flag::CategoryMirroring, "store-2", 9703),
    ] {
        assert_eq!(rollout_position(flag, &tenant(id)).hundredths(), hundredths, "{flag} {id}");
    }
}

#[test]
fn off_beats_exclusions_beat_forced_on_beats_the_rest() {
    let flag = Flag::CategoryMirroring;
    let forced = |on| ProcessFlags { category_mirroring: Some(on), ..SILENT };
    let (one, two) = (tenant("one"), tenant("two"));
    let chain = organization("chain");
    let why = |rollout: Option<&Rollout>, process: &ProcessFlags| evaluate(flag, rollout, process, &one, Some(&chain));

    assert_eq!(why(None, &SILENT), FlagReason::NeverSet { on: false });
    assert_eq!(why(None, &ProcessFlags::on()), FlagReason::NeverSet { on: true });
    assert_eq!(why(None, &forced(true)), FlagReason::ForcedOn);
    let on = Rollout::all(true);
    assert_eq!(why(Some(&on), &SILENT), FlagReason::SwitchedOn);
    assert_eq!(why(Some(&on), &forced(false)), FlagReason::ForcedOff);
    let off = Rollout { tenants: [one.clone()].into(), ..Rollout::all(false) };
    for process in [SILENT, ProcessFlags::on(), forced(true)] {
        assert_eq!(why(Some(&off), &process), FlagReason::SwitchedOff);
    }

    let listed = Rollout { tenants: [one.clone()].into(), ..partial(0.0) };
    let chained = Rollout { organizations: [chain.clone()].into(), ..partial(0.0) };
    assert_eq!(why(Some(&listed), &SILENT), FlagReason::TenantListed);
    assert_eq!(why(Some(&chained), &SILENT), FlagReason::OrganizationListed);
    assert!(matches!(evaluate(flag, Some(&listed), &SILENT, &two, None), FlagReason::Percentage { .. }));
    for everybody in [on, partial(100.0), listed, chained] {
        let tenant = Rollout { excluded_tenants: [one.clone()].into(), ..everybody.clone() };
        let organization = Rollout { excluded_organizations: [chain.clone()].into(), ..everybody };
        for process in [SILENT, forced(true)] {
            assert_eq!(why(Some(&tenant), &process), FlagReason::TenantExcluded);
            assert_eq!(why(Some(&organization), &process), FlagReason::OrganizationExcluded);
        }
    }
}

fn rollouts() -> impl Strategy<Value = Rollout> {
    let ids = || proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3);
    let state = proptest::sample::select(FlagState::ALL);
    (state, 0..=10_000_i32, ids(), ids(), ids(), ids()).prop_map(
        |(state, percent, listed, chains, without, chainless)| {
            let tenants = |ids: Vec<&str>| ids.into_iter().map(tenant).collect();
            let organizations = |ids: Vec<&str>| ids.into_iter().map(organization).collect();
            Rollout {
                state,
                percent: percent.try_into().expect("within"),
                tenants: tenants(listed),
                organizations: organizations(chains),
                excluded_tenants: tenants(without),
                excluded_organizations: organizations(chainless),
            }
        },
    )
}

proptest! {
    #[test]
    fn a_higher_percentage_drops_nobody(rollout in rollouts(), more in 0..=10_000_i32, id in "[a-z0-9]{1,12}") {
        let percent = more.max(rollout.percent.into()).try_into().expect("within");
        let raised = Rollout { percent, ..rollout.clone() };
        prop_assert!(!is_on(Flag::CategoryMirroring, &rollout, &tenant(&id)) || is_on(Flag::CategoryMirroring, &raised, &tenant(&id)));
    }

    #[test]
    fn who_is_excluded_is_never_in(rollout in rollouts(), id in "[a-e]", chain in "[a-e]", forced in any::<Option<bool>>()) {
        let process = ProcessFlags { category_mirroring: forced, ..ProcessFlags::on() };
        let (tenant, organization) = (tenant(&id), organization(&chain));
        let why = evaluate(Flag::CategoryMirroring, Some(&rollout), &process, &tenant, Some(&organization));
        let excluded = rollout.excluded_tenants.contains(&tenant) || rollout.excluded_organizations.contains(&organization);
        prop_assert!(!(excluded && why.is_on()));
        prop_assert!(!(rollout.state == FlagState::Off && why.is_on()));
    }

    #[test]
    fn an_organization_that_cannot_decide_does_not(rollout in rollouts(), id in "[a-e]", chain in "[a-e]") {
        prop_assume!(!rollout.asks_for_organization());
        let decide = |organization| evaluate(Flag::CategoryMirroring, Some(&rollout), &SILENT, &tenant(&id), organization);
        prop_assert_eq!(decide(None), decide(Some(&organization(&chain))));
    }
}
