//! The calls, by the names under which they are counted, spoiled and reported.

use axum::http::Method as Verb;
use serde::Deserialize;

use crate::state::ids::{AccountId, LocationId};

/// One kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) enum Method {
    #[serde(rename = "locations.get")]
    GetLocation,
    #[serde(rename = "locations.patch")]
    PatchLocation,
    /// A `locations.patch` with `validateOnly=true`: it writes nothing, so it is told apart everywhere.
    #[serde(rename = "locations.patch.validateOnly")]
    ValidateLocation,
    #[serde(rename = "locations.getGoogleUpdated")]
    GetGoogleUpdated,
    #[serde(rename = "accounts.locations.list")]
    ListLocations,
    #[serde(rename = "categories.list")]
    ListCategories,
    #[serde(rename = "categories.batchGet")]
    BatchGetCategories,
    #[serde(rename = "token")]
    Token,
}

impl Method {
    /// The name in the control interface.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GetLocation => "locations.get",
            Self::PatchLocation => "locations.patch",
            Self::ValidateLocation => "locations.patch.validateOnly",
            Self::GetGoogleUpdated => "locations.getGoogleUpdated",
            Self::ListLocations => "accounts.locations.list",
            Self::ListCategories => "categories.list",
            Self::BatchGetCategories => "categories.batchGet",
            Self::Token => "token",
        }
    }

    /// The name of the remote procedure, as it stands in Google's error details.
    pub(crate) fn rpc(self) -> &'static str {
        match self {
            Self::GetLocation => "google.mybusiness.businessinformation.v1.Locations.GetLocation",
            Self::PatchLocation | Self::ValidateLocation => {
                "google.mybusiness.businessinformation.v1.Locations.UpdateLocation"
            }
            Self::GetGoogleUpdated => "google.mybusiness.businessinformation.v1.Locations.GetGoogleUpdatedLocation",
            Self::ListLocations => "google.mybusiness.businessinformation.v1.Locations.ListLocations",
            Self::ListCategories => "google.mybusiness.businessinformation.v1.Categories.ListCategories",
            Self::BatchGetCategories => "google.mybusiness.businessinformation.v1.Categories.BatchGetCategories",
            Self::Token => "google.identity.oauth2.Token",
        }
    }
}

/// A call: what, and of which resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The kind.
    pub(crate) method: Method,
    /// The location, where the path names a possible one.
    pub(crate) location: Option<LocationId>,
    /// The account, where the path names a possible one; `-` is the wildcard.
    pub(crate) account: Option<AccountId>,
}

impl Call {
    /// A call of the token endpoint.
    pub(crate) const TOKEN: Self = Self { method: Method::Token, location: None, account: None };

    /// Reads verb and path; `None` is a path that the API does not have, or a call that this project never makes.
    pub(crate) fn identify(verb: &Verb, path: &str, validate_only: bool) -> Option<Self> {
        let path = path.strip_prefix("/v1/")?;
        let call = |method| Self { method, location: None, account: None };
        if verb == Verb::GET && path == "categories" {
            return Some(call(Method::ListCategories));
        }
        if verb == Verb::GET && path == "categories:batchGet" {
            return Some(call(Method::BatchGetCategories));
        }
        if let Some(parent) = path.strip_suffix("/locations") {
            let account = parent.strip_prefix("accounts/").filter(|id| !id.is_empty() && !id.contains('/'))?;
            let account = AccountId::parse(account).ok();
            return (verb == Verb::GET).then(|| Self { account, ..call(Method::ListLocations) });
        }
        let id = path.strip_prefix("locations/").filter(|id| !id.is_empty() && !id.contains('/'))?;
        let (method, id) = match (verb, id.strip_suffix(":getGoogleUpdated")) {
            (&Verb::GET, Some(id)) => (Method::GetGoogleUpdated, id),
            (&Verb::GET, None) => (Method::GetLocation, id),
            (&Verb::PATCH, None) if validate_only => (Method::ValidateLocation, id),
            (&Verb::PATCH, None) => (Method::PatchLocation, id),
            _ => return None,
        };
        // An id that no location can have is an ordinary 404 later on.
        Some(Self { location: LocationId::parse(id).ok(), ..call(method) })
    }
}
