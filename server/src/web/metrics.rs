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
    counter("category_mirror_success_total", &[], "real runs that succeeded"),
    counter(
        "category_mirror_fail_total",
        &["reason"],
        "real runs that failed, by reason; reason GUARD is a run that a guard stopped before it wrote, and no alert counts it",
    ),
    counter(
        "gbp_sync_out_of_sync_detected",
        &["operation", "cause"],
        "runs, dry ones too, that found differences, by strategy and by why there were any; those that take a run back are not among them",
    ),
    gauge(
        "category_mirror_last_duration_ms",
        &[],
        "milliseconds from the first attempt's begin to the end of the real run that ended last",
    ),
    histogram(
        "category_mirror_run_duration_seconds",
        &["state"],
        "from the first attempt's begin to the end of a real run that succeeded or failed",
    ),
    gauge(
        "category_mirror_last_success_timestamp_seconds",
        &[],
        "when this process last brought a real run to a good end, in seconds since 1970; absent before the first",
    ),
    counter(
        "category_mirror_attempts_total",
        &["state"],
        "attempts: succeeded, failed (with or without another to follow), skipped, cancelled, lease_lost, service_error, released",
    ),
    counter(
        "category_mirror_retries_total",
        &["reason"],
        "attempts that failed and are followed by another, by reason",
    ),
    counter("category_mirror_lease_expirations_total", &[], "runs queued again because their lease had expired"),
    gauge(
        "category_mirror_live_runs",
        &["state"],
        "Live runs, by state: ready_interactive and ready_bulk may be claimed now, delayed ones wait for their next attempt, and running ones have a lease; at most 10,000 in each state are counted, beyond that ready_bulk is PostgreSQL's estimate of all ready ones; sampled, and the same from every server",
    ),
    gauge(
        "category_mirror_queue_head_age_seconds",
        &["priority"],
        "Age of the next ready run in seconds, by priority; 0 when there is none; sampled, and the same from every server",
    ),
    counter(
        "category_mirror_gbp_requests_total",
        &["method", "outcome"],
        "requests to Google, by method, and by answer: ok, unauthorized, quota, rejected, unavailable, invalid_response, no_response",
    ),
    histogram(
        "category_mirror_gbp_request_duration_seconds",
        &["method"],
        "requests to Google, to the end of the answer",
    ),
    gauge(
        "category_mirror_gbp_quota_remaining",
        &[],
        "requests to Google that are left to this process in the name of the server's own credentials: GBP_QUOTA_PER_MINUTE, less what it has sent in the last 60 s; what other processes send is not known to it",
    ),
    gauge("category_mirror_gbp_circuit_open", &[], "1 while runs wait because Google fails for every location"),
    gauge(
        "category_mirror_credentials_rejected",
        &["credentials"],
        "credentials that Google refuses: 1 for the server's own, and how many of the accounts'",
    ),
    counter(
        "category_mirror_calls_total",
        &["rpc", "code"],
        "Calls, by full name of the gRPC method and by gRPC code; methods that the server does not have are _OTHER, and a call that its caller no longer waits for is CANCELLED.",
    ),
    histogram(
        "category_mirror_call_duration_seconds",
        &["rpc"],
        "Calls, from their headers to the end of the answer, by full name of the gRPC method; streams last as long as their callers watch.",
    ),
    counter(
        "category_mirror_rate_limited_total",
        &[],
        "calls and streams that were refused because there were too many",
    ),
    counter(
        "category_mirror_feature_disabled_total",
        &["flag"],
        "calls refused and runs skipped by a feature flag, by flag",
    ),
    gauge(
        "category_mirror_out_of_sync_tenants",
        &["cause"],
        "tenants that were out of sync when a run last looked, by cause; sampled, and the same from every server",
    ),
    gauge(
        "category_mirror_in_conflict_tenants",
        &[],
        "Tenants whose value is changed back again and again, so that a person has to decide; sampled, and the same from every server. Alert CategoryMirrorTenantsInConflict.",
    ),
    gauge("category_mirror_open_streams", &[], "open streams of runs, and watches of health"),
    gauge(
        "category_mirror_connections",
        &["port"],
        "Open connections of callers to this process, by port: grpc, or admin.",
    ),
    counter(
        "category_mirror_refused_connections_total",
        &["port", "reason"],
        "Connections that were refused, or closed before their time, by port and reason: total and address (too many), displaced (no valid token when a newer one needed the place), timeout (a step took too long), descriptors (the process had none left).",
    ),
    counter(
        "category_mirror_key_reloads_total",
        &["result"],
        "Changed files of keys and certificates, by result: loaded, or rejected, in which case the key of before stays in use.",
    ),
    gauge(
        "category_mirror_key_files_rejected",
        &[],
        "Settings whose changed key file cannot be used, so that the key of before is still in use. Alert CategoryMirrorKeyFileRejected.",
    ),
    gauge(
        "category_mirror_jwks_fetch_timestamp_seconds",
        &[],
        "When the key set of AUTH_JWKS_URL was last fetched, in seconds since 1970; 0 where it never was, or none is configured. Alert CategoryMirrorKeySetStale.",
    ),
    counter(
        "category_mirror_jwks_fetch_failures_total",
        &[],
        "Times that the key set of AUTH_JWKS_URL could not be fetched.",
    ),
    counter(
        "category_mirror_spans_dropped_total",
        &[],
        "finished spans that were not exported, because the collector did not take them or too many were waiting",
    ),
    gauge(
        "category_mirror_database_connections",
        &["pool", "state"],
        "connections to PostgreSQL, by pool: main, queue, flags or history, and whether they are used or idle; sampled",
    ),
    gauge(
        "category_mirror_build_info",
        &["version", "commit"],
        "1, by version of the server and by commit that it was built from; the commit is unknown where the build was not told it.",
    ),
    counter(
        "process_cpu_seconds_total",
        &[],
        "User and system CPU time of the process in seconds; absent outside of Linux.",
    ),
    gauge("process_open_fds", &[], "Open file descriptors of the process; absent outside of Linux."),
    gauge(
        "process_max_fds",
        &[],
        "Most file descriptors that the process may open; absent outside of Linux, and without a limit.",
    ),
    gauge("process_resident_memory_bytes", &[], "Resident memory of the process in bytes; absent outside of Linux."),
    gauge("process_virtual_memory_bytes", &[], "Virtual memory of the process in bytes; absent outside of Linux."),
    gauge("process_start_time_seconds", &[], "Start of the process in seconds since 1970; absent outside of Linux."),
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
