//! What holds of every plan, in both directions, over random pairs of sets: there, there again, and back.
//!
//! What a plan should lead to and how much it should count is found out here by other means than the code's own.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use proptest::{prelude::*, strategy::Strategy};

use crate::*;

const NOW: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;
const LOCALE: &str = "en-US";

fn gcid(slug: &str) -> Gcid {
    Gcid::parse(&format!("gcid:{slug}")).expect("valid")
}

/// `slug`, `slug=gcid`, or `slug=gcid!` for an imported one.
fn platform_category(text: &str) -> PlatformCategory {
    let (slug, category_for) = text.split_once('=').map_or((text, None), |(slug, gcid)| (slug, Some(gcid)));
    PlatformCategory {
        slug: Slug::parse(slug).expect("valid"),
        display_name: slug.to_uppercase(),
        gcid: category_for.map(|text| gcid(text.trim_end_matches('!'))),
        imported_locale: text.ends_with('!').then(|| LOCALE.to_owned()),
        created_at: NOW,
        updated_at: NOW,
    }
}

fn category_for(text: &&'static str) -> Option<&'static str> {
    text.split_once('=').map(|(_, gcid)| gcid.trim_end_matches('!'))
}

/// The platform's: one for most of Google's, two for some, imported ones, some that stand for what no location here has, and unmapped ones.
const PLATFORM: [&str; 14] = [
    "p-a=a", "p-b=b", "p-c=c", "p-d=d", "q-a=a", "q-b=b", "gbp-e=e!", "gbp-c=c!", "old-f=f!", "z-s=s", "z-t=t", "yoga",
    "zumba", "gbp-g=s",
];
const GOOGLE: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn of_platform(most: usize) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(PLATFORM.to_vec(), 0..=most).prop_shuffle()
}

fn of_google() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(GOOGLE.to_vec(), 1..=8).prop_shuffle()
}

fn location(slugs: &[&str]) -> CategorySet {
    let mut categories = slugs.iter().map(|slug| GbpCategory::new(gcid(slug), format!("Google's {slug}")));
    let primary = categories.next().expect("a primary");
    CategorySet::new(primary, categories.collect()).expect("a set")
}

fn guard_context(overridden: &[GuardRule], is_first_run: bool) -> GuardContext {
    GuardContext { limits: GuardLimits::default(), overridden: overridden.iter().copied().collect(), is_first_run }
}

fn any_circumstances() -> impl Strategy<Value = GuardContext> {
    let overridden = proptest::sample::subsequence(GuardRule::ALL.to_vec(), 0..=4);
    (overridden, any::<bool>()).prop_map(|(overridden, first)| guard_context(&overridden, first))
}

/// A set as one can see it: equality of sets passes over names.
fn seen<C: Category + serde::Serialize>(set: &CategorySet<C>) -> String {
    serde_json::to_string(set).expect("JSON")
}

/// What each category is, and what has to be written for it to become so: its role and the name that is ours to write.
fn written_form<C: Category>(set: Option<&CategorySet<C>>) -> BTreeMap<String, String> {
    let set_members = set.map(set_members).unwrap_or_default();
    set_members
        .into_iter()
        .map(|p| (p.category.key().to_owned(), format!("{:?} {}", p.role, p.category.canonical())))
        .collect()
}

/// Gains, changes and losses of the two sets, counted by hand: a primary category in the place of one that goes counts as one change.
fn counted_by_hand<C: Category>(before: Option<&CategorySet<C>>, after: &CategorySet<C>) -> ChangeCounts {
    let (old, new) = (written_form(before), written_form(Some(after)));
    let gained = new.keys().filter(|key| !old.contains_key(*key)).count();
    let lost = old.keys().filter(|key| !new.contains_key(*key)).count();
    let kept = new.iter().filter(|(key, form)| old.get(*key).is_some_and(|before| before != *form)).count();
    let is_gained = !old.contains_key(after.primary().key());
    let is_replaced = is_gained && before.is_some_and(|before| !new.contains_key(before.primary().key()));
    let replaced = usize::from(is_replaced);
    let count = |n: usize| i32::try_from(n).expect("few");
    ChangeCounts { created: count(gained - replaced), updated: count(kept + replaced), deleted: count(lost - replaced) }
}

/// A real run that has carried out a plan.
fn run_of<C: Category + Into<EitherCategory>>(plan: &Plan<C>, strategy: crate::Strategy) -> Run {
    Run {
        kind: RunKind { strategy, dry_run: false },
        state: RunState::Succeeded,
        written: plan.changes.iter().cloned().map(Change::recorded).collect(),
        plan: Some(plan.recorded()),
        ..test_run()
    }
}

