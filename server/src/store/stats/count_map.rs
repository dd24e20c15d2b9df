//! Counts by key, as the rollups keep them.

use std::{collections::BTreeMap, fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Unexpected, Visitor},
};

/// How often each of some keys was counted. A key may be there more than once.
#[derive(Debug)]
pub(in crate::store) struct CountMap<K>(Vec<(K, i64)>);

impl<K> Default for CountMap<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord> CountMap<K> {
    /// One for each of `keys`.
    pub(in crate::store) fn of(keys: Vec<K>) -> Self {
        Self(keys.into_iter().map(|key| (key, 1)).collect())
    }

    /// Both together.
    pub(in crate::store) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Adds to sums.
    pub(in crate::store) fn add_to(self, sums: &mut BTreeMap<K, i64>) {
        for (key, count) in self.0 {
            *sums.entry(key).or_default() += count;
        }
    }
}

/// An object of counts, as `rollup` has it.
impl<'de, K: FromStr> Deserialize<'de> for CountMap<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CountMapVisitor(PhantomData))
    }
}

struct CountMapVisitor<K>(PhantomData<K>);

impl<'de, K: FromStr> Visitor<'de> for CountMapVisitor<K> {
    type Value = CountMap<K>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("counts by key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut counts: A) -> Result<CountMap<K>, A::Error> {
        let mut entries = Vec::new();
        while let Some((CountKey(key), count)) = counts.next_entry()? {
            entries.push((key, count));
        }
        Ok(CountMap(entries))
    }
}

/// A key, read where it stands: most statistics are hundreds of them.
struct CountKey<K>(K);

impl<'de, K: FromStr> Deserialize<'de> for CountKey<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(CountKeyVisitor(PhantomData))
    }
}

struct CountKeyVisitor<K>(PhantomData<K>);

impl<K: FromStr> Visitor<'_> for CountKeyVisitor<K> {
    type Value = CountKey<K>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a bin of durations, or a reason")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<CountKey<K>, E> {
        text.parse().map(CountKey).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
