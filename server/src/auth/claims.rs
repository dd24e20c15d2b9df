//! Converts a token's claims to a caller.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Rejected;
use crate::domain::{Caller, Role, TenantId, TenantScope, text::is_hidden};

/// Maximum difference between two clocks.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);

const MAX_SUBJECT_CHARS: usize = 200;

/// The claims that are read. A claim that is present, even as `null`, is `Some`: "no limit" must not be expressible by
/// accident.
#[derive(Deserialize)]
pub(super) struct Claims {
    #[serde(default, deserialize_with = "present")]
    exp: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    iss: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    aud: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    sub: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    roles: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    tenants: Option<Value>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Required values of claims, if configured.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
}

impl Claims {
    /// Checks the claims of a token whose signature is valid.
    pub(super) fn into_caller(self, expected: &Expected, now: DateTime<Utc>) -> Result<Caller, Rejected> {
        let expires_at = time("exp", self.exp)?.ok_or(Rejected::Missing("exp"))? + LEEWAY;
        if now >= expires_at {
            return Err(Rejected::Expired);
        }
        if time("nbf", self.nbf)?.is_some_and(|not_before| not_before > now + LEEWAY) {
            return Err(Rejected::NotYetValid);
        }
        if let Some(issuer) = &expected.issuer
            && self.iss.as_ref().and_then(Value::as_str) != Some(issuer)
        {
            return Err(Rejected::Issuer);
        }
        if let Some(audience) = &expected.audience
            && !names_audience(self.aud.as_ref(), audience)
        {
            return Err(Rejected::Audience);
        }
        let subject = self.sub.ok_or(Rejected::Missing("sub"))?;
        let subject = subject
            .as_str()
            .filter(|text| is_subject(text))
            .ok_or(Rejected::Claim { claim: "sub", rule: "1 to 200 letters, digits, spaces and ASCII punctuation" })?;
        let subject = subject.to_owned();
        Ok(Caller { subject, role: role(self.roles)?, scope: scope(self.tenants)?, expires_at })
    }
}

/// Whether a text may be stored and logged as the caller: without characters that break a line, are hidden or reorder
/// text.
pub(super) fn is_subject(text: &str) -> bool {
    // Some letters are invisible, such as fillers.
    let is_plain = |c: char| (c.is_alphanumeric() && !is_hidden(c)) || c.is_ascii_graphic() || c == ' ';
    !text.trim().is_empty() && text.chars().count() <= MAX_SUBJECT_CHARS && text.chars().all(is_plain)
}

/// Parses seconds since 1970, which may have a fraction.
fn time(claim: &'static str, value: Option<Value>) -> Result<Option<DateTime<Utc>>, Rejected> {
    let invalid = Rejected::Claim { claim, rule: "a number of seconds since 1970" };
    let Some(value) = value else { return Ok(None) };
    // After the year 9999, adding the leeway could overflow, and no legitimate token has such a time.
    let seconds = value.as_f64().filter(|seconds| (0.0..253_402_300_800.0).contains(seconds)).ok_or(invalid.clone())?;
    // The fraction of a second does not matter.
    DateTime::from_timestamp(seconds as i64, 0).map(Some).ok_or(invalid)
}

fn names_audience(aud: Option<&Value>, audience: &str) -> bool {
    match aud {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}

/// Returns the strongest known role. Unknown roles belong to other services.
fn role(roles: Option<Value>) -> Result<Option<Role>, Rejected> {
    let invalid = Rejected::Claim { claim: "roles", rule: "an array of strings" };
    let mut strongest = None;
    for name in texts(roles.unwrap_or(Value::Array(Vec::new())), &invalid)? {
        let role = match name.as_str() {
            "admin" => Some(Role::Admin),
            "viewer" => Some(Role::Viewer),
            _ => None,
        };
        strongest = strongest.max(role);
    }
    Ok(strongest)
}

fn scope(tenants: Option<Value>) -> Result<TenantScope, Rejected> {
    let invalid = Rejected::Claim { claim: "tenants", rule: "an array of tenant ids" };
    let Some(tenants) = tenants else { return Ok(TenantScope::All) };
    let ids = texts(tenants, &invalid)?.iter().map(|id| TenantId::parse(id)).collect::<Result<Vec<_>, _>>();
    ids.map(TenantScope::Only).map_err(|_| invalid)
}

fn texts(value: Value, invalid: &Rejected) -> Result<Vec<String>, Rejected> {
    serde_json::from_value(value).map_err(|_| invalid.clone())
}
