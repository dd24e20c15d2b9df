//! The metrics of the process, in Prometheus' text format, as one table. Labels have few values, and never a tenant.

use std::sync::OnceLock;

use metrics::{SharedString, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{
    connections::{Port, RefusalReason},
    domain::{DriftCause, FailureReason, Flag, Strategy},
    version::{COMMIT, VERSION},
};

/// Type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only increases.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Durations in seconds, counted by bucket.
    Histogram,
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Its description, with the unit.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels, help }
}

/// All metrics of the server. A test checks that no other metric is exported.
pub const METRICS: &[Metric] = &[
    counter("category_mirror_success_total", &[], "Real runs that succeeded. Alert CategoryMirrorSuccessRateLow."),
    counter(
        "category_mirror_fail_total",
        &["reason"],
        "Real runs that failed, by reason. No alert counts reason GUARD: a guard stopped the run before it wrote. Alerts CategoryMirrorFailures and CategoryMirrorSuccessRateLow.",
    ),
    counter(
        "gbp_sync_out_of_sync_detected",
        &["operation", "cause"],
        "Runs, dry runs included, that found differences, by strategy and drift cause. Reverts are not counted. Alert CategoryMirrorOutOfSync.",
    ),
    gauge(
        "category_mirror_last_duration_ms",
        &[],
        "Duration in milliseconds of the last real run that succeeded or failed in this process, from the start of its first attempt; 0 before the first one.",
    ),
    histogram(
        "category_mirror_run_duration_seconds",
        &["state"],
        "Duration of real runs that succeeded or failed, from the start of the first attempt, by state. Alert CategoryMirrorRunSlow.",
    ),
    gauge(
        "category_mirror_last_success_timestamp_seconds",
        &[],
        "Unix time in seconds at which a real run last succeeded in this process; absent before the first one.",
    ),
    counter(
        "category_mirror_attempts_total",
        &["state"],
        "Attempts that ended, by state: succeeded, failed (whether or not another attempt follows), skipped, cancelled, lease_lost, service_error, released.",
    ),
    counter(
        "category_mirror_retries_total",
        &["reason"],
        "Failed attempts that are followed by another attempt, by reason.",
    ),
    counter(
        "category_mirror_lease_expirations_total",
        &[],
        "Runs whose lease expired and that this process reclaimed.",
    ),
    gauge(
        "category_mirror_live_runs",
        &["state"],
        "Live runs, by state: ready_interactive and ready_bulk may be claimed now, delayed runs wait for their next attempt, running ones have a lease. Up to 10,000 runs per state are counted; beyond that, ready_bulk is PostgreSQL's estimate of all ready runs. Sampled; the same from every server.",
    ),
    gauge(
        "category_mirror_queue_head_age_seconds",
        &["priority"],
        "Time in seconds for which the next ready run has been waiting, by priority; 0 if there is none. Sampled; the same from every server. Alert CategoryMirrorQueueStalled.",
    ),
    counter(
        "category_mirror_gbp_requests_total",
        &["method", "outcome"],
        "Requests to Google, by method and outcome: ok, unauthorized, quota, rejected, unavailable, invalid_response, no_response. Alert CategoryMirrorQuotaSpent.",
    ),
    histogram(
        "category_mirror_gbp_request_duration_seconds",
        &["method"],
        "Duration of requests to Google, up to the end of the response, by method.",
    ),
    gauge(
        "category_mirror_gbp_quota_remaining",
        &[],
        "Requests to Google that this process has left with the server's own credentials: GBP_QUOTA_PER_MINUTE minus its requests of the last 60 s. Requests of other processes are not known to it.",
    ),
    gauge(
        "category_mirror_gbp_circuit_open",
        &[],
        "1 while runs wait because Google fails for all locations, else 0. Alert CategoryMirrorCircuitOpen.",
    ),
    gauge(
        "category_mirror_credentials_rejected",
        &["credentials"],
        "Credentials that Google rejects: server is 1 if it rejects the server's own, account is the number of accounts. Alert CategoryMirrorCredentialsRejected.",
    ),
    counter(
        "category_mirror_calls_total",
        &["rpc", "code"],
        "Calls, by full name of the gRPC method and by gRPC code. Unknown methods are _OTHER; a call that its caller abandoned is CANCELLED. Alert CategoryMirrorCallsFail.",
    ),
    histogram(
        "category_mirror_call_duration_seconds",
        &["rpc"],
        "Duration of calls, from their headers to the end of the response, by full name of the gRPC method. Streams last for as long as their callers watch.",
    ),
    counter(
        "category_mirror_rate_limited_total",
        &[],
        "Calls and streams that were refused because a limit was reached.",
    ),
    counter(
        "category_mirror_feature_disabled_total",
        &["flag"],
        "Refused calls and skipped runs because of a feature flag that is off, by flag.",
    ),
    gauge(
        "category_mirror_out_of_sync_tenants",
        &["cause"],
        "Tenants that were out of sync at their last observation, by cause. Sampled; the same from every server.",
    ),
    gauge(
        "category_mirror_in_conflict_tenants",
        &[],
        "Tenants in conflict, whose categories are changed back again and again and which need a decision. Sampled; the same from every server. Alert CategoryMirrorTenantsInConflict.",
    ),
    gauge("category_mirror_open_streams", &[], "Open run streams and health watches of this process."),
    gauge(
        "category_mirror_connections",
        &["port"],
        "Open connections of callers to this process, by port: grpc or admin.",
    ),
    counter(
        "category_mirror_refused_connections_total",
        &["port", "reason"],
        "Connections that were refused or closed early, by port and reason: total and address (too many), displaced (no valid token when a newer connection needed room), timeout (a step took too long), descriptors (the process had none left).",
    ),
    counter(
        "category_mirror_key_reloads_total",
        &["result"],
        "Changes of key and certificate files, by result: loaded, or rejected, after which the previous key stays in use.",
    ),
    gauge(
        "category_mirror_key_files_rejected",
        &[],
        "Settings whose changed key file is rejected, so that the previous key is still in use. Alert CategoryMirrorKeyFileRejected.",
    ),
    gauge(
        "category_mirror_jwks_fetch_timestamp_seconds",
        &[],
        "Unix time in seconds at which the key set of AUTH_JWKS_URL was last fetched; 0 if it was never fetched or none is configured. Alert CategoryMirrorKeySetStale.",
    ),
    counter(
        "category_mirror_jwks_fetch_failures_total",
        &[],
        "Failed fetches of the key set of AUTH_JWKS_URL. Alert CategoryMirrorKeySetStale.",
    ),
    counter(
        "category_mirror_spans_dropped_total",
        &[],
        "Finished spans that were not exported, because the collector did not accept them or the queue was full.",
    ),
    gauge(
        "category_mirror_database_connections",
        &["pool", "state"],
        "Connections to PostgreSQL, by pool (main, queue, flags or history) and state (used or idle). Sampled.",
    ),
    gauge(
        "category_mirror_build_info",
        &["version", "commit"],
        "1, by version and commit of the server; the commit is unknown if the build did not receive it.",
    ),
    counter(
        "process_cpu_seconds_total",
        &[],
        "User and system CPU time of the process in seconds; absent except on Linux.",
    ),
    gauge(
        "process_open_fds",
        &[],
        "Open file descriptors of the process; absent except on Linux. Alert CategoryMirrorDescriptorsLow.",
    ),
    gauge(
        "process_max_fds",
        &[],
        "Maximum number of open file descriptors of the process; absent except on Linux, and if there is no limit. Alert CategoryMirrorDescriptorsLow.",
    ),
    gauge("process_resident_memory_bytes", &[], "Resident memory of the process in bytes; absent except on Linux."),
    gauge("process_virtual_memory_bytes", &[], "Virtual memory of the process in bytes; absent except on Linux."),
    gauge(
        "process_start_time_seconds",
        &[],
        "Unix time in seconds at which the process started; absent except on Linux.",
    ),
];

