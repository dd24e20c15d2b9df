//! Idempotency keys: for 24 hours, a replayed request gets its recorded response.

use aws_lc_rs::digest;
use uuid::Uuid;

use super::{connections::Connection, handle::Store, statement::StatementTime};
use crate::{
    domain::{Run, RunKind, RunOptions, TenantId},
    error::Error,
};

/// What a request is answered with that starts neither a run nor a batch.
pub(super) const NO_RUN: Uuid = Uuid::nil();

/// A request id and its arguments, as the table keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Of the caller and the request id.
    pub(super) key: Uuid,
    /// Of the arguments.
    pub(super) fingerprint: Uuid,
}

/// The first answer to a request id that was given with the same arguments.
#[derive(Debug, Clone)]
pub struct RecordedResponse {
    /// The run, as it is now. `None`: the request started none.
    pub run: Option<Run>,
    /// Whether the request joined it.
    pub joined: bool,
}

impl IdempotencyKey {
    /// The key of a caller's request: `arguments` holds every field of it, and what it was called by where two calls have the same fields.
    #[must_use]
    pub fn new(caller: &str, request_id: &str, arguments: &[impl AsRef<str>]) -> Self {
        Self { key: digest_128(&[caller, request_id]), fingerprint: digest_128(arguments) }
    }

    /// Records `answer` for the key, a run or a batch, unless it was answered within 24 hours. Returns whether it did.
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

/// The fields of a request for a run, where `options` are as the request says them.
#[must_use]
pub fn arguments(tenant: &TenantId, kind: RunKind, options: &RunOptions) -> Vec<String> {
    let dry_run = if kind.dry_run { "dry" } else { "real" };
    let mut arguments = vec![tenant.to_string(), kind.strategy.to_string(), dry_run.to_owned()];
    if !options.is_empty() {
        arguments.push(serde_json::to_string(options).expect("texts and lists of texts"));
    }
    arguments
}

/// Half of the SHA-256 of texts and their lengths, so that no two lists of texts run together.
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
    /// Gets the first answer to a request, where it was answered within 24 hours. What that answer names may be gone since: then there is
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
