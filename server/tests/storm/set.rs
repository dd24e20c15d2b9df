//! A location's categories, with the auditor's own arithmetic: it shares none with what it audits.

use std::{collections::BTreeSet, fmt};

use serde_json::{Value, json};

/// Names of Google's taxonomy that the tenants choose from.
pub(crate) const CATEGORIES: [&str; 10] = [
    "cafe",
    "bakery",
    "deli",
    "bar",
    "pub",
    "supermarket",
    "grocery_store",
    "butcher_shop",
    "night_club",
    "food_court",
];

/// One more, which only one tenant has: its platform category loses its mapping now and then.
pub(crate) const UNMAPPABLE: &str = "pizza_restaurant";

/// The primary category, and the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    primary: String,
    additional: BTreeSet<String>,
}

impl Set {
    /// Any set of one to six categories.
    pub(crate) fn any(dice: &mut fastrand::Rng) -> Self {
        let mut chosen = dice.choose_multiple(CATEGORIES, 6);
        dice.shuffle(&mut chosen);
        chosen.truncate(dice.usize(1..=6));
        Self { primary: chosen[0].to_owned(), additional: chosen[1..].iter().map(|&name| name.to_owned()).collect() }
    }

    /// Another set than this one.
    pub(crate) fn other(&self, dice: &mut fastrand::Rng) -> Self {
        loop {
            let other = Self::any(dice);
            if other != *self {
                return other;
            }
        }
    }

    /// Any set that is none of these.
    pub(crate) fn none_of(others: &[&Self], dice: &mut fastrand::Rng) -> Self {
        loop {
            let set = Self::any(dice);
            if !others.contains(&&set) {
                return set;
            }
        }
    }

    /// The first `count` of the names from number `first` on.
    pub(crate) fn of_names(first: usize, count: usize) -> Self {
        let names: Vec<String> = CATEGORIES.iter().skip(first).take(count).map(|&name| name.to_owned()).collect();
        Self::from_names(&names).expect("some names")
    }

    /// The same with another primary category, in whose place the old one is lost.
    pub(crate) fn with_primary(self, primary: &str) -> Self {
        Self { primary: primary.to_owned(), ..self }
    }

    /// Where each category is.
    pub(crate) fn places(&self) -> BTreeSet<(String, String)> {
        let mut places: BTreeSet<(String, String)> =
            self.additional.iter().map(|name| ("additional".to_owned(), name.clone())).collect();
        places.insert(("primary".to_owned(), self.primary.clone()));
        places
    }

    /// How many categories another set lacks.
    pub(crate) fn lost_in(&self, other: &Self) -> usize {
        let names = other.names();
        self.names().iter().filter(|name| !names.contains(name)).count()
    }

    /// Whether another set has the same primary category.
    pub(crate) fn has_primary_of(&self, other: &Self) -> bool {
        self.primary == other.primary
    }

    /// From names, the primary one first.
    pub(crate) fn from_names(names: &[String]) -> Option<Self> {
        let (primary, additional) = names.split_first()?;
        Some(Self { primary: primary.clone(), additional: additional.iter().cloned().collect() })
    }

    /// From slugs of the platform, the primary one first.
    pub(crate) fn from_slugs(slugs: &[String]) -> Option<Self> {
        let names: Vec<String> = slugs.iter().map(|slug| slug.replace('-', "_")).collect();
        Self::from_names(&names)
    }

    /// The slugs of the platform, the primary one first.
    pub(crate) fn slugs(&self) -> Vec<String> {
        self.names().iter().map(|name| name.replace('_', "-")).collect()
    }

    /// From Google's form.
    pub(crate) fn from_google(categories: &Value) -> Option<Self> {
        let name = |category: &Value| Some(category["name"].as_str()?.strip_prefix("categories/gcid:")?.to_owned());
        let additional = categories["additionalCategories"].as_array().into_iter().flatten().map(name);
        Some(Self { primary: name(&categories["primaryCategory"])?, additional: additional.collect::<Option<_>>()? })
    }

    /// From the form of the run table.
    pub(crate) fn from_row(set: &Value) -> Option<Self> {
        let additional = set["additional"].as_array().into_iter().flatten().map(bare);
        Some(Self { primary: bare(&set["primary"])?, additional: additional.collect::<Option<_>>()? })
    }

    /// In Google's form.
    pub(crate) fn to_google(&self) -> Value {
        let named = |name: &String| json!({ "name": format!("categories/gcid:{name}") });
        let additional: Vec<_> = self.additional.iter().map(named).collect();
        json!({ "primaryCategory": named(&self.primary), "additionalCategories": additional })
    }

    /// The names, the primary one first.
    pub(crate) fn names(&self) -> Vec<String> {
        std::iter::once(&self.primary).chain(&self.additional).cloned().collect()
    }

    /// What the changes of one write, as the run table has them, make of this set: first all that goes goes, then all that comes comes.
    pub(crate) fn changed_by(&self, changes: &Value) -> Option<Self> {
        let mut places = self.places();
        for change in changes.as_array()? {
            if let Some(before) = place(&change["before"]) {
                places.remove(&before);
            }
        }
        places.extend(changes.as_array()?.iter().filter_map(|change| place(&change["after"])));
        let (primary, additional): (Vec<_>, Vec<_>) = places.into_iter().partition(|(place, _)| place == "primary");
        let [(_, primary)] = <[_; 1]>::try_from(primary).ok()?;
        Some(Self { primary, additional: additional.into_iter().map(|(_, name)| name).collect() })
    }
}

/// The place and the category of one side of a change.
pub(crate) fn place(side: &Value) -> Option<(String, String)> {
    Some((side["role"].as_str()?.to_owned(), bare(&side["category"])?))
}

/// `cafe` of a category `{"gcid": "gcid:cafe"}`.
fn bare(category: &Value) -> Option<String> {
    Some(category["gcid"].as_str()?.strip_prefix("gcid:")?.to_owned())
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let additional: Vec<&str> = self.additional.iter().map(String::as_str).collect();
        write!(f, "{} [{}]", self.primary, additional.join(", "))
    }
}
