//! Google Business Profile over HTTP: the only place that talks to Google, and exact about how each call ended.
//!
//! - What a caller may do is a type: whoever holds a [`Reader`] and a [`Validator`] cannot write.
//! - Nothing is retried here, with one exception: a rejected access token is renewed and the call sent once more.
//!   Whether and when to try again is the caller's decision, from [`Failure::retry`](category_mirror_domain::Failure).
//! - A token that is rejected twice is tried with another call before the credentials are taken to be refused.
//! - Credentials that Google has refused are not shown to it again for a while; one client's credentials are no other's.
//! - A write that was sent and not answered is [`WriteFailure::Unknown`], never a guess.
//! - Answers come from outside: what is read and what is kept is bounded, and an incomplete answer is an error, not an empty one.

mod capability;
mod client;
mod error;
mod http;
mod identity;
mod responder;
mod response;
mod session;
mod taxonomy;
mod transport;

pub use capability::{Reader, Validator, Writer};
pub use client::{Client, GbpConfig};
pub use error::{GbpConfigError, WriteFailure};
pub use http::{
    call::Deadline,
    endpoint::{Endpoint, InvalidEndpoint},
    quota::{DEFAULT_QUOTA, Quota},
    span::{SPAN_TARGET, SpanContext, set_span_context},
};
pub use identity::credentials::{Credentials, CredentialsError};
pub use responder::{PendingAnswer, Responder};
pub use response::{
    location::{Location, PublicLocation},
    location_views::LocationViews,
};
pub use taxonomy::TaxonomyReader;
