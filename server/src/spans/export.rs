//! Exports spans over OTLP.

use std::time::Duration;

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider, SpanExporter as _},
};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{
    metadata::MetadataMap,
    transport::{ClientTlsConfig, Endpoint},
};
use tracing::Level;
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, filter_fn},
};

use super::{ExportError, Protocol, Sampling, SpanConfig, TARGET, context::traceparent, queue::queue};
use crate::gbp;

/// Path of traces below the collector's address.
const TRACES: [&str; 2] = ["v1", "traces"];
/// Instrumentation scope of these spans, as opposed to those of other libraries.
const SCOPE: &str = "category-mirror";

/// Exports finished spans to a collector in the background.
#[derive(Debug)]
pub struct Exporter {
    provider: SdkTracerProvider,
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Starts the exporter. It connects after the first span has ended.
    ///
    /// # Errors
    /// [`ExportError::Client`] if the machine has no usable root certificates, or the client does not accept the
    /// endpoint.
    pub fn start(settings: SpanConfig) -> Result<Self, ExportError> {
        let mut exporter = match settings.protocol {
            Protocol::Http => over_http(&settings),
            Protocol::Grpc => over_grpc(&settings),
        }?;
        let resource = resource(&settings);
        exporter.set_resource(&resource);
        let (sender, exit) = queue();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(sampler(settings.sampling))
            .with_span_processor(sender)
            .build();
        let end = CancellationToken::new();
        let task = tokio::spawn(exit.export(exporter, end.clone()));
        gbp::set_span_context(traceparent);
        Ok(Self { provider, end, task })
    }

    /// Returns the layer that receives spans from `tracing`: the server's own and no others.
    #[must_use]
    pub fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SCOPE))
            // The source location of a span does not describe what happened.
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false);
        layer.with_filter(ours.with_max_level_hint(LevelFilter::from_level(Level::INFO))).boxed()
    }

    /// Exports the remaining spans, within the given time.
    pub async fn end(self, within: Duration) {
        self.end.cancel();
        let mut task = self.task;
        if timeout(within, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("could not export the last spans in time");
        }
    }
}

fn sampler(sampling: Sampling) -> Sampler {
    match sampling {
        Sampling::Ratio(share) => Sampler::TraceIdRatioBased(share),
        Sampling::ParentBased(share) => Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))),
    }
}

fn resource(settings: &SpanConfig) -> Resource {
    let instance = uuid::Uuid::now_v7().to_string();
    let others = settings.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", instance))
        .with_attributes(others)
        .with_service_name(settings.service_name.clone())
        .build()
}

fn over_http(settings: &SpanConfig) -> Result<SpanExporter, ExportError> {
    let failed = |error: &dyn std::fmt::Display| ExportError::Client(error.to_string());
    let mut endpoint = settings.endpoint.clone();
    if let Ok(mut path) = endpoint.path_segments_mut() {
        path.pop_if_empty().extend(TRACES);
    }
    // A redirect would send the headers elsewhere.
    let client = reqwest::Client::builder()
        .timeout(settings.timeout)
        .redirect(reqwest::redirect::Policy::none())
        .default_headers(settings.headers.clone())
        .build()
        .map_err(|error| failed(&error))?;
    SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_endpoint(endpoint.as_str())
        .with_timeout(settings.timeout)
        .build()
        .map_err(|error| failed(&error))
}

fn over_grpc(settings: &SpanConfig) -> Result<SpanExporter, ExportError> {
    let failed = |error: &dyn std::fmt::Display| ExportError::Client(error.to_string());
    let mut endpoint = Endpoint::from_shared(settings.endpoint.as_str().to_owned()).map_err(|error| failed(&error))?;
    if settings.endpoint.scheme() == "https" {
        let tls = ClientTlsConfig::new().with_native_roots();
        endpoint = endpoint.tls_config(tls).map_err(|error| failed(&error))?;
    }
    let channel = endpoint.timeout(settings.timeout).connect_timeout(settings.timeout).connect_lazy();
    SpanExporter::builder()
        .with_tonic()
        .with_channel(channel)
        .with_metadata(MetadataMap::from_headers(settings.headers.clone()))
        .with_timeout(settings.timeout)
        .build()
        .map_err(|error| failed(&error))
}
