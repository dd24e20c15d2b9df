//! The gRPC interface: converts requests to use cases, and their results to messages. Every call passes the gate first.

mod decode;
mod encode;
mod limits;
mod middleware;
mod services;

pub use limits::CallLimits;
pub use middleware::{
    abandoned::{AbandonedCalls, Drain},
    read_headers::sift_headers,
};

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
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, service::Routes};
use tonic_health::server::HealthReporter;
use tower::{
    Layer,
    util::{MapRequest, MapRequestLayer},
};

use self::{
    middleware::{
        bodies::{drain_body, memory},
        gate::{Gate, GateLayer},
        measured::{Measured, MeasuredLayer},
        open_streams::OpenStreams,
    },
    services::{
        batches::BatchApi, categories::CategoryApi, category_mirror::CategoryMirrorApi, credentials::CredentialApi,
        flags::FlagApi, tenants::TenantApi,
    },
};
use crate::{app::App, auth::Verifier};

/// Services behind the layers that every call passes.
pub type ServiceLayers = Measured<MapRequest<Gate<Routes>, fn(Request<Body>) -> Request<Body>>>;
/// Names of the services that the health service reports. The empty name is the server as a whole.
const HEALTH_SERVICES: [&str; 7] = [
    "",
    batch_service_server::SERVICE_NAME,
    category_mirror_service_server::SERVICE_NAME,
    category_service_server::SERVICE_NAME,
    credential_service_server::SERVICE_NAME,
    flag_service_server::SERVICE_NAME,
    tenant_service_server::SERVICE_NAME,
];

/// Returns the services behind the gate, with health and reflection, ready to serve. `heartbeat`: maximum idle time of
/// a stream; `is_serving`: whether the database responds; `drain`: shutdown of the server.
///
/// # Panics
/// Never: the descriptor set is part of the program.
#[must_use]
pub fn router(
    app: App,
    verifier: Arc<Verifier>,
    health: tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health>,
    heartbeat: Duration,
    limits: &CallLimits,
    is_serving: watch::Receiver<bool>,
    drain: Drain,
) -> ServiceLayers {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(category_mirror_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let sound = "the descriptor sets are part of the program";
    let streams = OpenStreams::new(limits);
    let mirror = CategoryMirrorApi::new(app.clone(), heartbeat, streams.clone(), drain.begins.clone());
    let mirror = CategoryMirrorServiceServer::new(mirror);
    let tenants = TenantServiceServer::new(TenantApi::new(app.clone()));
    let categories = CategoryServiceServer::new(CategoryApi::new(app.clone()));
    let batches = BatchServiceServer::new(BatchApi::new(app.clone()));
    let credentials = CredentialServiceServer::new(CredentialApi::new(app.clone()));
    let flags = FlagServiceServer::new(FlagApi::new(app));
    // The gate bounds the size of each message by method, before the decoder sees it.
    let routes = Routes::new(mirror)
        .add_service(tenants)
        .add_service(categories)
        .add_service(batches)
        .add_service(credentials)
        .add_service(flags)
        .add_service(health)
        .add_service(reflection().build_v1().expect(sound))
        // Python's reflection client and older tools support only this version.
        .add_service(reflection().build_v1alpha().expect(sound));
    behind(GateLayer::new(verifier, limits, streams, is_serving, drain), routes)
}

/// Puts services behind the layers that every call passes.
#[must_use]
pub fn service_layers(
    routes: Routes,
    verifier: Arc<Verifier>,
    limits: &CallLimits,
    drain: CancellationToken,
) -> ServiceLayers {
    let (_, is_serving) = watch::channel(true);
    let streams = OpenStreams::new(limits);
    behind(GateLayer::new(verifier, limits, streams, is_serving, Drain { begins: drain, ..Drain::default() }), routes)
}

/// Returns the number of bytes that the requests of one connection may hold.
#[must_use]
pub fn connection_memory(limits: &CallLimits) -> usize {
    memory::share(limits.request_memory)
}

fn behind(gate: GateLayer, routes: Routes) -> ServiceLayers {
    let rest = MapRequestLayer::new(drain_body::drain_request_body as fn(_) -> _);
    MeasuredLayer.layer(rest.layer(gate.layer(routes.prepare())))
}

/// Sets the health of all services.
pub async fn set_health(reporter: &HealthReporter, serving: bool) {
    let status = if serving { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
    for service in HEALTH_SERVICES {
        reporter.set_service_status(service, status).await;
    }
}

/// Ends the watches of the services' health, after the last state that [`set_health`] reported.
pub async fn end_health_watches(mut reporter: HealthReporter) {
    for service in HEALTH_SERVICES {
        reporter.clear_service_status(service).await;
    }
}
