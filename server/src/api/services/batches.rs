//! `BatchService`.

use category_mirror_proto::v1::{self as proto, batch_service_server::BatchService};
use tonic::{Request, Response, Status};

use crate::api::{
    decode::request,
    encode::{self, status::status},
};
use crate::{
    app::{App, PageRequest},
    domain::{BatchId, parse_batch_name},
    error::{Error, Violations},
};

/// Implements the service with the use cases of the application.
pub(in crate::api) struct BatchApi {
    app: App,
}

impl BatchApi {
    pub(in crate::api) fn new(app: App) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl BatchService for BatchApi {
    async fn get_batch(
        &self,
        request: Request<proto::GetBatchRequest>,
    ) -> Result<Response<proto::GetBatchResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let batch = batch_id(&message.name).map_err(status)?;
        let batch = self.app.batch(&caller, batch).await.map_err(status)?;
        Ok(Response::new(proto::GetBatchResponse { batch: Some(encode::batch(batch)) }))
    }

    async fn list_batches(
        &self,
        request: Request<proto::ListBatchesRequest>,
    ) -> Result<Response<proto::ListBatchesResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let page = PageRequest::new(Violations::default(), message.page_size, &message.page_token, &["batches"]);
        let page = self.app.batches(&caller, page.map_err(status)?).await.map_err(status)?;
        Ok(Response::new(proto::ListBatchesResponse {
            batches: page.items.into_iter().map(encode::batch).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn cancel_batch(
        &self,
        request: Request<proto::CancelBatchRequest>,
    ) -> Result<Response<proto::CancelBatchResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let batch = batch_id(&message.name).map_err(status)?;
        let batch = self.app.cancel_batch(&caller, batch).await.map_err(status)?;
        Ok(Response::new(proto::CancelBatchResponse { batch: Some(encode::batch(batch)) }))
    }
}

fn batch_id(name: &str) -> Result<BatchId, Error> {
    let mut violations = Violations::default();
    let batch = request::required(&mut violations, "name", name, parse_batch_name);
    violations.finish_with(batch)
}
