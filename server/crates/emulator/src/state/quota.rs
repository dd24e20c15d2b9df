//! Google's two quotas: requests of the project, and edits of one location, each over the last minute.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::api::answer::{GoogleError, SERVICE};
use crate::api::method::{Call, Method};

const WINDOW: Duration = Duration::from_secs(60);

/// The limits; absent is unlimited, 0 is no access at all.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaLimits {
    /// Requests of the project in a minute.
    #[serde(default)]
    pub(crate) requests_per_minute: Option<usize>,
    /// Updates of one location in a minute.
    #[serde(default)]
    pub(crate) edits_per_minute_per_location: Option<usize>,
}

/// The limits, and what was used of them in the last minute.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    limits: QuotaLimits,
    requests: VecDeque<Instant>,
    edits: HashMap<String, VecDeque<Instant>>,
}

impl Quota {
    /// Sets other limits, and starts counting anew.
    pub(crate) fn set(&mut self, limits: QuotaLimits) {
        *self = Self { limits, ..Self::default() };
    }

    /// Counts a call, or refuses it. A refused call does not count, and a validation is no edit.
    pub(crate) fn admit(&mut self, call: &Call, now: Instant) -> Result<(), GoogleError> {
        if let Some(limit) = self.limits.requests_per_minute {
            admit(&mut self.requests, limit, now).map_err(|()| exceeded(Kind::Requests, limit))?;
        }
        if let (Some(limit), Method::PatchLocation, Some(location)) =
            (self.limits.edits_per_minute_per_location, call.method, &call.location)
        {
            let used = self.edits.entry(location.as_str().to_owned()).or_default();
            admit(used, limit, now).map_err(|()| exceeded(Kind::Edits, limit))?;
        }
        Ok(())
    }
}

/// Takes one of `limit` places of the last minute.
fn admit(used: &mut VecDeque<Instant>, limit: usize, now: Instant) -> Result<(), ()> {
    while used.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
        used.pop_front();
    }
    if used.len() >= limit {
        return Err(());
    }
    used.push_back(now);
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    Requests,
    Edits,
}

/// 429 as Google sends it, without `Retry-After`.
pub(crate) fn exceeded_by_fault() -> GoogleError {
    exceeded(Kind::Requests, 300)
}

fn exceeded(kind: Kind, limit: usize) -> GoogleError {
    let (title, metric, name, unit) = match kind {
        Kind::Requests => ("Requests", "default_requests", "DefaultRequestsPerMinutePerProject", "1/min/{project}"),
        Kind::Edits => ("Edits", "location_edits", "EditsPerMinutePerLocation", "1/min/{project}/{location}"),
    };
    let message = format!(
        "Quota exceeded for quota metric '{title}' and limit '{title} per minute' of service '{SERVICE}' for consumer \
         'project_number:1000'."
    );
    let metadata = json!({
        "service": SERVICE,
        "consumer": "projects/1000",
        "quota_metric": format!("{SERVICE}/{metric}"),
        "quota_limit": name,
        "quota_limit_value": limit.to_string(),
        "quota_location": "global",
        "quota_unit": unit,
    });
    GoogleError::new(StatusCode::TOO_MANY_REQUESTS, message).with_info(
        "RATE_LIMIT_EXCEEDED",
        "googleapis.com",
        metadata,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::ids::LocationId;

    fn call(method: Method, location: &str) -> Call {
        Call { method, location: LocationId::parse(location).ok(), account: None }
    }

    fn quota(requests_per_minute: Option<usize>, edits_per_minute_per_location: Option<usize>) -> Quota {
        let mut quota = Quota::default();
        quota.set(QuotaLimits { requests_per_minute, edits_per_minute_per_location });
        quota
    }

    #[test]
    fn the_minute_slides() {
        let mut quota = quota(Some(2), None);
        let get = call(Method::GetLocation, "1");
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(quota.admit(&get, at(0)).is_ok());
        assert!(quota.admit(&get, at(30)).is_ok());
        assert!(quota.admit(&get, at(59)).is_err(), "both places are taken");
        assert!(quota.admit(&get, at(60)).is_ok(), "the first is free again");
        assert!(quota.admit(&get, at(61)).is_err());
        assert!(quota.admit(&get, at(90)).is_ok());
    }

    #[test]
    fn edits_are_counted_for_each_location_and_validations_are_free() {
        let mut quota = quota(None, Some(1));
        let now = Instant::now();
        assert!(quota.admit(&call(Method::PatchLocation, "1"), now).is_ok());
        assert!(quota.admit(&call(Method::PatchLocation, "1"), now).is_err());
        assert!(quota.admit(&call(Method::ValidateLocation, "1"), now).is_ok());
        assert!(quota.admit(&call(Method::GetLocation, "1"), now).is_ok());
        assert!(quota.admit(&call(Method::PatchLocation, "2"), now).is_ok());
    }

    #[test]
    fn zero_is_no_access_and_says_so() {
        let error =
            quota(Some(0), None).admit(&call(Method::ListCategories, ""), Instant::now()).expect_err("no access");
        assert!(format!("{error:?}").contains("\"quota_limit_value\": String(\"0\")"), "{error:?}");
        assert!(quota(None, None).admit(&call(Method::ListCategories, ""), Instant::now()).is_ok());
    }
}
