//! The admin port: health and metrics, over plain HTTP and without a token, so it belongs inside.

mod metrics;
mod process;
mod sampler;

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::gbp::Quota;

pub use metrics::{Kind, METRICS, Metric, recorder};
pub use sampler::sample;

/// What the admin port tells.
#[derive(Clone)]
struct Admin {
    serving: watch::Receiver<bool>,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
    quota: Arc<Quota>,
}

/// The routes of the admin port: `/livez` says that the process answers; `/readyz`, and `/healthz`, whether calls should be sent to it;
/// `/metrics` what it counts. `serving` is false while the server drains or is without a database, and `quota` is that of the server's
/// own credentials.
pub fn router(serving: watch::Receiver<bool>, quota: Arc<Quota>) -> Router {
    let admin = Admin { serving, metrics: recorder(), quota };
    Router::new()
        .route("/livez", get(alive))
        .route("/readyz", get(health))
        .route("/healthz", get(health))
        .route("/metrics", get(render))
        .with_state(admin)
}

/// The process answers, so a restart would mend nothing: what it cannot reach is the business of `/readyz`.
async fn alive() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

async fn health(State(admin): State<Admin>) -> (StatusCode, Json<Value>) {
    if *admin.serving.borrow() {
        (StatusCode::OK, Json(json!({"status": "serving"})))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "not serving"})))
    }
}

async fn render(State(admin): State<Admin>) -> String {
    // It grows again by itself, so it is what it is when somebody asks.
    ::metrics::gauge!("category_mirror_gbp_quota_remaining").set(admin.quota.left());
    let mut text = admin.metrics.render();
    // With thousands of descriptors it takes milliseconds.
    let read = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        process::render(&mut text);
        text
    });
    text += &read.await.unwrap_or_default();
    text
}
