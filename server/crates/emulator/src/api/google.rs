//! Google's side: reads a request, finds out which call it is, and answers it in Google's order: who, how often, what.

use std::time::Instant;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method as Verb, StatusCode};
use axum::response::Response;
use axum::routing::post;
use chrono::Utc;
use percent_encoding::percent_decode_str;

use crate::api::answer::{Answer, GoogleError};
use crate::api::categories;
use crate::api::faulted::apply_fault;
use crate::api::locations;
use crate::api::method::{Call, Method};
use crate::api::query::Query;
use crate::state::{EmulatorState, Shared};

/// The most bytes of a request's body.
pub(crate) const MAX_BODY: usize = 1024 * 1024;

/// The API and the token endpoint.
pub(crate) fn routes(state: Shared) -> Router {
    Router::new().route("/token", post(token)).fallback(api).with_state(state)
}

async fn token(State(state): State<Shared>, request: Request) -> Response {
    let body = match read_body(request).await {
        Ok(body) => body,
        Err(error) => return error.answer(true).send(),
    };
    let form = String::from_utf8_lossy(&body);
    apply_fault(&state, &Call::TOKEN, |state| state.tokens.grant(&form, Instant::now())).await
}

async fn api(State(state): State<Shared>, request: Request) -> Response {
    let received = Utc::now();
    let (mut verb, uri, headers) = (request.method().clone(), request.uri().clone(), request.headers().clone());
    let body = match read_body(request).await {
        Ok(body) => body,
        Err(error) => return error.answer(true).send(),
    };
    let mut query = uri.query().unwrap_or_default().to_owned();
    // A URL that is too long travels as a POST: the query is the form body then.
    if let Some(overridden) = headers.get("x-http-method-override").filter(|_| verb == Verb::POST) {
        verb = Verb::from_bytes(overridden.as_bytes()).unwrap_or(verb);
        if verb == Verb::GET {
            query = format!("{query}&{}", String::from_utf8_lossy(&body));
        }
    }
    let query = Query::decode(&query);
    let validate_only = query.as_ref().is_ok_and(|query| query.flag("validateOnly").unwrap_or(false));
    let path = percent_decode_str(uri.path()).decode_utf8_lossy();
    let Some(call) = Call::identify(&verb, &path, validate_only) else { return no_such_page().send() };
    let patch = (call.method == Method::PatchLocation)
        .then(|| state.lock().calls.patch_arrived(&call, &headers, &body, received));
    let carry_out = |state: &mut EmulatorState| {
        let answer = perform(state, &call, query, &headers, &body);
        if let Some(patch) = patch.filter(|_| answer.is_success()) {
            state.calls.patch_took_effect(patch, Utc::now());
        }
        answer
    };
    apply_fault(&state, &call, carry_out).await
}

async fn read_body(request: Request) -> Result<Bytes, GoogleError> {
    to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| {
        let message = format!("Request payload size exceeds the limit: {MAX_BODY} bytes.");
        GoogleError::new(StatusCode::BAD_REQUEST, message)
    })
}

fn perform(
    state: &mut EmulatorState,
    call: &Call,
    query: Result<Query, GoogleError>,
    headers: &HeaderMap,
    body: &[u8],
) -> Answer {
    let now = Instant::now();
    let pretty = query.as_ref().map_or(true, Query::pretty);
    let authenticated = state.tokens.check(call, headers, now);
    let admitted = authenticated.and_then(|()| state.quota.admit(call, now));
    let answer = admitted.and(query).and_then(|query| match call.method {
        Method::GetLocation => locations::get(state, call, &query),
        Method::PatchLocation | Method::ValidateLocation => locations::patch(state, call, &query, body),
        Method::GetGoogleUpdated => locations::get_google_updated(state, call, &query),
        Method::ListLocations => locations::list(state, call, &query),
        Method::ListCategories => categories::list(state, &query),
        Method::BatchGetCategories => categories::batch_get(state, &query),
        Method::Token => Err(GoogleError::not_found()),
    });
    match answer {
        Ok(value) => Answer::json(StatusCode::OK, &value, pretty),
        Err(error) => error.answer(pretty),
    }
}

/// Where the API has no such path, Google's front end answers, and that in HTML.
fn no_such_page() -> Answer {
    let page = "<!DOCTYPE html>\n<html lang=en>\n<title>Error 404 (Not Found)!!1</title>\n<p><b>404.</b> That’s an error.\n\
                <p>The requested URL was not found on this server.\n";
    Answer::new(StatusCode::NOT_FOUND, "text/html; charset=UTF-8", page)
}
