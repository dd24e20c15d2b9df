//! The conditions of lists of runs, and which index is certain to be the one to go by.

use sqlx::{Postgres, QueryBuilder};

use crate::domain::{RunFilter, RunId, RunState, Strategy};

/// A list of runs as SQL.
#[derive(Clone, Copy)]
pub(super) struct SearchQuery<'a>(pub(super) &'a RunFilter);

impl SearchQuery<'_> {
    /// The conditions that live and ended runs share. `leading`: the first column of the index to go by.
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>, leading: Option<&'static str>) {
        match self.0.tenants().as_deref() {
            None => {}
            Some([tenant]) => push_value(query, "tenant_id", "", tenant, leading),
            Some(tenants) => {
                let tenants: Vec<String> = tenants.iter().map(ToString::to_string).collect();
                query.push(" and tenant_id = any (").push_bind(tenants).push(")");
            }
        }
        if let Some(batch) = self.0.batch {
            if leading == Some("batch_id") {
                query.push(" and batch_id is not null and batch_id = any (").push_bind(vec![batch]).push(")");
            } else {
                query.push(" and batch_id = ").push_bind(batch);
            }
        }
        if let Some(organization) = &self.0.organization {
            push_value(query, "organization_id", "", organization.as_str(), leading);
        }
        if let Some(strategy) = self.0.strategy {
            self.push_text(query, "strategy", strategy.as_str());
        }
        match self.0.dry_run {
            // One tenant's have an index of their own.
            Some(true) if self.has_a_certain_index() => drop(query.push(" and dry_run")),
            Some(dry_run) => self.push_flag(query, "dry_run", dry_run),
            None => {}
        }
        // One tenant has few runs: its index is the one to go by, and the planner, which cannot know that, is not to see others.
        let hidden = if self.names_tenants() { " || ''" } else { "" };
        for (column, value) in [("reason", &self.0.reason), ("caller", &self.0.caller)] {
            if let Some(value) = value {
                push_value(query, column, hidden, value, leading);
            }
        }
    }

    /// The first column of the index that is certain, unless it is one on nothing but the ids, or begins with the state.
    pub(super) fn leading_column(&self) -> Option<&'static str> {
        [
            (self.0.tenants().is_some(), "tenant_id"),
            (self.0.organization.is_some(), "organization_id"),
            (self.0.batch.is_some(), "batch_id"),
            (self.0.reason.is_some(), "reason"),
            (self.0.caller.is_some(), "caller"),
        ]
        .into_iter()
        .find_map(|(is_set, column)| is_set.then_some(column))
    }

    /// Whether the index that is certain has the state before the ids.
    pub(super) fn has_an_index_with(&self, state: RunState) -> bool {
        state != RunState::Succeeded && matches!(self.leading_column(), None | Some("tenant_id" | "organization_id"))
    }

    /// A condition on a text of a closed set: a literal of the statement, so that the planner sees which index it is for.
    pub(super) fn push_text(&self, query: &mut QueryBuilder<Postgres>, column: &str, text: &'static str) {
        query.push(format_args!(" and {column} = "));
        if self.names_tenants() {
            query.push_bind(text);
        } else {
            query.push(format_args!("'{text}'"));
        }
    }

    /// The same on a flag.
    pub(super) fn push_flag(&self, query: &mut QueryBuilder<Postgres>, column: &str, flag: bool) {
        if self.names_tenants() {
            query.push(format_args!(" and {column} = ")).push_bind(flag);
        } else {
            query.push(format_args!(" and {}{column}", if flag { "" } else { "not " }));
        }
    }

    /// Whether one index is the one to go by, whatever the values are: the tenant's, or that of the only condition that selects anything.
    /// An organization's runs in one state, and those that were out of sync, have one of their own; those of several tenants are not in the
    /// order of any.
    pub(super) fn has_a_certain_index(&self) -> bool {
        if let Some(tenants) = self.0.tenants() {
            return tenants.len() == 1;
        }
        let selective = [
            self.0.organization.is_some(),
            self.0.batch.is_some(),
            self.0.reason.is_some(),
            self.0.caller.is_some(),
            self.names_rare_states(),
            self.0.strategy == Some(Strategy::GbpToPlatform),
            self.0.dry_run == Some(true),
            self.0.out_of_sync,
        ];
        let conditions = selective.into_iter().filter(|is_set| *is_set).count();
        let of_organization_and_one_more =
            conditions == 2 && self.0.organization.is_some() && (self.names_rare_states() || self.0.out_of_sync);
        // A condition that most runs meet has no index: how far a walk has to go depends on the data.
        let names_the_usual = self.0.dry_run == Some(false)
            || self.0.strategy == Some(Strategy::PlatformToGbp)
            || self.0.states.contains(&RunState::Succeeded);
        conditions == 1 || (conditions == 0 && !names_the_usual) || of_organization_and_one_more
    }

    /// Whether it names states, and none that most runs end in.
    fn names_rare_states(&self) -> bool {
        !self.0.states.is_empty() && !self.0.states.contains(&RunState::Succeeded)
    }

    fn names_tenants(&self) -> bool {
        self.0.tenant.is_some() || self.0.visible_tenants.is_some()
    }
}

/// The window of ids. `hidden` keeps the planner from taking an index on ids where few rows match anyway.
pub(super) fn push_window(query: &mut QueryBuilder<Postgres>, begin: RunId, end: RunId, hidden: bool) {
    let (id, value) = if hidden { ("id::text collate \"C\"", "::uuid::text") } else { ("id", "") };
    query.push(format_args!(" where {id} >= ")).push_bind(begin).push(value);
    query.push(format_args!(" and {id} < ")).push_bind(end).push(value);
}

/// A condition on one value of a column. On the leading one it is a list of one value, which the planner does not take for a constant.
fn push_value(
    query: &mut QueryBuilder<Postgres>,
    column: &str,
    hidden: &str,
    value: &str,
    leading: Option<&'static str>,
) {
    if leading == Some(column) {
        // Repeats the predicate of the partial index, so that the planner may use it.
        query.push(format_args!(" and {column} is not null and {column} = any ("));
        query.push_bind(vec![value.to_owned()]).push(")");
    } else {
        query.push(format_args!(" and {column}{hidden} = ")).push_bind(value.to_owned());
    }
}
