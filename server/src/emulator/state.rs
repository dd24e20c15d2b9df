//! Everything the emulator knows, behind one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::calls::Calls;
use super::faults::Faults;
use super::location::Locations;
use super::quota::Quota;
use super::taxonomy::Taxonomy;
use super::tokens::Tokens;

/// Google's side of the world.
#[derive(Debug, Default)]
pub(super) struct EmulatorState {
    /// The locations, by id, and the accounts that ever held one.
    pub(super) locations: Locations,
    /// The categories that exist.
    pub(super) taxonomy: Taxonomy,
    /// Who may call.
    pub(super) tokens: Tokens,
    /// How often.
    pub(super) quota: Quota,
    /// What goes wrong.
    pub(super) faults: Faults,
    /// What was called and written.
    pub(super) calls: Calls,
    /// Whether a merchant's edit waits for review before the public sees it.
    pub(super) review: bool,
}

/// A cheap handle on the world.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<EmulatorState>>);

impl Shared {
    /// The world, for as long as one request needs it; never held across an `await`.
    pub(super) fn lock(&self) -> MutexGuard<'_, EmulatorState> {
        // A panic under the lock is a bug that its own test reports; the other callers need not fail with it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
