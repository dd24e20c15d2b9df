//! Runs, from the request to the result.

pub(in crate::store) mod accept;
pub(in crate::store) mod attempt;
pub(in crate::store) mod cancel;
pub(in crate::store) mod live;
pub(in crate::store) mod live_run;
pub(in crate::store) mod observation;
pub(in crate::store) mod queue;
pub(in crate::store) mod read;
