//! Parses requests: each field into its type, collecting all violations.

use http::HeaderMap;
use tonic::Request;

use crate::{
    domain::{Caller, OrganizationId, Slug, Strategy, TenantId, TraceContext, text},
    error::{Error, Violations},
};
use category_mirror_proto::v1 as proto;

/// Maximum length of a request id, in characters.
const MAX_REQUEST_ID: usize = 128;
/// Maximum length of a display name, in characters.
const MAX_DISPLAY_NAME: usize = 200;
/// Maximum length of a reason, in characters.
const MAX_REASON: usize = 500;

/// Splits a request into its caller, which the gate attached, and its message.
pub(in crate::api) fn split<T>(request: Request<T>) -> Result<(Caller, T), Error> {
    let (_, mut extensions, message) = request.into_parts();
    let caller = extensions.remove().ok_or_else(|| Error::Internal("a call passed without the gate".into()))?;
    Ok((caller, message))
}

/// Returns the caller's trace. A malformed one counts as absent, and a malformed `tracestate` is left out: neither must
/// fail the call.
pub(in crate::api) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let states = headers.get_all("tracestate").iter().map(|value| value.to_str().ok());
    TraceContext::parse(headers.get("traceparent")?.to_str().ok()?, states)
}

/// Parses a required field. An empty text is reported as missing, not as malformed.
pub(in crate::api) fn required<T, E: ToString>(
    violations: &mut Violations,
    field: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    if text.is_empty() {
        violations.add(field, "is required");
        return None;
    }
    violations.take(field, parse(text))
}

/// Parses an optional field; `None` for an empty text.
pub(in crate::api) fn optional<T, E: ToString>(
    violations: &mut Violations,
    field: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    if text.is_empty() { None } else { violations.take(field, parse(text)) }
}

/// Parses a required tenant.
pub(in crate::api) fn tenant(field: &str, text: &str) -> Result<TenantId, Error> {
    let mut violations = Violations::default();
    let tenant = required(&mut violations, field, text, TenantId::parse);
    violations.finish_with(tenant)
}

/// Parses an optional tenant.
pub(in crate::api) fn tenant_filter(violations: &mut Violations, text: &str) -> Option<TenantId> {
    optional(violations, "tenant", text, TenantId::parse)
}

/// Parses an optional organization.
pub(in crate::api) fn organization(violations: &mut Violations, field: &str, text: &str) -> Option<OrganizationId> {
    optional(violations, field, text, OrganizationId::parse)
}

/// Parses a required platform category.
pub(in crate::api) fn slug(field: &str, text: &str) -> Result<Slug, Error> {
    let mut violations = Violations::default();
    let slug = required(&mut violations, field, text, Slug::parse);
    violations.finish_with(slug)
}

/// Parses a strategy; `None` if it is unspecified.
pub(in crate::api) fn strategy(violations: &mut Violations, number: i32) -> Option<Strategy> {
    match proto::Strategy::try_from(number) {
        Ok(proto::Strategy::PlatformToGbp) => Some(Strategy::PlatformToGbp),
        Ok(proto::Strategy::GbpToPlatform) => Some(Strategy::GbpToPlatform),
        Ok(proto::Strategy::Unspecified) => None,
        Err(_) => {
            violations.add("strategy", format!("{number} is no strategy"));
            None
        }
    }
}

/// Parses a required strategy.
pub(in crate::api) fn required_strategy(violations: &mut Violations, number: i32) -> Option<Strategy> {
    if number == 0 {
        violations.add("strategy", "is required: STRATEGY_PLATFORM_TO_GBP or STRATEGY_GBP_TO_PLATFORM");
    }
    strategy(violations, number)
}

/// Parses a request id; `None` if there is none.
pub(in crate::api) fn request_id(violations: &mut Violations, id: String) -> Option<String> {
    let is_printable = id.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if id.len() > MAX_REQUEST_ID || !is_printable {
        violations.add("request_id", format!("must be at most {MAX_REQUEST_ID} printable ASCII characters"));
    }
    Some(id).filter(|id| !id.is_empty())
}

/// Parses a display name into the one form in which names are stored.
pub(in crate::api) fn display_name(given: &str) -> Result<String, String> {
    if given.is_empty() {
        return Err("is required".to_owned());
    }
    let name = free_text(given, MAX_DISPLAY_NAME)?;
    if text::is_blank(&name) {
        return Err("is required: it has only characters that are not seen".to_owned());
    }
    if let Some(entity) = text::html_entity(&name) {
        return Err(format!("holds the HTML entity `{entity}`; send the character that it stands for"));
    }
    Ok(name)
}

