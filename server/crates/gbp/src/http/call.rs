//! One call: its method, its target, its parameters, and until when it may be sent.

use std::time::{Duration, Instant};

use category_mirror_domain::LocationId;
use reqwest::Method;
use serde_json::Value;

use crate::{
    Endpoint, WriteFailure,
    response::{answer::UpstreamResponse, classify},
};

/// What a call is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    /// One location.
    Location(&'a LocationId),
    /// One location, as the public sees it.
    GoogleUpdated(&'a LocationId),
    /// Google's list of categories.
    Categories,
    /// Some of Google's categories.
    SomeCategories,
}

impl<'a> Target<'a> {
    /// The location, if it is one.
    pub(crate) fn location(&self) -> Option<&'a LocationId> {
        match *self {
            Self::Location(location) | Self::GoogleUpdated(location) => Some(location),
            Self::Categories | Self::SomeCategories => None,
        }
    }
}

/// One call.
pub(crate) struct Call<'a> {
    /// Google's name of the method, such as `locations.get`.
    pub(crate) name: &'static str,
    /// The HTTP method.
    pub(crate) method: Method,
    /// What it is about.
    pub(crate) target: Target<'a>,
    /// The parameters.
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// The body, sent as JSON.
    pub(crate) body: Option<Value>,
    /// Until when its answer has to be there, asked anew each time. `None`: there is no such time.
    pub(crate) deadline: Option<Deadline<'a>>,
}

/// Returns until when a write may be in flight; `None`: no longer.
pub type Deadline<'a> = &'a (dyn Fn() -> Option<Instant> + Sync);

impl Call<'_> {
    /// Whether a request that is sent now and takes `timeout` has its answer, or none, before the deadline.
    pub(crate) fn may_be_sent(&self, timeout: Duration) -> bool {
        self.deadline.is_none_or(|deadline| deadline().is_some_and(|end| Instant::now() + timeout <= end))
    }

    /// How messages call it.
    pub(crate) fn label(&self) -> String {
        match self.target {
            Target::Location(location) | Target::GoogleUpdated(location) => {
                format!("{} of {}", self.name, location.resource_name())
            }
            Target::Categories | Target::SomeCategories => self.name.to_owned(),
        }
    }

    /// Where it goes.
    pub(crate) fn url(&self, endpoint: &Endpoint) -> reqwest::Url {
        match self.target {
            Target::Location(location) => endpoint.join(&["v1", "locations", location.as_str()]),
            Target::GoogleUpdated(location) => {
                endpoint.join(&["v1", "locations", &format!("{location}:getGoogleUpdated")])
            }
            Target::Categories => endpoint.join(&["v1", "categories"]),
            Target::SomeCategories => endpoint.join(&["v1", "categories:batchGet"]),
        }
    }

    /// The failure that an answer means which is no success.
    pub(crate) fn refused(&self, answer: &UpstreamResponse) -> WriteFailure {
        let failure = classify::failure(&self.label(), answer);
        WriteFailure::new(classify::is_certain(answer), failure)
    }
}
