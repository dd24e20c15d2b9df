use std::collections::HashSet;

use proptest::{prelude::*, sample::subsequence};

use super::*;

fn gcid(slug: &str) -> Gcid {
    Gcid::parse(&format!("gcid:{slug}")).expect("valid")
}

fn set(slugs: &[&str]) -> CategorySet {
    let mut categories = slugs.iter().map(|slug| GbpCategory::new(gcid(slug), ""));
    CategorySet::new(categories.next().expect("a primary"), categories.collect()).expect("a set")
}

/// `slug`, `slug=gcid`, or `slug=` for an unmapped one.
fn choices(texts: &[&str]) -> Vec<ResolvedCategory> {
    let choice = |(position, text): (usize, &&str)| {
        let (slug, category_for) = text.split_once('=').unwrap_or((text, text));
        ResolvedCategory {
            role: if position == 0 { CategoryRole::Primary } else { CategoryRole::Additional },
            slug: Slug::parse(slug).expect("valid"),
            gcid: (!category_for.is_empty()).then(|| gcid(category_for)),
        }
    };
    sorted(texts.iter().enumerate().map(choice))
}

fn desired(texts: &[&str]) -> DesiredState {
    let choices = choices(texts);
    let set = meaning(&choices).ok_or(SourceError::Empty);
    DesiredState { categories: choices, set }
}

fn baseline(texts: &[&str]) -> Baseline {
    Baseline { categories: choices(texts), set: meaning(&choices(texts)).expect("mapped") }
}

fn google(merchant: &[&str]) -> GbpState {
    GbpState { merchant: Some(set(merchant)), public: None, in_review: false, issues: Vec::new() }
}

fn cause(
    desired: &DesiredState,
    google: Option<&GbpState>,
    baseline: Option<&Baseline>,
    retired: &[&str],
) -> DriftCause {
    let google = google.map_or(GbpRead::NotRead, GbpRead::Read);
    let retired = retired.iter().map(|slug| gcid(slug)).collect();
    DriftInputs { desired, google, baseline, retired: &retired }.cause()
}

#[test]
fn each_cause_is_reached_by_its_own_story() {
    let left = baseline(&["a", "b"]);
    let synced = |texts: &[&str], at_google: &GbpState| cause(&desired(texts), Some(at_google), Some(&left), &[]);
    let as_left = google(&["a", "b"]);
    let public = |in_review| GbpState { public: Some(set(&["x"])), in_review, ..as_left.clone() };
    let none_retired = BTreeSet::new();
    let now = desired(&["a", "b"]);
    let failed = DriftInputs { desired: &now, google: GbpRead::Failed, baseline: Some(&left), retired: &none_retired };
    let stories = [
        (synced(&["a", "b"], &as_left), DriftCause::InSync),
        (synced(&["a", "c"], &as_left), DriftCause::PlatformChanged),
        (synced(&["a", "b=z"], &as_left), DriftCause::MappingChanged),
        (synced(&["a", "b"], &google(&["a", "x"])), DriftCause::MerchantEdited),
        (synced(&["a", "b"], &public(false)), DriftCause::GoogleEdited),
        (synced(&["a", "b"], &public(true)), DriftCause::EditInReview),
        (cause(&desired(&["a", "b"]), Some(&as_left), Some(&left), &["b"]), DriftCause::CategoryRetired),
        (cause(&desired(&["a", "b"]), Some(&google(&["x"])), None, &[]), DriftCause::NeverSynced),
        (failed.cause(), DriftCause::Unknown),
        (synced(&["a", "b"], &with(&as_left, &[LocationIssue::Closed])), DriftCause::LocationClosed),
        (synced(&["a", "b"], &with(&as_left, &[LocationIssue::Duplicate])), DriftCause::DuplicateLocation),
        (synced(&["a", "b"], &with(&as_left, &[LocationIssue::NoVoiceOfMerchant])), DriftCause::NoVoiceOfMerchant),
    ];
    for (found, expected) in stories {
        assert_eq!(found, expected);
    }
    let reached: HashSet<DriftCause> = stories.iter().map(|(found, _)| *found).collect();
    assert_eq!(reached.len(), DriftCause::ALL.len(), "every one of them");
}

