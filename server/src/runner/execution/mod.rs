//! One attempt of one run, from its claim to the record of what became of it. [`way::follow`] shows all of it.

mod batch_guard;
mod earlier_write;
mod observe;
mod record;
mod signals;
mod sync_record;
mod telemetry;
mod traced;
mod way;

pub(super) use self::traced::execute;
