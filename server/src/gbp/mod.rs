//! Google Business Profile over HTTP: the only place that talks to Google, and exact about how each call ended.
//!
//! - What a caller may do is a type: whoever holds a [`Reader`] and a [`Validator`] cannot write.
//! - Nothing is retried here, with one exception: a rejected access token is renewed and the call sent once more.
//!   Whether and when to try again is the caller's decision, from [`Failure::retry`](crate::domain::Failure).
//! - A token that is rejected twice is tried with another call before the credentials are taken to be refused.
//! - Credentials that Google has refused are not shown to it again for a while; one client's credentials are no other's.
//! - A write that was sent and not answered is [`WriteFailure::Unknown`], never a guess.
//! - Answers come from outside: what is read and what is kept is bounded, and an incomplete answer is an error, not an empty one.

mod answer;
mod call;
mod capability;
mod classify;
mod client;
mod credentials;
mod denial;
mod endpoint;
mod exchange;
mod google_error;
mod in_process;
mod instrumented;
mod location;
mod location_views;
mod quota;
mod rejection;
mod retry_after;
mod taxonomy;
mod text;
mod token;

pub use call::Deadline;
pub use capability::{Reader, Validator, WriteFailure, Writer};
pub use client::{Client, GbpConfig, GbpConfigError};
pub use credentials::{Credentials, CredentialsError};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use in_process::InProcessGbp;
pub use location::Location;
pub use location_views::{LocationViews, PublicLocation};
pub use quota::{DEFAULT_QUOTA, Quota};
pub use taxonomy::TaxonomyReader;
