//! Who may do what: callers, credentials, secrets, feature flags.

pub(crate) mod caller;
pub(crate) mod credentials;
pub(crate) mod flag;
pub(crate) mod flag_evaluation;
pub(crate) mod secret;
