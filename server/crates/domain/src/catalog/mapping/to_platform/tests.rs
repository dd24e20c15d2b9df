use chrono::{DateTime, Utc};

use super::*;

const LOCALE: &str = "en-US";

fn gcid(slug: &str) -> Gcid {
    Gcid::parse(&format!("gcid:{slug}")).expect("valid")
}

/// `slug`, `slug=gcid`, or `slug=gcid!` for an imported one.
fn known(text: &str) -> PlatformCategory {
    let (slug, category_for) = text.split_once('=').map_or((text, None), |(slug, gcid)| (slug, Some(gcid)));
    PlatformCategory {
        slug: Slug::parse(slug).expect("valid"),
        display_name: slug.to_uppercase(),
        gcid: category_for.map(|text| gcid(text.trim_end_matches('!'))),
        imported_locale: text.ends_with('!').then(|| LOCALE.to_owned()),
        created_at: DateTime::<Utc>::UNIX_EPOCH,
        updated_at: DateTime::<Utc>::UNIX_EPOCH,
    }
}

fn platform(chosen: &[&str], others: &[&str]) -> Complete<PlatformCatalog> {
    let all = |texts: &[&str]| texts.iter().map(|text| known(text)).collect();
    Complete::read(PlatformCatalog { chosen: all(chosen), known: all(&[chosen, others].concat()) })
}

fn location(slugs: &[&str]) -> Complete<Option<CategorySet>> {
    let mut categories = slugs.iter().map(|slug| GbpCategory::new(gcid(slug), format!("Google's {slug}")));
    let set = categories.next().map(|primary| CategorySet::new(primary, categories.collect()).expect("a set"));
    Complete::read(set)
}

fn mapped(at_google: &[&str], chosen: &[&str], others: &[&str]) -> Vec<String> {
    let mapped = map_to_platform(&location(at_google), &platform(chosen, others), LOCALE).expect("mapped");
    mapped.set.iter().map(|category| category.slug.to_string()).collect()
}

#[test]
fn d8_a_location_without_categories_is_an_error_and_never_an_empty_set() {
    let failed = map_to_platform(&location(&[]), &platform(&["a=a"], &[]), LOCALE);
    assert_eq!(failed, Err(SourceError::EmptyLocation));
}

#[test]
fn of_several_that_stand_for_one_the_tenants_own_is_taken_then_the_platforms_then_an_imported_one() {
    assert_eq!(mapped(&["a"], &["z=a"], &["b=a"]), ["z"]);
    assert_eq!(mapped(&["a"], &["p=b", "z=a", "y=a"], &[])[0], "z", "the earlier of the tenant's");
    assert_eq!(mapped(&["a"], &[], &["z=a", "b=a", "a=a!"]), ["b"]);
    assert_eq!(mapped(&["a"], &[], &["z=a!", "b=a!"]), ["b"]);
}

#[test]
fn what_the_platform_does_not_know_is_imported_with_googles_name() {
    let mapped = map_to_platform(&location(&["wine_bar"]), &platform(&[], &[]), LOCALE).expect("mapped");
    let imported = mapped.set.primary();
    assert_eq!((imported.slug.as_str(), imported.display_name.as_str()), ("gbp-wine_bar", "Google's wine_bar"));
    assert_eq!((imported.gcid.clone(), imported.imported_locale.as_deref()), (Some(gcid("wine_bar")), Some(LOCALE)));
}

#[test]
fn d9_an_import_takes_no_slug_that_stands_for_something_else() {
    let slugs = mapped(&["cafe"], &[], &["gbp-cafe=bar"]);
    assert!(slugs[0].starts_with("gbp-cafe-") && slugs[0].len() == "gbp-cafe-".len() + 12, "{slugs:?}");
    let long = "x".repeat(120);
    let [one, two, three, ..] = candidate_slugs(&gcid(&long));
    assert_ne!(two, three);
    assert_eq!((one.as_str().len(), &one), (63, &two));
}

#[test]
fn googles_name_is_followed_in_its_own_language_only() {
    let at_google = location(&["a"]);
    for (locale, name) in [(LOCALE, "Google's a"), ("de-DE", "GBP-A")] {
        let mapped = map_to_platform(&at_google, &platform(&["gbp-a=a!"], &[]), locale).expect("mapped");
        assert_eq!(mapped.set.primary().display_name, name);
    }
    let own = map_to_platform(&at_google, &platform(&["own=a"], &[]), LOCALE).expect("mapped");
    assert_eq!(own.set.primary().display_name, "OWN", "the platform's own names are the platform's");
}

#[test]
fn what_says_nothing_about_the_location_stays() {
    let chosen = ["yoga", "coffee=cafe", "cafe=cafe", "bar=bar"];
    let mapped = map_to_platform(&location(&["cafe"]), &platform(&chosen, &[]), LOCALE).expect("mapped");
    let slugs: Vec<&str> = mapped.set.iter().map(|category| category.slug.as_str()).collect();
    assert_eq!(slugs, ["coffee", "cafe", "yoga"], "the bar goes, because the location has none");
    assert_eq!((mapped.unmapped[0].slug.as_str(), mapped.merged[0].slug.as_str()), ("yoga", "cafe"));
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_dropped_silently() {
    let at_google = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let failed = map_to_platform(&location(&at_google), &platform(&["yoga"], &[]), LOCALE);
    assert_eq!(failed, Err(SourceError::TooMany { count: 10, limit: 9 }));
}

#[test]
fn d9_what_has_no_slug_left_is_refused_and_takes_nobody_elses() {
    let taken: Vec<String> = candidate_slugs(&gcid("cafe")).iter().map(|slug| format!("{slug}=bar")).collect();
    let all: Vec<&str> = taken.iter().map(String::as_str).collect();
    let failed = map_to_platform(&location(&["cafe"]), &platform(&[], &all), LOCALE);
    assert_eq!(failed, Err(SourceError::NoFreeSlug(gcid("cafe"))));
    let (last, others) = all.split_last().expect("some");
    assert_eq!(mapped(&["cafe"], &[], others), [last.trim_end_matches("=bar")]);
}
