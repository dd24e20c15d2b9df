//! Idempotency keys: for 24 hours, a replayed request gets its recorded response.

use aws_lc_rs::digest;
use uuid::Uuid;

use super::{connections::Connection, handle::Store, statement::StatementTime};
use crate::{
    domain::{Run, RunKind, RunOptions, TenantId},
    error::Error,
};

/// The recorded response of a request that created neither a run nor a batch.
pub(super) const NO_RUN: Uuid = Uuid::nil();

/// A request id and its arguments, as the table keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Digest of the caller and the request id.
    pub(super) key: Uuid,
    /// Digest of the arguments.
    pub(super) fingerprint: Uuid,
}

/// The recorded response to a request with the same id and arguments.
#[derive(Debug, Clone)]
pub struct RecordedResponse {
    /// The run in its current state. `None`: the request created none.
    pub run: Option<Run>,
    /// Whether the request joined it.
    pub joined: bool,
}

impl IdempotencyKey {
    /// Returns the key of a caller's request: `arguments` holds every field, and the name of the call where two calls have the same fields.
    #[must_use]
    pub fn new(caller: &str, request_id: &str, arguments: &[impl AsRef<str>]) -> Self {
        Self { key: digest_128(&[caller, request_id]), fingerprint: digest_128(arguments) }
    }

    /// Records `answer`, a run or a batch, as the response, unless one was recorded within 24 hours. Returns whether it did.
    /// Waits for a transaction that does the same.
    pub(super) async fn claim(
        self,
        connection: &mut Connection,
        now: StatementTime,
        answer: Uuid,
    ) -> Result<bool, sqlx::Error> {
        let ours = sqlx::query(
            "insert into idempotency_key as first (key, fingerprint, result_id, joined, created_at)
             values ($1, $2, $3, false, coalesce($4, now()))
             on conflict (key) do update
                set fingerprint = excluded.fingerprint, result_id = excluded.result_id,
                    joined = excluded.joined, created_at = excluded.created_at
              where first.created_at < excluded.created_at - interval '24 hours'
             returning 1",
        )
        .bind(self.key)
        .bind(self.fingerprint)
        .bind(answer)
        .bind(now)
        .fetch_optional(connection)
        .await?;
        Ok(ours.is_some())
    }

    /// Makes the key that of a request that starts no run, unless it was answered: then it returns so. A second call
    /// with the same id waits here for the first one's commit.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] when it was answered with other arguments, [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub(super) async fn is_answered_without_run(
        self,
        connection: &mut Connection,
        now: StatementTime,
        request_id: &str,
    ) -> Result<bool, Error> {
        if self.claim(connection, now, NO_RUN).await? {
            return Ok(false);
        }
        let fingerprint: Uuid = sqlx::query_scalar("select fingerprint from idempotency_key where key = $1")
            .bind(self.key)
            .fetch_one(connection)
            .await?;
        if fingerprint == self.fingerprint { Ok(true) } else { Err(Error::RequestIdReused(request_id.to_owned())) }
    }
}

/// Returns the fields of a request for a run whose `options` are those of the request.
#[must_use]
pub fn arguments(tenant: &TenantId, kind: RunKind, options: &RunOptions) -> Vec<String> {
    let dry_run = if kind.dry_run { "dry" } else { "real" };
    let mut arguments = vec![tenant.to_string(), kind.strategy.to_string(), dry_run.to_owned()];
    if !options.is_empty() {
        arguments.push(serde_json::to_string(options).expect("texts and lists of texts"));
    }
    arguments
}

/// Returns half of the SHA-256 of texts and their lengths: with the lengths, different lists never concatenate to the same text.
fn digest_128(texts: &[impl AsRef<str>]) -> Uuid {
    let mut context = digest::Context::new(&digest::SHA256);
    for text in texts {
        let text = text.as_ref();
        context.update(&text.len().to_le_bytes());
        context.update(text.as_bytes());
    }
    let mut half = [0; 16];
    half.copy_from_slice(&context.finish().as_ref()[..16]);
    Uuid::from_bytes(half)
}

impl Store {
    /// Gets the recorded response to a request of the last 24 hours. If its run no longer exists, there is
    /// none.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] when it was answered with other arguments, [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn recorded_response(
        &self,
        now: StatementTime,
        request: IdempotencyKey,
        request_id: &str,
    ) -> Result<Option<RecordedResponse>, Error> {
        let first: Option<(Uuid, Uuid, bool)> = sqlx::query_as(
            "select fingerprint, result_id, joined from idempotency_key
              where key = $1 and created_at >= coalesce($2, now()) - interval '24 hours'",
        )
        .bind(request.key)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        match first {
            None => Ok(None),
            Some((fingerprint, ..)) if fingerprint != request.fingerprint => {
                Err(Error::RequestIdReused(request_id.to_owned()))
            }
            Some((_, NO_RUN, joined)) => Ok(Some(RecordedResponse { run: None, joined })),
            Some((_, run, joined)) => Ok(self.run(run).await?.map(|run| RecordedResponse { run: Some(run), joined })),
        }
    }

    /// Deletes up to `limit` recorded responses that are older than 24 hours. Returns how many.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn delete_expired_requests(&self, now: StatementTime, limit: u64) -> Result<u64, Error> {
        let done = sqlx::query(
            "delete from idempotency_key
              where ctid = any (array(select ctid from idempotency_key
                                       where created_at < coalesce($1, now()) - interval '24 hours'
                                       limit $2
                                         for update skip locked))",
        )
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
