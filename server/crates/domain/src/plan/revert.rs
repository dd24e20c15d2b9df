//! The revert of what a run wrote.

use crate::{CategorySet, EitherCategory, LocationId, Run, RunState, WriteIntent, apply, undo};

/// Why a run cannot be taken back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRevertible {
    /// A dry run.
    #[error("it was a dry run, which writes nothing")]
    DryRun,
    /// It is queued or running.
    #[error("it has not ended yet")]
    Live,
    /// It changed nothing, as far as anybody knows.
    #[error("it wrote nothing")]
    WroteNothing,
    /// There would be nothing left.
    #[error("its target had no categories before the run, and an empty set is never written")]
    NothingBefore,
    /// Its record does not tell what it has left.
    #[error("its record does not determine the state in which it left the target")]
    IncompleteRecord,
    /// Somebody changed the target, or took away a category that is to come back, between the read and the write.
    #[error("its target was changed just before the write, or a category to restore no longer exists")]
    ConcurrentChange,
    /// The tenant had another location then.
    #[error("it wrote to {then}, but the tenant has another location now")]
    Elsewhere {
        /// `locations/{location}`.
        then: String,
    },
    /// It does not know what became of its write, and neither does the target tell.
    #[error(
        "it is unknown whether its write took effect: its target is now {now}, neither {left} as requested nor {before} as before the run"
    )]
    Unresolved {
        /// What was asked for.
        left: String,
        /// What was there before.
        before: String,
        /// What is there now.
        now: String,
    },
    /// Somebody has changed the target since.
    #[error("its target is now {now}, no longer {left} as the run left it")]
    Changed {
        /// What it has left.
        left: String,
        /// What is there now.
        now: String,
    },
}

/// What a run has left of its target, and what was there before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevertTarget {
    /// What it has left.
    pub left: CategorySet<EitherCategory>,
    /// What was there before.
    pub before: CategorySet<EitherCategory>,
    /// The GBP location that the run was about, where its record says so.
    pub location: Option<LocationId>,
    /// Whether it is unknown that the run wrote at all: then the target may as well be what was there before.
    is_unresolved: bool,
}

impl RevertTarget {
    /// The revert of what `run` wrote, by its record alone.
    ///
    /// # Errors
    /// [`NotRevertible`], all but what the target says.
    pub fn of(run: &Run) -> Result<Self, NotRevertible> {
        if run.kind.dry_run {
            return Err(NotRevertible::DryRun);
        }
        if !run.state.is_terminal() {
            return Err(NotRevertible::Live);
        }
        match &run.write_intent {
            // Another actor's changes are among what is there, and nobody can tell them apart.
            Some(_) if !run.written.is_empty() => return Err(NotRevertible::IncompleteRecord),
            Some(intent) => return Self::of_unresolved(intent),
            None => {}
        }
        if run.written.is_empty() {
            return Err(NotRevertible::WroteNothing);
        }
        let plan = run.plan.as_ref().ok_or(NotRevertible::IncompleteRecord)?;
        // A run that did not succeed has written something else than it planned.
        let left = match run.state {
            RunState::Succeeded => Some(plan.desired.clone()),
            _ => apply(plan.observed.as_ref(), &run.written),
        };
        let left = left.ok_or(NotRevertible::IncompleteRecord)?;
        let all_new = run.written.iter().all(|change| change.before().is_none());
        if all_new && run.written.len() == left.iter().count() {
            return Err(NotRevertible::NothingBefore);
        }
        let before = undo(&left, &run.written).ok_or(NotRevertible::IncompleteRecord)?;
        Ok(Self { left, before, location: plan.location.clone(), is_unresolved: false })
    }

    /// The revert of a write whose outcome is unknown: from what was asked for, if that is there.
    fn of_unresolved(intent: &WriteIntent) -> Result<Self, NotRevertible> {
        let before = intent.before.clone().ok_or(NotRevertible::NothingBefore)?;
        Ok(Self {
            left: intent.after.clone().recorded(),
            before: before.recorded(),
            location: intent.location.clone(),
            is_unresolved: true,
        })
    }

    /// Whether the target is still what the run has left; or, where nobody knows whether it wrote, what was there before, so that there
    /// is nothing to take back.
    ///
    /// # Errors
    /// [`NotRevertible::Changed`], [`NotRevertible::Unresolved`].
    pub fn check(&self, now: Option<&CategorySet<EitherCategory>>) -> Result<(), NotRevertible> {
        if now == Some(&self.left) || (self.is_unresolved && now == Some(&self.before)) {
            return Ok(());
        }
        let now = now.map_or_else(|| "without categories".to_owned(), ToString::to_string);
        let left = self.left.to_string();
        Err(match self.is_unresolved {
            true => NotRevertible::Unresolved { left, before: self.before.to_string(), now },
            false => NotRevertible::Changed { left, now },
        })
    }

    /// Whether the tenant still has the location that the run was about.
    ///
    /// # Errors
    /// [`NotRevertible::Elsewhere`].
    pub fn check_location(&self, now: &LocationId) -> Result<(), NotRevertible> {
        match &self.location {
            Some(then) if then != now => Err(NotRevertible::Elsewhere { then: then.resource_name() }),
            _ => Ok(()),
        }
    }
}
