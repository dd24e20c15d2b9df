//! The process's metrics, in Prometheus' text form.

use std::sync::OnceLock;

use metrics::{Unit, describe_counter, describe_gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// The recorder of this process, installed at the first call.
pub fn recorder() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(install).clone()
}

fn install() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // Fails only where a program that embeds the server brought a recorder of its own; then ours stays empty.
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another metrics recorder is installed, /metrics will be empty");
    }
    describe_counter!("category_mirror_success_total", "real runs that succeeded");
    describe_counter!("category_mirror_fail_total", "real runs that failed, by reason");
    describe_counter!("category_mirror_retries_total", "attempts that failed and are followed by another, by reason");
    describe_counter!("category_mirror_rescued_total", "runs queued again because their lease had expired");
    describe_counter!(
        "category_mirror_rate_limited_total",
        "calls and streams that were refused because there were too many"
    );
    describe_counter!("gbp_sync_out_of_sync_detected", "runs, dry ones too, that found differences");
    describe_counter!(
        "category_mirror_feature_disabled_total",
        "calls refused and runs skipped by a feature flag, by flag"
    );
    describe_gauge!(
        "category_mirror_last_duration_ms",
        Unit::Milliseconds,
        "from the first attempt's begin to the end of the real run that ended last"
    );
    describe_gauge!("category_mirror_gbp_circuit_open", "1 while runs wait because Google fails for every location");
    describe_gauge!(
        "gbp_credentials_rejected",
        "credentials that Google refuses: 1 for the server's own, and how many of the accounts'"
    );
    // A counter that is there from the start can be told from one that does not exist.
    metrics::counter!("category_mirror_success_total").absolute(0);
    metrics::counter!("gbp_sync_out_of_sync_detected").absolute(0);
    metrics::counter!("category_mirror_rescued_total").absolute(0);
    metrics::counter!("category_mirror_rate_limited_total").absolute(0);
    metrics::gauge!("category_mirror_last_duration_ms").set(0.0);
    metrics::gauge!("category_mirror_gbp_circuit_open").set(0.0);
    for whose in ["server", "account"] {
        metrics::gauge!("gbp_credentials_rejected", "credentials" => whose).set(0.0);
    }
    handle
}
