//! Bounds for what others wrote, before it is kept, shown or logged.

use serde_json::Value;

use category_mirror_domain::text::composed;

/// Characters of a failure's message that are kept.
pub(crate) const MAX_MESSAGE: usize = 1000;

/// Bytes of JSON that are kept of one error's details; Google's own are far below.
const MAX_DETAILS: usize = 16 * 1024;

/// Characters of the shortest secret that is looked for; Google's have 24 and more.
const MIN_SECRET_CHARS: usize = 8;

/// At most `max` characters of `text`. Control characters become spaces: a terminal would obey them, and PostgreSQL refuses NUL.
pub(crate) fn bounded(text: &str, max: usize) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut kept: String = chars.by_ref().take(max).collect();
    if chars.next().is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

/// A name for people, as it is kept and compared: in normalization form C, without spaces at its ends, and bounded.
pub(crate) fn name(text: &str, max: usize) -> String {
    bounded(&composed(text.trim()), max)
}

/// The entries of `details` that fit, whole and in their order, without control characters.
pub(crate) fn bounded_details(details: &[Value]) -> Vec<Value> {
    let mut room = MAX_DETAILS;
    let fits = |entry: &Value| {
        let size = entry.to_string().len();
        let fits = size <= room;
        room -= if fits { size } else { 0 };
        fits
    };
    details.iter().map(without_control).filter(fits).collect()
}

fn without_control(value: &Value) -> Value {
    mapped(value, &|text| bounded(text, usize::MAX))
}

/// The value with each of its texts changed, the names of fields included.
pub(crate) fn mapped(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(entries) => entries.iter().map(|entry| mapped(entry, change)).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (change(key), mapped(value, change))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// `text` without `secrets`. One that is as short as a word is left alone: it would be found in what has nothing to do with it.
pub(crate) fn without(text: &str, secrets: &[&str]) -> String {
    let secrets = secrets.iter().filter(|secret| secret.len() >= MIN_SECRET_CHARS);
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_cut_at_characters_and_say_so() {
        assert_eq!(bounded("ééé", 3), "ééé");
        assert_eq!(bounded("éééé", 3), "éé…");
        assert_eq!(bounded("a\0b\u{1b}[31m", 20), "a b [31m");
    }

    #[test]
    fn secrets_are_taken_out_wherever_they_stand() {
        assert_eq!(without("a ya29.secret, ya29.secret", &["ya29.secret", "a"]), "a [redacted], [redacted]");
        let value = json!({"ya29.secret": ["x ya29.secret", 1, {"a": "ya29.secret"}]});
        let clean = mapped(&value, &|text| without(text, &["ya29.secret"]));
        assert_eq!(clean, json!({"[redacted]": ["x [redacted]", 1, {"a": "[redacted]"}]}));
    }

    #[test]
    fn details_lose_what_does_not_fit_and_control_characters() {
        let huge = json!({"text": "x".repeat(MAX_DETAILS)});
        let kept = bounded_details(&[json!({"a\0": ["b\n", 1]}), huge, json!("last")]);
        assert_eq!(kept, [json!({"a ": ["b ", 1]}), json!("last")]);
        let many = vec![json!("x".repeat(1022)); 100];
        assert_eq!(bounded_details(&many).len(), MAX_DETAILS / 1024);
    }
}
