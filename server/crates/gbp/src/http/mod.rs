//! One request to Google: where it goes, what it may cost, how far it came.

pub(crate) mod call;
pub(crate) mod endpoint;
pub(crate) mod exchange;
pub(crate) mod instrumented;
pub(crate) mod quota;
pub(crate) mod span;
