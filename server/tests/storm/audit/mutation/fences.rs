//! Lies about whom writes reached, when the kill switch was off, what joined runs did, and what time it was.

use chrono::TimeDelta;
use serde_json::Value;

use super::Forgery;
use crate::{
    ask::Deed,
    evidence::{Evidence, Row},
    record::Accepted,
    settings::{Binding, Switched},
    witness,
};

pub(super) const FORGERIES: [Forgery; 9] = [
    ("which is not its location by then", |evidence| {
        let patches = evidence.patches.iter().filter_map(|patch| Some((patch.took_effect?, &patch.location)));
        let is_its = |location: &String| {
            let mut tenants = evidence.tenants.iter().map(|tenant| &tenant.address);
            tenants.find(|address| address.location == *location).map(|address| address.tenant.clone())
        };
        let moves = patches.filter_map(|(at, location)| Some((at, is_its(location)?)));
        let moves = moves.map(|(at, tenant)| Binding { at: at - TimeDelta::microseconds(1), tenant, location: None });
        let moves: Vec<_> = moves.collect();
        evidence.bindings.extend(moves.iter().cloned());
        (!moves.is_empty()).then_some(())
    }),
    ("had others since", |evidence| {
        let is_adoption = |row: &&Row| {
            let is_revert = row.options.as_ref().is_some_and(|options| options["revert_of"] != Value::Null);
            row.strategy == "gbp_to_platform" && !is_revert && row.written != serde_json::json!([])
        };
        let tenant = evidence.rows.iter().find(is_adoption)?.tenant.clone();
        evidence.bindings.retain(|binding| binding.tenant != tenant);
        Some(())
    }),
    ("places: locations/", |evidence| {
        let spot = evidence.spots.first_mut()?;
        spot.shown = Some(spot.shown.clone()?.other(&mut fastrand::Rng::with_seed(1)));
        Some(())
    }),
    ("and the kill switch was off since", |evidence| {
        let first = evidence.patches.iter().map(|patch| patch.received).min()?;
        evidence.switches = vec![Switched::off(first - TimeDelta::seconds(10))];
        Some(())
    }),
    ("before it was joined", |evidence| {
        let accepted = evidence.notes.accepted.iter().find(|accepted| ended(evidence, accepted, "succeeded"))?;
        let (tenant, name, at) = (accepted.tenant.clone(), accepted.name.clone(), accepted.at);
        let first = evidence.platform.iter().find(|turn| turn.tenant == tenant)?.clone();
        evidence.platform.retain(|turn| turn.tenant != tenant);
        let planned = evidence.rows.iter().find(|row| row.id == witness::id(&name))?.plan.clone()?;
        let (_, desired) = crate::ask::ends_of(&planned)?;
        let mut late = first.with(&desired.other(&mut fastrand::Rng::with_seed(1)));
        late.at = at - TimeDelta::microseconds(1);
        evidence.platform.push(late);
        evidence.notes.accepted.iter_mut().filter(|accepted| accepted.name == name).for_each(|one| one.joined = true);
        Some(())
    }),
    ("which was to be cancelled since", |evidence| {
        let accepted = evidence.notes.accepted.iter().position(|accepted| ended(evidence, accepted, "cancelled"))?;
        let last = evidence.journal.last()?.at;
        let accepted = &mut evidence.notes.accepted[accepted];
        (accepted.joined, accepted.at) = (true, last);
        Some(())
    }),
    ("than by the database's clock", |evidence| {
        evidence.rows.first_mut()?.created_at -= TimeDelta::minutes(10);
        Some(())
    }),
    ("are of another time than their runs", |evidence| {
        // As if it had been accepted ten minutes earlier, by all but its id.
        let id = evidence.rows.first()?.id;
        let first = evidence.journal.iter_mut().find(|entry| entry.run == id && entry.before.is_none())?;
        first.at -= TimeDelta::minutes(10);
        Some(())
    }),
    ("tenants have another last run than the service says", |evidence| {
        evidence.last_runs.clear();
        Some(())
    }),
];

/// Whether a request for a run that makes a location equal to the platform led to one that ended like this.
fn ended(evidence: &Evidence, accepted: &Accepted, state: &str) -> bool {
    let id = witness::id(&accepted.name);
    let is_it = |row: &Row| row.id == id && row.state == state && row.strategy == "platform_to_gbp";
    matches!(accepted.ask.deed, Deed::Mirror) && evidence.rows.iter().any(is_it)
}
