//! A Google inside this process, for benchmarks: what is measured is everything else.

use std::{sync::Arc, time::Duration};

use category_mirror_domain::LocationId;
use reqwest::StatusCode;

use crate::{http::call::Target, response::answer::UpstreamResponse};

/// Says of each location that it has the categories `gcid:cafe` and `gcid:bakery`, and knows nothing else.
#[derive(Clone)]
pub struct InProcessGbp {
    delay: Duration,
    asked: Arc<dyn Fn(&LocationId) + Send + Sync>,
}

impl InProcessGbp {
    /// Answers after `delay`, and tells `asked` of each call before.
    #[must_use]
    pub fn new(delay: Duration, asked: impl Fn(&LocationId) + Send + Sync + 'static) -> Self {
        Self { delay, asked: Arc::new(asked) }
    }

    pub(crate) async fn answer(&self, target: &Target<'_>) -> UpstreamResponse {
        let Some(location) = target.location() else { return answer(StatusCode::NOT_FOUND, "{}".to_owned()) };
        (self.asked)(location);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let categories = r#"{"primaryCategory":{"name":"categories/gcid:cafe"},"additionalCategories":[{"name":"categories/gcid:bakery"}]}"#;
        let body = format!(r#"{{"name":"locations/{location}","title":"Store","categories":{categories}}}"#);
        answer(StatusCode::OK, body)
    }
}

fn answer(status: StatusCode, body: String) -> UpstreamResponse {
    UpstreamResponse {
        status,
        retry_after: None,
        is_json: true,
        content_type: "application/json".to_owned(),
        body: Ok(body.into_bytes()),
    }
}