/// Parses a reason. It may be empty.
pub(in crate::api) fn reason(text: &str) -> Result<String, String> {
    free_text(text, MAX_REASON)
}

/// Parses a person's text: bounded, in one form, and without characters that a terminal or a log would interpret or a
/// reader would not see. It may be empty.
pub(in crate::api) fn free_text(given: &str, max: usize) -> Result<String, String> {
    let free_text = text::clean(given).map_err(|forbidden| forbidden.to_string())?;
    let length = free_text.chars().count();
    if length > max {
        return Err(format!("has {length} characters, at most {max} are allowed"));
    }
    Ok(free_text)
}

/// Returns the fields that an update changes: those of the mask, or, without a mask, those that are not empty.
pub(in crate::api) fn masked<'a>(
    violations: &mut Violations,
    mask: Option<&prost_types::FieldMask>,
    fields: &[(&'a str, &str)],
) -> Vec<&'a str> {
    let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else {
        let set: Vec<&str> = fields.iter().filter(|(_, value)| !value.is_empty()).map(|(field, _)| *field).collect();
        if set.is_empty() {
            violations.add("update_mask", "is empty, and so is every field that can be updated");
        }
        return set;
    };
    for path in &mask.paths {
        if !fields.iter().any(|(field, _)| field == path) {
            let known: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
            // Escaped, so that a long path of other characters does not exceed the headers that errors travel in.
            let shown: String = path.escape_default().take(80).collect();
            violations.add("update_mask", format!("`{shown}` cannot be updated; can be: {}", known.join(", ")));
        }
    }
    fields.iter().map(|(field, _)| *field).filter(|field| mask.paths.iter().any(|path| path == field)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_people_are_bounded_and_harmless() {
        assert_eq!(display_name("Café \"Zur Post\" & Söhne").as_deref(), Ok("Café \"Zur Post\" & Söhne"));
        for bad in ["", "  ", "a\nb", "\u{1b}[2J", &"x".repeat(201)] {
            assert!(display_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_kept_in_one_form_and_without_what_is_not_seen() {
        assert_eq!(display_name("\u{200e}Cafe\u{301}").as_deref(), Ok("Caf\u{e9}"));
        assert_eq!(display_name(&"e\u{301}".repeat(200)).map(|name| name.chars().count()), Ok(200));
        for (bad, why) in
            [("a\u{202e}b", "U+202E"), ("a\u{ad}b", "U+00AD"), ("\u{200f}", "not seen"), ("\u{200d} ", "not seen")]
        {
            let refused = display_name(bad).expect_err(bad);
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(reason("").as_deref(), Ok(""));
        assert!(reason("because\u{2028}").is_err());
    }

    #[test]
    fn a_name_that_was_escaped_for_html_is_refused_with_the_entity() {
        for (name, entity) in [
            ("Chicken &amp; Mutton Shop", "&amp;"),
            ("Fish & Chips &amp; Peas", "&amp;"),
            ("Caf&#233;", "&#233;"),
            ("Bob&#x27;s", "&#x27;"),
            ("Caf&eacute;", "&eacute;"),
            ("Stra&szlig;e", "&szlig;"),
            ("A&NonBreakingSpace;B", "&NonBreakingSpace;"),
        ] {
            let refused = display_name(name).expect_err(name);
            assert!(refused.contains(&format!("`{entity}`")), "{refused}");
        }
        for name in ["Fish & Chips; Peas", "R&D;", "&", "a&amp", "A & B", "& é ;", "&#;"] {
            assert_eq!(display_name(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn a_mask_takes_what_it_names_and_refuses_the_rest() {
        let fields = [("a", "1"), ("b", "")];
        let mut violations = Violations::default();
        assert_eq!(masked(&mut violations, None, &fields), ["a"]);
        let mask = prost_types::FieldMask { paths: vec!["b".to_owned(), "c".to_owned()] };
        assert_eq!(masked(&mut violations, Some(&mask), &fields), ["b"]);
        assert!(violations.finish().is_err());
        let mut violations = Violations::default();
        assert_eq!(masked(&mut violations, None, &fields[1..]), [""; 0]);
        assert!(violations.finish().is_err(), "nothing to update");
    }
}
