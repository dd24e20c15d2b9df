//! The gRPC interface: requests become use cases, and their answers messages. Every call passes the gate first.

mod batch_request;
mod batches;
mod bulkhead;
mod categories;
mod convert;
mod credentials;
mod deadline;
mod flags;
mod gate;
mod import;
mod limits;
mod logs;
mod measured;
mod mirror;
mod open_streams;
mod overrides;
mod rate;
mod request;
mod status;
mod tenant_sync;
mod tenants;
mod traced;
mod unread;
mod updates;

pub use limits::Limits;

use std::{sync::Arc, time::Duration};

use category_mirror_proto::v1::{
    batch_service_server::{self, BatchServiceServer},
    category_mirror_service_server::{self, CategoryMirrorServiceServer},
    category_service_server::{self, CategoryServiceServer},
    credential_service_server::{self, CredentialServiceServer},
    flag_service_server::{self, FlagServiceServer},
    tenant_service_server::{self, TenantServiceServer},
};
use http::Request;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, service::Routes, transport::Server};
use tonic_health::server::HealthReporter;
use tower::{
    layer::util::{Identity, Stack},
    util::MapRequestLayer,
};

use self::{
    batches::Batches, categories::Categories, credentials::Credentials, flags::Flags, gate::GateLayer,
    measured::MeasuredLayer, mirror::Mirror, open_streams::OpenStreams, tenants::Tenants,
};
use crate::{app::App, auth::Verifier};

/// The largest request: far above what any of them needs.
const MAX_REQUEST: usize = 1024 * 1024;
/// The largest request of a service that imports: some thousand items.
const MAX_IMPORT: usize = 4 * 1024 * 1024;

/// The layers that every call passes before it meets a service.
pub type Door =
    Stack<GateLayer, Stack<MapRequestLayer<fn(Request<Body>) -> Request<Body>>, Stack<MeasuredLayer, Identity>>>;
/// What the health service knows. The empty name stands for the server as a whole.
const HEALTH_SERVICES: [&str; 7] = [
    "",
    batch_service_server::SERVICE_NAME,
    category_mirror_service_server::SERVICE_NAME,
    category_service_server::SERVICE_NAME,
    credential_service_server::SERVICE_NAME,
    flag_service_server::SERVICE_NAME,
    tenant_service_server::SERVICE_NAME,
];

/// The services behind the gate, with health and reflection, ready to serve. `heartbeat` is how long a stream may be quiet; `drain` ends
/// streams and refuses new calls.
///
/// # Panics
/// Never: the descriptor set is part of the program.
#[must_use]
pub fn router(
    app: App,
    verifier: Arc<Verifier>,
    health: tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health>,
    heartbeat: Duration,
    limits: &Limits,
    drain: CancellationToken,
    server: Server,
) -> tonic::transport::server::Router<Door> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(category_mirror_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let sound = "the descriptor sets are part of the program";
    let mirror =
        CategoryMirrorServiceServer::new(Mirror::new(app.clone(), heartbeat, OpenStreams::new(limits), drain.clone()));
    let tenants = TenantServiceServer::new(Tenants::new(app.clone()));
    let categories = CategoryServiceServer::new(Categories::new(app.clone()));
    let batches = BatchServiceServer::new(Batches::new(app.clone()));
    let credentials = CredentialServiceServer::new(Credentials::new(app.clone()));
    let flags = FlagServiceServer::new(Flags::new(app));
    let routes = Routes::new(mirror.max_decoding_message_size(MAX_REQUEST))
        .add_service(tenants.max_decoding_message_size(MAX_IMPORT))
        .add_service(categories.max_decoding_message_size(MAX_IMPORT))
        .add_service(batches.max_decoding_message_size(MAX_REQUEST))
        .add_service(credentials.max_decoding_message_size(MAX_REQUEST))
        .add_service(flags.max_decoding_message_size(MAX_REQUEST))
        .add_service(health)
        .add_service(reflection().build_v1().expect(sound))
        // Python's reflection client, and tools of a few years ago, know no other.
        .add_service(reflection().build_v1alpha().expect(sound));
    door(server, verifier, limits, drain).add_routes(routes)
}

/// What every call passes, before a server has any services.
#[must_use]
pub fn door(server: Server, verifier: Arc<Verifier>, limits: &Limits, drain: CancellationToken) -> Server<Door> {
    let rest = MapRequestLayer::new(unread::read_rest as fn(_) -> _);
    server.layer(MeasuredLayer).layer(rest).layer(GateLayer::new(verifier, limits, drain))
}

/// Tells the health service whether each of ours is able to serve.
pub async fn set_health(reporter: &HealthReporter, serving: bool) {
    let status = if serving { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
    for service in HEALTH_SERVICES {
        reporter.set_service_status(service, status).await;
    }
}

/// Ends the watches of our health, after what [`set_health`] told them last.
pub async fn end_health_watches(mut reporter: HealthReporter) {
    for service in HEALTH_SERVICES {
        reporter.clear_service_status(service).await;
    }
}
