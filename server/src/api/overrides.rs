//! Reading which guards a request lifts: whoever lifts one says so by name, and gives a reason.

use std::collections::BTreeMap;

use super::request;
use crate::error::Violations;

/// The guards that are named, in the order of their names, and the reason, if there is one. `all` are those that can be lifted here,
/// and `kind` is what they are called: "guard", "guard of a batch".
pub(super) fn overrides<R: Copy>(
    violations: &mut Violations,
    names: &[String],
    reason: &str,
    kind: &str,
    all: &[R],
    name_of: impl Fn(R) -> &'static str,
) -> (Vec<R>, Option<String>) {
    let known: BTreeMap<&str, R> = all.iter().map(|rule| (name_of(*rule), *rule)).collect();
    let mut lifted = BTreeMap::new();
    for (position, name) in names.iter().enumerate() {
        match known.get_key_value(name.as_str()) {
            Some((name, rule)) => _ = lifted.insert(*name, *rule),
            None => {
                let there_are: Vec<&str> = all.iter().map(|rule| name_of(*rule)).collect();
                let problem = format!("is no {kind}; there are: {}", there_are.join(", "));
                violations.add(&format!("override_guards[{position}]"), problem);
            }
        }
    }
    let reason = Some(reason).filter(|reason| !reason.trim().is_empty());
    match (reason, names.is_empty()) {
        (None, false) => violations.add("reason", "is required with override_guards"),
        (Some(_), true) => violations.add("override_guards", "is required with a reason"),
        _ => {}
    }
    let reason = reason.and_then(|reason| violations.take("reason", request::reason(reason)));
    (lifted.into_values().collect(), reason)
}