/// Prefix of the metrics that are read from the system on each scrape and are not in the recorder.
const PROCESS: &str = "process_";

/// Upper bounds of the buckets in seconds. Those around 10 s matter for alerts: a longer run is too slow, and a request
/// to Google times out.
const BUCKETS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Returns the recorder of this process, which the first call installs.
pub fn recorder() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(install).clone()
}

fn install() -> PrometheusHandle {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Histogram) {
        let buckets = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), &BUCKETS);
        builder = buckets.expect("there are buckets");
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    // Only fails if a program that embeds the server has installed its own recorder; then this one stays empty.
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another metrics recorder is installed, /metrics will be empty");
    }
    for Metric { name, kind, labels: _, help } in METRICS.iter().filter(|metric| !metric.name.starts_with(PROCESS)) {
        let (name, help) = (SharedString::const_str(name), SharedString::const_str(help));
        match kind {
            Kind::Counter => describe_counter!(name, help),
            Kind::Gauge => describe_gauge!(name, help),
            Kind::Histogram => describe_histogram!(name, help),
        }
    }
    begin();
    handle
}

/// Initializes metrics with 0: a metric that exists from the start differs from one that is missing, and the increase
/// of a counter that starts at 1 would be lost.
fn begin() {
    for name in [
        "category_mirror_success_total",
        "category_mirror_lease_expirations_total",
        "category_mirror_rate_limited_total",
        "category_mirror_spans_dropped_total",
        "category_mirror_jwks_fetch_failures_total",
    ] {
        metrics::counter!(name).absolute(0);
    }
    for reason in FailureReason::ALL {
        metrics::counter!("category_mirror_fail_total", "reason" => reason.as_str()).absolute(0);
    }
    for (operation, cause) in Strategy::ALL.iter().flat_map(|one| DriftCause::ALL.iter().map(move |cause| (one, cause)))
    {
        let labels = [("operation", operation.as_str()), ("cause", cause.as_str())];
        metrics::counter!("gbp_sync_out_of_sync_detected", &labels).absolute(0);
    }
    for flag in Flag::ALL {
        metrics::counter!("category_mirror_feature_disabled_total", "flag" => flag.as_str()).absolute(0);
    }
    for result in ["loaded", "rejected"] {
        metrics::counter!("category_mirror_key_reloads_total", "result" => result).absolute(0);
    }
    for port in Port::ALL {
        metrics::gauge!("category_mirror_connections", "port" => port.as_str()).set(0.0);
        for reason in RefusalReason::ALL {
            let labels = [("port", port.as_str()), ("reason", reason.as_str())];
            metrics::counter!("category_mirror_refused_connections_total", &labels).absolute(0);
        }
    }
    for name in [
        "category_mirror_last_duration_ms",
        "category_mirror_gbp_circuit_open",
        "category_mirror_open_streams",
        "category_mirror_key_files_rejected",
        "category_mirror_jwks_fetch_timestamp_seconds",
    ] {
        metrics::gauge!(name).set(0.0);
    }
    let build = [("version", VERSION), ("commit", COMMIT.unwrap_or("unknown"))];
    metrics::gauge!("category_mirror_build_info", &build).set(1.0);
    for whose in ["server", "account"] {
        metrics::gauge!("category_mirror_credentials_rejected", "credentials" => whose).set(0.0);
    }
}
