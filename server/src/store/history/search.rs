//! Lists of runs, newest first, by any filter.
//!
//! The history is looked at in windows of its ids, which are times: few partitions at once, and a list that is full after a few days of
//! history costs these, however many there are. A filter that finds little gets wider windows, and an end to the time it takes.
//!
//! Planning a statement for each of many partitions takes ten times as long as executing it. So where it is certain which index to go
//! by, it is planned once for any values, and its windows are wide: each day is read in the order of the ids, and no further than the list
//! is long. Only where that depends on which of two conditions is the rarer one, each window is planned for its own values.
//!
//! The index to go by is not left to the planner's estimates. A statement that is planned once orders by all columns of
//! that index, in a form in which none of them is known to be constant, and its connections never sort
//! (`connections/pools.rs`): no other index has this order.

use std::time::{Duration, Instant};

use chrono::Utc;
use sqlx::QueryBuilder;

use super::{
    first_id::first_id,
    search_query::{SearchQuery, push_window},
};
use crate::{
    domain::{Run, RunFilter, RunId, RunState},
    error::Error,
    store::{
        handle::Store,
        row::{LightRunRow, light_columns},
    },
};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Days of the first window, where each is planned, and where none is.
const INITIAL_WINDOW_DAYS: [u64; 2] = [1, 16];
/// A window that took less than this is followed by a wider one.
const FAST_WINDOW: Duration = Duration::from_millis(50);
/// How long a list is looked for; then it is what was found until then.
const SEARCH_BUDGET: Duration = Duration::from_millis(300);
/// Windows grow by this in either case, unless one has found something that tells how far to look; from
/// [`MAX_WINDOW_DAYS`] days on they reach to the beginning.
const WINDOW_GROWTH: [u64; 2] = [4, 16];
const MAX_WINDOW_DAYS: u64 = 256;

/// Runs that were found.
#[derive(Debug, Clone)]
pub struct RunSearchPage {
    /// The runs, newest first, without plans and written changes.
    pub runs: Vec<Run>,
    /// The search took too long: whether there are more before this id was not looked at.
    pub rest: Option<RunId>,
}

