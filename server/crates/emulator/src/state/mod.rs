//! Everything the emulator knows, behind one lock.

pub(crate) mod calls;
pub(crate) mod condition;
pub(crate) mod demo;
pub(crate) mod faults;
pub(crate) mod ids;
pub(crate) mod location;
pub(crate) mod quota;
pub(crate) mod taxonomy;
pub(crate) mod tokens;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::state::calls::Calls;
use crate::state::faults::Faults;
use crate::state::location::Locations;
use crate::state::quota::Quota;
use crate::state::taxonomy::Taxonomy;
use crate::state::tokens::Tokens;

/// Google's side of the world.
#[derive(Debug, Default)]
pub(crate) struct EmulatorState {
    /// The locations, by id, and the accounts that ever held one.
    pub(crate) locations: Locations,
    /// The categories that exist.
    pub(crate) taxonomy: Taxonomy,
    /// Who may call.
    pub(crate) tokens: Tokens,
    /// How often.
    pub(crate) quota: Quota,
    /// What goes wrong.
    pub(crate) faults: Faults,
    /// What was called and written.
    pub(crate) calls: Calls,
    /// Whether a merchant's edit waits for review before the public sees it.
    pub(crate) review: bool,
}

/// A cheap handle on the world.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<EmulatorState>>);

impl Shared {
    /// The world, for as long as one request needs it; never held across an `await`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, EmulatorState> {
        // A panic under the lock is a bug that its own test reports; the other callers need not fail with it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
