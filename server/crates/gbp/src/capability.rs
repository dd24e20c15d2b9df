//! What a caller may do, one type each: code that holds no [`Writer`] cannot write.

use category_mirror_domain::{CategorySet, Failure, GbpCategory, LocationId, Retry, ValidationError};
use reqwest::Method;
use serde_json::json;

use crate::{
    Location, LocationViews, PublicLocation, WriteFailure,
    http::call::{Call, Deadline, Target},
    response::answer::UpstreamResponse,
    response::google_error::GoogleError,
    response::location::{WireGoogleUpdated, WireLocation},
    session::Session,
};

/// Reads locations.
#[derive(Debug, Clone)]
pub struct Reader(pub(crate) Session);

/// Has Google check updates, which changes nothing.
#[derive(Debug, Clone)]
pub struct Validator(pub(crate) Session);

/// Updates locations.
#[derive(Debug, Clone)]
pub struct Writer(pub(crate) Session);

impl Reader {
    /// Reads a location.
    ///
    /// # Errors
    /// The class of each of Google's answers; `UPSTREAM_INVALID` for one that is incomplete or about another location.
    pub async fn location(&self, id: &LocationId) -> Result<Location, Failure> {
        let call = Call {
            name: "locations.get",
            method: Method::GET,
            target: Target::Location(id),
            // Categories whole: a path into them is an error.
            query: &[("readMask", "name,title,categories,metadata,openInfo")],
            body: None,
            deadline: None,
        };
        location(&call, id, &self.answer(&call).await?)
    }

    /// Reads a location as the public sees it, with what Google has changed.
    ///
    /// # Errors
    /// Those of [`Reader::location`].
    pub async fn public_location(&self, id: &LocationId) -> Result<PublicLocation, Failure> {
        let call = Call {
            name: "locations.getGoogleUpdated",
            method: Method::GET,
            target: Target::GoogleUpdated(id),
            query: &[("readMask", "name,title,categories,metadata")],
            body: None,
            deadline: None,
        };
        let label = call.label();
        self.answer(&call).await?.json::<WireGoogleUpdated>(&label)?.checked(&label, id)
    }

    /// Reads a location in both views. The public's costs a request of its own, and is read where Google hints that it differs.
    ///
    /// # Errors
    /// Those of [`Reader::location`].
    pub async fn merchant_view(&self, id: &LocationId) -> Result<LocationViews, Failure> {
        let merchant = self.location(id).await?;
        let differs = merchant.has_google_updated || merchant.has_pending_edits;
        let public = if differs { Some(self.public_location(id).await?) } else { None };
        Ok(LocationViews::of(merchant, public))
    }

    /// Reads a location in both views, whatever Google hints.
    ///
    /// # Errors
    /// Those of [`Reader::location`].
    pub async fn both_views(&self, id: &LocationId) -> Result<LocationViews, Failure> {
        Ok(LocationViews::of(self.location(id).await?, Some(self.public_location(id).await?)))
    }

    async fn answer(&self, call: &Call<'_>) -> Result<UpstreamResponse, Failure> {
        let answer = self.0.call(call).await.map_err(WriteFailure::into_failure)?;
        if answer.status.is_success() { Ok(answer) } else { Err(call.refused(&answer).into_failure()) }
    }
}

impl Validator {
    /// Asks Google whether it would accept `categories` as all the location's categories. No objections: it would.
    ///
    /// # Errors
    /// Everything that is no verdict about the update: no access, no such location, no quota, no answer.
    pub async fn validate(&self, id: &LocationId, categories: &CategorySet) -> Result<Vec<ValidationError>, Failure> {
        let query = [("updateMask", "categories"), ("validateOnly", "true")];
        let call = patch(id, categories, &query);
        let answer = self.0.call(&call).await.map_err(WriteFailure::into_failure)?;
        if answer.status.is_success() {
            return accepted(&call, &answer).map(|()| Vec::new());
        }
        let failure = call.refused(&answer).into_failure();
        let verdict = answer.body.as_ref().ok().and_then(|body| GoogleError::parse(body));
        match verdict {
            Some(error) if answer.status == 400 && failure.retry == Retry::Never => Ok(error.validation_errors()),
            _ => Err(failure),
        }
    }
}

impl Writer {
    /// Replaces all the location's categories, in one request that is sent once, and only while a request's timeout is left until
    /// `deadline`: once that has passed, another writer may be at work. The answer is the location as Google says it now is.
    ///
    /// # Errors
    /// [`WriteFailure`] tells a write that did not happen from one that may have.
    pub async fn replace_categories(
        &self,
        id: &LocationId,
        categories: &CategorySet,
        deadline: Deadline<'_>,
    ) -> Result<Location, WriteFailure> {
        let query = [("updateMask", "categories")];
        let call = Call { deadline: Some(deadline), ..patch(id, categories, &query) };
        let answer = self.0.call(&call).await?;
        if !answer.status.is_success() {
            return Err(call.refused(&answer));
        }
        location(&call, id, &answer).map_err(WriteFailure::Unknown)
    }
}

/// An update of the whole field: with the primary alone, Google would remove the additional ones, so both are always sent.
fn patch<'a>(location: &'a LocationId, categories: &CategorySet, query: &'a [(&'a str, &'a str)]) -> Call<'a> {
    // The name is all that Google needs; a display name would only be another language's.
    let named = |category: &GbpCategory| json!({"name": category.gcid.resource_name()});
    let additional: Vec<_> = categories.additional().iter().map(named).collect();
    let body = json!({"categories": {
        "primaryCategory": named(categories.primary()),
        "additionalCategories": additional,
    }});
    Call {
        name: "locations.patch",
        method: Method::PATCH,
        target: Target::Location(location),
        query,
        body: Some(body),
        deadline: None,
    }
}

fn location(call: &Call<'_>, id: &LocationId, answer: &UpstreamResponse) -> Result<Location, Failure> {
    let label = call.label();
    answer.json::<WireLocation>(&label)?.checked(&label, id)
}

/// A validation that succeeds answers `{}`, or nothing at all.
fn accepted(call: &Call<'_>, answer: &UpstreamResponse) -> Result<(), Failure> {
    match &answer.body {
        Ok(body) if body.is_empty() => Ok(()),
        _ => answer.json::<serde_json::Map<_, _>>(&call.label()).map(drop),
    }
}
