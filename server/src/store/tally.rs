//! Counts by key, as the rollups keep them.

use std::{collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// How often each of some keys was counted. A key may be there more than once.
#[derive(Debug, Default)]
pub(super) struct Tally(Vec<(String, i64)>);

impl Tally {
    /// One for each of `keys`.
    pub(super) fn of(keys: Vec<impl ToString>) -> Self {
        Self(keys.iter().map(|key| (key.to_string(), 1)).collect())
    }

    /// Adds to sums.
    pub(super) fn add_to(self, sums: &mut HashMap<String, i64>) {
        for (key, count) in self.0 {
            *sums.entry(key).or_default() += count;
        }
    }
}

/// An object of counts, or a list of what is to be counted, as they are in `rollup` and in `rollup_delta`.
impl<'de> Deserialize<'de> for Tally {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TallyVisitor)
    }
}

struct TallyVisitor;

impl<'de> Visitor<'de> for TallyVisitor {
    type Value = Tally;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("counts by key, or a list of keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut counts: A) -> Result<Tally, A::Error> {
        let mut tally = Vec::new();
        while let Some(counted) = counts.next_entry()? {
            tally.push(counted);
        }
        Ok(Tally(tally))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut keys: A) -> Result<Tally, A::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Key {
            Bin(i16),
            Reason(String),
        }
        let mut tally = Vec::new();
        while let Some(key) = keys.next_element()? {
            let key = match key {
                Key::Bin(bin) => bin.to_string(),
                Key::Reason(reason) => reason,
            };
            tally.push((key, 1));
        }
        Ok(Tally(tally))
    }
}
