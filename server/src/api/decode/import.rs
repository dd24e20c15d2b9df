//! Reading the items of an import: each has violations of its own.

use tokio::task::spawn_blocking;

use crate::{
    app::Item,
    error::{Error, Violations},
};

/// How many items an import may have.
const MAX_ITEMS: usize = 5000;

/// Reads every item of the field `field`, by a thread on which no other call waits: 5,000 items take some milliseconds.
///
/// # Errors
/// [`Error::Invalid`] for too many of them, or none.
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
