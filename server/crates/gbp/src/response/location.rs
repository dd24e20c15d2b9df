//! A location as Google answers it.

use category_mirror_domain::{CategorySet, Complete, Failure, GbpCategory, Gcid, LocationId, LocationIssue};
use serde::Deserialize;

use crate::response::{answer::unreadable, text};

/// Characters of a name for people that are kept.
const MAX_NAME: usize = 300;

/// A location, from a complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Its name for people; empty where the answer has none, as that of an update may.
    pub title: String,
    /// Its categories. `None`: the answer is complete, and the location has none.
    pub categories: Complete<Option<CategorySet>>,
    /// Whether an edit of ours is still in review.
    pub has_pending_edits: bool,
    /// Whether the public sees something that Google changed.
    pub has_google_updated: bool,
    /// Why Google does not publish edits of it, in the order of [`LocationIssue`]. What an answer leaves out is no issue.
    pub issues: Vec<LocationIssue>,
}

/// What the public sees, and what Google says of the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicLocation {
    /// The location as the public sees it.
    pub location: Location,
    /// Whether its categories are others than the merchant's.
    pub differs: bool,
    /// Whether an edit of the merchant's categories waits to be published.
    pub in_review: bool,
}

/// The answer's fields that are read; others may come and go.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireLocation {
    #[serde(default)]
    name: String,
    #[serde(default)]
    title: String,
    categories: Option<WireCategories>,
    /// Absent: the answer does not say.
    metadata: Option<WireMetadata>,
    open_info: Option<WireOpenInfo>,
}

/// What the public sees of a location.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireGoogleUpdated {
    location: Option<WireLocation>,
    #[serde(default)]
    diff_mask: String,
    #[serde(default)]
    pending_mask: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCategories {
    primary_category: Option<WireCategory>,
    #[serde(default)]
    additional_categories: Vec<WireCategory>,
}

