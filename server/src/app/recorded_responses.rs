//! The recorded responses to request ids.
//!
//! A repeated request gets the response that it got first, even if the state has changed since: a flag was turned off,
//! a plan is no longer kept, a tenant has moved. The store finds recorded responses when it accepts a request. Requests
//! that are refused before that are looked up here, so that an accepted request needs no look-up.

use super::App;
use crate::{
    domain::{Caller, Run},
    error::{Error, Resource},
    store::{IdempotencyKey, RecordedResponse},
};

/// The accepted run.
#[derive(Debug, Clone)]
pub struct AcceptedRun {
    /// The run.
    pub run: Run,
    /// Whether it was live already.
    pub joined: bool,
}

/// A request with an id, in canonical form.
#[derive(Debug, Clone)]
pub(super) struct IdempotentRequest {
    /// The request id.
    pub(super) request_id: String,
    /// All fields of the request.
    pub(super) arguments: Vec<String>,
    key: IdempotencyKey,
}

impl IdempotentRequest {
    /// Returns `None` if the request has no id.
    pub(super) fn new(
        caller: &Caller,
        request_id: Option<&str>,
        arguments: impl FnOnce() -> Vec<String>,
    ) -> Option<Self> {
        let request_id = request_id?.to_owned();
        let arguments = arguments();
        let key = IdempotencyKey::new(&caller.subject, &request_id, &arguments);
        Some(Self { request_id, arguments, key })
    }

    /// Returns the key under which the store records the response.
    pub(super) fn key(&self) -> IdempotencyKey {
        self.key
    }
}

impl App {
    /// Returns the recorded response to a request that is refused now, or else the refusal. Returning a response is a
    /// read: if the caller may not see its run, the refusal is returned, which only has the caller's own values and
    /// does not name the run's tenant.
    pub(super) async fn recorded_response_or(
        &self,
        caller: &Caller,
        asked: Option<IdempotentRequest>,
        refusal: Error,
    ) -> Result<RecordedResponse, Error> {
        let Some(asked) = asked.filter(|asked| may_be_answered(Some(asked), &refusal)) else { return Err(refusal) };
        let first = self.store.recorded_response(None, asked.key, &asked.request_id).await?;
        let is_visible =
            |first: &RecordedResponse| first.run.as_ref().is_none_or(|run| caller.scope.allows(&run.tenant));
        first.filter(is_visible).ok_or(refusal)
    }

    /// The same for a request that started a run.
    pub(super) async fn recorded_run_or(
        &self,
        caller: &Caller,
        asked: Option<IdempotentRequest>,
        refusal: Error,
    ) -> Result<AcceptedRun, Error> {
        let RecordedResponse { run, joined } = self.recorded_response_or(caller, asked, refusal).await?;
        let run = run.ok_or_else(|| Error::Internal("a request for a run was answered without one".into()))?;
        Ok(AcceptedRun { run, joined })
    }
}

/// Returns the run if the caller may see it; otherwise it does not exist for the caller.
pub(super) fn visible_run(caller: &Caller, run: Run) -> Result<Run, Error> {
    if caller.scope.allows(&run.tenant) { Ok(run) } else { Err(Error::NotFound(Resource::Run, run.resource_name())) }
}

/// Whether a refused request may have a recorded response, which costs a look-up.
pub(super) fn may_be_answered(asked: Option<&IdempotentRequest>, refusal: &Error) -> bool {
    asked.is_some() && is_about_the_state(refusal)
}

/// Whether a refusal depends on state that may have been different when the request first arrived.
fn is_about_the_state(refusal: &Error) -> bool {
    !matches!(
        refusal,
        Error::RequestIdReused(_)
            | Error::RateLimited { .. }
            | Error::DeadlineExceeded(_)
            | Error::Draining
            | Error::DatabaseUnavailable(_)
            | Error::Internal(_)
    )
}
