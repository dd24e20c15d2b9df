//! The way back from what a run wrote.

use super::{CategorySet, EitherCategory, Run, RunState, apply, undo};

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
    #[error("its target had no categories before it, and an empty set is never written")]
    NothingBefore,
    /// Its record does not tell what it has left.
    #[error("its record does not tell exactly what it has left")]
    Unrecorded,
    /// Somebody changed the target, or took away a category that is to come back, between the read and the write.
    #[error("its target was changed just before the write, or a category that is to come back no longer exists")]
    Overtaken,
    /// Somebody has changed the target since.
    #[error("its target is {now} now, and no longer {left}, which it has left")]
    Changed {
        /// What it has left.
        left: String,
        /// What is there now.
        now: String,
    },
}

/// What a run has left of its target, and what was there before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    /// What it has left.
    pub left: CategorySet<EitherCategory>,
    /// What was there before.
    pub before: CategorySet<EitherCategory>,
}

impl WayBack {
    /// The way back from what `run` wrote, by its record alone.
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
        if run.written.is_empty() {
            return Err(NotRevertible::WroteNothing);
        }
        let plan = run.plan.as_ref().ok_or(NotRevertible::Unrecorded)?;
        // A run that did not succeed has written something else than it planned.
        let left = match run.state {
            RunState::Succeeded => Some(plan.desired.clone()),
            _ => apply(plan.observed.as_ref(), &run.written),
        };
        let left = left.ok_or(NotRevertible::Unrecorded)?;
        let all_new = run.written.iter().all(|change| change.before().is_none());
        if all_new && run.written.len() == left.iter().count() {
            return Err(NotRevertible::NothingBefore);
        }
        let before = undo(&left, &run.written).ok_or(NotRevertible::Unrecorded)?;
        Ok(Self { left, before })
    }

    /// Whether the target is still what the run has left.
    ///
    /// # Errors
    /// [`NotRevertible::Changed`].
    pub fn check(&self, now: Option<&CategorySet<EitherCategory>>) -> Result<(), NotRevertible> {
        if now == Some(&self.left) {
            return Ok(());
        }
        let now = now.map_or_else(|| "without categories".to_owned(), ToString::to_string);
        Err(NotRevertible::Changed { left: self.left.to_string(), now })
    }
}
