//! One request and its answer: how far it came, and nothing about what it means.

use std::{error::Error, time::Duration, time::SystemTime};

use category_mirror_domain::{Failure, FailureReason};
use reqwest::{
    RequestBuilder, Response,
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect, retry,
};

use crate::{
    Endpoint, GbpConfigError,
    response::{answer::UpstreamResponse, retry_after, text},
};

/// Bytes of an answer that are read; a location is a few kilobytes.
const MAX_BODY: usize = 1024 * 1024;

/// A request without an answer.
#[derive(Debug)]
pub(crate) struct NoResponse {
    /// Whether the other side may have seen the request.
    pub(crate) sent: bool,
    /// What happened.
    pub(crate) failure: Failure,
}

/// A client for `endpoint` that keeps connections, sends nothing twice and follows nothing.
pub(crate) fn http_client(endpoint: &Endpoint, timeout: Duration) -> Result<reqwest::Client, GbpConfigError> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("category-mirror/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        // Half, so that a connection that cannot be made is known as such, and a write over it as not written.
        .connect_timeout(timeout / 2)
        // A redirect would carry the token elsewhere; a repetition is the caller's decision.
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false);
    let builder = if endpoint.is_encrypted() {
        // A proxy of the environment sees a tunnel.
        builder.https_only(true)
    } else {
        // It would see the token here, and a loopback address of its own. No roots: a machine without any can run the emulator.
        builder.no_proxy().tls_certs_only([])
    };
    builder.build().map_err(|error| GbpConfigError::Http(chain(&error)))
}

/// Sends `request`, called `label` in messages, and reads the answer.
///
/// # Errors
/// [`NoResponse`] when no status came back. A body that breaks off after the status is in [`UpstreamResponse::body`].
pub(crate) async fn exchange(label: &str, request: RequestBuilder) -> Result<UpstreamResponse, NoResponse> {
    let mut response = request.send().await.map_err(|error| {
        // Without a connection, or without a well-formed request, nothing went out.
        NoResponse { sent: !(error.is_connect() || error.is_builder()), failure: unavailable(label, &error) }
    })?;
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|value| retry_after::parse(value, SystemTime::now()));
    let content_type = header(CONTENT_TYPE).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json");
    let content_type = text::bounded(content_type, 100);
    let status = response.status();
    let body = body(label, &mut response).await;
    Ok(UpstreamResponse { status, retry_after, is_json, content_type, body })
}

async fn body(label: &str, response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unavailable(label, &error))? {
        if body.len() + chunk.len() > MAX_BODY {
            let message = format!("{label}: the answer is longer than {MAX_BODY} bytes");
            return Err(Failure::transient(FailureReason::UpstreamInvalid, message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unavailable(label: &str, error: &reqwest::Error) -> Failure {
    let what = match error {
        error if error.is_connect() => "no connection",
        error if error.is_timeout() => "no answer in time",
        _ => "the connection broke",
    };
    let whom = error.url().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let message = format!("{label}: {what} ({whom}): {}", chain(error));
    Failure::transient(FailureReason::UpstreamUnavailable, text::bounded(&message, text::MAX_MESSAGE))
}

/// The causes of an error, outermost first, without the URL.
fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    if causes.is_empty() { "the HTTP client gives no cause".to_owned() } else { causes.join(": ") }
}
