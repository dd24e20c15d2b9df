//! Asking for a run, and about one.

use category_mirror_proto::v1::{self, category_mirror_service_client::CategoryMirrorServiceClient};
use uuid::Uuid;

use crate::{AcceptedRun, Client, GbpView, Run, Strategy, names};

impl Client {
    /// Asks for a run that mirrors the categories of `tenant`, an id or `tenants/{id}`. The answer comes at once, the run is then
    /// durable; [`watch_run`](Self::watch_run) tells how it goes on.
    pub fn mirror(&self, tenant: impl Into<String>, strategy: Strategy) -> Mirror {
        let target = v1::mirror_categories_request::Target::Tenant(names::qualified("tenants", tenant));
        let message = v1::MirrorCategoriesRequest {
            strategy: strategy.to_wire(),
            target: Some(target),
            // What makes repeating safe.
            request_id: Uuid::now_v7().to_string(),
            ..Default::default()
        };
        Mirror { client: self.clone(), message }
    }

    /// Gets a run by `tenants/{tenant}/runs/{run}`, or by its id alone, with its plan and what it wrote.
    pub fn get_run(&self, name: impl Into<String>) -> GetRun {
        GetRun { client: self.clone(), message: v1::GetRunRequest { name: names::run(name) } }
    }

    /// Gets the run of a tenant and strategy that was accepted last.
    pub fn get_last_run(&self, tenant: impl Into<String>, strategy: Strategy) -> GetLastRun {
        let message =
            v1::GetLastRunRequest { tenant: names::qualified("tenants", tenant), strategy: strategy.to_wire() };
        GetLastRun { client: self.clone(), message }
    }

    /// Takes back what a run wrote, by a run of its own. It writes only where the target still is what the run has left.
    pub fn revert_run(&self, name: impl Into<String>) -> RevertRun {
        let request_id = Uuid::now_v7().to_string();
        let message = v1::RevertRunRequest { name: names::run(name), request_id, ..Default::default() };
        RevertRun { client: self.clone(), message }
    }

    /// Cancels a run: a queued one at once, a running one before it writes. A terminal run is returned as it is.
    pub fn cancel_run(&self, name: impl Into<String>) -> CancelRun {
        CancelRun { client: self.clone(), message: v1::CancelRunRequest { name: names::run(name) } }
    }
}

impl Mirror {
    /// Applies exactly the plan of this dry run, `tenants/{tenant}/runs/{run}` or the run's id. Where something that it was made from has
    /// moved since, the run ends as skipped, reason `PLAN_STALE`.
    pub fn plan(mut self, dry_run: impl Into<String>) -> Self {
        self.message.plan = names::run(dry_run);
        self
    }

    /// Which of Google's records is the source, where Google wins: the merchant's unless told otherwise.
    pub fn view(mut self, view: GbpView) -> Self {
        self.message.view = view.to_wire();
        self
    }
}

/// What every request for a run can say.
macro_rules! asks_for_a_run {
    ($name:ident) => {
        impl $name {
            /// Whether only to plan, and to write to neither side. False unless told otherwise.
            pub fn dry_run(mut self, dry_run: bool) -> Self {
                self.message.dry_run = dry_run;
                self
            }

            /// Names this request, at most 128 printable ASCII characters, so that sending it again within 24 h, also from another
            /// process, returns the first answer. Without it the client makes one up for its own retries.
            pub fn request_id(mut self, id: impl Into<String>) -> Self {
                self.message.request_id = id.into();
                self
            }

            /// Lifts guards for this one run, such as `primary_change`. The reason is kept with the run.
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
    /// Asks to take a run back; see [`Client::revert_run`].
    RevertRun(v1::RevertRunRequest) -> AcceptedRun {
        CategoryMirrorServiceClient.revert_run, Idempotent, AcceptedRun::from_revert
    }
}

request! {
    /// Asks for a run; see [`Client::mirror`].
    ///
    /// After `UNAVAILABLE` or `DEADLINE_EXCEEDED` the run may have been accepted: sending the same
    /// [`request_id`](Self::request_id) again tells, or makes it so.
    Mirror(v1::MirrorCategoriesRequest) -> AcceptedRun {
        CategoryMirrorServiceClient.mirror_categories, Idempotent, AcceptedRun::from_wire
    }
}

request! {
    /// Asks for one run; see [`Client::get_run`].
    GetRun(v1::GetRunRequest) -> Run {
        CategoryMirrorServiceClient.get_run, Idempotent, |a: v1::GetRunResponse| a.run.map(Run::from_wire)
    }
}

request! {
    /// Asks for the newest run of a tenant and strategy; see [`Client::get_last_run`].
    GetLastRun(v1::GetLastRunRequest) -> Run {
        CategoryMirrorServiceClient.get_last_run, Idempotent, |a: v1::GetLastRunResponse| a.run.map(Run::from_wire)
    }
}

request! {
    /// Asks to cancel a run; see [`Client::cancel_run`].
    CancelRun(v1::CancelRunRequest) -> Run {
        CategoryMirrorServiceClient.cancel_run, Idempotent, |a: v1::CancelRunResponse| a.run.map(Run::from_wire)
    }
}
