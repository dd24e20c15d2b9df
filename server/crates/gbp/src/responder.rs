//! What can answer in Google's place.

use std::{future::Future, pin::Pin};

use category_mirror_domain::LocationId;
use reqwest::StatusCode;

use crate::{http::call::Target, response::answer::UpstreamResponse};

/// The status and the JSON body of an answer, once there is one.
pub type PendingAnswer<'a> = Pin<Box<dyn Future<Output = (u16, String)> + Send + 'a>>;

/// Answers requests in Google's place and within the process, so that a benchmark measures everything else. The product has none.
pub trait Responder: Send + Sync {
    /// Answers a request about `location`; `None` where the request is about no location.
    fn answer<'a>(&'a self, location: Option<&'a LocationId>) -> PendingAnswer<'a>;
}

/// Asks `responder` instead of Google.
pub(crate) async fn answer(responder: &dyn Responder, target: &Target<'_>) -> UpstreamResponse {
    let (status, body) = responder.answer(target.location()).await;
    UpstreamResponse {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        retry_after: None,
        is_json: true,
        content_type: "application/json".to_owned(),
        body: Ok(body.into_bytes()),
    }
}