fn with(google: &GbpState, issues: &[LocationIssue]) -> GbpState {
    GbpState { issues: issues.to_vec(), ..google.clone() }
}

/// Every set of what Google says of a location, beside every other cause that there could be.
#[test]
fn an_issue_of_the_location_has_its_place_in_the_order() {
    use LocationIssue::{Closed, Duplicate, NoVoiceOfMerchant};
    let left = baseline(&["a", "b"]);
    let plain = google(&["a", "b"]);
    let others_see = |in_review| GbpState { public: Some(set(&["x"])), in_review, ..plain.clone() };
    // What is wanted, what Google has, what was left, what is retired, and the cause of a location without an issue.
    let stories = [
        (desired(&["a", "b"]), plain.clone(), Some(&left), &[][..], DriftCause::InSync),
        (desired(&["a", "b"]), others_see(false), Some(&left), &[], DriftCause::GoogleEdited),
        (desired(&["a", "b"]), others_see(true), Some(&left), &[], DriftCause::EditInReview),
        (desired(&["a", "b"]), plain.clone(), None, &[], DriftCause::InSync),
        (desired(&["a", "b"]), plain.clone(), Some(&left), &["b"], DriftCause::CategoryRetired),
        (desired(&["a", "b"]), google(&["x"]), None, &[], DriftCause::NeverSynced),
        (desired(&["a", "c"]), plain.clone(), Some(&left), &[], DriftCause::PlatformChanged),
        (desired(&["a", "b=z"]), plain.clone(), Some(&left), &[], DriftCause::MappingChanged),
        (desired(&["a", "b"]), google(&["a", "x"]), Some(&left), &[], DriftCause::MerchantEdited),
        (desired(&[]), google(&["a"]), Some(&left), &[], DriftCause::PlatformChanged),
    ];
    for (desired, at_google, left, retired, plain) in stories {
        let is_written = matches!(plain, DriftCause::InSync | DriftCause::GoogleEdited | DriftCause::EditInReview);
        for (issues, written, open) in [
            (&[][..], plain, true),
            (&[NoVoiceOfMerchant], DriftCause::NoVoiceOfMerchant, true),
            (&[Duplicate], DriftCause::DuplicateLocation, true),
            (&[Duplicate, NoVoiceOfMerchant], DriftCause::DuplicateLocation, true),
            (&[Closed], DriftCause::LocationClosed, false),
            (&[Closed, NoVoiceOfMerchant], DriftCause::LocationClosed, false),
            (&[Closed, Duplicate, NoVoiceOfMerchant], DriftCause::LocationClosed, false),
        ] {
            let found = cause(&desired, Some(&with(&at_google, issues)), left, retired);
            let expected = match (open, is_written) {
                (false, _) => DriftCause::LocationClosed,
                (true, true) => written,
                (true, false) => plain,
            };
            assert_eq!(found, expected, "{plain} {issues:?}");
            assert!(issues.is_empty() || found != DriftCause::InSync);
            assert_eq!(found.is_out_of_sync(), !matches!(found, DriftCause::InSync | DriftCause::EditInReview));
        }
    }
    let failed =
        DriftInputs { desired: &desired(&["a"]), google: GbpRead::Failed, baseline: None, retired: &BTreeSet::new() };
    assert_eq!(failed.cause(), DriftCause::Unknown, "nobody knows whether it is still closed");
}

