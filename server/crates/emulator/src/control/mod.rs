//! The control interface: everything that Google does unseen, for tests, rehearsals and outside checks.

pub(crate) mod local;
pub(crate) mod reply;
pub(crate) mod seeding;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::google::MAX_BODY;
use crate::control::local::only_local;
use crate::control::reply::{Refused, Reply, bad, parse};
use crate::state::{EmulatorState, Shared};

/// Everything under `/_control/`.
pub(crate) fn routes(state: Shared) -> Router {
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
