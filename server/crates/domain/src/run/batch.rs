//! Batches: many runs made by one request.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    BatchGuardRule, Flag, FlagReason, FlagState, GuardRule, OrganizationId, Percent, ProcessFlags, Rollout, RunKind,
    TenantId, evaluate,
};

/// A batch's id, a UUIDv7: it sorts by the time of acceptance.
pub type BatchId = Uuid;

/// `batches/{batch}`.
#[must_use]
pub fn batch_name(batch: BatchId) -> String {
    format!("batches/{batch}")
}

/// Parses `batches/{batch}`.
///
/// # Errors
/// A text that says what form a name has.
pub fn parse_batch_name(name: &str) -> Result<BatchId, &'static str> {
    let id = name.strip_prefix("batches/").unwrap_or_default();
    // Only the form with hyphens: one batch has one name.
    let parsed = BatchId::try_parse(id).ok().filter(|parsed| parsed.to_string() == id);
    parsed.ok_or("must be `batches/{batch}`, the batch a UUID in lower case")
}

/// A flag as it was when a batch was accepted: it decides for good which tenants the batch touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagAtAcceptance {
    /// Which flag.
    pub flag: Flag,
    /// Whom it was on for; `None`: nobody had set it.
    pub rollout: Option<Rollout>,
    /// What the process forced it to be.
    pub forced: Option<bool>,
    /// What the process took for usual.
    pub on_by_default: bool,
}

impl FlagAtAcceptance {
    /// Whether the tenant is in, and why.
    #[must_use]
    pub fn evaluate(&self, tenant: &TenantId, organization: Option<&OrganizationId>) -> FlagReason {
        let Self { flag, rollout, forced, on_by_default } = self;
        let process = ProcessFlags {
            category_mirroring: *forced,
            tenant_platform_category: *forced,
            tenant_gbp_category_sync: *forced,
            on_by_default: *on_by_default,
        };
        evaluate(*flag, rollout.as_ref(), &process, tenant, organization)
    }

    /// Whether every tenant is in, so that none need be asked for.
    #[must_use]
    pub fn is_on_for_all(&self) -> bool {
        let Some(rollout) = &self.rollout else { return self.forced.unwrap_or(self.on_by_default) };
        let is_on = rollout.state == FlagState::On
            || rollout.state == FlagState::Partial && (self.forced == Some(true) || rollout.percent == Percent::ALL);
        self.forced != Some(false)
            && is_on
            && rollout.excluded_tenants.is_empty()
            && rollout.excluded_organizations.is_empty()
    }
}

/// Where a batch is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchState {
    /// Its runs are being made.
    Expanding,
    /// They are all made, and some are live.
    Running,
    /// Somebody cancelled it, and some are live.
    Cancelling,
    /// All are over.
    Completed,
    /// Somebody cancelled it, and all that were made are over.
    Cancelled,
}

/// How many of a batch's tenants are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Tenants whose run is not made yet.
    pub pending: i64,
    /// Runs that are queued.
    pub queued: i64,
    /// Runs that an attempt is under way of.
    pub running: i64,
    /// Runs that succeeded.
    pub succeeded: i64,
    /// Runs that failed.
    pub failed: i64,
    /// Runs that were skipped, and tenants that were gone before theirs was made.
    pub skipped: i64,
    /// Tenants that had a live run of the kind.
    pub joined: i64,
    /// Runs that were cancelled, and those that were not made because the batch was.
    pub cancelled: i64,
}

/// What the runs of a batch that are over planned, in a dry run, or else wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchChanges {
    /// Categories gained.
    pub created: i64,
    /// Categories that changed their role, or primary ones replaced.
    pub updated: i64,
    /// Categories lost.
    pub deleted: i64,
    /// Unmapped categories left out.
    pub unmapped: i64,
}

/// A guard of a batch, and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchGuardVerdict {
    /// Which guard.
    pub rule: BatchGuardRule,
    /// How many of the runs that are over are of its kind.
    pub value: i64,
    /// How many runs of its kind were let through to a write.
    pub reserved: i64,
    /// How many may be; `None`: any number.
    pub limit: Option<i64>,
}

impl BatchGuardVerdict {
    /// Whether there are more than may be.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.limit.is_some_and(|limit| self.value > limit)
    }
}

/// Runs by the rules that stop them, the rules of a run with commas and in their order.
pub type StoppedRuns = BTreeMap<String, i64>;

/// How many of these runs are stopped by none but `overridden` rules, so that overriding these lets them through.
#[must_use]
pub fn overridden_run_count(stopped: &StoppedRuns, overridden: &BTreeSet<GuardRule>) -> i64 {
    let is_overridden = |name: &str| GuardRule::from_text(name).is_some_and(|rule| overridden.contains(&rule));
    stopped.iter().filter(|(rules, _)| rules.split(',').all(is_overridden)).map(|(_, runs)| runs).sum()
}

