//! An index of each of Google's lists that was searched last, in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::OnceCell, task::spawn_blocking};

use crate::{
    domain::{CategoryIndex, Locale},
    error::Error,
    store::Store,
};

/// Lists that are indexed at a time: some 2 MB each.
const MAX_INDEXES: usize = 8;

/// The indexes of the lists that were searched last. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct CategoryIndexes(Arc<Mutex<Indexes>>);

#[derive(Debug, Default)]
struct Indexes {
    /// Counts the look-ups.
    clock: u64,
    slots: HashMap<Locale, Slot>,
}

#[derive(Debug)]
struct Slot {
    version: i32,
    used: u64,
    /// Made by the first who asks, while the others wait for it.
    index: Arc<OnceCell<Arc<CategoryIndex>>>,
}

impl CategoryIndexes {
    /// Gets the index of a version, and makes it where it is the first time.
    pub(super) async fn get(&self, store: &Store, locale: &Locale, version: i32) -> Result<Arc<CategoryIndex>, Error> {
        let slot = self.slot(locale, version);
        let index = slot.get_or_try_init(|| async {
            let list = store.taxonomy_list(locale, version).await?;
            let made = spawn_blocking(move || Arc::new(CategoryIndex::new(version, list)));
            made.await.map_err(|error| Error::Internal(error.into()))
        });
        index.await.cloned()
    }

    fn slot(&self, locale: &Locale, version: i32) -> Arc<OnceCell<Arc<CategoryIndex>>> {
        // Nothing panics while it is held.
        let mut indexes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.clock += 1;
        let used = indexes.clock;
        if let Some(slot) = indexes.slots.get_mut(locale).filter(|slot| slot.version == version) {
            slot.used = used;
            return slot.index.clone();
        }
        let index = Arc::<OnceCell<_>>::default();
        indexes.slots.insert(locale.clone(), Slot { version, used, index: index.clone() });
        if indexes.slots.len() > MAX_INDEXES {
            let oldest = indexes.slots.iter().min_by_key(|(_, slot)| slot.used).map(|(locale, _)| locale.clone());
            oldest.and_then(|oldest| indexes.slots.remove(&oldest));
        }
        index
    }
}
