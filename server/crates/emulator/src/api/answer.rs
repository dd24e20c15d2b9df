//! What goes back to the caller: an answer, an error in Google's envelope, or no answer at all.

use std::task::Poll;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

/// The API's name, as it stands in error details.
pub(crate) const SERVICE: &str = "mybusinessbusinessinformation.googleapis.com";

/// What a 401 asks for.
const CHALLENGE: &str = "Bearer realm=\"https://accounts.google.com/\"";

/// A complete answer that has not left yet, so that a fault can still spoil it.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Marks a response of which not a byte must reach the caller; the server closes the connection instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HangUp;

impl Answer {
    /// A JSON answer; Google's are indented unless the caller asked for `prettyPrint=false`.
    pub(crate) fn json(status: StatusCode, value: &Value, pretty: bool) -> Self {
        let text = if pretty { format!("{value:#}\n") } else { value.to_string() };
        Self::new(status, "application/json; charset=UTF-8", text)
    }

    /// An answer with a body of any kind.
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self { status, headers, body: body.into() }
    }

    /// Adds a header, or replaces it.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Whether it says that the call was carried out.
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The whole answer.
    pub(crate) fn send(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    /// The head and half of the body, then the connection breaks: the caller was promised more bytes than it gets.
    pub(crate) fn send_half(mut self) -> Response {
        let promised = self.body.len().max(1);
        self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(promised));
        let half = self.body.slice(..self.body.len() / 2);
        // One turn of waiting between the half and the break lets the server flush what it has, so the half really arrives.
        let mut waited = false;
        let flushed = stream::poll_fn(move |context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(None);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let broken = stream::iter([Err(std::io::Error::other("the connection is meant to break here"))]);
        let mut response = Response::new(Body::from_stream(stream::iter([Ok(half)]).chain(flushed).chain(broken)));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// No answer: the connection closes.
pub(crate) fn hang_up() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(HangUp);
    response
}

/// An error as Google writes it. The message is nearly always generic; the use is in the details.
#[derive(Debug)]
pub(crate) struct GoogleError {
    status: StatusCode,
    message: String,
    infos: Vec<Value>,
    violations: Vec<Value>,
}

impl GoogleError {
    /// An error with the given message and no details yet.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), infos: Vec::new(), violations: Vec::new() }
    }

    /// 400 with Google's generic message; the violations say what is wrong.
    pub(crate) fn invalid() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request contains an invalid argument.")
    }

    /// 400 for one field.
    pub(crate) fn field(field: &str, description: impl Into<String>) -> Self {
        Self::invalid().with_violation(field, description)
    }

    /// 404, without saying what of: so does Google.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Requested entity was not found.")
    }

    /// Adds a field violation of `google.rpc.BadRequest`.
    pub(crate) fn with_violation(mut self, field: &str, description: impl Into<String>) -> Self {
        self.violations.push(json!({ "field": field, "description": description.into() }));
        self
    }

    /// Adds a `google.rpc.ErrorInfo`.
    pub(crate) fn with_info(mut self, reason: &str, domain: &str, metadata: Value) -> Self {
        self.infos.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain, "metadata": metadata,
        }));
        self
    }

    /// Whether anything was found wrong.
    pub(crate) fn has_details(&self) -> bool {
        !self.infos.is_empty() || !self.violations.is_empty()
    }

    /// The answer that carries it.
    pub(crate) fn answer(self, pretty: bool) -> Answer {
        let mut details = self.infos;
        if !self.violations.is_empty() {
            details.push(
                json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": self.violations }),
            );
        }
        let mut error =
            json!({ "code": self.status.as_u16(), "message": self.message, "status": canonical_code(self.status) });
        if !details.is_empty() {
            error["details"] = Value::Array(details);
        }
        let answer = Answer::json(self.status, &json!({ "error": error }), pretty);
        if self.status == StatusCode::UNAUTHORIZED {
            return answer.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        answer
    }
}

/// The name of `google.rpc.Code` that Google sends with an HTTP status.
fn canonical_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        500 => "INTERNAL",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNKNOWN",
    }
}
