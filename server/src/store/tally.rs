//! Counts by key, as the rollups keep them.

use std::{collections::BTreeMap, fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Unexpected, Visitor},
};

/// How often each of some keys was counted. A key may be there more than once.
#[derive(Debug)]
pub(super) struct Tally<K>(Vec<(K, i64)>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord> Tally<K> {
    /// One for each of `keys`.
    pub(super) fn of(keys: Vec<K>) -> Self {
        Self(keys.into_iter().map(|key| (key, 1)).collect())
    }

    /// Both together.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Adds to sums.
    pub(super) fn add_to(self, sums: &mut BTreeMap<K, i64>) {
        for (key, count) in self.0 {
            *sums.entry(key).or_default() += count;
        }
    }
}

/// An object of counts, as `rollup` has it.
impl<'de, K: FromStr> Deserialize<'de> for Tally<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TallyVisitor(PhantomData))
    }
}

struct TallyVisitor<K>(PhantomData<K>);

impl<'de, K: FromStr> Visitor<'de> for TallyVisitor<K> {
    type Value = Tally<K>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("counts by key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut counts: A) -> Result<Tally<K>, A::Error> {
        let mut tally = Vec::new();
        while let Some((Key(key), count)) = counts.next_entry()? {
            tally.push((key, count));
        }
        Ok(Tally(tally))
    }
}

/// A key, read where it stands: most statistics are hundreds of them.
struct Key<K>(K);

impl<'de, K: FromStr> Deserialize<'de> for Key<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor(PhantomData))
    }
}

struct KeyVisitor<K>(PhantomData<K>);

impl<K: FromStr> Visitor<'_> for KeyVisitor<K> {
    type Value = Key<K>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a bin of durations, or a reason")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Key<K>, E> {
        text.parse().map(Key).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
