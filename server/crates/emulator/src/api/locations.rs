//! The calls about locations.

use chrono::Utc;
use serde_json::{Value, json};

use crate::api::answer::GoogleError;
use crate::api::edit;
use crate::api::mask;
use crate::api::method::Call;
use crate::api::paging::Paging;
use crate::api::query::Query;
use crate::state::EmulatorState;
use crate::state::ids::LocationId;
use crate::state::location::Location;

/// `locations.get`: the merchant's view.
pub(crate) fn get(state: &EmulatorState, call: &Call, query: &Query) -> Result<Value, GoogleError> {
    query.check(&["readMask"], &[])?;
    let paths = mask::read_mask(query.required("readMask")?)?;
    let (id, location) = find(state, call)?;
    Ok(mask::apply(&paths, &location.resource(id, &state.taxonomy)))
}

/// `locations.getGoogleUpdated`: the public's view.
pub(crate) fn get_google_updated(state: &EmulatorState, call: &Call, query: &Query) -> Result<Value, GoogleError> {
    query.check(&["readMask"], &[])?;
    let paths = mask::read_mask(query.required("readMask")?)?;
    let (id, location) = find(state, call)?;
    Ok(location.google_updated(id, &state.taxonomy, |whole| mask::apply(&paths, whole)))
}

/// `locations.patch`, and its rehearsal with `validateOnly`.
pub(crate) fn patch(state: &mut EmulatorState, call: &Call, query: &Query, body: &[u8]) -> Result<Value, GoogleError> {
    query.check(&["updateMask", "validateOnly"], &[])?;
    let validate_only = query.flag("validateOnly")?;
    mask::update_mask(query.required("updateMask")?)?;
    let (id, _) = find(state, call)?;
    let categories = edit::read(body, &state.taxonomy)?;
    if validate_only {
        return Ok(json!({}));
    }
    let location = state.locations.get_mut(id).ok_or_else(GoogleError::not_found)?;
    location.edit(categories.clone(), state.review);
    state.calls.wrote(id, &categories, Utc::now());
    Ok(location.resource(id, &state.taxonomy))
}

/// `accounts.locations.list`; `accounts/-` lists those of every account.
pub(crate) fn list(state: &EmulatorState, call: &Call, query: &Query) -> Result<Value, GoogleError> {
    query.check(&["readMask", "pageSize", "pageToken", "filter", "orderBy"], &[])?;
    let paths = mask::read_mask(query.required("readMask")?)?;
    for unsupported in ["filter", "orderBy"] {
        if query.one(unsupported).is_some() {
            return Err(GoogleError::field(unsupported, "Not supported by this emulator."));
        }
    }
    let account = call.account.as_ref().ok_or_else(GoogleError::not_found)?;
    let is_wildcard = account.as_str() == "-";
    if !is_wildcard && !state.locations.has_account(account) {
        return Err(GoogleError::not_found());
    }
    let paging = Paging::read(query, account.as_str(), 10)?;
    let rest = state.locations.after(paging.after());
    let page = paging.cut(rest.filter(|(_, (_, location))| is_wildcard || location.account == *account));
    let locations =
        page.items.iter().map(|(id, location)| mask::apply(&paths, &location.resource(id, &state.taxonomy)));
    let locations: Vec<_> = locations.collect();
    let mut answer = json!({});
    if !locations.is_empty() {
        answer["locations"] = json!(locations);
    }
    if let Some(token) = page.next {
        answer["nextPageToken"] = json!(token);
    }
    Ok(answer)
}

fn find<'w, 'c>(state: &'w EmulatorState, call: &'c Call) -> Result<(&'c LocationId, &'w Location), GoogleError> {
    let found = call.location.as_ref().and_then(|id| Some((id, state.locations.get(id)?)));
    found.ok_or_else(GoogleError::not_found)
}
