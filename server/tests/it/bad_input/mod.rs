//! Input that is wrong, hostile or much too long: each is named, and changes nothing.

mod reads;
mod writes;

use category_mirror_proto::v1::{self, mirror_categories_request::Target};
use tonic::{Code, Response, Status};

use super::{
    replica::idle,
    service::{self, Service},
    wire::{Refusal, Wire, contents, refusal},
};

/// A service with a store, and what its database held before anything bad came.
struct ClaimLimits {
    service: Service,
    wire: Wire,
    before: Vec<(String, Option<String>)>,
}

impl ClaimLimits {
    async fn new() -> Self {
        let service = service::start_with(idle()).await;
        service.with_store(&["cafe"], "bar", &[]).await;
        let (wire, before) = (Wire::admin(&service), contents(&service.pool).await);
        Self { service, wire, before }
    }

    /// The call must be refused as `INVALID_ARGUMENT` for `reason`, and leave every table as it was.
    async fn refuses<T>(&self, answer: Result<Response<T>, Status>, reason: &str) -> Refusal {
        let refused = refusal(answer);
        assert_eq!((refused.code, refused.reason.as_str()), (Code::InvalidArgument, reason), "{refused:?}");
        assert_eq!(contents(&self.service.pool).await, self.before, "{refused:?}");
        refused
    }

    /// The call must be refused for exactly these fields.
    async fn names<T>(&self, answer: Result<Response<T>, Status>, fields: &[&str]) {
        let refused = self.refuses(answer, "INVALID_REQUEST").await;
        assert_eq!(refused.fields, fields, "{refused:?}");
    }
}

fn press(strategy: i32, tenant: &str, request_id: &str) -> v1::MirrorCategoriesRequest {
    let target = Some(Target::Tenant(tenant.to_owned()));
    v1::MirrorCategoriesRequest { strategy, target, request_id: request_id.to_owned(), ..Default::default() }
}
