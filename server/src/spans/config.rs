//! Configuration of the export of spans.

use std::time::Duration;

use http::HeaderMap;
use reqwest::Url;

/// Where spans are exported to, and which spans are exported.
#[derive(Debug, Clone)]
pub struct SpanConfig {
    /// Address of the collector.
    pub endpoint: Url,
    /// Protocol of the collector.
    pub protocol: Protocol,
    /// Headers of each request, marked as sensitive.
    pub headers: HeaderMap,
    /// Maximum duration of one export.
    pub timeout: Duration,
    /// Name of the service in traces.
    pub service_name: String,
    /// Further attributes of this process.
    pub attributes: Vec<(String, String)>,
    /// Selection of the traces.
    pub sampling: Sampling,
}

/// Protocol of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Protobuf in HTTP requests to `/v1/traces`.
    Http,
    /// gRPC.
    Grpc,
}

/// Selection of the traces that are exported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// This share of all traces, from 0 to 1, whatever the caller decided.
    Ratio(f64),
    /// For traces of callers, the caller's decision; this share of the traces that start here.
    ParentBased(f64),
}

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// This build does not support it.
    #[error("this build cannot export spans: it lacks the cargo feature `otel`")]
    NotBuilt,
    /// The client cannot be created.
    #[error("{0}")]
    Client(String),
}
