//! The body of a PATCH, as Google reads it: first the fields, then their meaning.

use serde_json::{Map, Value, json};

use crate::api::answer::{GoogleError, SERVICE};
use crate::api::mask::is_location_field;
use crate::api::query::{camel_case, snake_case};
use crate::state::ids::{CategorySet, Gcid};
use crate::state::taxonomy::Taxonomy;

/// How many additional categories Google takes. The discovery document does not say.
const MAX_ADDITIONAL: usize = 9;

const CATEGORY_FIELDS: [&str; 4] = ["name", "displayName", "serviceTypes", "moreHoursTypes"];

/// Reads the category set out of a body `{"categories": {…}}`. Whatever is left out of it is cleared, not kept.
pub(crate) fn read(body: &[u8], taxonomy: &Taxonomy) -> Result<CategorySet, GoogleError> {
    let location = parse(body)?;
    let location = object(&location, "location", is_location_field)?;
    let categories = location.get("categories").unwrap_or(&Value::Null);
    let categories =
        object(categories, "location.categories", |field| matches!(field, "primaryCategory" | "additionalCategories"))?;

    let mut problems = Problems::default();
    let primary = match categories.get("primaryCategory") {
        None | Some(Value::Null) => {
            problems.add("REQUIRED_FIELD_MISSING_VALUE", "categories.primary_category", "Field is required", json!({}));
            None
        }
        Some(category) => read_category(category, "categories.primary_category", taxonomy, &mut problems)?,
    };
    let mut additional = Vec::new();
    let listed = match categories.get("additionalCategories") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(listed)) => listed,
        Some(_) => return Err(payload("Invalid value at 'location.categories.additional_categories': not a list.")),
    };
    if listed.len() > MAX_ADDITIONAL {
        let description = format!("At most {MAX_ADDITIONAL} additional categories are allowed, not {}.", listed.len());
        let metadata = json!({ "max_count": MAX_ADDITIONAL.to_string() });
        problems.add("TOO_MANY_ENTRIES", "categories.additional_categories", description, metadata);
    }
    for (index, category) in listed.iter().enumerate() {
        let field = format!("categories.additional_categories[{index}]");
        let Some(category) = read_category(category, &field, taxonomy, &mut problems)? else { continue };
        if primary.as_ref() == Some(&category) || additional.contains(&category) {
            let description = format!("The category '{}' is there more than once.", category.resource_name());
            problems.add("INVALID_CATEGORY", &field, description, json!({}));
        } else {
            additional.push(category);
        }
    }
    match primary {
        Some(primary) if !problems.0.has_details() => {
            CategorySet::new(primary, additional).map_err(|error| GoogleError::field("categories", error.to_string()))
        }
        _ => Err(problems.0),
    }
}

/// All that is wrong, so that one answer names it all.
struct Problems(GoogleError);

impl Default for Problems {
    fn default() -> Self {
        Self(GoogleError::invalid())
    }
}

impl Problems {
    fn add(&mut self, reason: &str, field: &str, description: impl Into<String>, mut metadata: Value) {
        metadata["field"] = json!(field);
        let so_far = std::mem::replace(&mut self.0, GoogleError::invalid());
        self.0 = so_far.with_info(reason, SERVICE, metadata).with_violation(field, description);
    }
}

/// Reads one category; `None` when its meaning, not its form, is wrong.
fn read_category(
    value: &Value,
    field: &str,
    taxonomy: &Taxonomy,
    problems: &mut Problems,
) -> Result<Option<Gcid>, GoogleError> {
    let category = object(value, &format!("location.{field}"), |name| CATEGORY_FIELDS.contains(&name))?;
    let name = match category.get("name") {
        None | Some(Value::Null) => "",
        Some(Value::String(name)) => name,
        Some(other) => {
            return Err(payload(&format!("Invalid value at 'location.{field}.name' (TYPE_STRING), {other}")));
        }
    };
    if name.is_empty() {
        problems.add("REQUIRED_FIELD_MISSING_VALUE", &format!("{field}.name"), "Field is required", json!({}));
        return Ok(None);
    }
    // Only the resource name will do: the bare `gcid:…` is what the predecessor of v1 took.
    let gcid = Gcid::parse(name).ok().filter(|gcid| name == gcid.resource_name() && taxonomy.contains(gcid));
    if gcid.is_none() {
        let description = format!("The category '{name}' is not valid.");
        problems.add("INVALID_CATEGORY", &format!("{field}.name"), description, json!({ "value": name }));
    }
    Ok(gcid)
}

