//! Google's identifiers, and sets of its categories. They are the emulator's own: it shares no code with the clients that it tests.

use std::fmt;

use serde::Deserialize;

/// The longest slug of a category that is taken; Google's are far shorter.
const MAX_SLUG_CHARS: usize = 120;
/// The longest id of an account or a location.
const MAX_ID_CHARS: usize = 64;

/// Defines an id that is the last part of a resource name. It is parsed from that or from the bare id.
macro_rules! google_id {
    ($(#[$doc:meta])* $name:ident, $collection:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        #[serde(try_from = "String")]
        pub(crate) struct $name(String);

        impl $name {
            /// Parses the id. Google's are numbers; letters, `_` and `-` do no harm in a URL.
            pub(crate) fn parse(text: &str) -> Result<Self, String> {
                let id = text.strip_prefix(concat!($collection, "/")).unwrap_or(text);
                let is_valid = (1..=MAX_ID_CHARS).contains(&id.len())
                    && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                let form = concat!("must be `", $collection, "/{id}`, the id 1 to 64 characters of a-z, A-Z, 0-9, `-` and `_`");
                if is_valid { Ok(Self(id.to_owned())) } else { Err(form.to_owned()) }
            }

            /// The bare id.
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }

            /// The resource name.
            pub(crate) fn resource_name(&self) -> String {
                format!(concat!($collection, "/{}"), self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text)
            }
        }
    };
}

google_id!(
    /// The id of an account.
    AccountId, "accounts"
);
google_id!(
    /// The id of a location.
    LocationId, "locations"
);

/// A category, such as `gcid:grocery_store`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Gcid(String);

impl Gcid {
    /// Parses `gcid:{slug}` or `categories/gcid:{slug}`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let slug = text.strip_prefix("categories/").unwrap_or(text).strip_prefix("gcid:");
        let Some(slug) = slug else {
            return Err("must be `gcid:{slug}` or `categories/gcid:{slug}`, such as `gcid:grocery_store`".to_owned());
        };
        let is_of_a_slug = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if (1..=MAX_SLUG_CHARS).contains(&slug.len()) && slug.bytes().all(is_of_a_slug) {
            Ok(Self(slug.to_owned()))
        } else if slug.contains('-') {
            // A mistake that real data has.
            Err(format!("`gcid:{slug}` has hyphens, which Google's identifiers never have"))
        } else {
            Err(format!("the part after `gcid:` must be 1 to {MAX_SLUG_CHARS} characters of a-z, 0-9 and _"))
        }
    }

    /// The resource name.
    pub(crate) fn resource_name(&self) -> String {
        format!("categories/{self}")
    }
}

impl TryFrom<String> for Gcid {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for Gcid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gcid:{}", self.0)
    }
}

/// A location's categories: one primary and additional ones, none of them twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CategorySet {
    primary: Gcid,
    /// Sorted, as their order means nothing to Google.
    additional: Vec<Gcid>,
}

impl CategorySet {
    /// Makes a set, or names the first category that is there more than once.
    pub(crate) fn new(primary: Gcid, mut additional: Vec<Gcid>) -> Result<Self, String> {
        additional.sort();
        let twice = additional.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| &pair[0]);
        match twice.or_else(|| additional.iter().find(|category| **category == primary)) {
            Some(category) => Err(format!("`{category}` is there more than once")),
            None => Ok(Self { primary, additional }),
        }
    }

    /// The primary category.
    pub(crate) fn primary(&self) -> &Gcid {
        &self.primary
    }

    /// The additional categories, sorted.
    pub(crate) fn additional(&self) -> &[Gcid] {
        &self.additional
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_their_place_in_a_url() {
        for id in ["", "a/b", "..", "a?b", "a%2Fb", "1:getGoogleUpdated", "locations/", &"1".repeat(65)] {
            assert!(LocationId::parse(id).is_err(), "{id:?}");
        }
        assert_eq!(LocationId::parse("locations/1"), LocationId::parse("1"));
        assert_eq!(AccountId::parse("1").expect("valid").resource_name(), "accounts/1");
    }

    #[test]
    fn a_category_has_one_spelling() {
        for text in ["", "grocery_store", "gcid:", "gcid:grocery-store", "gcid:Grocery", "categories/grocery"] {
            assert!(Gcid::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Gcid::parse("categories/gcid:pub"), Gcid::parse("gcid:pub"));
    }

    #[test]
    fn a_set_holds_each_category_once_in_no_order() {
        let gcid = |slug: &str| Gcid::parse(&format!("gcid:{slug}")).expect("valid");
        let set = |primary: &str, additional: &[&str]| {
            CategorySet::new(gcid(primary), additional.iter().map(|slug| gcid(slug)).collect())
        };
        assert_eq!(set("a", &["b", "c"]), set("a", &["c", "b"]));
        assert_eq!(set("a", &["b", "a"]), Err("`gcid:a` is there more than once".to_owned()));
        assert_eq!(set("a", &["b", "b"]), Err("`gcid:b` is there more than once".to_owned()));
    }
}
