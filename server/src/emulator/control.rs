//! The control interface: everything that Google does unseen, for tests, rehearsals and outside checks.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::google::MAX_BODY;
use super::local::only_local;
use super::seeding;
use super::state::{EmulatorState, Shared};

/// Everything under `/_control/`.
pub(super) fn routes(state: Shared) -> Router {
    Router::new()
        .route(
            "/locations/{location}",
            put(seeding::put).get(seeding::show).patch(seeding::change).delete(seeding::remove).post(seeding::edit),
        )
        .route("/calls", get(show_calls).delete(forget_calls))
        .route("/patches", get(show_patches))
        .route("/faults", post(add_fault).get(show_faults).delete(remove_faults))
        .route("/quota", put(set_quota))
        .route("/review", put(set_review))
        .route("/taxonomy", post(change_taxonomy))
        .route("/tokens", post(change_tokens))
        .fallback(|| async { Refused(StatusCode::NOT_FOUND, "there is no such control call".to_owned()) })
        .method_not_allowed_fallback(|| async {
            Refused(StatusCode::METHOD_NOT_ALLOWED, "this control call does not take this method".to_owned())
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(only_local))
        .with_state(state)
}

/// A control call that was not carried out, and why.
#[derive(Debug)]
pub(super) struct Refused(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": { "code": self.0.as_u16(), "message": self.1 } }))).into_response()
    }
}

/// What a control call answers.
pub(super) type Reply = Result<Json<Value>, Refused>;

/// Reads a body of JSON, whatever its declared type.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| bad(error.to_string()))
}

/// 400 with a reason.
pub(super) fn bad(reason: impl Into<String>) -> Refused {
    Refused(StatusCode::BAD_REQUEST, reason.into())
}

/// Reads a change and applies it to the world.
fn change<T: DeserializeOwned>(
    state: &Shared,
    body: &[u8],
    apply: impl FnOnce(&mut EmulatorState, T) -> Result<(), String>,
) -> Reply {
    let change = parse(body)?;
    apply(&mut state.lock(), change).map_err(bad)?;
    Ok(Json(json!({})))
}

async fn show_calls(State(state): State<Shared>) -> Json<Value> {
    Json(state.lock().calls.report())
}

async fn forget_calls(State(state): State<Shared>) -> Json<Value> {
    state.lock().calls.forget();
    Json(json!({}))
}

async fn show_patches(State(state): State<Shared>) -> Json<Value> {
    Json(state.lock().calls.patches())
}

async fn show_faults(State(state): State<Shared>) -> Json<Value> {
    Json(state.lock().faults.report())
}

async fn add_fault(State(state): State<Shared>, body: Bytes) -> Reply {
    change(&state, &body, |state, script| state.faults.add(script))
}

async fn remove_faults(State(state): State<Shared>) -> Json<Value> {
    state.lock().faults = Default::default();
    Json(json!({}))
}

async fn set_quota(State(state): State<Shared>, body: Bytes) -> Reply {
    change(&state, &body, |state, limits| {
        state.quota.set(limits);
        Ok(())
    })
}

/// Whether a merchant's edits wait for review.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Review {
    enabled: bool,
}

async fn set_review(State(state): State<Shared>, body: Bytes) -> Reply {
    change(&state, &body, |state, review: Review| {
        state.review = review.enabled;
        Ok(())
    })
}

async fn change_taxonomy(State(state): State<Shared>, body: Bytes) -> Reply {
    change(&state, &body, |state, change| state.taxonomy.change(change))
}

async fn change_tokens(State(state): State<Shared>, body: Bytes) -> Reply {
    change(&state, &body, |state, change| state.tokens.change(change))
}
