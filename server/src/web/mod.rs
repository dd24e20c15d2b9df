//! The admin port: health and metrics, over plain HTTP and without tokens, so it must not be exposed.

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

/// State of the admin port.
#[derive(Clone)]
struct Admin {
    serving: watch::Receiver<bool>,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
    quota: Arc<Quota>,
}

/// Returns the routes of the admin port: `/livez` reports that the process responds; `/readyz` and `/healthz` whether
/// it should get calls; `/metrics` its metrics. `serving` is false while the server drains or its database is
/// unavailable, and `quota` is that of the server's own credentials.
pub fn router(serving: watch::Receiver<bool>, quota: Arc<Quota>) -> Router {
    let admin = Admin { serving, metrics: recorder(), quota };
    Router::new()
        .route("/livez", get(alive))
        .route("/readyz", get(health))
        .route("/healthz", get(health))
        .route("/metrics", get(render))
        .with_state(admin)
}

/// The process responds, so a restart would not help. `/readyz` reports whether its dependencies are reachable.
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
    // The remaining quota recovers over time without an event, so the gauge is set on each scrape.
    ::metrics::gauge!("category_mirror_gbp_quota_remaining").set(admin.quota.left());
    let mut text = admin.metrics.render();
    // With thousands of descriptors, this takes milliseconds.
    let read = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        process::render(&mut text);
        text
    });
    text += &read.await.unwrap_or_default();
    text
}