#[test]
fn what_was_kept_before_anybody_asked_for_issues_can_be_read_and_has_the_same_digest() {
    let before = json!({"merchant": null, "public": null, "in_review": false});
    let google: GbpState = serde_json::from_value(before.clone()).expect("read");
    assert_eq!(google.issues, []);
    assert_eq!(serde_json::to_value(&google).expect("written"), before);
    let digest = observation_digest(&desired(&["a"]), Some(&google));
    assert_eq!(digest, "b16eb643c188718588d7fbabf29de72e");
    for issue in LocationIssue::ALL {
        assert_ne!(
            observation_digest(&desired(&["a"]), Some(&with(&google, &[*issue]))),
            digest,
            "a change of a flag alone is news"
        );
    }
}

#[test]
fn of_several_causes_the_first_in_order_is_named() {
    let left = baseline(&["a", "b", "u="]);
    let (edited, as_left) = (google(&["x"]), google(&["a", "b"]));
    let of = |texts: &[&str], at_google| cause(&desired(texts), at_google, Some(&left), &[]);
    assert_eq!(of(&["a", "c"], Some(&edited)), DriftCause::PlatformChanged, "drift is what the platform did not cause");
    assert_eq!(of(&["a", "b=z"], Some(&edited)), DriftCause::MappingChanged);
    assert_eq!(of(&["a", "b", "v="], Some(&edited)), DriftCause::MerchantEdited, "what is unmapped changes nothing");
    assert_eq!(of(&["a", "b=z", "v="], Some(&edited)), DriftCause::MappingChanged);
    assert_eq!(of(&["a", "c=b"], Some(&edited)), DriftCause::MerchantEdited, "another that stands for the same, too");
    assert_eq!(of(&["b", "a"], Some(&as_left)), DriftCause::PlatformChanged, "another primary one");
    assert_eq!(of(&["a", "b", "u=z"], Some(&as_left)), DriftCause::MappingChanged, "mapped at last");
    assert_eq!(cause(&desired(&["a"]), Some(&google(&["b"])), None, &["a"]), DriftCause::CategoryRetired);
    assert_eq!(cause(&desired(&["a"]), Some(&google(&["a"])), None, &[]), DriftCause::InSync, "nobody had to write");
}

#[test]
fn a_platform_that_wants_nothing_that_can_be_written_has_a_cause_without_a_look_at_google() {
    let left = baseline(&["a", "b"]);
    assert_eq!(cause(&desired(&["a=", "b"]), None, Some(&left), &[]), DriftCause::MappingChanged);
    assert_eq!(cause(&desired(&[]), None, Some(&left), &[]), DriftCause::PlatformChanged);
    assert_eq!(cause(&desired(&[]), None, None, &[]), DriftCause::NeverSynced);
    let too_many = DesiredState { set: Err(SourceError::TooMany { count: 2, limit: 1 }), ..desired(&["a", "b"]) };
    assert_eq!(cause(&too_many, None, Some(&left), &[]), DriftCause::Unknown, "neither side has changed");
}

#[test]
fn a_revert_beside_an_unmapped_primary_category_leaves_a_cause_that_is_known() {
    let left = Baseline { categories: choices(&["a=", "b"]), set: set(&["x"]) };
    let of = |merchant| cause(&desired(&["a=", "b"]), Some(&google(&[merchant])), Some(&left), &[]);
    assert_eq!(of("x"), DriftCause::PlatformChanged);
    assert_eq!(of("y"), DriftCause::MerchantEdited);
}

#[test]
fn what_a_run_took_back_is_a_change_of_the_platform_that_google_does_not_have() {
    let left = Baseline { set: set(&["x"]), ..baseline(&["a", "b"]) };
    assert_eq!(cause(&desired(&["a", "b"]), Some(&google(&["x"])), Some(&left), &[]), DriftCause::PlatformChanged);
}

fn some_slugs() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(vec!["a", "b", "c", "a=b", "b=c", "c=", "d="], 0..=4).prop_shuffle()
}

fn some_set() -> impl Strategy<Value = CategorySet> {
    subsequence(vec!["a", "b", "c"], 1..=3).prop_shuffle().prop_map(|slugs| set(&slugs))
}

