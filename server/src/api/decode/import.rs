//! Parses the items of an import. Each item has its own violations.

use tokio::task::spawn_blocking;

use crate::{
    app::Item,
    error::{Error, Violations},
};

/// Maximum number of items of an import.
const MAX_ITEMS: usize = 5000;

/// Parses all items of the field `field` on a thread that no other call waits for: 5,000 items take some milliseconds.
///
/// # Errors
/// [`Error::Invalid`] if there are too many items, or none.
pub(in crate::api) async fn items<M: Send + 'static, T: Send + 'static>(
    field: &'static str,
    messages: Vec<M>,
    read: fn(&mut Violations, M) -> Option<T>,
) -> Result<Vec<Item<T>>, Error> {
    let items = spawn_blocking(move || read_all(field, messages, read)).await;
    items.map_err(|panicked| Error::Internal(panicked.into()))?
}

fn read_all<M, T>(
    field: &str,
    messages: Vec<M>,
    read: fn(&mut Violations, M) -> Option<T>,
) -> Result<Vec<Item<T>>, Error> {
    if messages.is_empty() {
        return Err(Error::invalid(field, "is required"));
    }
    if messages.len() > MAX_ITEMS {
        return Err(Error::invalid(field, format!("has {} items, at most {MAX_ITEMS} are allowed", messages.len())));
    }
    let item = |message| {
        let mut violations = Violations::default();
        let item = read(&mut violations, message);
        match violations.finish_with(item) {
            Ok(item) => Ok(Ok(item)),
            Err(Error::Invalid(violations)) => Ok(Err(violations)),
            Err(error) => Err(error),
        }
    };
    messages.into_iter().map(item).collect()
}
