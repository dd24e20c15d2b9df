//! Random pairs of sets, in both directions, with everything real: there by the plan of a dry run, there again, and back.

use std::collections::BTreeSet;

use category_mirror_client::{Run, RunState, Strategy};

use super::counts;
use crate::service::{self, Service};

const PAIRS: usize = 12;
const SEED: u64 = 20_261_125;

/// The platform's categories and what each stands for: two of one meaning, and two of none.
const PLATFORM: [(&str, &str); 9] = [
    ("cafe", "cafe"),
    ("coffee", "cafe"),
    ("bakery", "bakery"),
    ("deli", "deli"),
    ("bar", "bar"),
    ("food", "restaurant"),
    ("flowers", "florist"),
    ("yoga", ""),
    ("zumba", ""),
];
/// What locations have; of these the platform does not know the last two.
const GOOGLE: [&str; 8] = ["cafe", "bakery", "deli", "bar", "restaurant", "florist", "wine_bar", "pharmacy"];

/// A set: the primary category, and the others.
type Set = (String, BTreeSet<String>);

fn set(list: &[String]) -> Set {
    (list[0].clone(), list[1..].iter().cloned().collect())
}

fn category_for(slug: &str) -> String {
    let known = PLATFORM.iter().find(|(known, _)| *known == slug).map(|(_, gcid)| (*gcid).to_owned());
    known.unwrap_or_else(|| slug.trim_start_matches("gbp-").to_owned())
}

fn some<'a>(random: &mut fastrand::Rng, from: &[&'a str]) -> Vec<&'a str> {
    let mut from = from.to_vec();
    random.shuffle(&mut from);
    from.truncate(random.usize(1..=6));
    from
}

/// What a run should count, by hand: a primary category in the place of one that goes is one change.
fn by_hand(before: &Set, after: &Set) -> (i32, i32, i32) {
    let all = |set: &Set| -> BTreeSet<String> { std::iter::once(&set.0).chain(&set.1).cloned().collect() };
    let (old, new) = (all(before), all(after));
    let is_replaced = !old.contains(&after.0) && !new.contains(&before.0);
    let moved =
        [&before.0, &after.0].into_iter().filter(|it| before.0 != after.0 && old.contains(*it) && new.contains(*it));
    let count = |n: usize| i32::try_from(n).expect("few");
    let replaced = i32::from(is_replaced);
    (
        count(new.difference(&old).count()) - replaced,
        count(moved.count()) + replaced,
        count(old.difference(&new).count()) - replaced,
    )
}

impl Service {
    async fn target(&self, strategy: Strategy) -> Set {
        match strategy {
            Strategy::PlatformToGbp => set(&self.google.merchant("77").await),
            _ => set(&self.platform().await),
        }
    }

    async fn run_as(&self, strategy: Strategy, dry_run: bool) -> Run {
        let run = self.end_of(self.client.mirror("store", strategy).dry_run(dry_run)).await;
        assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        run
    }
}

#[tokio::test]
async fn a_plan_that_is_applied_leads_to_the_source_and_a_revert_back_to_the_target() {
    let service = service::start().await;
    let known =
        PLATFORM.map(|(slug, gcid)| (slug, if gcid.is_empty() { String::new() } else { format!("gcid:{gcid}") }));
    service.categories(&known.each_ref().map(|(slug, gcid)| (*slug, gcid.as_str()))).await;
    service.tenant("store", "77").await;
    let mut random = fastrand::Rng::with_seed(SEED);
    let slugs = PLATFORM.map(|(slug, _)| slug);
    let mut reverted = 0;
    for pair in 0..PAIRS {
        // The primary one is mapped, as it has to be.
        let mut chosen = some(&mut random, &slugs);
        chosen.sort_by_key(|slug| category_for(slug).is_empty());
        if category_for(chosen[0]).is_empty() {
            chosen.insert(0, "deli");
        }
        let at_google = some(&mut random, &GOOGLE);
        service.set("store", &chosen).await;
        service.google.put("77", at_google[0], &at_google[1..]).await;
        for strategy in [Strategy::PlatformToGbp, Strategy::GbpToPlatform] {
            let told = format!("pair {pair}, {strategy}: {chosen:?} and {at_google:?}");
            let before = service.target(strategy).await;
            let dry_runs = service.run_as(strategy, true).await;
            assert_eq!(service.target(strategy).await, before, "{told}");

            let applied = service.apply(&dry_runs).await;
            assert_eq!(applied.state, RunState::Succeeded, "{told}: {:?}", applied.error);
            let after = service.target(strategy).await;
            match strategy {
                Strategy::PlatformToGbp => {
                    let mapped = chosen.iter().map(|slug| category_for(slug)).filter(|gcid| !gcid.is_empty());
                    let mapped: BTreeSet<String> = mapped.filter(|gcid| *gcid != category_for(chosen[0])).collect();
                    assert_eq!(after, (category_for(chosen[0]), mapped), "{told}");
                }
                _ => {
                    let all = || std::iter::once(&after.0).chain(&after.1);
                    let standing: BTreeSet<String> =
                        all().map(|slug| category_for(slug)).filter(|gcid| !gcid.is_empty()).collect();
                    assert_eq!(standing, at_google.iter().map(|gcid| (*gcid).to_owned()).collect(), "{told}");
                    assert_eq!(category_for(&after.0), at_google[0], "{told}");
                    let unmapped = |slug: &&str| category_for(slug).is_empty();
                    assert!(chosen.iter().copied().filter(unmapped).all(|slug| after.1.contains(slug)), "{told}");
                }
            }
            assert_eq!(counts(&applied), by_hand(&before, &after), "{told}");
            assert_eq!(counts(&dry_runs), counts(&applied), "{told}");

            let again = service.run_as(strategy, false).await;
            assert!(again.plan.as_ref().is_some_and(|plan| plan.is_in_sync()), "{told}: {again:?}");
            assert!(again.written_changes.is_empty(), "{told}");

            if before != after {
                let back = service.taken_back(&applied).await;
                assert_eq!(back.state, RunState::Succeeded, "{told}: {:?}", back.error);
                assert_eq!(service.target(strategy).await, before, "{told}");
                assert_eq!(counts(&back), by_hand(&after, &before), "{told}");
                reverted += 1;
            }
        }
    }
    assert!(reverted > PAIRS, "most pairs differ: {reverted}");
}