fn test_run() -> Run {
    Run {
        id: RunId::now_v7(),
        tenant: TenantId::parse("store").expect("an id"),
        organization: None,
        batch: None,
        kind: RunKind { strategy: crate::Strategy::PlatformToGbp, dry_run: false },
        options: RunOptions::default(),
        state: RunState::Succeeded,
        revision: 1,
        attempt: 1,
        max_attempts: 5,
        uncounted_attempts: 0,
        cancel_requested: false,
        plan: None,
        written: Vec::new(),
        write_intent: None,
        counts: ChangeCounts::default(),
        unmapped: 0,
        reason: None,
        error: None,
        caller: "tester".to_owned(),
        request_id: None,
        created_at: NOW,
        started_at: Some(NOW),
        attempts: Vec::new(),
        attempt_started_at: Some(NOW),
        ended_at: Some(NOW),
        next_attempt_at: None,
    }
}

/// What holds of a plan, however it was made.
fn holds<C>(plan: &Plan<C>, strategy: crate::Strategy, now: &GuardContext) -> Result<(), TestCaseError>
where
    C: Category + Into<EitherCategory> + TryFrom<EitherCategory, Error = WrongTarget> + serde::Serialize,
{
    let (before, after) = (plan.observed.as_ref(), &plan.desired);
    // Carried out, it leads where it says, names included.
    let applied = apply(before, &plan.changes).expect("a set");
    prop_assert_eq!(written_form(Some(&applied)), written_form(Some(after)));
    prop_assert_eq!(ChangeCounts::of(&plan.changes), counted_by_hand(before, after));
    prop_assert_eq!(plan.is_empty(), written_form(before) == written_form(Some(after)));
    if plan.is_empty() {
        return Ok(());
    }

    // Taken back, as `RevertRun` does, it gives what was there; and that taken back gives what was planned.
    let run = run_of(plan, strategy);
    let way = RevertTarget::of(&run);
    let Some(before) = before else {
        prop_assert_eq!(way, Err(NotRevertible::NothingBefore));
        return Ok(());
    };
    let way = way.expect("there is a way back");
    prop_assert_eq!(way.check(Some(&after.clone().recorded())), Ok(()));
    let changed =
        plan.changes.iter().any(|change| change.before().map(|p| &p.category) != change.after().map(|p| &p.category))
            || plan.changes.iter().any(|change| change.before().map(|p| p.role) != change.after().map(|p| p.role));
    prop_assert_eq!(way.check(Some(&before.clone().recorded())).is_err(), changed);
    let goal = way.before.clone().try_map(C::try_from).expect("of this side");
    let back = Plan::revert(run.id, goal, Complete::read(Some(after.clone())), now, NOW);
    let restored = apply(Some(after), &back.changes).expect("a set");
    prop_assert_eq!(written_form(Some(&restored)), written_form(Some(before)));
    let again = RevertTarget::of(&run_of(&back, strategy)).expect("a revert can be reverted");
    let again = again.before.try_map(C::try_from).expect("of this side");
    prop_assert_eq!(written_form(Some(&again)), written_form(Some(after)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn to_gbp_there_there_again_and_back(
        source in of_platform(12),
        observed in proptest::option::of(of_google()),
        now in any_circumstances(),
        seed in any::<u64>(),
    ) {
        let observed = observed.map(|slugs| location(&slugs));
        let platform = |texts: &[&str]| Complete::read(texts.iter().map(|text| platform_category(text)).collect());
        let mapped = |texts: &[&str]| map_to_gbp(&platform(texts), MAX_ADDITIONAL);
        let plan = |texts: &[&str], observed: Option<CategorySet>| -> Result<Plan, SourceError> {
            Ok(Plan::to_gbp(mapped(texts)?, Complete::read(observed), &now, NOW))
        };

        // What the source stands for, by hand.
        let Some(primary) = source.first() else {
            prop_assert_eq!(mapped(&source), Err(SourceError::Empty));
            return Ok(());
        };
        let Some(primary_gcid) = category_for(primary) else {
            let slug = platform_category(primary).slug;
            prop_assert_eq!(mapped(&source), Err(SourceError::UnmappedPrimary(slug)));
            return Ok(());
        };
        let additional: BTreeSet<&str> = source[1..].iter().filter_map(category_for).filter(|it| *it != primary_gcid).collect();
        let unmapped: Vec<&str> = source.iter().filter(|it| category_for(it).is_none()).copied().collect();

        let there = plan(&source, observed.clone()).expect("mapped");
        prop_assert_eq!(there.desired.primary().key(), primary_gcid);
        prop_assert_eq!(there.desired.additional().iter().map(Category::key).collect::<Vec<_>>(), additional.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(there.unmapped.iter().map(|it| it.slug.as_str()).collect::<Vec<_>>(), unmapped);
        prop_assert_eq!(there.merged.len() + there.unmapped.len() + there.desired.iter().count(), source.len());
        holds(&there, crate::Strategy::PlatformToGbp, &now)?;

        let again = plan(&source, Some(there.desired.clone())).expect("mapped");
        prop_assert!(again.is_empty(), "{:?}", again.changes);

        // Whatever order the additional ones are in, on either side.
        let mut shuffled = source.clone();
        let mut random = fastrand::Rng::with_seed(seed);
        random.shuffle(&mut shuffled[1..]);
        let turned = observed.map(|set| {
            let mut additional = set.additional().to_vec();
            random.shuffle(&mut additional);
            CategorySet::new(set.primary().clone(), additional).expect("a set")
        });
        let same = plan(&shuffled, turned).expect("mapped");
        prop_assert_eq!((&same.guards, same.hash()), (&there.guards, there.hash()));
    }

    #[test]
    fn to_platform_there_there_again_and_back(
        at_google in of_google(),
        chosen in of_platform(10),
        others in of_platform(14),
        now in any_circumstances(),
        seed in any::<u64>(),
    ) {
        let side = |chosen: &[PlatformCategory], known: &[PlatformCategory]| {
            Complete::read(PlatformCatalog { chosen: chosen.to_vec(), known: [chosen, known].concat() })
        };
        let all = |texts: &[&str]| texts.iter().map(|text| platform_category(text)).collect::<Vec<_>>();
        let plan = |google: &[&str], chosen: &[PlatformCategory], known: &[PlatformCategory]| {
            let platform = side(chosen, known);
            let mapped = map_to_platform(&Complete::read(Some(location(google))), &platform, LOCALE);
            mapped.map(|mapped| Plan::to_platform(View::Merchant, mapped, platform.tenants_set(), &now, NOW))
        };
        let (chosen, others) = (all(&chosen), all(&others));
        let there = match plan(&at_google, &chosen, &others) {
            Ok(plan) => plan,
            Err(refused) => {
                // Only what does not fit beside what the location has is refused.
                let stays = |it: &&PlatformCategory| it.gcid.as_ref().is_none_or(|gcid| at_google.contains(&gcid.slug()));
                let most = at_google.len() + chosen.iter().filter(stays).count();
                prop_assert!(matches!(refused, SourceError::TooMany { .. }) && most > MAX_ADDITIONAL + 1, "{refused}");
                return Ok(());
            }
        };

        // What the tenant has then stands for exactly what the location has, the primary one for the primary one.
        let standing: BTreeSet<&str> = there.desired.iter().filter_map(|it| it.gcid.as_ref()).map(Gcid::slug).collect();
        prop_assert_eq!(standing, at_google.iter().copied().collect::<BTreeSet<_>>());
        prop_assert_eq!(there.desired.primary().gcid.as_ref().map(Gcid::slug), Some(at_google[0]));
        // It has lost what stands for something else, and nothing more.
        for had in &chosen {
            let stays = had.gcid.as_ref().is_none_or(|gcid| at_google.contains(&gcid.slug()));
            prop_assert_eq!(there.desired.iter().any(|it| it.slug == had.slug), stays, "{}", had.slug);
        }
        holds(&there, crate::Strategy::GbpToPlatform, &now)?;

        // Carried out, and planned again with what there is then.
        let as_platform = |it: &TenantCategory| PlatformCategory {
            slug: it.slug.clone(),
            display_name: it.display_name.clone(),
            gcid: it.gcid.clone(),
            imported_locale: it.imported_locale.clone(),
            created_at: NOW,
            updated_at: NOW,
        };
        let order = |it: &PlatformCategory| chosen.iter().position(|had| had.slug == it.slug).unwrap_or(usize::MAX);
        let mut after: Vec<PlatformCategory> = there.desired.iter().map(as_platform).collect();
        after[1..].sort_by_key(order);
        let again = plan(&at_google, &after, &others).expect("mapped");
        prop_assert!(again.is_empty(), "{:?}", again.changes);
        // And the other direction finds nothing to do either.
        let back = map_to_gbp(&Complete::read(after), MAX_ADDITIONAL).expect("mapped");
        prop_assert_eq!(seen(&named_alike(back.set)), seen(&named_alike(location(&at_google))));

        // Whatever order Google gives its additional ones in.
        let mut shuffled = at_google.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled[1..]);
        let same = plan(&shuffled, &chosen, &others).expect("mapped");
        prop_assert_eq!((&same.guards, same.hash()), (&there.guards, there.hash()));
    }
}

/// The set without names, which are each side's own.
fn named_alike(set: CategorySet) -> CategorySet {
    let unnamed = |it: GbpCategory| Ok::<_, std::convert::Infallible>(GbpCategory::new(it.gcid, ""));
    set.try_map(unnamed).expect("never fails")
}
