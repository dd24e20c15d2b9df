//! What was called, and what took effect.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::api::method::{Call, Method};
use crate::state::ids::{CategorySet, LocationId};
use crate::state::tokens;

/// The record since the start, or since it was last forgotten.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    counts: BTreeMap<Method, u64>,
    writes: Vec<Value>,
    patches: BTreeMap<u64, Patch>,
    /// The next patch's number; it never goes back, so that a patch under way is not taken for another one.
    next: u64,
}

/// A `locations.patch` as it arrived.
#[derive(Debug)]
struct Patch {
    location: Option<LocationId>,
    categories: Value,
    caller: Option<String>,
    received: DateTime<Utc>,
    took_effect: Option<DateTime<Utc>>,
}

impl Calls {
    /// Counts a call, whatever becomes of it.
    pub(crate) fn count(&mut self, method: Method) {
        *self.counts.entry(method).or_default() += 1;
    }

    /// Records an update that took effect.
    pub(crate) fn wrote(&mut self, location: &LocationId, set: &CategorySet, time: DateTime<Utc>) {
        let additional: Vec<_> = set.additional().iter().map(|c| json!({ "name": c.resource_name() })).collect();
        self.writes.push(json!({
            "location": location.resource_name(),
            "categories": {
                "primaryCategory": { "name": set.primary().resource_name() },
                "additionalCategories": additional,
            },
            "time": shown(time),
        }));
    }

    /// Records a patch whose first byte arrived at `received`, whatever becomes of it. Gives its number.
    pub(crate) fn patch_arrived(
        &mut self,
        call: &Call,
        headers: &HeaderMap,
        body: &[u8],
        received: DateTime<Utc>,
    ) -> u64 {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let patch = Patch {
            location: call.location.clone(),
            categories: body["categories"].clone(),
            caller: tokens::fingerprint(headers),
            received,
            took_effect: None,
        };
        let number = self.next;
        self.next += 1;
        self.patches.insert(number, patch);
        number
    }

    /// Notes that a patch took effect.
    pub(crate) fn patch_took_effect(&mut self, number: u64, time: DateTime<Utc>) {
        if let Some(patch) = self.patches.get_mut(&number) {
            patch.took_effect = Some(time);
        }
    }

    /// Forgets everything.
    pub(crate) fn forget(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }

    /// Every patch in the order of arrival, also those that a fault kept from taking effect.
    pub(crate) fn patches(&self) -> Value {
        let patch = |patch: &Patch| {
            json!({
                "location": patch.location.as_ref().map(LocationId::resource_name),
                "categories": patch.categories,
                "caller": patch.caller,
                "received": shown(patch.received),
                "tookEffect": patch.took_effect.map(shown),
            })
        };
        json!({ "patches": self.patches.values().map(patch).collect::<Vec<_>>() })
    }

    /// The counts by method, and the writes in order.
    pub(crate) fn report(&self) -> Value {
        let counts = self.counts.iter().map(|(method, count)| (method.name().to_owned(), json!(count)));
        let mut report: Map<String, Value> = counts.collect();
        report.insert("writes".to_owned(), json!(self.writes));
        Value::Object(report)
    }
}

/// A time as the control interface shows it: RFC 3339 with microseconds.
pub(crate) fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
