//! The emulator inside this process, with faults by chance, and its record of what was written.

use std::collections::HashMap;

use aws_lc_rs::digest;
use category_mirror::emulator::Emulator;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::set::Set;

/// Longer than any client waits here.
const NEVER_MS: u64 = 600_000;

/// Google, slow and moody.
pub(crate) struct Google {
    /// Its base URL.
    pub(crate) endpoint: String,
    http: reqwest::Client,
}

/// A patch that arrived at the emulator.
#[derive(Debug, Clone)]
pub(crate) struct Patch {
    /// The location's id.
    pub(crate) location: String,
    /// What it would have the location be.
    pub(crate) set: Option<Set>,
    /// The process that sent it, if it is one of the storm's.
    pub(crate) process: Option<String>,
    /// When its first byte had arrived.
    pub(crate) received: DateTime<Utc>,
    /// When it took effect, if it did.
    pub(crate) took_effect: Option<DateTime<Utc>>,
}

/// Each kind of faulty answer, and its weight.
fn faults() -> [(&'static str, f64, Value); 10] {
    let html = "<html><title>502 Bad Gateway</title></html>";
    let garbled =
        json!({ "status": 200, "headers": { "content-type": "application/json" }, "body": "{\"name\": \"loc" });
    [
        ("429", 2.0, json!({ "status": 429 })),
        ("429 with Retry-After", 1.0, json!({ "status": 429, "headers": { "retry-after": "1" } })),
        ("500", 2.0, json!({ "status": 500 })),
        ("503", 2.0, json!({ "status": 503 })),
        ("HTML 502", 2.0, json!({ "status": 502, "body": html })),
        ("garbled JSON", 1.0, garbled),
        ("truncated answer", 2.0, json!({ "drop": "truncate" })),
        ("never", 0.5, json!({ "delay_ms": NEVER_MS })),
        ("lost before", 2.0, json!({ "drop": "before" })),
        ("lost after", 4.0, json!({ "drop": "after" })),
    ]
}

impl Google {
    /// Starts one that ends with the program.
    pub(crate) async fn start() -> Self {
        let emulator = Emulator::bind(([127, 0, 0, 1], 0).into()).await.expect("a port");
        let endpoint = emulator.endpoint();
        tokio::spawn(emulator.serve(std::future::pending()));
        Self { endpoint, http: reqwest::Client::new() }
    }

    /// Makes a location what it is in the beginning.
    pub(crate) async fn put(&self, location: &str, set: &Set) {
        let body = json!({ "account": "1", "title": "Store", "regionCode": "US", "categories": set.to_google() });
        self.control(self.http.put(self.url(&format!("locations/{location}"))).json(&body)).await;
    }

    /// An edit by the location's owner. Gives when it took effect.
    pub(crate) async fn edit(&self, location: &str, set: &Set) -> DateTime<Utc> {
        let body = json!({ "by": "owner", "categories": set.to_google() });
        let report = self.control(self.http.post(self.url(&format!("locations/{location}:edit"))).json(&body)).await;
        report["time"].as_str().and_then(|time| time.parse().ok()).expect("a time")
    }

    /// What a location has.
    pub(crate) async fn shown(&self, location: &str) -> Option<Set> {
        Set::from_google(&self.control(self.http.get(self.url(&format!("locations/{location}")))).await["merchant"])
    }

    /// Makes `percent` in a hundred answers faulty, and all others slow: what takes no time is hardly ever interrupted.
    pub(crate) async fn sicken(&self, percent: u8, seed: u64) {
        let faults = faults();
        let total: f64 = faults.iter().map(|(_, weight, _)| weight).sum();
        let mut left = 1.0;
        for (number, (_, weight, mut fault)) in (1..).zip(faults) {
            // The first that strikes is the one, so those behind it get what is left.
            let share = f64::from(percent) / 100.0 * weight / total;
            fault["probability"] = json!(share / left);
            fault["seed"] = json!(seed.wrapping_mul(31).wrapping_add(number));
            left -= share;
            self.fault(&fault).await;
        }
        self.fault(&json!({ "method": "locations.get", "delay_ms": 250 })).await;
        self.fault(&json!({ "method": "locations.patch", "delay_ms": 80 })).await;
    }

    /// Ends all faults; tells how often each kind struck.
    pub(crate) async fn heal(&self) -> Vec<(&'static str, u64)> {
        let report = self.control(self.http.get(self.url("faults"))).await;
        self.control(self.http.delete(self.url("faults"))).await;
        let struck = report["struck"].as_array().cloned().unwrap_or_default();
        let struck = struck.iter().map(|struck| struck.as_u64().unwrap_or_default());
        faults().into_iter().map(|(name, ..)| name).zip(struck).collect()
    }

    /// Every patch that arrived, in order; `tokens` are the processes' names and access tokens.
    pub(crate) async fn patches(&self, tokens: &[(String, String)]) -> Vec<Patch> {
        let processes: HashMap<String, &String> =
            tokens.iter().map(|(name, token)| (fingerprint(token), name)).collect();
        let record = self.control(self.http.get(self.url("patches"))).await;
        let time = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
        let patch = |patch: &Value| Patch {
            location: patch["location"].as_str().unwrap_or_default().trim_start_matches("locations/").to_owned(),
            set: Set::from_google(&patch["categories"]),
            process: patch["caller"].as_str().and_then(|caller| processes.get(caller)).map(|&name| name.clone()),
            received: time(&patch["received"]).expect("a time"),
            took_effect: time(&patch["tookEffect"]),
        };
        record["patches"].as_array().expect("a list").iter().map(patch).collect()
    }

    async fn fault(&self, fault: &Value) {
        self.control(self.http.post(self.url("faults")).json(fault)).await;
    }

    fn url(&self, path: &str) -> String {
        format!("{}/_control/{path}", self.endpoint)
    }

    async fn control(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let body = answer.text().await.expect("a body");
        assert!(status.is_success(), "{status}: {body}");
        serde_json::from_str(&body).unwrap_or_default()
    }
}

/// What the emulator calls the bearer of a token.
fn fingerprint(token: &str) -> String {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
