//! Field masks over a location.

use serde_json::{Map, Value};

use crate::api::answer::GoogleError;
use crate::api::query::{camel_case, snake_case};

/// Google's words for a mask that reaches into `categories` (recorded).
const INDIVISIBLE: &str = "primary or additional categories cannot be updated independently.";

/// The fields of `Location` in the discovery document, with those of its messages. `categories` is closed on purpose: a mask
/// takes it whole or not at all. Fields that hold repeated messages are closed by Google's rule for masks.
const FIELDS: [(&str, &[&str]); 20] = [
    ("adWordsLocationExtensions", &["adPhone"]),
    ("categories", &[]),
    ("labels", &[]),
    ("languageCode", &[]),
    ("latlng", &["latitude", "longitude"]),
    (
        "metadata",
        &[
            "canDelete",
            "canHaveBusinessCalls",
            "canHaveFoodMenus",
            "canModifyServiceList",
            "canOperateHealthData",
            "canOperateLocalPost",
            "canOperateLodgingData",
            "duplicateLocation",
            "hasGoogleUpdated",
            "hasPendingEdits",
            "hasVoiceOfMerchant",
            "isParticularlyPersonalPlace",
            "mapsUri",
            "newReviewUri",
            "placeId",
        ],
    ),
    ("moreHours", &[]),
    ("name", &[]),
    ("openInfo", &["canReopen", "openingDate", "status"]),
    ("phoneNumbers", &["additionalPhones", "primaryPhone"]),
    ("profile", &["description"]),
    ("regularHours", &["periods"]),
    ("relationshipData", &["childrenLocations", "parentChain", "parentLocation"]),
    ("serviceArea", &["businessType", "places", "regionCode"]),
    ("serviceItems", &[]),
    ("specialHours", &["specialHourPeriods"]),
    ("storeCode", &[]),
    (
        "storefrontAddress",
        &[
            "addressLines",
            "administrativeArea",
            "languageCode",
            "locality",
            "organization",
            "postalCode",
            "recipients",
            "regionCode",
            "revision",
            "sortingCode",
            "sublocality",
        ],
    ),
    ("title", &[]),
    ("websiteUri", &[]),
];

/// Whether `Location` has a field of this JSON name.
pub(crate) fn is_location_field(name: &str) -> bool {
    FIELDS.iter().any(|(field, _)| *field == name)
}

/// Checks a read mask and returns its paths in JSON names.
pub(crate) fn read_mask(text: &str) -> Result<Vec<String>, GoogleError> {
    let mut error = GoogleError::invalid();
    let mut paths = Vec::new();
    for path in text.split(',') {
        let path = path.trim().split('.').map(camel_case).collect::<Vec<_>>().join(".");
        match problem(&path) {
            Some(problem) => error = error.with_violation("read_mask", problem),
            None => paths.push(path),
        }
    }
    if error.has_details() { Err(error) } else { Ok(paths) }
}

/// Checks the update mask: the whole of `categories`, and nothing beside it.
pub(crate) fn update_mask(text: &str) -> Result<(), GoogleError> {
    let mut error = GoogleError::invalid();
    for path in text.split(',') {
        let path = path.trim();
        if path == "categories" {
            continue;
        }
        let camel = path.split('.').map(camel_case).collect::<Vec<_>>().join(".");
        let problem =
            problem(&camel).unwrap_or_else(|| format!("This emulator updates categories only, not '{path}'."));
        error = error.with_violation("update_mask", problem);
    }
    if error.has_details() { Err(error) } else { Ok(()) }
}

/// What is wrong with a path, if anything.
fn problem(path: &str) -> Option<String> {
    let (field, rest) = path.split_once('.').map_or((path, None), |(field, rest)| (field, Some(rest)));
    let known = FIELDS.iter().find(|(name, _)| *name == field);
    match (known, rest) {
        (Some(_), None) => None,
        (Some(("categories", _)), Some(_)) => Some(INDIVISIBLE.to_owned()),
        (Some((_, parts)), Some(rest)) if parts.contains(&rest) => None,
        _ => Some(format!("Invalid field mask path: '{}'", snake_case(path))),
    }
}

/// The parts of a location that the mask asks for. What is absent or empty stays absent.
pub(crate) fn apply(paths: &[String], whole: &Value) -> Value {
    let mut picked = Map::new();
    for path in paths {
        match path.split_once('.') {
            None => {
                if let Some(value) = whole.get(path) {
                    picked.insert(path.clone(), value.clone());
                }
            }
            Some((field, part)) => {
                if let Some(value) = whole.get(field).and_then(|message| message.get(part)) {
                    let message = picked.entry(field).or_insert_with(|| Value::Object(Map::new()));
                    message[part] = value.clone();
                }
            }
        }
    }
    Value::Object(picked)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_read_mask_names_fields_of_the_document() {
        assert_eq!(read_mask("name,categories").expect("valid"), ["name", "categories"]);
        assert_eq!(read_mask("metadata.place_id").expect("valid"), ["metadata.placeId"]);
        for text in ["", "nam", "name,", "*", "metadata.nothing", "name.first", "categories.primaryCategory", "a.b.c"] {
            assert!(read_mask(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_wrong_path_is_reported() {
        let error = read_mask("nothing,name,categories.additionalCategories.name").expect_err("two are wrong");
        let text = format!("{error:?}");
        assert!(text.contains("'nothing'") && text.contains(INDIVISIBLE), "{text}");
    }

    #[test]
    fn an_update_mask_is_exactly_categories() {
        assert!(update_mask("categories").is_ok());
        for text in
            ["categories.primaryCategory", "categories,title", "title", "", "*", "categories.additional_categories"]
        {
            assert!(update_mask(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_mask_picks_fields_and_parts() {
        let whole = json!({"name": "locations/1", "title": "T", "metadata": {"placeId": "p", "canDelete": true}});
        let paths = read_mask("name,metadata.placeId,labels").expect("valid");
        assert_eq!(apply(&paths, &whole), json!({"name": "locations/1", "metadata": {"placeId": "p"}}));
        let whole_and_part = read_mask("metadata,metadata.placeId").expect("valid");
        assert_eq!(apply(&whole_and_part, &whole)["metadata"]["canDelete"], json!(true));
    }
}
