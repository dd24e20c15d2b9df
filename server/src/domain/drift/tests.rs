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
fn choices(texts: &[&str]) -> Vec<Choice> {
    let choice = |(position, text): (usize, &&str)| {
        let (slug, stands_for) = text.split_once('=').unwrap_or((text, text));
        Choice {
            place: if position == 0 { Place::Primary } else { Place::Additional },
            slug: Slug::parse(slug).expect("valid"),
            gcid: (!stands_for.is_empty()).then(|| gcid(stands_for)),
        }
    };
    sorted(texts.iter().enumerate().map(choice))
}

fn wanted(texts: &[&str]) -> Wanted {
    let choices = choices(texts);
    let set = meaning(&choices).ok_or(SourceError::Empty);
    Wanted { choices, set }
}

fn baseline(texts: &[&str]) -> Baseline {
    Baseline { choices: choices(texts), set: meaning(&choices(texts)).expect("mapped") }
}

fn google(merchant: &[&str]) -> AtGoogle {
    AtGoogle { merchant: Some(set(merchant)), public: None, in_review: false, issues: Vec::new() }
}

fn cause(wanted: &Wanted, google: Option<&AtGoogle>, baseline: Option<&Baseline>, retired: &[&str]) -> Cause {
    let google = google.map_or(Look::Unasked, Look::Read);
    let retired = retired.iter().map(|slug| gcid(slug)).collect();
    Facts { wanted, google, baseline, retired: &retired }.cause()
}

#[test]
fn each_cause_is_reached_by_its_own_story() {
    let left = baseline(&["a", "b"]);
    let synced = |texts: &[&str], at_google: &AtGoogle| cause(&wanted(texts), Some(at_google), Some(&left), &[]);
    let as_left = google(&["a", "b"]);
    let public = |in_review| AtGoogle { public: Some(set(&["x"])), in_review, ..as_left.clone() };
    let none_retired = BTreeSet::new();
    let now = wanted(&["a", "b"]);
    let failed = Facts { wanted: &now, google: Look::Failed, baseline: Some(&left), retired: &none_retired };
    let stories = [
        (synced(&["a", "b"], &as_left), Cause::InSync),
        (synced(&["a", "c"], &as_left), Cause::PlatformChanged),
        (synced(&["a", "b=z"], &as_left), Cause::MappingChanged),
        (synced(&["a", "b"], &google(&["a", "x"])), Cause::MerchantEdited),
        (synced(&["a", "b"], &public(false)), Cause::GoogleEdited),
        (synced(&["a", "b"], &public(true)), Cause::EditInReview),
        (cause(&wanted(&["a", "b"]), Some(&as_left), Some(&left), &["b"]), Cause::CategoryRetired),
        (cause(&wanted(&["a", "b"]), Some(&google(&["x"])), None, &[]), Cause::NeverSynced),
        (failed.cause(), Cause::Unknown),
        (synced(&["a", "b"], &with(&as_left, &[LocationIssue::Closed])), Cause::LocationClosed),
        (synced(&["a", "b"], &with(&as_left, &[LocationIssue::Duplicate])), Cause::DuplicateLocation),
        (synced(&["a", "b"], &with(&as_left, &[LocationIssue::NoVoiceOfMerchant])), Cause::NoVoiceOfMerchant),
    ];
    for (found, expected) in stories {
        assert_eq!(found, expected);
    }
    let reached: HashSet<Cause> = stories.iter().map(|(found, _)| *found).collect();
    assert_eq!(reached.len(), Cause::ALL.len(), "every one of them");
}

fn with(google: &AtGoogle, issues: &[LocationIssue]) -> AtGoogle {
    AtGoogle { issues: issues.to_vec(), ..google.clone() }
}

