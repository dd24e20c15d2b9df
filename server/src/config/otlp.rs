//! Export of traces, configured by OpenTelemetry's own variables.

use std::time::Duration;

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::{ConfigError, secrets::secret};
use crate::{
    domain::{Secret, public_url},
    spans::{Exporter, Protocol, Sampling, SpanConfig},
};

/// Default name of this service in traces.
const SERVICE_NAME: &str = "category-mirror";

/// Traces over OTLP, configured by the variables that OpenTelemetry's SDKs use. An empty value counts as not set.
#[derive(Debug, Args)]
#[command(next_help_heading = "Traces")]
pub struct OtlpArgs {
    /// URL of the collector that receives the spans, such as `http://localhost:4318`. Without it, there are no spans
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// Protocol: `http/protobuf`, which posts to `/v1/traces` below the endpoint, or `grpc` [default: http/protobuf]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL", value_name = "PROTOCOL")]
    pub otel_exporter_otlp_protocol: Option<String>,
    /// Headers of each request, such as `api-key=secret,tenant=7`, percent-encoded
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS", value_name = "LIST", hide_env_values = true, value_parser = secret)]
    pub otel_exporter_otlp_headers: Option<Secret>,
    /// Timeout of one export in milliseconds, from 1 to 600000 [default: 10000]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TIMEOUT", value_name = "MS")]
    pub otel_exporter_otlp_timeout: Option<String>,
    /// Name of this service in traces [default: category-mirror]
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub otel_service_name: Option<String>,
    /// Further attributes of this process in traces, such as `deployment.environment.name=test`, percent-encoded
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", value_name = "LIST", hide_env_values = true)]
    pub otel_resource_attributes: Option<String>,
    /// Traces to export: `always_on`, `always_off` or `traceidratio`. With the prefix `parentbased_`, this applies to
    /// traces that start here; for all others, the caller decides [default: parentbased_always_on]
    #[arg(long, env = "OTEL_TRACES_SAMPLER", value_name = "SAMPLER")]
    pub otel_traces_sampler: Option<String>,
    /// Share of traces that `traceidratio` exports, from 0 to 1 [default: 1]
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", value_name = "SHARE")]
    pub otel_traces_sampler_arg: Option<String>,
}

fn given(setting: Option<&String>) -> Option<&str> {
    setting.map(|value| value.trim()).filter(|value| !value.is_empty())
}

impl OtlpArgs {
    /// Starts the exporter, if a collector is configured.
    ///
    /// # Errors
    ///
    /// If a setting is invalid, or this build cannot export spans.
    pub fn exporter(&self) -> Result<Option<Exporter>, ConfigError> {
        let Some(settings) = self.settings()? else { return Ok(None) };
        let failed = |error| ConfigError(format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"));
        Exporter::start(settings).map(Some).map_err(failed)
    }

    fn settings(&self) -> Result<Option<SpanConfig>, ConfigError> {
        let protocol = self.protocol()?;
        let headers = self.headers()?;
        let timeout = self.timeout()?;
        let attributes = self.attributes()?;
        let sampling = self.sampling()?;
        let Some(endpoint) = given(self.otel_exporter_otlp_endpoint.as_ref()) else { return Ok(None) };
        let service_name = given(self.otel_service_name.as_ref()).unwrap_or(SERVICE_NAME).to_owned();
        Ok(Some(SpanConfig {
            endpoint: endpoint_of(endpoint)?,
            protocol,
            headers,
            timeout,
            service_name,
            attributes,
            sampling,
        }))
    }

    fn protocol(&self) -> Result<Protocol, ConfigError> {
        match given(self.otel_exporter_otlp_protocol.as_ref()) {
            None | Some("http/protobuf") => Ok(Protocol::Http),
            Some("grpc") => Ok(Protocol::Grpc),
            Some(other) => Err(wrong("OTEL_EXPORTER_OTLP_PROTOCOL", other, "must be one of: http/protobuf, grpc")),
        }
    }

    fn timeout(&self) -> Result<Duration, ConfigError> {
        let Some(text) = given(self.otel_exporter_otlp_timeout.as_ref()) else { return Ok(Duration::from_secs(10)) };
        match text.parse() {
            Ok(ms @ 1..=600_000) => Ok(Duration::from_millis(ms)),
            _ => Err(wrong("OTEL_EXPORTER_OTLP_TIMEOUT", text, "must be a number of milliseconds from 1 to 600000")),
        }
    }

    fn headers(&self) -> Result<HeaderMap, ConfigError> {
        let Some(secret) = &self.otel_exporter_otlp_headers else { return Ok(HeaderMap::new()) };
        // Not even the name is repeated: the secret may be in its place.
        let failed = || ConfigError("OTEL_EXPORTER_OTLP_HEADERS: must be a list of name=value".to_owned());
        let header = |(name, value): (String, String)| {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name).ok()?, value))
        };
        let pairs = pairs(secret.reveal()).ok_or_else(failed)?;
        pairs.into_iter().map(header).collect::<Option<_>>().ok_or_else(failed)
    }

    fn attributes(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let Some(text) = given(self.otel_resource_attributes.as_ref()) else { return Ok(Vec::new()) };
        pairs(text).ok_or_else(|| wrong("OTEL_RESOURCE_ATTRIBUTES", text, "must be a list of name=value"))
    }

    fn sampling(&self) -> Result<Sampling, ConfigError> {
        let share = match given(self.otel_traces_sampler_arg.as_ref()) {
            None => 1.0,
            Some(text) => match text.parse() {
                Ok(share) if (0.0..=1.0).contains(&share) => share,
                _ => return Err(wrong("OTEL_TRACES_SAMPLER_ARG", text, "must be a number from 0 to 1")),
            },
        };
        let sampler = given(self.otel_traces_sampler.as_ref()).unwrap_or("parentbased_always_on");
        let (as_caller, own) = match sampler.strip_prefix("parentbased_") {
            Some(own) => (true, own),
            None => (false, sampler),
        };
        let share = match own {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => share,
            _ => {
                let names = "must be always_on, always_off or traceidratio, optionally with the prefix parentbased_";
                return Err(wrong("OTEL_TRACES_SAMPLER", sampler, names));
            }
        };
        Ok(if as_caller { Sampling::ParentBased(share) } else { Sampling::Ratio(share) })
    }
}

