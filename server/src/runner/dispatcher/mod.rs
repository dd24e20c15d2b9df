//! Claims runs and starts their attempts, and returns to the queue what cannot be started here.

mod claiming;
mod drain;
mod polling;
mod prefetch;
mod release;
mod worker_slots;

pub(super) use self::{
    drain::drain,
    polling::{DUE_BATCH_SIZE, Dispatcher},
};
