//! Google's error body.

use std::collections::BTreeMap;

use category_mirror_domain::ValidationError;
use serde_json::Value;

use crate::response::text;

/// Characters of each text that are kept.
const MAX_TEXT_CHARS: usize = 500;
/// Entries of the list `errors` that are read; Google sends one.
const MAX_VIOLATIONS: usize = 10;

/// What an error body says. The use is in the details: the message is nearly always generic.
#[derive(Debug, Default)]
pub(crate) struct GoogleError {
    /// The name of the code, such as `INVALID_ARGUMENT`.
    pub(crate) status: String,
    message: String,
    /// Every `google.rpc.ErrorInfo`.
    pub(crate) infos: Vec<ErrorInfo>,
    violations: Vec<Violation>,
    /// The reasons in the list `errors` of Google's older APIs, such as `userRateLimitExceeded`.
    older: Vec<String>,
    /// All details as they came, within bounds.
    pub(crate) details: Vec<Value>,
}

/// A `google.rpc.ErrorInfo`.
#[derive(Debug)]
pub(crate) struct ErrorInfo {
    /// Why, such as `INVALID_CATEGORY`.
    pub(crate) reason: String,
    /// The values.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A field violation of a `google.rpc.BadRequest`.
#[derive(Debug)]
struct Violation {
    field: String,
    description: String,
}

impl GoogleError {
    /// Reads an error body. `None`: it is not Google's, but perhaps a proxy's.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let error = body.get("error")?.as_object()?;
        let details = error.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let older = error.get("errors").and_then(Value::as_array).into_iter().flatten().take(MAX_VIOLATIONS);
        let mut parsed = Self {
            older: older.map(|one| text_of(one.get("reason"))).collect(),
            status: text_of(error.get("status")),
            message: text_of(error.get("message")),
            details: text::bounded_details(details),
            ..Self::default()
        };
        for detail in &parsed.details {
            match detail.get("@type").and_then(Value::as_str).unwrap_or_default() {
                "type.googleapis.com/google.rpc.ErrorInfo" => parsed.infos.push(ErrorInfo::read(detail)),
                "type.googleapis.com/google.rpc.BadRequest" => parsed.violations.extend(Violation::read_all(detail)),
                // Other types say nothing that is acted on; they stay in the details.
                _ => {}
            }
        }
        Some(parsed)
    }

    /// Every reason that it gives, in whichever list.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = &str> {
        self.infos.iter().map(|info| &*info.reason).chain(self.older.iter().map(String::as_str))
    }

    /// Whether it objects to the token of a page: it has expired, or the list has changed too much since.
    pub(crate) fn is_about_page_token(&self) -> bool {
        let is_named = |text: &str| text.to_lowercase().replace(['_', ' '], "").contains("pagetoken");
        let violations = self.violations.iter().flat_map(|it| [&it.field, &it.description]);
        violations.chain([&self.message]).any(|text| is_named(text))
    }

    /// What people need to know: the details, and Google's own message where there are none.
    pub(crate) fn description(&self) -> String {
        let infos = self.infos.iter().map(ToString::to_string);
        let violations = self.violations.iter().map(ToString::to_string);
        let description: Vec<String> = violations.chain(infos).filter(|part| !part.is_empty()).collect();
        if description.is_empty() { self.message.clone() } else { description.join("; ") }
    }

    /// The error as objections to an update, one for each thing that is wrong.
    pub(crate) fn validation_errors(&self) -> Vec<ValidationError> {
        let reason = |info: Option<&ErrorInfo>| info.map_or(&self.status, |info| &info.reason).clone();
        // Google names the field in one list and the reason in another; in their order they belong together.
        let violations = self.violations.iter().enumerate().map(|(i, violation)| ValidationError {
            reason: reason(self.infos.get(i).or(self.infos.first())),
            message: violation.description.clone(),
            field: violation.field.clone(),
        });
        let infos = self.infos.iter().skip(self.violations.len()).map(|info| ValidationError {
            reason: info.reason.clone(),
            message: info.values().unwrap_or_else(|| self.message.clone()),
            field: String::new(),
        });
        let mut validation_errors: Vec<ValidationError> = violations.chain(infos).collect();
        if validation_errors.is_empty() {
            validation_errors.push(ValidationError {
                reason: self.status.clone(),
                message: self.message.clone(),
                field: String::new(),
            });
        }
        validation_errors
    }
}

