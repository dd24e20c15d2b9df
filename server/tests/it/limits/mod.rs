//! The limits at the door: what is too much is refused at once, what takes too long ends, and one caller leaves room for the others.

mod connections;
mod deadlines;
mod rate;
mod streams;

use std::time::Duration;

use category_mirror::{api::CallLimits, connections::ConnectionLimits, domain::Role};
use category_mirror_proto::v1::{self, ListTenantsRequest};
use tonic::Request;
use tonic_types::StatusExt;

use super::{
    replica::idle,
    service::{self, Service, Setup},
    wire::{Refusal, Wire},
};

/// Nothing takes so long: what does has failed.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(15);

/// A service that carries nothing out, with these limits.
async fn limited(limits: CallLimits) -> Service {
    service::start_with(Setup { limits, ..idle() }).await
}

fn no_rate() -> CallLimits {
    CallLimits { rate: 0, ..CallLimits::default() }
}

fn caller(service: &Service, subject: &str) -> Wire {
    Wire::with_token(service, &service.token(Role::Viewer, subject, None))
}

fn list() -> Request<ListTenantsRequest> {
    Request::new(ListTenantsRequest::default())
}

fn everything() -> v1::StreamRunUpdatesRequest {
    v1::StreamRunUpdatesRequest { name: "tenants/-".to_owned(), after_revision: 0 }
}

/// The wait that a refusal asks for.
fn wait(refused: &Refusal) -> Duration {
    let details = refused.status.get_error_details();
    details.retry_info().and_then(|info| info.retry_delay).expect("a wait")
}

/// One value of a refusal.
fn value(refused: &Refusal, key: &str) -> String {
    refused.status.get_error_details().error_info().expect("an ErrorInfo").metadata[key].clone()
}
