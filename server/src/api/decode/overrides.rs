//! Parses the guards that a request overrides. The caller has to name each guard and give a reason.

use std::collections::BTreeMap;

use crate::api::decode::request;
use crate::error::Violations;

/// Returns the named guards, ordered by name, and the reason, if there is one. `all` are the guards that can be
/// overridden here. `kind` is their name in errors, such as "guard" or "guard of a batch".
pub(in crate::api) fn overrides<R: Copy>(
    violations: &mut Violations,
    names: &[String],
    reason: &str,
    kind: &str,
    all: &[R],
    name_of: impl Fn(R) -> &'static str,
) -> (Vec<R>, Option<String>) {
    let lifted = guards(violations, names, kind, all, name_of);
    let reason = Some(reason).filter(|reason| !reason.trim().is_empty());
    match (reason, names.is_empty()) {
        (None, false) => violations.add("reason", "is required with override_guards"),
        (Some(_), true) => violations.add("override_guards", "is required with a reason"),
        _ => {}
    }
    let reason = reason.and_then(|reason| violations.take("reason", request::reason(reason)));
    (lifted, reason)
}

/// Returns the named guards, ordered by name.
pub(in crate::api) fn guards<R: Copy>(
    violations: &mut Violations,
    names: &[String],
    kind: &str,
    all: &[R],
    name_of: impl Fn(R) -> &'static str,
) -> Vec<R> {
    let mut lifted = BTreeMap::new();
    for (position, name) in names.iter().enumerate() {
        let rule = all.iter().find(|rule| name_of(**rule) == name).ok_or_else(|| {
            let there_are: Vec<&str> = all.iter().map(|rule| name_of(*rule)).collect();
            format!("is no {kind}; there are: {}", there_are.join(", "))
        });
        let rule = violations.take(&format!("override_guards[{position}]"), rule);
        lifted.extend(rule.map(|rule| (name_of(*rule), *rule)));
    }
    lifted.into_values().collect()
}