impl ErrorInfo {
    fn read(detail: &Value) -> Self {
        let metadata = detail.get("metadata").and_then(Value::as_object);
        let metadata = metadata.into_iter().flatten().map(|(key, value)| (key.clone(), text_of(Some(value)))).collect();
        Self { reason: text_of(detail.get("reason")), metadata }
    }

    /// The values as `key=value`; `None` where there are none.
    fn values(&self) -> Option<String> {
        let values: Vec<String> = self.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

impl std::fmt::Display for ErrorInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)?;
        self.values().map_or(Ok(()), |values| write!(f, " ({values})"))
    }
}

impl Violation {
    fn read_all(detail: &Value) -> impl Iterator<Item = Self> {
        let violations = detail.get("fieldViolations").and_then(Value::as_array).into_iter().flatten();
        violations.map(|one| Self { field: text_of(one.get("field")), description: text_of(one.get("description")) })
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.field.as_str(), self.description.as_str()) {
            ("", text) | (text, "") => f.write_str(text),
            (field, description) => write!(f, "{field}: {description}"),
        }
    }
}

/// The text of a JSON string, bounded; empty for anything else.
fn text_of(value: Option<&Value>) -> String {
    text::bounded(value.and_then(Value::as_str).unwrap_or_default(), MAX_TEXT_CHARS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(details: Value) -> GoogleError {
        let error = json!({"error": {
            "code": 400, "status": "INVALID_ARGUMENT", "message": "Request contains an invalid argument.", "details": details,
        }});
        GoogleError::parse(error.to_string().as_bytes()).expect("Google's")
    }

    fn info(reason: &str, metadata: Value) -> Value {
        json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata})
    }

    fn violations(violations: Value) -> Value {
        json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations})
    }

    #[test]
    fn the_recorded_error_is_told_by_its_details() {
        let error = parse(json!([violations(json!([{"field": "read_mask", "description": "Field is required"}]))]));
        assert_eq!(error.description(), "read_mask: Field is required");
        let validation_error = ValidationError {
            reason: "INVALID_ARGUMENT".into(),
            message: "Field is required".into(),
            field: "read_mask".into(),
        };
        assert_eq!(error.validation_errors(), [validation_error]);
    }

    #[test]
    fn reasons_and_fields_are_paired_and_none_is_lost() {
        let error = parse(json!([
            info("INVALID_CATEGORY", json!({"category": "gcid:a"})),
            info("TOO_MANY_ENTRIES", json!({"max_count": "9"})),
            violations(json!([{"field": "categories.primary_category", "description": "Unknown"}])),
        ]));
        let told =
            "categories.primary_category: Unknown; INVALID_CATEGORY (category=gcid:a); TOO_MANY_ENTRIES (max_count=9)";
        assert_eq!(error.description(), told);
        let validation_errors = error.validation_errors();
        let validation_errors: Vec<_> =
            validation_errors.iter().map(|o| (o.reason.as_str(), o.message.as_str())).collect();
        assert_eq!(validation_errors, [("INVALID_CATEGORY", "Unknown"), ("TOO_MANY_ENTRIES", "max_count=9")]);
    }

    #[test]
    fn a_page_token_is_named_in_whichever_words() {
        let field = |field: &str, description: &str| {
            parse(json!([violations(json!([{"field": field, "description": description}]))]))
        };
        for (error, is_about) in [
            (field("page_token", "Invalid."), true),
            (field("pageToken", ""), true),
            (field("", "Page token expired"), true),
            (field("page_size", "Must not be negative."), false),
            (parse(json!([])), false),
        ] {
            assert_eq!(error.is_about_page_token(), is_about, "{error:?}");
        }
    }

    #[test]
    fn without_details_the_message_is_all_there_is() {
        let error = parse(json!([]));
        assert_eq!(error.description(), "Request contains an invalid argument.");
        assert_eq!(error.validation_errors()[0].reason, "INVALID_ARGUMENT");
    }

    #[test]
    fn other_bodies_are_not_googles() {
        for body in ["", "<html>502</html>", "{}", r#"{"error":"invalid_grant"}"#, r#"{"error":{"code":4"#] {
            assert!(GoogleError::parse(body.as_bytes()).is_none(), "{body}");
        }
        let odd = r#"{"error":{"message":7,"details":[1,{"@type":1},{"@type":"type.googleapis.com/google.rpc.BadRequest"}]}}"#;
        assert_eq!(GoogleError::parse(odd.as_bytes()).expect("tolerated").details.len(), 3);
    }
}
