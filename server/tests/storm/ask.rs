//! What is asked for: which side wins, and whether to write, to plan, to carry a plan out, or to take a run back.

use category_mirror_client::{AcceptedRun, Client, Error, Strategy};
use chrono::{DateTime, Utc};
use futures::future::Either;
use serde_json::Value;

use crate::{evidence::Row, set::Set, witness};

/// A request for a run.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Which side wins.
    pub(crate) strategy: Strategy,
    /// What is to be done about it.
    pub(crate) deed: Deed,
}

/// What a run is to do.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    /// Make both sides equal.
    Mirror,
    /// Plan, and write nothing.
    Rehearse,
    /// Carry out the plan of this dry run, by its name.
    Apply(String),
    /// Take back what this run wrote, by its name.
    Revert(String),
}

/// What both sides of a tenant were when a run was asked for and none was live.
#[derive(Debug, Clone)]
pub(crate) struct Sides {
    /// When somebody looked.
    pub(crate) at: DateTime<Utc>,
    /// What the tenant had on the platform.
    pub(crate) platform: Set,
    /// What its location had.
    pub(crate) google: Set,
}

impl Ask {
    /// Make the location equal to the platform.
    pub(crate) const MIRROR: Self = Self { strategy: Strategy::PlatformToGbp, deed: Deed::Mirror };

    /// Sends the request.
    pub(crate) fn send(
        &self,
        client: &Client,
        tenant: &str,
        request_id: &str,
    ) -> impl Future<Output = Result<AcceptedRun, Error>> + use<> {
        let request = client.mirror(tenant, self.strategy).request_id(request_id);
        Either::Right(match &self.deed {
            Deed::Mirror => request.send(),
            Deed::Rehearse => request.dry_run(true).send(),
            Deed::Apply(dry_run) => request.plan(dry_run).send(),
            Deed::Revert(run) => return Either::Left(client.revert_run(run).request_id(request_id).send()),
        })
    }

    /// Whether a run is what was asked for.
    pub(crate) fn is_met_by(&self, row: &Row) -> bool {
        let order = |what: &str| row.options.as_ref().and_then(|options| options[what].as_str()).map(str::to_owned);
        let id = |name: &String| witness::id(name).to_string();
        let (is_dry, plan, reverts) = match &self.deed {
            Deed::Mirror => (false, None, None),
            Deed::Rehearse => (true, None, None),
            Deed::Apply(dry_run) => (false, Some(id(dry_run)), None),
            Deed::Revert(run) => (false, None, Some(id(run))),
        };
        let options = (order("applied_plan"), order("revert_of"));
        row.strategy == self.strategy.to_string() && row.dry_run == is_dry && options == (plan, reverts)
    }
}

impl Deed {
    /// Whether it is to plan only.
    pub(crate) fn is_rehearsal(&self) -> bool {
        matches!(self, Self::Rehearse)
    }

    /// Whether it is to carry out a plan.
    pub(crate) fn is_application(&self) -> bool {
        matches!(self, Self::Apply(_))
    }
}

impl Sides {
    /// Whether either is another one than it was.
    pub(crate) fn have_moved_since(&self, before: &Self) -> bool {
        (&self.platform, &self.google) != (&before.platform, &before.google)
    }

    /// What wins, and what is written.
    pub(crate) fn way(&self, strategy: Strategy) -> (&Set, &Set) {
        match strategy {
            Strategy::GbpToPlatform => (&self.google, &self.platform),
            _ => (&self.platform, &self.google),
        }
    }
}

/// Both ends of a plan as the run table has it: what it was made from, and what it leads to.
pub(crate) fn ends_of(plan: &Value) -> Option<(Set, Set)> {
    Some((Set::from_row(&plan["observed"])?, Set::from_row(&plan["desired"])?))
}
