//! Which snapshots are new.

use std::{
    collections::{HashMap, HashSet},
    mem,
};

use crate::Run;

/// Minimum number of ended runs that are remembered. A repeated snapshot of an ended run arrives soon after the first
/// one or never.
const MAX_REMEMBERED_ENDED_RUNS: usize = 4096;

/// What is watched, and which snapshots have been yielded.
pub(crate) enum WatchState {
    /// One run.
    One {
        /// The highest revision yielded.
        revision: i64,
    },
    /// The runs of a tenant, an organization, a batch or all tenants.
    Many {
        /// The highest revision yielded of each run that was live then.
        live: HashMap<String, i64>,
        /// Runs whose terminal snapshot was yielded, in two generations, so that a stream without end uses bounded
        /// memory.
        ended: [HashSet<String>; 2],
        /// The runs belong to a batch, so the stream has an end.
        is_batch: bool,
    },
}

impl WatchState {
    pub(crate) fn many() -> Self {
        Self::Many { live: HashMap::new(), ended: Default::default(), is_batch: false }
    }

    pub(crate) fn batch() -> Self {
        Self::Many { live: HashMap::new(), ended: Default::default(), is_batch: true }
    }

    /// Whether the runs of a batch are watched.
    pub(crate) fn is_batch(&self) -> bool {
        matches!(self, Self::Many { is_batch: true, .. })
    }

    /// Whether the snapshot must be yielded. Records it as yielded.
    pub(crate) fn is_news(&mut self, run: &Run) -> bool {
        match self {
            Self::One { revision } => mem::replace(revision, run.revision.max(*revision)) < run.revision,
            Self::Many { live, ended, .. } => {
                let seen = live.get(&run.name).copied().unwrap_or(0);
                if run.revision <= seen || ended.iter().any(|names| names.contains(&run.name)) {
                    return false;
                }
                if run.is_terminal() {
                    live.remove(&run.name);
                    if ended[0].len() >= MAX_REMEMBERED_ENDED_RUNS {
                        ended[1] = mem::take(&mut ended[0]);
                    }
                    ended[0].insert(run.name.clone());
                } else {
                    live.insert(run.name.clone(), run.revision);
                }
                true
            }
        }
    }

    /// Whether the stream ends after this snapshot.
    pub(crate) fn ends_with(&self, run: &Run) -> bool {
        matches!(self, Self::One { .. }) && run.is_terminal()
    }

    /// Returns the revision after which the server resumes. Only possible for one run.
    pub(crate) fn after_revision(&self) -> i64 {
        match self {
            Self::One { revision } => *revision,
            Self::Many { .. } => 0,
        }
    }

    /// Returns the names of the runs whose terminal snapshot has not been yielded.
    pub(crate) fn live_names(&self) -> Vec<String> {
        match self {
            Self::One { .. } => Vec::new(),
            Self::Many { live, .. } => live.keys().cloned().collect(),
        }
    }

    /// Forgets a run that no longer exists or that the caller may no longer see.
    pub(crate) fn forget(&mut self, name: &str) {
        if let Self::Many { live, .. } = self {
            live.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use category_mirror_proto::v1::{self, run::State};

    use super::*;

    fn snapshot(name: &str, revision: i64, state: State) -> Run {
        Run::from_wire(v1::Run { name: name.into(), revision, state: state.into(), ..Default::default() })
    }

    #[test]
    fn many_runs_are_told_apart_and_never_go_back() {
        let mut state = WatchState::many();
        assert!(state.is_news(&snapshot("a", 2, State::Running)));
        assert!(state.is_news(&snapshot("b", 1, State::Queued)));
        assert!(!state.is_news(&snapshot("a", 2, State::Running)));
        assert!(!state.is_news(&snapshot("a", 1, State::Queued)));
        assert!(state.is_news(&snapshot("a", 3, State::Succeeded)));
        assert!(!state.is_news(&snapshot("a", 3, State::Succeeded)));
        assert_eq!(state.live_names(), ["b"]);
    }

    #[test]
    fn an_endless_stream_does_not_grow() {
        let mut state = WatchState::many();
        for run in 0..3 * MAX_REMEMBERED_ENDED_RUNS {
            assert!(state.is_news(&snapshot(&run.to_string(), 1, State::Failed)));
        }
        let WatchState::Many { live, ended, .. } = &state else { unreachable!("made as many") };
        assert!(live.is_empty());
        assert!(ended.iter().map(HashSet::len).sum::<usize>() <= 2 * MAX_REMEMBERED_ENDED_RUNS);
        let last = (3 * MAX_REMEMBERED_ENDED_RUNS - 1).to_string();
        assert!(!state.is_news(&snapshot(&last, 1, State::Failed)));
    }
}
