//! What a control call answers, and how its body is read.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A control call that was not carried out, and why.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) StatusCode, pub(crate) String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": { "code": self.0.as_u16(), "message": self.1 } }))).into_response()
    }
}

/// What a control call answers.
pub(crate) type Reply = Result<Json<Value>, Refused>;

/// Reads a body of JSON, whatever its declared type.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| bad(error.to_string()))
}

/// 400 with a reason.
pub(crate) fn bad(reason: impl Into<String>) -> Refused {
    Refused(StatusCode::BAD_REQUEST, reason.into())
}
