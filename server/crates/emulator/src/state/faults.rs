//! Scripted faults: errors, delays, and connections that break before, in, or after an answer.

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::answer::{Answer, GoogleError};
use crate::api::method::{Call, Method};
use crate::state::ids::LocationId;
use crate::state::quota;
use crate::state::tokens;

/// Longer than any client waits.
const MAX_DELAY_MS: u64 = 600_000;

/// A fault as the control interface takes it. What is left out matches everything, or keeps its default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    method: Option<Method>,
    location: Option<LocationId>,
    /// How often it strikes before it is gone; absent is for ever.
    times: Option<u32>,
    /// From 0 to 1; absent is always.
    probability: Option<f64>,
    /// Of the dice, so that a run can be repeated; 0 when absent.
    #[serde(default)]
    seed: u64,
    /// 503 when neither this nor a delay nor a drop is given.
    pub(crate) status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Text is sent as it is (a proxy's HTML), anything else as JSON; absent is what Google would say with that status.
    body: Option<Value>,
    /// Milliseconds to wait before anything else.
    #[serde(default)]
    pub(crate) delay_ms: u64,
    /// Where the connection breaks; absent: nowhere.
    pub(crate) drop: Option<Break>,
}

/// Where a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Break {
    /// Nothing is done and nothing is answered.
    Before,
    /// The call is done, and half of the answer arrives.
    Truncate,
    /// The call is done, and nothing is answered.
    After,
}

#[derive(Debug)]
struct Fault {
    script: Script,
    left: Option<u32>,
    struck: u64,
    dice: fastrand::Rng,
}

/// All faults; the first that matches a call strikes it.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault, or says what is wrong with it.
    pub(crate) fn add(&mut self, script: Script) -> Result<(), String> {
        script.check()?;
        let dice = fastrand::Rng::with_seed(script.seed);
        self.0.push(Fault { left: script.times, struck: 0, dice, script });
        Ok(())
    }

    /// How often each fault struck so far, in their order; one that is used up is not among them.
    pub(crate) fn report(&self) -> Value {
        json!({ "struck": self.0.iter().map(|fault| fault.struck).collect::<Vec<_>>() })
    }

    /// The fault that strikes this call, if any.
    pub(crate) fn strike(&mut self, call: &Call) -> Option<Script> {
        let struck = self.0.iter_mut().position(|fault| {
            fault.script.matches(call) && fault.script.probability.is_none_or(|chance| fault.dice.f64() < chance)
        })?;
        let fault = &mut self.0[struck];
        fault.left = fault.left.map(|left| left - 1);
        fault.struck += 1;
        if fault.left == Some(0) { Some(self.0.remove(struck).script) } else { Some(fault.script.clone()) }
    }
}

impl Script {
    fn check(&self) -> Result<(), String> {
        if self.times == Some(0) {
            return Err("times: must be at least 1, or absent for ever".to_owned());
        }
        if let Some(chance) = self.probability.filter(|chance| !(0.0..=1.0).contains(chance)) {
            return Err(format!("probability: {chance} is not from 0 to 1"));
        }
        if let Some(status) = self.status.filter(|status| !(200..600).contains(status)) {
            return Err(format!("status: {status} is not from 200 to 599"));
        }
        if self.delay_ms > MAX_DELAY_MS {
            return Err(format!("delay_ms: {} is more than {MAX_DELAY_MS}", self.delay_ms));
        }
        for (name, value) in &self.headers {
            // The length and the framing are the server's own, and what lies about them is `drop: truncate`.
            let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE];
            match HeaderName::try_from(name) {
                Ok(name) if !framing.contains(&name) => {}
                _ => return Err(format!("headers: {name:?} cannot be set")),
            }
            HeaderValue::try_from(value).map_err(|_| format!("headers: the value of {name:?} cannot be sent"))?;
        }
        if matches!(self.drop, Some(Break::Before | Break::After)) && self.has_answer() {
            return Err("drop: `before` and `after` send no answer, so leave out status, headers and body".to_owned());
        }
        Ok(())
    }

    fn matches(&self, call: &Call) -> bool {
        self.method.is_none_or(|method| method == call.method)
            && self.location.as_ref().is_none_or(|location| call.location.as_ref() == Some(location))
    }

    /// Whether the fault itself says what to answer. Otherwise the call is carried out.
    pub(crate) fn has_answer(&self) -> bool {
        self.status.is_some() || self.body.is_some() || !self.headers.is_empty()
    }

    /// What the fault answers to a call.
    pub(crate) fn answer(&self, call: &Call) -> Answer {
        let status = self.status.and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let mut answer = match &self.body {
            Some(Value::String(text)) => Answer::new(status, "text/html; charset=UTF-8", text.clone()),
            Some(body) => Answer::json(status, body, true),
            None => default_answer(call, status),
        };
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                answer = answer.with_header(name, value);
            }
        }
        answer
    }
}

