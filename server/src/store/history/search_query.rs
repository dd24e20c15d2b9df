//! The conditions of lists of runs, and which index is certain to be the one to go by.

use sqlx::{Postgres, QueryBuilder};

use super::search::RunFilter;
use crate::domain::{RunId, RunState, Strategy};

impl RunFilter {
    /// The conditions that live and ended runs share. `leading`: the first column of the index to go by.
    pub(in crate::store) fn push(&self, query: &mut QueryBuilder<Postgres>, leading: Option<&'static str>) {
        match self.tenants().as_deref() {
            None => {}
            Some([tenant]) => push_value(query, "tenant_id", "", tenant, leading),
            Some(tenants) => {
                let tenants: Vec<String> = tenants.iter().map(ToString::to_string).collect();
                query.push(" and tenant_id = any (").push_bind(tenants).push(")");
            }
        }
        if let Some(batch) = self.batch {
            if leading == Some("batch_id") {
                query.push(" and batch_id is not null and batch_id = any (").push_bind(vec![batch]).push(")");
            } else {
                query.push(" and batch_id = ").push_bind(batch);
            }
        }
        if let Some(organization) = &self.organization {
            push_value(query, "organization_id", "", organization.as_str(), leading);
        }
        if let Some(strategy) = self.strategy {
            self.push_text(query, "strategy", strategy.as_str());
        }
        match self.dry_run {
            // One tenant's have an index of their own.
            Some(true) if self.has_a_certain_index() => drop(query.push(" and dry_run")),
            Some(dry_run) => self.push_flag(query, "dry_run", dry_run),
            None => {}
        }
        // One tenant has few runs: its index is the one to go by, and the planner, which cannot know that, is not to see others.
        let hidden = if self.names_tenants() { " || ''" } else { "" };
        for (column, value) in [("reason", &self.reason), ("caller", &self.caller)] {
            if let Some(value) = value {
                push_value(query, column, hidden, value, leading);
            }
        }
    }

    /// The first column of the index that is certain, unless it is one on nothing but the ids, or begins with the state.
    pub(in crate::store) fn leading_column(&self) -> Option<&'static str> {
        [
            (self.tenants().is_some(), "tenant_id"),
            (self.organization.is_some(), "organization_id"),
            (self.batch.is_some(), "batch_id"),
            (self.reason.is_some(), "reason"),
            (self.caller.is_some(), "caller"),
        ]
        .into_iter()
        .find_map(|(is_set, column)| is_set.then_some(column))
    }

    /// Whether the index that is certain has the state before the ids.
    pub(in crate::store) fn has_an_index_with(&self, state: RunState) -> bool {
        state != RunState::Succeeded && matches!(self.leading_column(), None | Some("tenant_id" | "organization_id"))
    }

    /// A condition on one of a few texts of ours: part of the statement, so that the planner sees which index it is for.
    pub(in crate::store) fn push_text(&self, query: &mut QueryBuilder<Postgres>, column: &str, text: &'static str) {
        query.push(format_args!(" and {column} = "));
        if self.names_tenants() {
            query.push_bind(text);
        } else {
            query.push(format_args!("'{text}'"));
        }
    }

    /// The same on a flag.
    pub(in crate::store) fn push_flag(&self, query: &mut QueryBuilder<Postgres>, column: &str, flag: bool) {
        if self.names_tenants() {
            query.push(format_args!(" and {column} = ")).push_bind(flag);
        } else {
            query.push(format_args!(" and {}{column}", if flag { "" } else { "not " }));
        }
    }

    /// Whether one index is the one to go by, whatever the values are: the tenant's, or that of the only condition that selects anything.
    /// An organization's runs in one state, and those that were out of sync, have one of their own; those of several tenants are not in the
    /// order of any.
    pub(in crate::store) fn has_a_certain_index(&self) -> bool {
        if let Some(tenants) = self.tenants() {
            return tenants.len() == 1;
        }
        let selective = [
            self.organization.is_some(),
            self.batch.is_some(),
            self.reason.is_some(),
            self.caller.is_some(),
            self.names_rare_states(),
            self.strategy == Some(Strategy::GbpToPlatform),
            self.dry_run == Some(true),
            self.out_of_sync,
        ];
        let conditions = selective.into_iter().filter(|is_set| *is_set).count();
        let of_organization_and_one_more =
            conditions == 2 && self.organization.is_some() && (self.names_rare_states() || self.out_of_sync);
        // What most runs are has no index: how far to walk for it, only a look can tell.
        let names_the_usual = self.dry_run == Some(false)
            || self.strategy == Some(Strategy::PlatformToGbp)
            || self.states.contains(&RunState::Succeeded);
        conditions == 1 || (conditions == 0 && !names_the_usual) || of_organization_and_one_more
    }

    /// Whether it names states, and none that most runs end in.
    pub(in crate::store) fn names_rare_states(&self) -> bool {
        !self.states.is_empty() && !self.states.contains(&RunState::Succeeded)
    }

    pub(in crate::store) fn names_tenants(&self) -> bool {
        self.tenant.is_some() || self.visible_tenants.is_some()
    }
}

/// The window of ids. `hidden`: so that no index on them looks like a way to find what is few anyhow.
pub(in crate::store) fn push_window(query: &mut QueryBuilder<Postgres>, begin: RunId, end: RunId, hidden: bool) {
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
        // Said for the indexes of what has one.
        query.push(format_args!(" and {column} is not null and {column} = any ("));
        query.push_bind(vec![value.to_owned()]).push(")");
    } else {
        query.push(format_args!(" and {column}{hidden} = ")).push_bind(value.to_owned());
    }
}
