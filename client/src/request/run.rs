//! Requests that start, read, revert and cancel runs.

use category_mirror_proto::v1::{self, category_mirror_service_client::CategoryMirrorServiceClient};
use uuid::Uuid;

use crate::{AcceptedRun, Client, GbpView, Run, Strategy, names};

impl Client {
    /// Starts a run for `tenant`, an id or `tenants/{id}`. The response arrives without waiting for the run, which is
    /// then durable. [`watch_run`](Self::watch_run) reports its progress.
    pub fn mirror(&self, tenant: impl Into<String>, strategy: Strategy) -> Mirror {
        let target = v1::mirror_categories_request::Target::Tenant(names::qualified("tenants", tenant));
        let message = v1::MirrorCategoriesRequest {
            strategy: strategy.to_wire(),
            target: Some(target),
            // Makes retries safe.
            request_id: Uuid::now_v7().to_string(),
            ..Default::default()
        };
        Mirror { client: self.clone(), message }
    }

    /// Gets a run with its plan and its written changes, by id or `tenants/{tenant}/runs/{run}`.
    pub fn get_run(&self, name: impl Into<String>) -> GetRun {
        GetRun { client: self.clone(), message: v1::GetRunRequest { name: names::run(name) } }
    }

    /// Gets the most recently accepted run of a tenant and strategy.
    pub fn get_last_run(&self, tenant: impl Into<String>, strategy: Strategy) -> GetLastRun {
        let message =
            v1::GetLastRunRequest { tenant: names::qualified("tenants", tenant), strategy: strategy.to_wire() };
        GetLastRun { client: self.clone(), message }
    }

    /// Reverts a run by a new run, which writes only if the target is still in the state in which the reverted run left
    /// it.
    pub fn revert_run(&self, name: impl Into<String>) -> RevertRun {
        let request_id = Uuid::now_v7().to_string();
        let message = v1::RevertRunRequest { name: names::run(name), request_id, ..Default::default() };
        RevertRun { client: self.clone(), message }
    }

    /// Cancels a run: a queued one immediately, a running one before it writes. A terminal run is returned unchanged.
    pub fn cancel_run(&self, name: impl Into<String>) -> CancelRun {
        CancelRun { client: self.clone(), message: v1::CancelRunRequest { name: names::run(name) } }
    }
}

impl Mirror {
    /// Applies the plan of this dry run without changes, `tenants/{tenant}/runs/{run}` or the run's id. If an input of
    /// the plan has changed since, the run ends as skipped, reason `PLAN_STALE`.
    pub fn plan(mut self, dry_run: impl Into<String>) -> Self {
        self.message.plan = names::run(dry_run);
        self
    }

    /// Sets which of Google's records is the source, for `gbp_to_platform`. Default: the merchant's.
    pub fn view(mut self, view: GbpView) -> Self {
        self.message.view = view.to_wire();
        self
    }
}

/// Options of every request that starts a run.
macro_rules! asks_for_a_run {
    ($name:ident) => {
        impl $name {
            /// Sets whether the run only plans and writes to neither side. Default: false.
            pub fn dry_run(mut self, dry_run: bool) -> Self {
                self.message.dry_run = dry_run;
                self
            }

            /// Sets the idempotency key, at most 128 printable ASCII characters. A repeated request within 24 hours,
            /// even from another process, gets the first response. Default: a new key for each request, for the
            /// client's own retries.
            pub fn request_id(mut self, id: impl Into<String>) -> Self {
                self.message.request_id = id.into();
                self
            }

            /// Overrides guards for this run, such as `primary_change`. The reason is stored with the run.
            pub fn override_guards<I>(mut self, guards: I, reason: impl Into<String>) -> Self
            where
                I: IntoIterator,
                I::Item: Into<String>,
            {
                self.message.override_guards = guards.into_iter().map(Into::into).collect();
                self.message.reason = reason.into();
                self
            }
        }
    };
}
asks_for_a_run!(Mirror);
asks_for_a_run!(RevertRun);

request! {
    /// Request of [`Client::revert_run`].
    RevertRun(v1::RevertRunRequest) -> AcceptedRun {
        CategoryMirrorServiceClient.revert_run, Idempotent, AcceptedRun::from_revert
    }
}

request! {
    /// Request of [`Client::mirror`].
    ///
    /// After `UNAVAILABLE` or `DEADLINE_EXCEEDED`, the run may or may not have been accepted. Send the same
    /// [`request_id`](Self::request_id) again: this returns the accepted run, or starts it.
    Mirror(v1::MirrorCategoriesRequest) -> AcceptedRun {
        CategoryMirrorServiceClient.mirror_categories, Idempotent, AcceptedRun::from_wire
    }
}

request! {
    /// Request of [`Client::get_run`].
    GetRun(v1::GetRunRequest) -> Run {
        CategoryMirrorServiceClient.get_run, Idempotent, |a: v1::GetRunResponse| a.run.map(Run::from_wire)
    }
}

request! {
    /// Request of [`Client::get_last_run`].
    GetLastRun(v1::GetLastRunRequest) -> Run {
        CategoryMirrorServiceClient.get_last_run, Idempotent, |a: v1::GetLastRunResponse| a.run.map(Run::from_wire)
    }
}

request! {
    /// Request of [`Client::cancel_run`].
    CancelRun(v1::CancelRunRequest) -> Run {
        CategoryMirrorServiceClient.cancel_run, Idempotent, |a: v1::CancelRunResponse| a.run.map(Run::from_wire)
    }
}