/// What Google would send with a status, if nothing else is known.
fn default_answer(call: &Call, status: StatusCode) -> Answer {
    if status.is_success() {
        return Answer::json(status, &json!({}), true);
    }
    if call.method == Method::Token {
        return Answer::json(status, &json!({ "error": "internal_failure" }), true);
    }
    match status.as_u16() {
        400 => GoogleError::invalid(),
        401 => tokens::unauthenticated(call, "ACCESS_TOKEN_EXPIRED"),
        403 => GoogleError::new(status, "The caller does not have permission"),
        404 => GoogleError::not_found(),
        429 => quota::exceeded_by_fault(),
        500 => GoogleError::new(status, "Internal error encountered."),
        503 => GoogleError::new(status, "The service is currently unavailable."),
        504 => GoogleError::new(status, "Deadline expired before operation could complete."),
        _ => GoogleError::new(status, status.canonical_reason().unwrap_or("Unknown error.")),
    }
    .answer(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(value: Value) -> Script {
        serde_json::from_value(value).expect("well formed")
    }

    fn call(method: Method, location: &str) -> Call {
        Call { method, location: LocationId::parse(location).ok(), account: None }
    }

    #[test]
    fn a_fault_strikes_what_it_matches_as_often_as_it_says() {
        let mut faults = Faults::default();
        faults.add(script(json!({"method": "locations.get", "location": "1", "times": 2}))).expect("valid");
        assert!(faults.strike(&call(Method::GetLocation, "2")).is_none());
        assert!(faults.strike(&call(Method::PatchLocation, "1")).is_none());
        assert!(faults.strike(&Call::TOKEN).is_none());
        for expected in [true, true, false] {
            assert_eq!(faults.strike(&call(Method::GetLocation, "1")).is_some(), expected);
        }
    }

    #[test]
    fn the_dice_repeat_with_their_seed() {
        let strikes = |seed| {
            let mut faults = Faults::default();
            faults.add(script(json!({"probability": 0.3, "seed": seed}))).expect("valid");
            (0..200).map(|_| faults.strike(&Call::TOKEN).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(strikes(7), strikes(7));
        assert_ne!(strikes(7), strikes(8));
        let hits = strikes(7).into_iter().filter(|hit| *hit).count();
        assert!((30..90).contains(&hits), "{hits} of 200 with a chance of 0.3");
    }

    #[test]
    fn nonsense_is_refused() {
        for value in [
            json!({"times": 0}),
            json!({"probability": 1.5}),
            json!({"status": 99}),
            json!({"delay_ms": 600_001}),
            json!({"headers": {"content-length": "5"}}),
            json!({"headers": {"a b": "5"}}),
            json!({"headers": {"x": "a\nb"}}),
            json!({"drop": "after", "status": 503}),
        ] {
            assert!(Faults::default().add(script(value.clone())).is_err(), "{value}");
        }
    }
}
