//! Where spans go, and which.

use std::time::Duration;

use http::HeaderMap;
use reqwest::Url;

/// Where spans go, and which.
#[derive(Debug, Clone)]
pub struct SpanConfig {
    /// The collector.
    pub endpoint: Url,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// What is sent with each request, marked sensitive.
    pub headers: HeaderMap,
    /// The longest that one export may take.
    pub timeout: Duration,
    /// Whose spans they are.
    pub service_name: String,
    /// What else there is to say of this process.
    pub attributes: Vec<(String, String)>,
    /// Which traces.
    pub sampling: Sampling,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Protobuf in HTTP requests to `/v1/traces`.
    Http,
    /// gRPC.
    Grpc,
}

/// Which traces are exported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// So large a share, from 0 to 1, whatever the caller says.
    Ratio(f64),
    /// What the caller says, and such a share of the traces that begin here.
    ParentBased(f64),
}

/// Why no spans can be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// This build cannot.
    #[error("this build cannot export spans: it lacks the cargo feature `otel`")]
    NotBuilt,
    /// The client cannot be made.
    #[error("{0}")]
    Client(String),
}
