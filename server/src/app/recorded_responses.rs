//! The first answers to request ids.
//!
//! A request that is repeated gets the answer that it got first, even if the state has changed since: a flag was switched off, a plan is no
//! longer kept, a tenant has moved. The store knows first answers when it accepts. What is refused before that is looked up here, so that a
//! request that is accepted pays for no look-up.

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

/// A request that has an id, in its own words.
#[derive(Debug, Clone)]
pub(super) struct IdempotentRequest {
    /// Its id.
    pub(super) request_id: String,
    /// Every field of it.
    pub(super) arguments: Vec<String>,
    key: IdempotencyKey,
}

impl IdempotentRequest {
    /// `None`: the request has no id.
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

    /// What the store knows it by.
    pub(super) fn key(&self) -> IdempotencyKey {
        self.key
    }
}

impl App {
    /// Returns the first answer to a request that is refused now, or else the refusal. An answer is a read: one with a run that the caller may
    /// not see is none, and the refusal, which is in the caller's own words, does not name the run's tenant.
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

/// An answer is a read: a run that the caller may not see does not exist.
pub(super) fn visible_run(caller: &Caller, run: Run) -> Result<Run, Error> {
    if caller.scope.allows(&run.tenant) { Ok(run) } else { Err(Error::NotFound(Resource::Run, run.resource_name())) }
}

/// Whether a request that is refused now may have been answered before, which costs a look-up.
pub(super) fn may_be_answered(asked: Option<&IdempotentRequest>, refusal: &Error) -> bool {
    asked.is_some() && is_about_the_state(refusal)
}

/// Whether a refusal is due to the state of something, which may have been another one when the request came first.
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
