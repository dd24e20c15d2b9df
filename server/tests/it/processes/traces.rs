//! Traces over OTLP, from a server in a process of its own to a collector of the test's: one story from the caller to Google, and collectors
//! that fail.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use category_mirror_client::{Client, RunState};
use category_mirror_proto::v1::{
    MirrorCategoriesRequest, Strategy, category_mirror_service_client::CategoryMirrorServiceClient,
    mirror_categories_request::Target,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tonic::{Request, Response, Status};

use super::{
    server::Server,
    site::{ACCESS_TOKEN, SECRET, Site, ended},
};
use crate::replica::Door;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const TRACE_STATE: &str = "rojo=00f067aa0ba902b7";
const API_KEY: &str = "only-for-tests-api-key";

/// What a collector was sent: headers and spans.
type Received = Vec<(HeaderMap, ExportTraceServiceRequest)>;

/// A collector. Dropped, it is gone, and its port answers nobody.
struct Collector {
    address: SocketAddr,
    received: watch::Receiver<Received>,
    task: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The service of a collector that speaks gRPC.
struct Taking(Arc<watch::Sender<Received>>);

#[tonic::async_trait]
impl TraceService for Taking {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.0.send_modify(|received| received.push((metadata.into_headers(), message)));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn take(State(sender): State<Arc<watch::Sender<Received>>>, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    let message = ExportTraceServiceRequest::decode(body).expect("protobuf");
    sender.send_modify(|received| received.push((headers, message)));
    ExportTraceServiceResponse::default().encode_to_vec()
}

impl Collector {
    async fn start(protocol: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, received) = watch::channel(Vec::new());
        let sender = Arc::new(sender);
        let task = if protocol == "grpc" {
            let incoming = tonic::transport::server::TcpIncoming::from(listener);
            let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(Taking(sender)));
            tokio::spawn(async move { server.serve_with_incoming(incoming).await.expect("served") })
        } else {
            let router = Router::new().route("/v1/traces", post(take)).with_state(sender);
            tokio::spawn(async move { axum::serve(listener, router).await.expect("served") })
        };
        Self { address, received, task }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.borrow();
        let resources = received.iter().flat_map(|(_, message)| &message.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Waits until there is a span of this name in the caller's trace.
    async fn has(&mut self, name: &str) {
        let is_there = |received: &Received| {
            let resources = received.iter().flat_map(|(_, message)| &message.resource_spans);
            let mut spans = resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
            spans.any(|span| span.name == name && hex(&span.trace_id) == TRACE)
        };
        let wait = self.received.wait_for(is_there);
        tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("in time").expect("taken");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(span: &Span) -> HashMap<&str, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(yes) => yes.to_string(),
        other => panic!("{other:?}"),
    };
    let attribute = |attribute: &'_ opentelemetry_proto::tonic::common::v1::KeyValue| {
        text(attribute.value.as_ref().and_then(|value| value.value.as_ref()).expect("a value"))
    };
    span.attributes.iter().map(|pair| (pair.key.as_str(), attribute(pair))).collect()
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

/// Asks for a run of `store`, in the caller's trace, and waits for its end.
async fn mirror(site: &Site, server: &Server, client: &Client, flags: &str) -> category_mirror_client::Run {
    let mut request = Request::new(MirrorCategoriesRequest {
        strategy: Strategy::PlatformToGbp.into(),
        target: Some(Target::Tenant("tenants/store".to_owned())),
        ..MirrorCategoriesRequest::default()
    });
    let traceparent = format!("00-{TRACE}-{CALLER}-{flags}");
    request.metadata_mut().insert("traceparent", traceparent.parse().expect("ASCII"));
    request.metadata_mut().insert("tracestate", TRACE_STATE.parse().expect("ASCII"));
    let bearer = format!("Bearer {}", site.token());
    request.metadata_mut().insert("authorization", bearer.parse().expect("ASCII"));
    let answer = CategoryMirrorServiceClient::new(server.connect().await).mirror_categories(request).await;
    ended(client, &answer.expect("accepted").into_inner().run.expect("a run").name).await
}

#[tokio::test]
async fn one_trace_leads_from_the_caller_through_the_queue_to_google() {
    for protocol in ["http/protobuf", "grpc"] {
        let site = Site::new().await;
        let collector = Collector::start(protocol).await;
        let door = Door::closed(&site.google.endpoint).await;
        door.open();
        let headers = format!("api-key={API_KEY}");
        let server = site
            .serve(&[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
                ("OTEL_SERVICE_NAME", "mirror-of-the-test"),
                ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
                ("GBP_ENDPOINT", &door.endpoint),
                ("RUST_LOG", "trace"),
            ])
            .await;
        let (client, address) = (site.client(&server), server.address);
        site.load(&client).await;
        site.google.fault(json!({"method": "locations.get", "status": 503, "times": 1})).await;
        let run = mirror(&site, &server, &client, "01").await;
        site.assert_mirrored_once(&run).await;
        // The last spans are exported at the end.
        server.signal(nix::sys::signal::Signal::SIGTERM);
        let (status, log) = server.ended().await;
        assert_eq!(status.code(), Some(0), "{log:#?}");

        let all = collector.spans();
        let ours: Vec<&Span> = all.iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
        let named = |name: &str| ours.iter().copied().filter(|span| span.name == name).collect::<Vec<_>>();
        assert_eq!(ours.len(), 7, "{ours:#?}");
        assert!(ours.iter().all(|span| span.end_time_unix_nano >= span.start_time_unix_nano && span.events.is_empty()));

        let [call] = named("categorymirror.v1.CategoryMirrorService/MirrorCategories")[..] else { panic!("{ours:#?}") };
        assert_eq!((hex(&call.parent_span_id).as_str(), call.kind()), (CALLER, SpanKind::Server));
        let said = attributes(call);
        // The names that OpenTelemetry's conventions have now: the method in full, and the code by its name.
        let method = "categorymirror.v1.CategoryMirrorService/MirrorCategories";
        assert_eq!((said["rpc.system.name"].as_str(), said["rpc.method"].as_str()), ("grpc", method));
        assert_eq!((said["rpc.response.status_code"].as_str(), said.get("error.type")), ("OK", None));
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        assert_eq!((&said["server.address"], &said["server.port"]), (&host, &port));
        for former in ["rpc.system", "rpc.service", "rpc.grpc.status_code"] {
            assert!(!said.contains_key(former), "{former}");
        }
        assert_eq!(call.trace_state, TRACE_STATE);

        let [accept] = named("accept")[..] else { panic!("{ours:#?}") };
        assert_eq!((&accept.parent_span_id, accept.kind()), (&call.span_id, SpanKind::Producer));
        let run_id = run.name.rsplit('/').next().expect("an id");
        assert_eq!((attributes(accept)["run_id"].as_str(), attributes(accept)["joined"].as_str()), (run_id, "false"));

        let mut attempts = named("attempt");
        attempts.sort_by_key(|span| span.start_time_unix_nano);
        let [first, second] = attempts[..] else { panic!("{ours:#?}") };
        for attempt in [first, second] {
            assert_eq!((&attempt.parent_span_id, attempt.kind()), (&accept.span_id, SpanKind::Consumer));
            let said = attributes(attempt);
            assert_eq!((said["run_id"].as_str(), said["tenant_id"].as_str()), (run_id, "store"));
        }
        let ending = |span: &Span| {
            let said = attributes(span);
            (said["state"].clone(), said.get("reason").cloned().unwrap_or_default(), is_error(span))
        };
        assert_eq!(ending(first), ("failed".to_owned(), "UPSTREAM_UNAVAILABLE".to_owned(), true));
        assert_eq!(ending(second), ("succeeded".to_owned(), String::new(), false));

        let asked = |name: &str, parent: &Span| {
            let [span] =
                named(name).into_iter().filter(|span| span.parent_span_id == parent.span_id).collect::<Vec<_>>()[..]
            else {
                panic!("{name}: {ours:#?}")
            };
            assert_eq!(span.kind(), SpanKind::Client);
            let said = attributes(span);
            let verb = if name.ends_with("patch") { "PATCH" } else { "GET" };
            assert_eq!((said["http.request.method"].as_str(), said["server.address"].as_str()), (verb, "127.0.0.1"));
            assert_eq!(said["url.full"], format!("{}/v1/locations/77", door.endpoint), "without its query");
            assert_eq!(said["server.port"], door.endpoint.rsplit(':').next().expect("a port"));
            let failed = said.get("error.type").map(String::as_str);
            assert_eq!(failed, Some(said["http.response.status_code"].as_str()).filter(|status| *status != "200"));
            (said["outcome"].clone(), said["http.response.status_code"].clone(), is_error(span), hex(&span.span_id))
        };
        let refused = asked("locations.get", first);
        let (read, written) = (asked("locations.get", second), asked("locations.patch", second));
        assert_eq!((refused.0.as_str(), refused.1.as_str(), refused.2), ("unavailable", "503", true));
        for answered in [&read, &written] {
            assert_eq!((answered.0.as_str(), answered.1.as_str(), answered.2), ("ok", "200", false));
        }
        let sent: Vec<String> = [refused, read, written].iter().map(|it| format!("00-{TRACE}-{}-01", it.3)).collect();
        assert_eq!(door.headers("traceparent"), sent, "Google is told the very span that asks");
        assert_eq!(door.headers("tracestate"), [TRACE_STATE; 3]);

        // Whose spans they are; and no secret among them, but for what the collector is to be sent.
        let received = collector.received.borrow().clone();
        let token = site.token();
        for (headers, message) in &received {
            assert_eq!(headers["api-key"], API_KEY);
            let text = format!("{message:?}");
            for it in ["mirror-of-the-test", "deployment.environment.name", "service.instance.id"] {
                assert!(text.contains(it), "{it}: {text}");
            }
            for secret in [SECRET, ACCESS_TOKEN, API_KEY, &token, "eyJ"] {
                assert!(!text.contains(secret), "{secret}: {text}");
            }
        }
        let line = log.iter().find(|line| line.contains(r#""message":"a run succeeded""#)).expect("it is logged");
        assert!(line.contains(&format!(r#""trace_id":"{TRACE}""#)), "{line}");
        for line in &log {
            assert!(!line.contains("only-for-tests") && !line.contains("category_mirror::spans"), "{line}");
        }
    }
}

#[tokio::test]
async fn a_caller_who_traces_nothing_is_not_traced_and_what_begins_here_is() {
    let site = Site::new().await;
    let collector = Collector::start("http/protobuf").await;
    let door = Door::closed(&site.google.endpoint).await;
    door.open();
    let server =
        site.serve(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()), ("GBP_ENDPOINT", &door.endpoint)]).await;
    let client = site.client(&server);
    site.load(&client).await;
    mirror(&site, &server, &client, "00").await;
    server.stop().await;
    let spans = collector.spans();
    assert!(spans.iter().all(|span| hex(&span.trace_id) != TRACE), "{spans:#?}");
    let begun = |name: &str| spans.iter().any(|span| span.name.ends_with(name) && span.parent_span_id.is_empty());
    assert!(begun("TenantService/CreateTenant") && begun("CategoryMirrorService/StreamRunUpdates"), "{spans:#?}");
    let sent = door.headers("traceparent");
    assert!(sent.iter().all(|it| it.starts_with(&format!("00-{TRACE}-")) && it.ends_with("-00")), "{sent:?}");
    assert!(!sent.is_empty());
}

#[tokio::test]
async fn a_collector_that_dies_or_hangs_disturbs_nobody() {
    let site = Site::new().await;
    let mut collector = Collector::start("http/protobuf").await;
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "200".to_owned()),
        // The last spans get a second in any case.
        ("SHUTDOWN_GRACE_PERIOD", "0s".to_owned()),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = site.serve(&settings).await;
    let client = site.client(&server);
    site.load(&client).await;
    let run = mirror(&site, &server, &client, "01").await;
    site.assert_mirrored_once(&run).await;
    collector.has("attempt").await;

    let address = collector.address;
    drop(collector);
    site.google.put("77", "cafe", &["bar"]).await;
    assert_eq!(mirror(&site, &server, &client, "01").await.state, RunState::Succeeded);
    let line = server.logged("could not export spans").await;
    assert!(line["spans"].as_u64().is_some_and(|spans| spans > 0), "{line}");
    let metrics = reqwest::get(format!("http://{}/metrics", server.admin)).await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    assert!(!metrics.contains("\ncategory_mirror_spans_dropped_total 0\n"), "{metrics}");

    // Takes connections, and says nothing.
    let _silent = TcpListener::bind(address).await.expect("the same port");
    site.google.put("77", "cafe", &["bar"]).await;
    assert_eq!(mirror(&site, &server, &client, "01").await.state, RunState::Succeeded);
    assert_eq!(server.healthz().await, 200);
    server.signal(nix::sys::signal::Signal::SIGTERM);
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
    let told = log.iter().filter(|line| line.contains("could not export spans")).count();
    assert_eq!(told, 1, "once a minute, and not each time: {log:#?}");
}
