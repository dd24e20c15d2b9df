//! A location, and the three views of its categories: the merchant's, the public's, and what is in review.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde_json::{Value, json};

use crate::state::condition::Condition;
use crate::state::ids::{AccountId, CategorySet, Gcid, LocationId};
use crate::state::taxonomy::{Locale, Taxonomy};

/// A location on Google's side.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// The account that holds it.
    pub(crate) account: AccountId,
    /// The business's name.
    pub(crate) title: String,
    /// CLDR region code.
    pub(crate) region_code: String,
    /// BCP 47 language code.
    pub(crate) language_code: String,
    /// As last set by the merchant: what `locations.get` answers.
    merchant: CategorySet,
    /// As it appears to consumers: what `getGoogleUpdated` answers.
    public: CategorySet,
    /// The merchant's edit that the public does not see yet.
    pending: Option<CategorySet>,
    /// Whether Google changed the public view and the merchant has not answered since.
    google_updated: bool,
    /// What Google says of it as a whole.
    condition: Condition,
}

impl Location {
    /// A location of which everyone sees the same categories.
    pub(crate) fn new(
        account: AccountId,
        title: String,
        region_code: String,
        language_code: String,
        categories: CategorySet,
    ) -> Self {
        let public = categories.clone();
        Self {
            account,
            title,
            region_code,
            language_code,
            merchant: categories,
            public,
            pending: None,
            google_updated: false,
            condition: Condition::default(),
        }
    }

    /// The same in another condition.
    pub(crate) fn with_condition(self, condition: Condition) -> Self {
        Self { condition, ..self }
    }

    /// What Google says of it as a whole.
    pub(crate) fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Google says something else of it. Edits that it did not publish become live with the condition for that.
    pub(crate) fn set_condition(&mut self, condition: Condition) {
        let is_released = condition.publishes() && !self.condition.publishes();
        self.condition = condition;
        if is_released && self.pending.is_none() && !self.google_updated {
            self.public = self.merchant.clone();
        }
    }

    /// An edit by the merchant, which also settles what Google had changed. With review, the public sees it later; in a condition in which
    /// Google publishes nothing, not at all.
    pub(crate) fn edit(&mut self, categories: CategorySet, review: bool) {
        self.google_updated = false;
        if !self.condition.publishes() {
            self.pending = None;
            self.merchant = categories;
            return;
        }
        self.pending = (review && self.public != categories).then(|| categories.clone());
        if self.pending.is_none() {
            self.public = categories.clone();
        }
        self.merchant = categories;
    }

    /// An edit by Google or by its users: the merchant's view stays.
    pub(crate) fn edit_by_google(&mut self, categories: CategorySet) {
        self.public = categories;
        self.google_updated = self.public != self.merchant;
    }

    /// Ends the review; false when nothing was in review.
    pub(crate) fn publish(&mut self) -> bool {
        let Some(categories) = self.pending.take() else { return false };
        self.public = categories;
        self.google_updated = false;
        true
    }

    /// The whole `Location` resource in the merchant's view.
    pub(crate) fn resource(&self, id: &LocationId, taxonomy: &Taxonomy) -> Value {
        self.view(id, &self.merchant, taxonomy)
    }

    /// The whole `GoogleUpdatedLocation`, its `location` cut down by `cut`.
    pub(crate) fn google_updated(&self, id: &LocationId, taxonomy: &Taxonomy, cut: impl Fn(&Value) -> Value) -> Value {
        let mut answer = json!({ "location": cut(&self.view(id, &self.public, taxonomy)) });
        if self.public != self.merchant {
            answer["diffMask"] = json!("categories");
        }
        if self.pending.is_some() {
            answer["pendingMask"] = json!("categories");
        }
        answer
    }

    fn view(&self, id: &LocationId, categories: &CategorySet, taxonomy: &Taxonomy) -> Value {
        // Proto3 JSON: what is false or empty is not there.
        let mut metadata = self.condition.metadata();
        if self.google_updated {
            metadata["hasGoogleUpdated"] = json!(true);
        }
        if self.pending.is_some() {
            metadata["hasPendingEdits"] = json!(true);
        }
        let mut resource = json!({
            "name": id.resource_name(),
            "languageCode": self.language_code,
            "storefrontAddress": { "regionCode": self.region_code },
            "categories": self.categories(categories, taxonomy),
            "metadata": metadata,
            "openInfo": self.condition.open_info(),
        });
        if !self.title.is_empty() {
            resource["title"] = json!(self.title);
        }
        resource
    }

    fn categories(&self, set: &CategorySet, taxonomy: &Taxonomy) -> Value {
        let locale = Locale { region: &self.region_code, language: &self.language_code };
        let category = |gcid: &Gcid| taxonomy.category(gcid, locale);
        let mut categories = json!({ "primaryCategory": category(set.primary()) });
        if !set.additional().is_empty() {
            categories["additionalCategories"] = set.additional().iter().map(category).collect();
        }
        categories
    }

