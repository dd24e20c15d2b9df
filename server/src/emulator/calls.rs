//! What was called, and what took effect.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::method::Method;
use crate::domain::{CategorySet, LocationId};

/// The record since the start, or since it was last forgotten.
#[derive(Debug, Default)]
pub(super) struct Calls {
    counts: BTreeMap<Method, u64>,
    writes: Vec<Value>,
}

impl Calls {
    /// Counts a call, whatever becomes of it.
    pub(super) fn count(&mut self, method: Method) {
        *self.counts.entry(method).or_default() += 1;
    }

    /// Records an update that took effect.
    pub(super) fn wrote(&mut self, location: &LocationId, set: &CategorySet, time: DateTime<Utc>) {
        let additional: Vec<_> = set.additional().iter().map(|c| json!({ "name": c.gcid.resource_name() })).collect();
        self.writes.push(json!({
            "location": location.resource_name(),
            "categories": {
                "primaryCategory": { "name": set.primary().gcid.resource_name() },
                "additionalCategories": additional,
            },
            "time": time.to_rfc3339_opts(SecondsFormat::Micros, true),
        }));
    }

    /// The counts by method, and the writes in order.
    pub(super) fn report(&self) -> Value {
        let counts = self.counts.iter().map(|(method, count)| (method.name().to_owned(), json!(count)));
        let mut report: Map<String, Value> = counts.collect();
        report.insert("writes".to_owned(), json!(self.writes));
        Value::Object(report)
    }
}
