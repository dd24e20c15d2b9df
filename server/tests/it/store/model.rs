//! What is to be known of a run's life: the model's run, and the table's, which must be equal.

use sqlx::{FromRow, Row, postgres::PgRow};

/// What the table should say of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Life {
    pub(super) tenant_id: String,
    pub(super) dry_run: bool,
    pub(super) state: String,
    pub(super) fencing_token: i32,
    pub(super) uncounted_attempts: i32,
    pub(super) revision: i64,
    /// Its organization's line, if it has one.
    pub(super) fairness_key: Option<String>,
    /// Its place in line.
    pub(super) fairness_rank: i64,
    /// When it comes back to the line, while it is queued and not in it.
    pub(super) due: Option<i64>,
    pub(super) lease_expirations: i32,
    pub(super) lease: Option<i64>,
    pub(super) ended: Option<i64>,
    pub(super) cancel_requested: bool,
    pub(super) write_intent: bool,
}

impl FromRow<'_, PgRow> for Life {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            tenant_id: row.try_get("tenant_id")?,
            dry_run: row.try_get("dry_run")?,
            state: row.try_get("state")?,
            fencing_token: row.try_get("fencing_token")?,
            uncounted_attempts: row.try_get("uncounted_attempts")?,
            revision: row.try_get("revision")?,
            fairness_key: row.try_get("fairness_key")?,
            fairness_rank: row.try_get("fairness_rank")?,
            due: row.try_get("due")?,
            lease_expirations: row.try_get("lease_expirations")?,
            lease: row.try_get("lease")?,
            ended: row.try_get("ended")?,
            cancel_requested: row.try_get("cancel_requested")?,
            write_intent: row.try_get("write_intent")?,
        })
    }
}

impl Life {
    pub(super) fn is_live(&self) -> bool {
        self.state == "queued" || self.state == "running"
    }

    pub(super) fn is_held(&self, fencing_token: i32) -> bool {
        self.state == "running" && self.fencing_token == fencing_token
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
        (self.fairness_key, self.fairness_rank, self.lease_expirations) = (None, 0, 0);
        self.revision += 1;
    }
}