fn parse(body: &[u8]) -> Result<Value, GoogleError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|error| payload(&format!("Invalid JSON payload received. {error}.")))
}

/// The fields of a message, by JSON name; null is the empty message, an unknown name is refused.
fn object(value: &Value, at: &str, is_known: impl Fn(&str) -> bool) -> Result<Map<String, Value>, GoogleError> {
    let fields = match value {
        Value::Null => return Ok(Map::new()),
        Value::Object(fields) => fields,
        _ => return Err(payload(&format!("Invalid value at '{}': not a message.", snake_case(at)))),
    };
    let mut message = Map::new();
    for (name, value) in fields {
        let camel = camel_case(name);
        if !is_known(&camel) {
            let at = snake_case(at);
            let problem =
                format!("Invalid JSON payload received. Unknown name \"{name}\" at '{at}': Cannot find field.");
            return Err(payload(&problem));
        }
        message.insert(camel, value.clone());
    }
    Ok(message)
}

/// 400 about the payload's form; here Google's message is not the generic one.
fn payload(problem: &str) -> GoogleError {
    GoogleError::new(axum::http::StatusCode::BAD_REQUEST, problem).with_violation("location", problem)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(body: &Value) -> String {
        format!("{:?}", read(body.to_string().as_bytes(), &Taxonomy::default()).expect_err("refused"))
    }

    fn named(slug: &str) -> Value {
        json!({ "name": format!("categories/gcid:{slug}") })
    }

    #[test]
    fn d6_what_is_left_out_is_cleared() {
        let body = json!({ "categories": { "primaryCategory": named("bar") } });
        let set = read(body.to_string().as_bytes(), &Taxonomy::default()).expect("valid");
        assert!(set.additional().is_empty());
    }

    #[test]
    fn each_problem_has_its_reason() {
        let with = |additional: Vec<Value>| {
            refused(&json!({ "categories": { "primaryCategory": named("bar"), "additionalCategories": additional } }))
        };
        assert!(refused(&json!({})).contains("REQUIRED_FIELD_MISSING_VALUE"));
        assert!(refused(&json!({ "categories": { "primaryCategory": {} } })).contains("primary_category.name"));
        assert!(with(vec![named("nothing_such")]).contains("INVALID_CATEGORY"));
        assert!(with(vec![json!({ "name": "gcid:pub" })]).contains("INVALID_CATEGORY"), "not a resource name");
        assert!(with(vec![named("bar")]).contains("more than once"), "the primary again");
        assert!(with(vec![named("pub"), named("pub")]).contains("more than once"));
        let too_many = with(vec![named("pub"); 10]);
        assert!(
            too_many.contains("TOO_MANY_ENTRIES") && too_many.contains("\"max_count\": String(\"9\")"),
            "{too_many}"
        );
    }

    #[test]
    fn the_form_is_checked() {
        for body in [
            json!([]),
            json!({ "category": {} }),
            json!({ "categories": [] }),
            json!({ "categories": { "primary": {} } }),
            json!({ "categories": { "primaryCategory": { "gcid": "x" } } }),
            json!({ "categories": { "primaryCategory": { "name": 1 } } }),
            json!({ "categories": { "primaryCategory": named("bar"), "additionalCategories": {} } }),
            json!({ "categories": { "primaryCategory": named("bar"), "additionalCategories": ["gcid:pub"] } }),
        ] {
            assert!(refused(&body).contains("location"), "{body}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_an_error(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(read(&body, &Taxonomy::default()).is_err());
        }
    }
}