/// A category in an answer, of a location or of Google's list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireCategory {
    /// The resource name.
    #[serde(default)]
    pub(crate) name: String,
    /// The name for people.
    #[serde(default)]
    pub(crate) display_name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireMetadata {
    has_pending_edits: bool,
    has_google_updated: bool,
    /// Absent is false, where there is metadata at all.
    has_voice_of_merchant: bool,
    duplicate_location: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireOpenInfo {
    status: String,
}

impl WireLocation {
    /// The location, if this is the answer for `id`.
    ///
    /// # Errors
    /// `UPSTREAM_INVALID` when the answer is about another location or about none, or its categories are no set of Google's categories.
    pub(crate) fn checked(self, label: &str, id: &LocationId) -> Result<Location, Failure> {
        if self.name != id.resource_name() {
            return Err(unreadable(label, format_args!("the answer is about {}", quoted(&self.name))));
        }
        let issues = issues(self.metadata.as_ref(), self.open_info.as_ref());
        let metadata = self.metadata.unwrap_or_default();
        Ok(Location {
            title: text::bounded(&self.title, MAX_NAME),
            categories: Complete::read(self.categories.map(|categories| categories.checked(label)).transpose()?),
            has_pending_edits: metadata.has_pending_edits,
            has_google_updated: metadata.has_google_updated,
            issues,
        })
    }
}

/// Why Google does not publish edits, as far as an answer says so.
fn issues(metadata: Option<&WireMetadata>, open_info: Option<&WireOpenInfo>) -> Vec<LocationIssue> {
    let is = |issue: &LocationIssue| match issue {
        LocationIssue::Closed => open_info.is_some_and(|open_info| open_info.status == "CLOSED_PERMANENTLY"),
        LocationIssue::Duplicate => metadata.is_some_and(|metadata| !metadata.duplicate_location.is_empty()),
        LocationIssue::NoVoiceOfMerchant => metadata.is_some_and(|metadata| !metadata.has_voice_of_merchant),
    };
    LocationIssue::ALL.iter().copied().filter(is).collect()
}

impl WireGoogleUpdated {
    /// The location, if the answer has it.
    ///
    /// # Errors
    /// Those of [`WireLocation::checked`]; `UPSTREAM_INVALID` without a location, or where its categories are said to differ and are not
    /// there.
    pub(crate) fn checked(self, label: &str, id: &LocationId) -> Result<PublicLocation, Failure> {
        let (differs, in_review) = (is_about_categories(&self.diff_mask), is_about_categories(&self.pending_mask));
        let location =
            self.location.ok_or_else(|| unreadable(label, "the answer has no location"))?.checked(label, id)?;
        if differs && location.categories.get().is_none() {
            return Err(unreadable(
                label,
                "the answer has other categories than the merchant's, and does not say which",
            ));
        }
        Ok(PublicLocation { location, differs, in_review })
    }
}

/// Whether a mask has the categories in it, or a part of them.
fn is_about_categories(mask: &str) -> bool {
    mask.split(',').map(str::trim).any(|path| path == "categories" || path.starts_with("categories."))
}

impl WireCategories {
    fn checked(self, label: &str) -> Result<CategorySet, Failure> {
        // Google requires a primary category, so a set without one was cut somewhere: not "no categories".
        let primary =
            self.primary_category.ok_or_else(|| unreadable(label, "the answer has categories and no primary one"))?;
        let category = |wire: WireCategory| wire.checked(label);
        let additional = self.additional_categories.into_iter().map(category).collect::<Result<_, Failure>>()?;
        CategorySet::new(category(primary)?, additional)
            .map_err(|why| unreadable(label, format_args!("in the answer's categories, {why}")))
    }
}

impl WireCategory {
    /// The category, its name bounded.
    ///
    /// # Errors
    /// `UPSTREAM_INVALID` for what is no category of Google's.
    pub(crate) fn checked(self, label: &str) -> Result<GbpCategory, Failure> {
        let gcid = Gcid::parse(&self.name).map_err(|why| {
            unreadable(label, format_args!("the answer has the category {}: {why}", quoted(&self.name)))
        })?;
        Ok(GbpCategory::new(gcid, text::name(&self.display_name, MAX_NAME)))
    }
}

fn quoted(text: &str) -> String {
    format!("`{}`", text::bounded(text, 150))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use category_mirror_domain::FailureReason;

    fn read(answer: Value) -> Result<Location, Failure> {
        let wire: WireLocation = serde_json::from_value(answer).expect("of the expected form");
        wire.checked("locations.get", &LocationId::parse("1").expect("valid"))
    }

    #[test]
    fn d3_only_a_complete_answer_says_that_there_are_no_categories() {
        let complete = read(json!({"name": "locations/1", "title": "Shop"})).expect("complete");
        assert_eq!(complete.categories.get(), &None);
        for incomplete in [
            json!({}),
            json!({"name": ""}),
            json!({"name": "locations/2"}),
            json!({"name": "locations/1", "categories": {}}),
            json!({"name": "locations/1", "categories": {"additionalCategories": [{"name": "categories/gcid:a"}]}}),
            json!({"name": "locations/1", "categories": {"primaryCategory": {}}}),
        ] {
            let failure = read(incomplete.clone()).expect_err("incomplete");
            assert_eq!(failure.reason, FailureReason::UpstreamInvalid, "{incomplete}");
        }
    }

    #[test]
    fn what_google_says_of_the_location_is_an_issue_only_where_it_says_so() {
        use LocationIssue::{Closed, Duplicate, NoVoiceOfMerchant};
        let voice = json!({"hasVoiceOfMerchant": true});
        for (answer, issues) in [
            (json!({}), &[][..]),
            (json!({"metadata": null}), &[]),
            (json!({"metadata": {}}), &[NoVoiceOfMerchant]),
            (json!({"metadata": {"placeId": "p"}}), &[NoVoiceOfMerchant]),
            (json!({"metadata": {"hasVoiceOfMerchant": false}}), &[NoVoiceOfMerchant]),
            (json!({"metadata": voice}), &[]),
            (json!({"metadata": voice, "openInfo": {}}), &[]),
            (json!({"metadata": voice, "openInfo": {"status": "OPEN", "canReopen": true}}), &[]),
            (json!({"metadata": voice, "openInfo": {"status": "CLOSED_TEMPORARILY"}}), &[]),
            (json!({"metadata": voice, "openInfo": {"status": "A_STATUS_OF_TOMORROW"}}), &[]),
            (json!({"metadata": voice, "openInfo": {"status": "CLOSED_PERMANENTLY"}}), &[Closed]),
            (json!({"openInfo": {"status": "CLOSED_PERMANENTLY"}}), &[Closed]),
            (json!({"metadata": {"hasVoiceOfMerchant": true, "duplicateLocation": "locations/2"}}), &[Duplicate]),
            (
                json!({"metadata": {"duplicateLocation": "locations/2"}, "openInfo": {"status": "CLOSED_PERMANENTLY"}}),
                &[Closed, Duplicate, NoVoiceOfMerchant],
            ),
        ] {
            let mut whole = answer.clone();
            whole["name"] = json!("locations/1");
            assert_eq!(read(whole).expect("complete").issues, issues, "{answer}");
        }
    }

    #[test]
    fn the_masks_of_the_public_view_count_where_they_are_about_categories() {
        let read = |answer: Value| {
            let wire: WireGoogleUpdated = serde_json::from_value(answer).expect("of the expected form");
            wire.checked("locations.getGoogleUpdated", &LocationId::parse("1").expect("valid"))
        };
        let location = json!({"name": "locations/1", "categories": {"primaryCategory": {"name": "categories/gcid:a"}}});
        for (mask, hits) in [
            ("", false),
            ("title", false),
            ("categoriesOfMine,title", false),
            ("categories", true),
            ("title, categories.additionalCategories", true),
        ] {
            let public = read(json!({"location": location, "diffMask": mask, "pendingMask": mask})).expect("readable");
            assert_eq!((public.differs, public.in_review), (hits, hits), "{mask}");
        }
        let nothing = read(json!({"location": {"name": "locations/1"}, "diffMask": "categories"})).expect_err("what?");
        assert_eq!(nothing.reason, FailureReason::UpstreamInvalid);
    }

    #[test]
    fn d9_a_category_that_google_cannot_have_is_named_and_bounded() {
        let with = |name: &str| {
            json!({"name": "locations/1", "categories": {
                "primaryCategory": {"name": "categories/gcid:a"},
                "additionalCategories": [{"name": name}],
            }})
        };
        let failure = read(with("categories/gcid:african-grocery-store")).expect_err("hyphens");
        assert!(failure.message.contains("`categories/gcid:african-grocery-store`"), "{}", failure.message);
        let failure = read(with(&"x".repeat(100_000))).expect_err("no gcid");
        assert!(failure.message.len() < 400, "{}", failure.message.len());
        let failure = read(with("categories/gcid:a")).expect_err("twice");
        assert!(failure.message.contains("`gcid:a` occurs more than once"), "{}", failure.message);
    }
}
