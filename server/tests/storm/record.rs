//! What the storm itself did, and what it was surprised by.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use category_mirror_client::{BatchState, RunState};
use chrono::{DateTime, Utc};

use crate::{
    ask::{Ask, Sides},
    failovers::Failover,
    troubles::Trouble,
};

/// A process that was stopped and continued.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    /// The process.
    pub(crate) process: String,
    /// From here on no answer of the database reached it.
    pub(crate) held_from: DateTime<Utc>,
    /// Here it stood still.
    pub(crate) stopped: DateTime<Utc>,
    /// Just before it went on.
    pub(crate) continued: DateTime<Utc>,
}

/// A run that the service has promised to carry out.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    /// The tenant's id.
    pub(crate) tenant: String,
    /// The run's resource name.
    pub(crate) name: String,
    /// The id of the request that was answered with it.
    pub(crate) request_id: String,
    /// When the request was about to be sent for the first time.
    pub(crate) at: DateTime<Utc>,
    /// Whether it was live already, for somebody else.
    pub(crate) joined: bool,
    /// What was asked for.
    pub(crate) ask: Ask,
    /// What both sides were then, where somebody looked.
    pub(crate) sides: Option<Sides>,
}

/// A request to take a run back that was refused, as there was nothing to take back.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The resource name of the run that was to be taken back.
    pub(crate) run: String,
    /// The id of the request.
    pub(crate) request_id: String,
    /// What both sides were then.
    pub(crate) sides: Sides,
}

/// A batch that the service has promised to carry out.
#[derive(Debug, Clone)]
pub(crate) struct AcceptedBatch {
    /// The organization's id.
    pub(crate) organization: String,
    /// The batch's resource name.
    pub(crate) name: String,
    /// The id of the request that was answered with it.
    pub(crate) request_id: String,
    /// Whether its guards were left in force.
    pub(crate) is_guarded: bool,
}

/// What a request to cancel something was answered with.
#[derive(Debug, Clone)]
pub(crate) struct Cancel<S> {
    /// The resource name of what was to be cancelled.
    pub(crate) name: String,
    /// What it was then.
    pub(crate) answer: S,
}

/// A call that the storm held back while something else happened.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    /// The location's id.
    pub(crate) location: String,
    /// When it had come.
    pub(crate) from: DateTime<Utc>,
    /// When it was passed on.
    pub(crate) to: DateTime<Utc>,
}

/// An edit of a location by its owner.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    /// The location's id.
    pub(crate) location: String,
    /// When it took effect, by the clock that orders writes, too.
    pub(crate) at: DateTime<Utc>,
    /// What the location has since.
    pub(crate) set: crate::set::Set,
}

/// The clock of a process.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Clock {
    /// By how many seconds it was to be fast.
    pub(crate) wanted: i64,
    /// By how many its own log says that it is; `None`: it never came to serve.
    pub(crate) found: Option<i64>,
}

/// Everything noted so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Notes {
    /// How often each thing was done or met.
    pub(crate) tally: BTreeMap<&'static str, u64>,
    /// In the order of their ends.
    pub(crate) stops: Vec<Stop>,
    /// In the order of the answers.
    pub(crate) accepted: Vec<Accepted>,
    /// In the order of the answers.
    pub(crate) refusals: Vec<Refusal>,
    /// Requests, by their ids, that were refused when they were repeated, while an earlier call got no answer.
    pub(crate) left_open: HashSet<String>,
    /// In the order of the answers.
    pub(crate) cancels: Vec<Cancel<RunState>>,
    /// In the order of the answers.
    pub(crate) batches: Vec<AcceptedBatch>,
    /// In the order of the answers.
    pub(crate) batch_cancels: Vec<Cancel<BatchState>>,
    /// In the order of their making.
    pub(crate) edits: Vec<Edit>,
    /// In the order of their ends.
    pub(crate) holds: Vec<Hold>,
    /// In the order of their ends.
    pub(crate) troubles: Vec<Trouble>,
    /// In the order of their ends.
    pub(crate) failovers: Vec<Failover>,
    /// Of each process.
    pub(crate) clocks: BTreeMap<String, Clock>,
    /// The processes that speak to the database through the pooler.
    pub(crate) pooled: HashSet<String>,
    /// What must not happen and did, in words.
    pub(crate) surprises: Vec<String>,
}

/// The notebook that everybody writes into.
#[derive(Debug, Default)]
pub(crate) struct Record(Mutex<Notes>);

impl Record {
    /// The notes, to read or to add to.
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one of a kind.
    pub(crate) fn count(&self, what: &'static str) {
        *self.notes().tally.entry(what).or_default() += 1;
    }

    /// Notes what must not happen.
    pub(crate) fn surprise(&self, words: String) {
        eprintln!("storm: {words}");
        self.notes().surprises.push(words);
    }
}