/// Every set of what Google says of a location, beside every other cause that there could be.
#[test]
fn an_issue_of_the_location_has_its_place_in_the_order() {
    use LocationIssue::{Closed, Duplicate, NoVoiceOfMerchant};
    let left = baseline(&["a", "b"]);
    let plain = google(&["a", "b"]);
    let others_see = |in_review| AtGoogle { public: Some(set(&["x"])), in_review, ..plain.clone() };
    // What is wanted, what Google has, what was left, what is retired, and the cause of a location without an issue.
    let stories = [
        (wanted(&["a", "b"]), plain.clone(), Some(&left), &[][..], Cause::InSync),
        (wanted(&["a", "b"]), others_see(false), Some(&left), &[], Cause::GoogleEdited),
        (wanted(&["a", "b"]), others_see(true), Some(&left), &[], Cause::EditInReview),
        (wanted(&["a", "b"]), plain.clone(), None, &[], Cause::InSync),
        (wanted(&["a", "b"]), plain.clone(), Some(&left), &["b"], Cause::CategoryRetired),
        (wanted(&["a", "b"]), google(&["x"]), None, &[], Cause::NeverSynced),
        (wanted(&["a", "c"]), plain.clone(), Some(&left), &[], Cause::PlatformChanged),
        (wanted(&["a", "b=z"]), plain.clone(), Some(&left), &[], Cause::MappingChanged),
        (wanted(&["a", "b"]), google(&["a", "x"]), Some(&left), &[], Cause::MerchantEdited),
        (wanted(&[]), google(&["a"]), Some(&left), &[], Cause::PlatformChanged),
    ];
    for (wanted, at_google, left, retired, plain) in stories {
        let is_written = matches!(plain, Cause::InSync | Cause::GoogleEdited | Cause::EditInReview);
        for (issues, written, open) in [
            (&[][..], plain, true),
            (&[NoVoiceOfMerchant], Cause::NoVoiceOfMerchant, true),
            (&[Duplicate], Cause::DuplicateLocation, true),
            (&[Duplicate, NoVoiceOfMerchant], Cause::DuplicateLocation, true),
            (&[Closed], Cause::LocationClosed, false),
            (&[Closed, NoVoiceOfMerchant], Cause::LocationClosed, false),
            (&[Closed, Duplicate, NoVoiceOfMerchant], Cause::LocationClosed, false),
        ] {
            let found = cause(&wanted, Some(&with(&at_google, issues)), left, retired);
            let expected = match (open, is_written) {
                (false, _) => Cause::LocationClosed,
                (true, true) => written,
                (true, false) => plain,
            };
            assert_eq!(found, expected, "{plain} {issues:?}");
            assert!(issues.is_empty() || found != Cause::InSync);
            assert_eq!(found.is_out_of_sync(), !matches!(found, Cause::InSync | Cause::EditInReview));
        }
    }
    let failed = Facts { wanted: &wanted(&["a"]), google: Look::Failed, baseline: None, retired: &BTreeSet::new() };
    assert_eq!(failed.cause(), Cause::Unknown, "nobody knows whether it is still closed");
}

#[test]
fn what_was_kept_before_anybody_asked_for_issues_can_be_read_and_has_the_same_digest() {
    let before = json!({"merchant": null, "public": null, "in_review": false});
    let google: AtGoogle = serde_json::from_value(before.clone()).expect("read");
    assert_eq!(google.issues, []);
    assert_eq!(serde_json::to_value(&google).expect("written"), before);
    let digest = digest_of(&wanted(&["a"]), Some(&google));
    assert_eq!(digest, "b16eb643c188718588d7fbabf29de72e");
    for issue in LocationIssue::ALL {
        assert_ne!(
            digest_of(&wanted(&["a"]), Some(&with(&google, &[*issue]))),
            digest,
            "a change of a flag alone is news"
        );
    }
}

#[test]
fn of_several_causes_the_first_in_order_is_named() {
    let left = baseline(&["a", "b", "u="]);
    let (edited, as_left) = (google(&["x"]), google(&["a", "b"]));
    let of = |texts: &[&str], at_google| cause(&wanted(texts), at_google, Some(&left), &[]);
    assert_eq!(of(&["a", "c"], Some(&edited)), Cause::PlatformChanged, "drift is what the platform did not cause");
    assert_eq!(of(&["a", "b=z"], Some(&edited)), Cause::MappingChanged);
    assert_eq!(of(&["a", "b", "v="], Some(&edited)), Cause::MerchantEdited, "what is unmapped changes nothing");
    assert_eq!(of(&["a", "b=z", "v="], Some(&edited)), Cause::MappingChanged);
    assert_eq!(of(&["a", "c=b"], Some(&edited)), Cause::MerchantEdited, "another that stands for the same, too");
    assert_eq!(of(&["b", "a"], Some(&as_left)), Cause::PlatformChanged, "another primary one");
    assert_eq!(of(&["a", "b", "u=z"], Some(&as_left)), Cause::MappingChanged, "mapped at last");
    assert_eq!(cause(&wanted(&["a"]), Some(&google(&["b"])), None, &["a"]), Cause::CategoryRetired);
    assert_eq!(cause(&wanted(&["a"]), Some(&google(&["a"])), None, &[]), Cause::InSync, "nobody had to write");
}

#[test]
fn a_platform_that_wants_nothing_that_can_be_written_has_a_cause_without_a_look_at_google() {
    let left = baseline(&["a", "b"]);
    assert_eq!(cause(&wanted(&["a=", "b"]), None, Some(&left), &[]), Cause::MappingChanged);
    assert_eq!(cause(&wanted(&[]), None, Some(&left), &[]), Cause::PlatformChanged);
    assert_eq!(cause(&wanted(&[]), None, None, &[]), Cause::NeverSynced);
    let too_many = Wanted { set: Err(SourceError::TooMany { count: 2, limit: 1 }), ..wanted(&["a", "b"]) };
    assert_eq!(cause(&too_many, None, Some(&left), &[]), Cause::Unknown, "neither side has changed");
}

