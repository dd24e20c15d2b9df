//! An answer with its status, not yet understood.

use std::time::Duration;

use category_mirror_domain::{Failure, FailureReason};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::response::text;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct UpstreamResponse {
    /// The status.
    pub(crate) status: StatusCode,
    /// How long the other side asks to wait, bounded.
    pub(crate) retry_after: Option<Duration>,
    /// Whether it calls itself JSON.
    pub(crate) is_json: bool,
    /// What it calls itself, bounded.
    pub(crate) content_type: String,
    /// The complete body, or why there is none.
    pub(crate) body: Result<Vec<u8>, Failure>,
}

impl UpstreamResponse {
    /// The same without `secrets`, unless it is a success: an error may repeat what was sent, and is kept, shown and logged. A body that
    /// is no JSON is none of these.
    pub(crate) fn without(mut self, secrets: &[&str]) -> Self {
        if self.status.is_success() {
            return self;
        }
        self.content_type = text::without(&self.content_type, secrets);
        if let Ok(body) = &mut self.body
            && let Ok(value) = serde_json::from_slice::<Value>(body)
        {
            *body = text::mapped(&value, &|text| text::without(text, secrets)).to_string().into_bytes();
        }
        self
    }

    /// Reads the body as `T`.
    ///
    /// # Errors
    /// `UPSTREAM_INVALID` when it is no complete JSON of that form, or does not call itself JSON: a proxy's page is no answer.
    pub(crate) fn json<T: DeserializeOwned>(&self, label: &str) -> Result<T, Failure> {
        let body = self.body.as_ref().map_err(Clone::clone)?;
        if !self.is_json {
            return Err(unreadable(label, format_args!("the answer is `{}`, not JSON", self.content_type)));
        }
        // The parser's own message can repeat the text, and that of a token's answer is secret.
        serde_json::from_slice(body).map_err(|error| {
            let what = if error.is_data() { "not of the expected form" } else { "not complete JSON" };
            let (line, column) = (error.line(), error.column());
            unreadable(label, format_args!("the answer is {what} (line {line}, column {column})"))
        })
    }
}

/// The failure of an answer that came but cannot be used.
pub(crate) fn unreadable(label: &str, what: impl std::fmt::Display) -> Failure {
    Failure::transient(FailureReason::UpstreamInvalid, format!("{label}: {what}"))
}
