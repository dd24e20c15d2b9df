//! In whose name requests are sent: credentials, access tokens, and what their rejection means.

pub(crate) mod credentials;
pub(crate) mod denial;
pub(crate) mod rejection;
pub(crate) mod token;