#[test]
fn a_revert_beside_an_unmapped_primary_category_leaves_a_cause_that_is_known() {
    let left = Baseline { choices: choices(&["a=", "b"]), set: set(&["x"]) };
    let of = |merchant| cause(&wanted(&["a=", "b"]), Some(&google(&[merchant])), Some(&left), &[]);
    assert_eq!(of("x"), Cause::PlatformChanged);
    assert_eq!(of("y"), Cause::MerchantEdited);
}

#[test]
fn what_a_run_took_back_is_a_change_of_the_platform_that_google_does_not_have() {
    let left = Baseline { set: set(&["x"]), ..baseline(&["a", "b"]) };
    assert_eq!(cause(&wanted(&["a", "b"]), Some(&google(&["x"])), Some(&left), &[]), Cause::PlatformChanged);
}

fn some_slugs() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(vec!["a", "b", "c", "a=b", "b=c", "c=", "d="], 0..=4).prop_shuffle()
}

fn some_set() -> impl Strategy<Value = CategorySet> {
    subsequence(vec!["a", "b", "c"], 1..=3).prop_shuffle().prop_map(|slugs| set(&slugs))
}

prop_compose! {
    fn at_google()(merchant in proptest::option::of(some_set()), public in proptest::option::of(some_set()),
                   in_review in any::<bool>(), issues in subsequence(LocationIssue::ALL.to_vec(), 0..=3)) -> AtGoogle {
        AtGoogle { merchant, public, in_review, issues }
    }
}

prop_compose! {
    fn any_baseline()(slugs in some_slugs(), set in some_set()) -> Baseline {
        Baseline { choices: distinct(&slugs).choices, set }
    }
}

/// A tenant has each category once.
fn distinct(texts: &[&str]) -> Wanted {
    let mut seen = HashSet::new();
    let slug = |text: &&&str| seen.insert(text.split('=').next().unwrap_or_default().to_owned());
    wanted(&texts.iter().filter(slug).copied().collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn there_is_one_cause_and_it_says_no_more_than_is_known(
        slugs in some_slugs(), google in at_google(), look in 0..3, baseline in proptest::option::of(any_baseline()),
        retired in subsequence(vec!["a", "b"], 0..=1),
    ) {
        let wanted = distinct(&slugs);
        let retired: BTreeSet<Gcid> = retired.into_iter().map(gcid).collect();
        let look = match look { 0 => Look::Failed, 1 => Look::Unasked, _ => Look::Read(&google) };
        let facts = Facts { wanted: &wanted, google: look, baseline: baseline.as_ref(), retired: &retired };
        let cause = facts.cause();
        let has_merchant = matches!(look, Look::Read(google) if google.merchant.is_some() && google.merchant.as_ref() == wanted.set.as_ref().ok());
        match look {
            Look::Failed => prop_assert_eq!(cause, Cause::Unknown),
            Look::Unasked => prop_assert!(!matches!(cause, Cause::InSync | Cause::MerchantEdited | Cause::GoogleEdited | Cause::EditInReview)),
            Look::Read(google) => {
                let is_plain = has_merchant && !google.in_review && google.public.as_ref().is_none_or(|public| Some(public) == google.merchant.as_ref());
                prop_assert!(cause != Cause::InSync || is_plain, "in sync is what everybody sees");
                prop_assert!(google.issues.is_empty() || !matches!(cause, Cause::InSync | Cause::EditInReview | Cause::GoogleEdited));
                prop_assert_eq!(cause == Cause::LocationClosed, google.issues.contains(&LocationIssue::Closed));
                prop_assert!(cause != Cause::GoogleEdited || has_merchant);
            }
        }
        let needs_a_write = matches!(cause, Cause::PlatformChanged | Cause::MappingChanged | Cause::MerchantEdited | Cause::NeverSynced);
        prop_assert!(!needs_a_write || !has_merchant);
        prop_assert!(baseline.is_some() || !matches!(cause, Cause::PlatformChanged | Cause::MappingChanged | Cause::MerchantEdited));
        prop_assert_eq!(cause == Cause::CategoryRetired, !matches!(look, Look::Failed) && cause != Cause::LocationClosed && wanted.gcids().any(|gcid| retired.contains(gcid)));
    }

    #[test]
    fn what_was_found_again_has_the_same_digest_and_anything_else_another(
        slugs in some_slugs(), other in some_slugs(), google in at_google(), more in at_google(),
    ) {
        let (one, two) = (distinct(&slugs), distinct(&other));
        let digest = digest_of(&one, Some(&google));
        prop_assert_eq!(&digest, &digest_of(&distinct(&slugs), Some(&google.clone())));
        prop_assert_eq!(digest == digest_of(&two, Some(&google)), one.choices == two.choices);
        prop_assert_eq!(digest == digest_of(&one, Some(&more)), google == more);
        prop_assert!(digest != digest_of(&one, None));
    }
}
