//! Accounts' own credentials, encrypted.

pub(in crate::store) mod rejection;
pub(in crate::store) mod stored;