impl Store {
    /// Lists runs, newest first, older than `before`, at most `limit`, without plans and written changes.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn logs(&self, filter: &RunFilter, before: Option<RunId>, limit: i64) -> Result<RunSearchPage, Error> {
        let began = Instant::now();
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let oldest = filter.accepted_from.map_or(RunId::nil(), first_id);
        let newest = filter.accepted_before.map_or(RunId::max(), first_id);
        let mut end = before.map_or(newest, |before| before.min(newest));
        let certain = SearchQuery(filter).has_a_certain_index();
        // A run accepted since then has ended since then. Few others have, soon before it as a rule; a wide window would look at every run
        // of its days for them.
        let ended_from = filter.ended_from.map_or(RunId::nil(), first_id);
        let mut days = INITIAL_WINDOW_DAYS[usize::from(certain)];
        let mut runs = Vec::new();
        while runs.len() < wanted && end > oldest {
            let started = Instant::now();
            let mut begin = window_begin(end, days).max(oldest);
            if end > ended_from {
                begin = begin.max(ended_from);
            }
            let left = i64::try_from(wanted - runs.len()).unwrap_or(i64::MAX);
            let found = self.window(filter, begin, end, left).await?;
            days = if begin == ended_from {
                1
            } else if certain && !found.is_empty() {
                // As far as the rest reaches if it is as dense, and half as far again: each day costs something.
                let rest = wanted - runs.len() - found.len();
                (days * rest as u64 * 3 / (found.len() as u64 * 2)).max(INITIAL_WINDOW_DAYS[1])
            } else if started.elapsed() < FAST_WINDOW {
                days * WINDOW_GROWTH[usize::from(certain)]
            } else {
                days
            };
            runs.extend(found.into_iter().map(|row| row.0));
            end = begin;
            if began.elapsed() > SEARCH_BUDGET && runs.len() < wanted && end > oldest {
                return Ok(RunSearchPage { runs, rest: Some(end) });
            }
        }
        Ok(RunSearchPage { runs, rest: None })
    }

    async fn window(
        &self,
        filter: &RunFilter,
        begin: RunId,
        end: RunId,
        limit: i64,
    ) -> Result<Vec<LightRunRow>, sqlx::Error> {
        let (mut query, search) = (QueryBuilder::new(""), SearchQuery(filter));
        let is_wanted = |state: &RunState| filter.states.is_empty() || filter.states.contains(state);
        let ended_states: Vec<Option<RunState>> = if filter.states.is_empty() {
            vec![None]
        } else {
            filter.states.iter().filter(|state| state.is_terminal()).map(|state| Some(*state)).collect()
        };
        let live = [RunState::Queued, RunState::Running].iter().any(is_wanted);
        let live = live && !filter.out_of_sync && filter.ended_from.is_none();
        // Each part has a limit of its own, and so reads no more of its index than that; states are parts for the same reason.
        let mut parts = 0;
        let is_certain = search.has_a_certain_index();
        if live {
            query.push(concat!(
                "(select ",
                light_columns!(),
                ", next_attempt_at, null::timestamptz as ended_at from run"
            ));
            let is_of_one_tenant = filter.tenants().is_some_and(|tenants| tenants.len() == 1);
            push_window(&mut query, begin, end, is_of_one_tenant);
            let leading = search.leading_column().filter(|column| is_certain && *column == "batch_id");
            search.push(&mut query, leading);
            if !filter.states.is_empty() {
                let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
                query.push(" and state = any (").push_bind(states).push(")");
            }
            // A tenant has one live run at most, which is in no order, and is not to be found by a walk over all.
            if !is_of_one_tenant {
                let order = if leading.is_some() { "batch_id desc, " } else { "" };
                query.push(format_args!(" order by {order}id desc limit ")).push_bind(limit);
            }
            query.push(")");
            parts += 1;
        }
        for state in ended_states {
            query.push(if parts > 0 { " union all " } else { "" });
            query.push(concat!(
                "(select ",
                light_columns!(),
                ", null::timestamptz as next_attempt_at, ended_at from run_history"
            ));
            push_window(&mut query, begin, end, false);
            let leading = search.leading_column().filter(|_| is_certain);
            search.push(&mut query, leading);
            if filter.out_of_sync {
                search.push_flag(&mut query, "out_of_sync", true);
            }
            if let Some(ended_from) = filter.ended_from {
                query.push(" and ended_at >= ").push_bind(ended_from);
            }
            let mut order = leading.map(|column| format!("{column} desc, ")).unwrap_or_default();
            if let Some(state) = state {
                let text = state.as_str();
                if is_certain && search.has_an_index_with(state) {
                    // A range of one value: as an equality, the planner would take the column for constant, and the order for another's.
                    query.push(format_args!(" and state >= '{text}' and state <= '{text}' and state <> 'succeeded'"));
                    order += "state desc, ";
                } else if is_certain {
                    query.push(format_args!(" and state = '{text}'"));
                } else {
                    search.push_text(&mut query, "state", text);
                }
            }
            query.push(format_args!(" order by {order}id desc limit ")).push_bind(limit).push(")");
            parts += 1;
        }
        if parts == 0 {
            return Ok(Vec::new());
        }
        if parts > 1 {
            query.push(" order by id desc limit ").push_bind(limit);
        }
        if is_certain {
            return query.build_query_as().fetch_all(&self.history_pool).await;
        }
        // Planned for these very values: a plan for any window would take it for narrow, and walk all ids of a wide one.
        query.build_query_as().persistent(false).fetch_all(&self.pool).await
    }
}

/// The first id of the window of `days` days that ends before `end`. The days are whole: each is a partition.
fn window_begin(end: RunId, days: u64) -> RunId {
    if days >= MAX_WINDOW_DAYS {
        return RunId::nil();
    }
    let last_ms = u64::try_from(end.as_u128().saturating_sub(1) >> 80).unwrap_or(u64::MAX);
    // Ids of the future are few, and all of them belong to the first window.
    let last_ms = last_ms.min(u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default());
    let begin = (last_ms / DAY_MS * DAY_MS).saturating_sub((days - 1) * DAY_MS);
    RunId::from_u128(u128::from(begin) << 80)
}
