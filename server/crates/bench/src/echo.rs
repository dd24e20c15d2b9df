//! A server that answers each `MirrorCategories` with a run of its own making, behind the same layers and over the same transport as the
//! real one: what is left of a call when nothing is kept.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use category_mirror::{
    api,
    commands::CommandError,
    connections::{self, Parties},
    domain::RunId,
    serve::{grpc_connections, http2},
};
use category_mirror_proto::v1::{
    self as proto, category_mirror_service_server::SERVICE_NAME, mirror_categories_request::Target,
};
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    service::Routes,
};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::environment::{self, BenchEnvironment, ServerEndpoint};

/// The server.
pub(crate) struct EchoServer {
    pub(crate) service_layers: ServerEndpoint,
    _stop: tokio_util::sync::DropGuard,
}

impl EchoServer {
    pub(crate) async fn start(environment: &BenchEnvironment) -> Result<Self, CommandError> {
        let listener = environment::bind().await?;
        let address = listener.local_addr().map_err(|error| CommandError::failed("cannot listen", error))?;
        let (verifier, token) = environment.key()?;
        let (limits, stop) = (environment::limits(), CancellationToken::new());
        let parties = Parties {
            service: api::service_layers(Routes::new(Echo), Arc::new(verifier), &limits, stop.clone()),
            tls: None,
            http2: http2(&limits),
            sift: api::sift_headers,
            connections: grpc_connections(&limits),
            drain: stop.clone(),
        };
        tokio::spawn(connections::serve_grpc(listener, parties));
        Ok(Self { service_layers: ServerEndpoint::new(address, token), _stop: stop.drop_guard() })
    }
}

#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(Answer, request).await) })
    }
}

/// The answer is as long as that to a real call.
struct Answer;

impl UnaryService<proto::MirrorCategoriesRequest> for Answer {
    type Response = proto::MirrorCategoriesResponse;
    type Future = Ready<Result<tonic::Response<Self::Response>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<proto::MirrorCategoriesRequest>) -> Self::Future {
        let request = request.into_inner();
        let tenant = match request.target {
            Some(Target::Tenant(tenant)) => tenant,
            _ => String::new(),
        };
        let run = proto::Run {
            name: format!("{tenant}/runs/{}", RunId::now_v7()),
            tenant,
            strategy: request.strategy,
            state: proto::run::State::Queued.into(),
            revision: 1,
            max_attempts: 5,
            caller: "bench".to_owned(),
            request_id: request.request_id,
            create_time: Some(std::time::SystemTime::now().into()),
            ..proto::Run::default()
        };
        ready(Ok(tonic::Response::new(proto::MirrorCategoriesResponse { run: Some(run), ..Default::default() })))
    }
}
