//! The control calls about one location.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::control::reply::{Refused, Reply, bad, parse};
use crate::state::Shared;
use crate::state::calls::shown;
use crate::state::condition::{Condition, ConditionChange, MetadataChange, OpenInfoChange};
use crate::state::ids::{AccountId, CategorySet, Gcid, LocationId};
use crate::state::location::Location;

/// A location to seed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Seed {
    account: AccountId,
    #[serde(default)]
    title: String,
    #[serde(default = "us")]
    region_code: String,
    #[serde(default = "english")]
    language_code: String,
    categories: Categories,
    #[serde(default)]
    metadata: MetadataChange,
    #[serde(default)]
    open_info: OpenInfoChange,
}

fn us() -> String {
    "US".to_owned()
}

fn english() -> String {
    "en".to_owned()
}

/// An edit from outside.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    by: Editor,
    categories: Categories,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Editor {
    Owner,
    Google,
}

/// Categories in Google's form, or `{"primary": "gcid:…", "additional": […]}`. They may be ones that Google does not know, or
/// more than it would take: real locations are older than today's rules.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Categories {
    #[serde(rename = "primaryCategory", alias = "primary")]
    primary: Named,
    #[serde(rename = "additionalCategories", alias = "additional", default)]
    additional: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Named(Gcid);

impl TryFrom<Value> for Named {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let name = value.as_str().or_else(|| value.get("name")?.as_str());
        let name = name.ok_or("a category must be a text or an object with a name")?;
        Gcid::parse(name).map(Self).map_err(|error| format!("{name:?}: {error}"))
    }
}

impl Categories {
    fn into_set(self) -> Result<CategorySet, Refused> {
        let category = |Named(gcid)| gcid;
        let additional = self.additional.into_iter().map(category).collect();
        CategorySet::new(category(self.primary), additional).map_err(|error| bad(format!("categories: {error}")))
    }
}

fn location_id(text: &str) -> Result<LocationId, Refused> {
    LocationId::parse(text).map_err(|error| bad(format!("location {text:?}: {error}")))
}

fn unknown(id: &LocationId) -> Refused {
    Refused(StatusCode::NOT_FOUND, format!("there is no {}", id.resource_name()))
}

/// `PUT`: seeds a location, in place of what was there.
pub(crate) async fn put(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Reply {
    let id = location_id(&id)?;
    let seed: Seed = parse(&body)?;
    let set = seed.categories.into_set()?;
    let condition = Condition::default().changed(seed.metadata, seed.open_info).map_err(bad)?;
    let location = Location::new(seed.account, seed.title, seed.region_code, seed.language_code, set);
    let location = location.with_condition(condition);
    let mut state = state.lock();
    let report = location.report(&id, &state.taxonomy);
    state.locations.put(id, location);
    Ok(Json(report))
}

/// `GET`: every view of a location.
pub(crate) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Reply {
    let id = location_id(&id)?;
    let state = state.lock();
    let location = state.locations.get(&id).ok_or_else(|| unknown(&id))?;
    Ok(Json(location.report(&id, &state.taxonomy)))
}

/// `PATCH`: changes what Google says of a location as a whole; what is left out stays as it is.
pub(crate) async fn change(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Reply {
    let id = location_id(&id)?;
    let (metadata, open_info) = parse::<ConditionChange>(&body)?.parts();
    let mut state = state.lock();
    let location = state.locations.get_mut(&id).ok_or_else(|| unknown(&id))?;
    let condition = location.condition().changed(metadata, open_info).map_err(bad)?;
    location.set_condition(condition);
    let location = state.locations.get(&id).ok_or_else(|| unknown(&id))?;
    Ok(Json(location.report(&id, &state.taxonomy)))
}

/// `DELETE`: removes a location.
pub(crate) async fn remove(State(state): State<Shared>, Path(id): Path<String>) -> Reply {
    let id = location_id(&id)?;
    if state.lock().locations.remove(&id) { Ok(Json(json!({}))) } else { Err(unknown(&id)) }
}

/// `POST …:edit` and `POST …:publish`.
pub(crate) async fn edit(State(state): State<Shared>, Path(target): Path<String>, body: Bytes) -> Reply {
    let (id, verb) = target.split_once(':').unwrap_or((&target, ""));
    let id = location_id(id)?;
    let edit = match verb {
        "edit" => {
            let Edit { by, categories } = parse(&body)?;
            Some((by, categories.into_set()?))
        }
        "publish" => None,
        _ => return Err(bad("POST a location with `:edit` or `:publish`")),
    };
    let mut state = state.lock();
    let location = state.locations.get_mut(&id).ok_or_else(|| unknown(&id))?;
    match edit {
        Some((Editor::Owner, set)) => location.edit(set, false),
        Some((Editor::Google, set)) => location.edit_by_google(set),
        None if location.publish() => {}
        None => return Err(Refused(StatusCode::CONFLICT, format!("{} has nothing in review", id.resource_name()))),
    }
    let location = state.locations.get(&id).ok_or_else(|| unknown(&id))?;
    let mut report = location.report(&id, &state.taxonomy);
    // Read under the lock that every write takes, so edits and writes can be put in one order.
    report["time"] = json!(shown(Utc::now()));
    Ok(Json(report))
}
