//! What is to be known of a run's life: the model's run, and the table's, which must be equal.

use sqlx::{FromRow, Row, postgres::PgRow};

/// What the table should say of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Life {
    pub(super) tenant_id: String,
    pub(super) dry_run: bool,
    pub(super) state: String,
    pub(super) attempt: i32,
    pub(super) handed_back: i32,
    pub(super) revision: i64,
    /// Its organization's line, if it has one.
    pub(super) lane: Option<String>,
    /// Its place in line.
    pub(super) turn: i64,
    /// When it comes back to the line, while it is queued and not in it.
    pub(super) due: Option<i64>,
    pub(super) rescues: i32,
    pub(super) lease: Option<i64>,
    pub(super) ended: Option<i64>,
    pub(super) cancel_requested: bool,
    pub(super) intent: bool,
}

impl FromRow<'_, PgRow> for Life {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            tenant_id: row.try_get("tenant_id")?,
            dry_run: row.try_get("dry_run")?,
            state: row.try_get("state")?,
            attempt: row.try_get("attempt")?,
            handed_back: row.try_get("handed_back")?,
            revision: row.try_get("revision")?,
            lane: row.try_get("lane")?,
            turn: row.try_get("turn")?,
            due: row.try_get("due")?,
            rescues: row.try_get("rescues")?,
            lease: row.try_get("lease")?,
            ended: row.try_get("ended")?,
            cancel_requested: row.try_get("cancel_requested")?,
            intent: row.try_get("intent")?,
        })
    }
}

impl Life {
    pub(super) fn is_live(&self) -> bool {
        self.state == "queued" || self.state == "running"
    }

    pub(super) fn is_held(&self, fence: i32) -> bool {
        self.state == "running" && self.attempt == fence
    }

    pub(super) fn is_in_line(&self) -> bool {
        self.state == "queued" && self.due.is_none()
    }

    /// Waits until `due` for its next attempt, or for its turn.
    pub(super) fn queue(&mut self, due: Option<i64>) {
        (self.state, self.due, self.lease) = ("queued".to_owned(), due, None);
        self.revision += 1;
    }

    /// Is over, and has no place in any line.
    pub(super) fn end(&mut self, state: &str, now: i64) {
        (self.state, self.ended, self.lease, self.due) = (state.to_owned(), Some(now), None, None);
        (self.lane, self.turn, self.rescues) = (None, 0, 0);
        self.revision += 1;
    }
}