prop_compose! {
    fn at_google()(merchant in proptest::option::of(some_set()), public in proptest::option::of(some_set()),
                   in_review in any::<bool>(), issues in subsequence(LocationIssue::ALL.to_vec(), 0..=3)) -> GbpState {
        GbpState { merchant, public, in_review, issues }
    }
}

prop_compose! {
    fn any_baseline()(slugs in some_slugs(), set in some_set()) -> Baseline {
        Baseline { categories: distinct(&slugs).categories, set }
    }
}

/// A tenant has each category once.
fn distinct(texts: &[&str]) -> DesiredState {
    let mut seen = HashSet::new();
    let slug = |text: &&&str| seen.insert(text.split('=').next().unwrap_or_default().to_owned());
    desired(&texts.iter().filter(slug).copied().collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn there_is_one_cause_and_it_says_no_more_than_is_known(
        slugs in some_slugs(), google in at_google(), look in 0..3, baseline in proptest::option::of(any_baseline()),
        retired in subsequence(vec!["a", "b"], 0..=1),
    ) {
        let desired = distinct(&slugs);
        let retired: BTreeSet<Gcid> = retired.into_iter().map(gcid).collect();
        let look = match look { 0 => GbpRead::Failed, 1 => GbpRead::NotRead, _ => GbpRead::Read(&google) };
        let facts = DriftInputs { desired: &desired, google: look, baseline: baseline.as_ref(), retired: &retired };
        let cause = facts.cause();
        let has_merchant = matches!(look, GbpRead::Read(google) if google.merchant.is_some() && google.merchant.as_ref() == desired.set.as_ref().ok());
        match look {
            GbpRead::Failed => prop_assert_eq!(cause, DriftCause::Unknown),
            GbpRead::NotRead => prop_assert!(!matches!(cause, DriftCause::InSync | DriftCause::MerchantEdited | DriftCause::GoogleEdited | DriftCause::EditInReview)),
            GbpRead::Read(google) => {
                let is_plain = has_merchant && !google.in_review && google.public.as_ref().is_none_or(|public| Some(public) == google.merchant.as_ref());
                prop_assert!(cause != DriftCause::InSync || is_plain, "in sync is what everybody sees");
                prop_assert!(google.issues.is_empty() || !matches!(cause, DriftCause::InSync | DriftCause::EditInReview | DriftCause::GoogleEdited));
                prop_assert_eq!(cause == DriftCause::LocationClosed, google.issues.contains(&LocationIssue::Closed));
                prop_assert!(cause != DriftCause::GoogleEdited || has_merchant);
            }
        }
        let needs_a_write = matches!(cause, DriftCause::PlatformChanged | DriftCause::MappingChanged | DriftCause::MerchantEdited | DriftCause::NeverSynced);
        prop_assert!(!needs_a_write || !has_merchant);
        prop_assert!(baseline.is_some() || !matches!(cause, DriftCause::PlatformChanged | DriftCause::MappingChanged | DriftCause::MerchantEdited));
        prop_assert_eq!(cause == DriftCause::CategoryRetired, !matches!(look, GbpRead::Failed) && cause != DriftCause::LocationClosed && desired.gcids().any(|gcid| retired.contains(gcid)));
    }

    #[test]
    fn what_was_found_again_has_the_same_digest_and_anything_else_another(
        slugs in some_slugs(), other in some_slugs(), google in at_google(), more in at_google(),
    ) {
        let (one, two) = (distinct(&slugs), distinct(&other));
        let digest = observation_digest(&one, Some(&google));
        prop_assert_eq!(&digest, &observation_digest(&distinct(&slugs), Some(&google.clone())));
        prop_assert_eq!(digest == observation_digest(&two, Some(&google)), one.categories == two.categories);
        prop_assert_eq!(digest == observation_digest(&one, Some(&more)), google == more);
        prop_assert!(digest != observation_digest(&one, None));
    }
}
