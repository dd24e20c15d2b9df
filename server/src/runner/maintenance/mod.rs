//! The loops that no single run waits for: expanding and cancelling batches, and keeping the tables in order.

mod batches;
mod housekeeping;

pub use self::batches::CHUNK_LIMITS;
pub(super) use self::{batches::keep_processing_batches, housekeeping::keep_house};