/// The guards of a batch's runs that its caller overrides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOverrides {
    /// Which.
    pub guards: BTreeSet<GuardRule>,
    /// For how many runs at most, as confirmed. `None` exactly when there are no guards.
    pub limit: Option<i64>,
}

/// A batch as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// Whose tenants; `None` is everybody's.
    pub organization: Option<OrganizationId>,
    /// The tenants that its caller may see; `None` is no limit.
    pub visible_tenants: Option<Vec<TenantId>>,
    /// Strategy and dry run.
    pub kind: RunKind,
    /// Where it is in its life.
    pub state: BatchState,
    /// How many tenants it touches.
    pub tenants: i64,
    /// Tenants that were left out for want of a location.
    pub without_location: i64,
    /// Tenants that were left out because the flag was off for them.
    pub disabled: i64,
    /// How many of its tenants are where.
    pub counts: BatchCounts,
    /// Runs that are over and found differences.
    pub out_of_sync: i64,
    /// What they planned or wrote.
    pub changes: BatchChanges,
    /// Its guards.
    pub verdicts: Vec<BatchGuardVerdict>,
    /// Runs that are over and that the guards of runs stopped, or in a dry run would stop.
    pub stopped: StoppedRuns,
    /// Failed runs by reason.
    pub failure_reason_counts: BTreeMap<String, i64>,
    /// Guards that its caller overrode, those of its runs among them.
    pub overridden_guards: Vec<String>,
    /// For how many runs at most the guards of runs are overridden; `None`: they are not.
    pub max_overrides: Option<i64>,
    /// For how many they were.
    pub overrides_reserved: i64,
    /// Why they did.
    pub override_reason: String,
    /// Who asked.
    pub caller: String,
    /// The request's id, where it had one.
    pub request_id: Option<String>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its last run was over.
    pub ended_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag_at_acceptance(rollout: Option<Rollout>, forced: Option<bool>) -> FlagAtAcceptance {
        FlagAtAcceptance { flag: Flag::CategoryMirroring, rollout, forced, on_by_default: false }
    }

    #[test]
    fn overriding_some_rules_lets_those_through_that_no_other_rule_stops() {
        use GuardRule::{FirstRunRemovals, PrimaryChange, Removals};
        let stopped =
            [("primary_change", 40), ("primary_change,removals", 4), ("first_run_removals", 2), ("new_rule", 1)];
        let stopped: StoppedRuns = stopped.map(|(rules, runs)| (rules.to_owned(), runs)).into();
        for (overridden, runs) in [
            (vec![], 0),
            (vec![PrimaryChange], 40),
            (vec![Removals], 0),
            (vec![PrimaryChange, Removals], 44),
            (vec![PrimaryChange, FirstRunRemovals], 42),
            (GuardRule::ALL.to_vec(), 46),
        ] {
            assert_eq!(overridden_run_count(&stopped, &overridden.iter().copied().collect()), runs, "{overridden:?}");
        }
    }

    #[test]
    fn a_batch_has_one_name() {
        let id = "0190163d-8694-739b-aea5-966c26f8ad91";
        assert_eq!(parse_batch_name(&format!("batches/{id}")).map(batch_name), Ok(format!("batches/{id}")));
        for bad in [id.to_owned(), format!("batches/{}", id.to_uppercase()), "batches/1".to_owned(), String::new()] {
            assert!(parse_batch_name(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn everybody_is_in_only_where_nobody_can_be_out() {
        let tenant = TenantId::parse("a").expect("an id");
        let (on, off) = (Rollout::all(true), Rollout::all(false));
        let excluding = Rollout { excluded_tenants: [tenant.clone()].into(), ..on.clone() };
        let partial = Rollout { state: FlagState::Partial, ..off.clone() };
        for rollout in [None, Some(on), Some(off), Some(excluding), Some(partial)] {
            for forced in [None, Some(true), Some(false)] {
                let flag_at_acceptance = flag_at_acceptance(rollout.clone(), forced);
                if flag_at_acceptance.is_on_for_all() {
                    assert!(flag_at_acceptance.evaluate(&tenant, None).is_on(), "{flag_at_acceptance:?}");
                }
            }
        }
        assert!(flag_at_acceptance(Some(Rollout::all(true)), None).is_on_for_all());
        assert!(
            flag_at_acceptance(None, Some(true)).is_on_for_all() && !flag_at_acceptance(None, None).is_on_for_all()
        );
    }
}