fn wrong(name: &str, value: &str, problem: &str) -> ConfigError {
    ConfigError(format!("{name}={}: {problem}", value.escape_debug()))
}

fn endpoint_of(text: &str) -> Result<Url, ConfigError> {
    let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let refused = |problem| Err(wrong(name, &public_url(text), problem));
    let Ok(url) = Url::parse(text) else { return refused("must be a URL such as http://localhost:4318") };
    if !matches!(url.scheme(), "http" | "https") {
        return refused("must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("must not contain a user or password, which belong in OTEL_EXPORTER_OTLP_HEADERS");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refused("must not have a query or fragment");
    }
    Ok(url)
}

/// Parses a list such as `a=1,b=2` with percent-encoded values.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((name.trim().to_owned(), value.into_owned())).filter(|(name, _)| !name.is_empty())
    };
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        otlp: OtlpArgs,
    }

    fn settings(arguments: &[&str]) -> Result<Option<SpanConfig>, String> {
        let command = Command::try_parse_from([&["x"], arguments].concat()).expect("taken");
        command.otlp.settings().map_err(|error| error.to_string())
    }

    const ENDPOINT: &str = "--otel-exporter-otlp-endpoint=https://collector:4318/tenant";

    #[test]
    fn what_is_not_said_is_as_opentelemetry_has_it() {
        assert!(settings(&[]).expect("right").is_none());
        assert!(settings(&["--otel-exporter-otlp-endpoint="]).expect("right").is_none());
        let usual = settings(&[ENDPOINT, "--otel-traces-sampler="]).expect("right").expect("a collector");
        assert_eq!((usual.protocol, usual.sampling), (Protocol::Http, Sampling::ParentBased(1.0)));
        assert_eq!((usual.timeout, usual.service_name.as_str()), (Duration::from_secs(10), "category-mirror"));
        assert!(usual.headers.is_empty() && usual.attributes.is_empty());
    }

    #[test]
    fn lists_are_decoded_and_secrets_do_not_show() {
        let arguments = [
            ENDPOINT,
            "--otel-exporter-otlp-headers=api-key=hunter2%3D, tenant=7,",
            "--otel-resource-attributes=deployment.environment.name=a%2Cb",
            "--otel-traces-sampler=parentbased_traceidratio",
            "--otel-traces-sampler-arg=0.25",
        ];
        let given = settings(&arguments).expect("right").expect("a collector");
        assert!(given.headers["api-key"] == "hunter2=" && given.headers["tenant"] == "7");
        assert_eq!(given.attributes, [("deployment.environment.name".to_owned(), "a,b".to_owned())]);
        assert_eq!(given.sampling, Sampling::ParentBased(0.25));
        let command = Command::try_parse_from([&["x"], &arguments[..]].concat()).expect("taken");
        assert!(!format!("{command:?} {given:?}").contains("hunter2"), "{command:?} {given:?}");
    }

    #[test]
    fn a_wrong_header_is_not_repeated() {
        for bad in ["hunter2", "a=1,hunter2", "=hunter2", "hunter 2=x", "a=hunter2%0a"] {
            let refused = settings(&[&format!("--otel-exporter-otlp-headers={bad}")]).expect_err("refused");
            assert_eq!(refused, "OTEL_EXPORTER_OTLP_HEADERS: must be a list of name=value");
        }
    }
}