    /// Everything, for the control interface: nothing is left out because it is empty.
    pub(crate) fn report(&self, id: &LocationId, taxonomy: &Taxonomy) -> Value {
        let categories = |set: &CategorySet| {
            let mut view = self.categories(set, taxonomy);
            if set.additional().is_empty() {
                view["additionalCategories"] = json!([]);
            }
            view
        };
        let mut metadata =
            json!({ "hasGoogleUpdated": self.google_updated, "hasPendingEdits": self.pending.is_some() });
        self.condition.report(&mut metadata);
        json!({
            "name": id.resource_name(),
            "account": self.account.resource_name(),
            "title": self.title,
            "regionCode": self.region_code,
            "languageCode": self.language_code,
            "merchant": categories(&self.merchant),
            "public": categories(&self.public),
            "pending": self.pending.as_ref().map(categories),
            "metadata": metadata,
            "openInfo": self.condition.open_info(),
        })
    }
}

/// All locations by id, and every account that ever held one: an account does not end with its last location.
#[derive(Debug, Default)]
pub(crate) struct Locations {
    by_id: BTreeMap<String, (LocationId, Location)>,
    accounts: BTreeSet<AccountId>,
}

impl Locations {
    /// Puts a location in place of whatever had its id.
    pub(crate) fn put(&mut self, id: LocationId, location: Location) {
        self.accounts.insert(location.account.clone());
        self.by_id.insert(id.as_str().to_owned(), (id, location));
    }

    /// Removes a location; false when there is none.
    pub(crate) fn remove(&mut self, id: &LocationId) -> bool {
        self.by_id.remove(id.as_str()).is_some()
    }

    /// The location with this id.
    pub(crate) fn get(&self, id: &LocationId) -> Option<&Location> {
        self.by_id.get(id.as_str()).map(|(_, location)| location)
    }

    /// The location with this id, to change it.
    pub(crate) fn get_mut(&mut self, id: &LocationId) -> Option<&mut Location> {
        self.by_id.get_mut(id.as_str()).map(|(_, location)| location)
    }

    /// Whether the account ever held a location.
    pub(crate) fn has_account(&self, account: &AccountId) -> bool {
        self.accounts.contains(account)
    }

    /// The locations whose id, as text, comes after `key`, sorted by it.
    pub(crate) fn after(&self, key: &str) -> impl Iterator<Item = (&str, (&LocationId, &Location))> {
        let rest = self.by_id.range::<str, _>((Bound::Excluded(key), Bound::Unbounded));
        rest.map(|(key, (id, location))| (key.as_str(), (id, location)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(primary: &str) -> CategorySet {
        let gcid = Gcid::parse(&format!("gcid:{primary}")).expect("a gcid");
        CategorySet::new(gcid, Vec::new()).expect("a set")
    }

    fn location() -> Location {
        let account = AccountId::parse("1").expect("an id");
        Location::new(account, "T".into(), "US".into(), "en".into(), set("bar"))
    }

    fn masks(location: &Location) -> (bool, bool, bool, bool) {
        let id = LocationId::parse("1").expect("an id");
        let taxonomy = Taxonomy::default();
        let updated = location.google_updated(&id, &taxonomy, Value::clone);
        let metadata = &location.resource(&id, &taxonomy)["metadata"];
        let has = |value: &Value, key| value.get(key).is_some();
        (
            has(&updated, "diffMask"),
            has(&updated, "pendingMask"),
            has(metadata, "hasGoogleUpdated"),
            has(metadata, "hasPendingEdits"),
        )
    }

    #[test]
    fn an_edit_shows_at_once_without_review() {
        let mut location = location();
        location.edit(set("pub"), false);
        assert_eq!((&location.merchant, &location.public), (&set("pub"), &set("pub")));
        assert_eq!(masks(&location), (false, false, false, false));
    }

    #[test]
    fn an_edit_in_review_is_pending_until_published() {
        let mut location = location();
        location.edit(set("pub"), true);
        assert_eq!((&location.merchant, &location.public), (&set("pub"), &set("bar")));
        assert_eq!(
            masks(&location),
            (true, true, false, true),
            "the public sees another set, but not by Google's doing"
        );
        assert!(location.publish());
        assert_eq!(location.public, set("pub"));
        assert_eq!(masks(&location), (false, false, false, false));
        assert!(!location.publish());
        location.edit(set("pub"), true);
        assert_eq!(masks(&location), (false, false, false, false), "nothing to review in an edit that changes nothing");
    }

    #[test]
    fn the_merchant_answers_what_google_changed() {
        let mut location = location();
        location.edit_by_google(set("night_club"));
        assert_eq!(masks(&location), (true, false, true, false));
        location.edit(set("bar"), false);
        assert_eq!(location.public, set("bar"), "rejected");
        assert_eq!(masks(&location), (false, false, false, false));
    }
}
