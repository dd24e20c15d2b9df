//! Ids as they are shown. Those of runs and batches are UUIDs that begin with their time, so neighbors differ at their end: the last eight
//! digits are shown.

/// Digits of a shortened id.
const SHORT_LENGTH: usize = 8;
/// Digits of a whole one, with its hyphens.
const UUID_LENGTH: usize = 36;

/// The id in a resource name.
pub(crate) fn of(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, id)| id)
}

/// The last digits of a UUID; any other id stays whole.
pub(crate) fn short(id: &str) -> &str {
    let is_uuid = id.len() == UUID_LENGTH && id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if is_uuid { &id[UUID_LENGTH - SHORT_LENGTH..] } else { id }
}

/// Whether this is what is shown of a long id.
pub(crate) fn is_shortened(text: &str) -> bool {
    text.len() == SHORT_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
