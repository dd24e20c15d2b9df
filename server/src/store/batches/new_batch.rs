//! A batch to accept, and the key of its request.

use super::target::BatchTarget;
use crate::{
    domain::{BatchGuardRule, BatchId, FlagAtAcceptance, OrganizationId, RunKind, RunOverrides},
    store::idempotency_key::IdempotencyKey,
};

/// A batch to accept.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Its id; usually [`ID_BY_DATABASE`][crate::store::ID_BY_DATABASE].
    pub id: BatchId,
    /// Its request target.
    pub target: BatchTarget,
    /// Strategy and dry run.
    pub kind: RunKind,
    /// The flag as of the acceptance, which selects the tenants.
    pub flag_at_acceptance: FlagAtAcceptance,
    /// How many tenants the caller expects to touch; `None`: any number.
    pub confirmed: Option<i64>,
    /// The batch guards that its caller overrides.
    pub overrides: Vec<BatchGuardRule>,
    /// The guards of its runs that its caller overrides. In a dry batch: none.
    pub run_overrides: RunOverrides,
    /// The reason of the overrides.
    pub reason: String,
    /// The authenticated subject of the caller.
    pub caller: String,
    /// The request id, if the request has one.
    pub request_id: Option<String>,
    /// Limit of the counted attempts of each run.
    pub max_attempts: i32,
    /// Limit of its caller's batches that have not ended, this one included.
    pub max_live: usize,
}

impl BatchTarget {
    /// Returns `organizations/{organization}`, or `tenants/-`.
    #[must_use]
    pub fn resource_name(&self) -> String {
        self.organization.as_ref().map_or_else(|| "tenants/-".to_owned(), OrganizationId::resource_name)
    }
}

impl NewBatch {
    /// Returns the idempotency key of its request, if the request has an id. Its arguments are every field and the
    /// caller's scope, in which the same target is another one. They have a first text that no tenant's id is, so a
    /// request id that was used for a run cannot be used for a batch.
    pub(super) fn request(&self) -> Option<IdempotencyKey> {
        let request_id = self.request_id.as_deref()?;
        let every = "every tenant".to_owned();
        let organization = self.target.organization.as_ref().map_or(every, OrganizationId::resource_name);
        let dry_run = if self.kind.dry_run { "dry" } else { "real" };
        let mut arguments = vec![organization, self.kind.strategy.to_string(), dry_run.to_owned()];
        arguments.extend(self.overrides.iter().map(ToString::to_string));
        arguments.extend(self.run_overrides.guards.iter().map(ToString::to_string));
        arguments.extend(self.run_overrides.limit.map(|limit| format!("override limit:{limit}")));
        if !self.reason.is_empty() {
            arguments.push(format!("reason:{}", self.reason));
        }
        arguments.extend(self.confirmed.map(|confirmed| format!("confirmed:{confirmed}")));
        if let Some(only) = &self.target.visible_tenants {
            let mut only: Vec<String> = only.iter().map(|tenant| format!("only:{tenant}")).collect();
            only.sort();
            only.dedup();
            arguments.push("limited".to_owned());
            arguments.extend(only);
        }
        Some(IdempotencyKey::new(&self.caller, request_id, &arguments))
    }
}
