//! Tenants and the identifiers around them.

pub(crate) mod tenant_sync;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A text that is no identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `{collection}/{{id}}`, the id {rule}")]
pub struct InvalidId {
    pub(crate) collection: &'static str,
    pub(crate) rule: &'static str,
}

/// Defines an identifier that is the last part of a resource name, such as `tenants/{tenant}`.
macro_rules! resource_id {
    ($(#[$doc:meta])* $name:ident, $collection:literal, $rule:literal, $is_valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Parses `", $collection, "/{id}`, or the bare id.")]
            ///
            /// # Errors
            /// [`InvalidId`] names the wanted form.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let id = text.strip_prefix(concat!($collection, "/")).unwrap_or(text);
                let is_valid: fn(&str) -> bool = $is_valid;
                if is_valid(id) {
                    Ok(Self(id.to_owned()))
                } else {
                    Err(InvalidId { collection: $collection, rule: $rule })
                }
            }

            /// The bare id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            #[doc = concat!("`", $collection, "/{id}`.")]
            #[must_use]
            pub fn resource_name(&self) -> String {
                format!(concat!($collection, "/{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}
pub(crate) use resource_id;

fn is_name(id: &str) -> bool {
    id.len() <= 63
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// Google's ids are decimal numbers; a letter, `_` or `-` does no harm, while `/`, `?`, `%` or `..` would change the URL.
fn is_google_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

resource_id!(
    /// A tenant's id, chosen by the platform.
    TenantId, "tenants", "1 to 63 characters of a-z, A-Z, 0-9, `-`, `.`, `_` and `~`, beginning with a letter or digit", is_name
);
resource_id!(
    /// An organization's id, chosen by the platform.
    OrganizationId, "organizations", "1 to 63 characters of a-z, A-Z, 0-9, `-`, `.`, `_` and `~`, beginning with a letter or digit", is_name
);
resource_id!(
    /// A GBP account's id.
    AccountId, "accounts", "1 to 64 characters of a-z, A-Z, 0-9, `-` and `_`", is_google_id
);
resource_id!(
    /// A GBP location's id.
    LocationId, "locations", "1 to 64 characters of a-z, A-Z, 0-9, `-` and `_`", is_google_id
);

/// One store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name for people.
    pub display_name: String,
    /// The chain it belongs to.
    pub organization: Option<OrganizationId>,
    /// The GBP account that holds the location.
    pub account: Option<AccountId>,
    /// The GBP location.
    pub location: Option<LocationId>,
    /// CLDR region code, such as `US`.
    pub region_code: String,
    /// BCP 47 language code, such as `en`.
    pub language_code: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Tenant {
    /// The language and region that Google's names are in, such as `en-US`.
    #[must_use]
    pub fn locale(&self) -> String {
        format!("{}-{}", self.language_code, self.region_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bare_ids_are_accepted() {
        assert_eq!(TenantId::parse("tenants/store-1"), TenantId::parse("store-1"));
        assert_eq!(TenantId::parse("store-1").expect("valid").resource_name(), "tenants/store-1");
    }

    #[test]
    fn ids_cannot_leave_their_place_in_a_url() {
        for id in ["", "a/b", "..", "a?b", "a%2Fb", "1:getGoogleUpdated", "tenants/", &"1".repeat(65)] {
            assert!(LocationId::parse(id).is_err(), "{id:?}");
        }
        for id in ["", "-", "-a", ".a", "a b", "a\n", "a/b", &"a".repeat(64)] {
            assert!(TenantId::parse(id).is_err(), "{id:?}");
        }
    }
}
