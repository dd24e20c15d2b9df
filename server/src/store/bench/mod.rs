//! Rows for the benchmarks, which make and forget more of them than any API should.

pub(in crate::store) mod catalog;
pub(in crate::store) mod history;

use sqlx::{AssertSqlSafe, PgPool};

use crate::{
    domain::{
        BatchId, CategoryRole, CategorySet, DesiredState, Flag, FlagAtAcceptance, GbpCategory, GbpState, Gcid,
        ResolvedCategory, RunKind, RunOverrides, Slug, Strategy, observation_digest,
    },
    store::batches::{new_batch::NewBatch, target::BatchTarget},
};

/// Rows of a piece.
const PIECE_SIZE: i64 = 20_000;

/// Adds `tenants` tenants, `bench-0` and so on, each with a location and two categories.
///
/// # Errors
/// Those of the statements.
pub async fn fill(pool: &PgPool, tenants: u64) -> Result<(), sqlx::Error> {
    let tenants = i64::try_from(tenants).unwrap_or(i64::MAX);
    sqlx::query(
        "insert into platform_category (slug, display_name, gcid, created_at, updated_at)
         values ('cafe', 'Cafe', 'gcid:cafe', now(), now()), ('bakery', 'Bakery', 'gcid:bakery', now(), now())",
    )
    .execute(pool)
    .await?;
    in_pieces("made tenants", tenants, async |first, last| fill_piece(pool, first, last).await).await?;
    sqlx::query("analyze").execute(pool).await?;
    Ok(())
}

/// Works through `count` numbers in pieces, none of which comes near the time that a statement may take, however slow the machine is.
async fn in_pieces(
    what: &'static str,
    count: i64,
    work: impl AsyncFn(i64, i64) -> Result<(), sqlx::Error>,
) -> Result<(), sqlx::Error> {
    let mut done = 0;
    while done < count {
        let next = (done + PIECE_SIZE).min(count);
        work(done, next - 1).await?;
        done = next;
        tracing::info!(done, of = count, "{what}");
    }
    Ok(())
}

async fn fill_piece(pool: &PgPool, first: i64, last: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into tenant (id, display_name, gbp_account, gbp_location, region_code, language_code, created_at, updated_at)
         select 'bench-' || n, 'Store ' || n, '1', n::text, 'US', 'en', now(), now() from generate_series($1::bigint, $2) n",
    )
    .bind(first)
    .bind(last)
    .execute(pool)
    .await?;
    sqlx::query(
        "insert into tenant_category (tenant_id, position, slug)
         select 'bench-' || n, place.position, place.slug
           from generate_series($1::bigint, $2) n, (values (0, 'cafe'), (1, 'bakery')) place (position, slug)",
    )
    .bind(first)
    .bind(last)
    .execute(pool)
    .await?;
    // As a run has left them: what a tenant's very first run records, no other does.
    let (wanted, google) = in_sync();
    sqlx::query(
        "insert into tenant_sync (tenant_id, gbp_location, cause, cause_at, observed_at, digest, matches_baseline)
         select 'bench-' || n, n::text, 'in_sync', now(), now(), $3, true from generate_series($1::bigint, $2) n",
    )
    .bind(first)
    .bind(last)
    .bind(observation_digest(&wanted, Some(&google)))
    .execute(pool)
    .await?;
    Ok(())
}

/// What both sides of such a tenant have.
fn in_sync() -> (DesiredState, GbpState) {
    let category = |slug: &str| GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("a gcid"), "");
    let category_of = |role, slug: &str| ResolvedCategory {
        role,
        slug: Slug::parse(slug).expect("a slug"),
        gcid: Some(category(slug).gcid),
    };
    let set = CategorySet::new(category("cafe"), vec![category("bakery")]).expect("two categories");
    let categories = vec![category_of(CategoryRole::Primary, "cafe"), category_of(CategoryRole::Additional, "bakery")];
    let google = GbpState { merchant: Some(set.clone()), public: None, in_review: false, issues: Vec::new() };
    (DesiredState { categories, set: Ok(set) }, google)
}

/// Forgets every run, what came of it, and every request.
///
/// # Errors
/// Those of the statements.
pub async fn clear_runs(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("truncate run, run_history, last_success, rollup, rollup_delta, tenant_rollup, idempotency_key")
        .execute(pool)
        .await?;
    sqlx::query("update tenant_rollup_watermark set day = null, counted_to = null").execute(pool).await?;
    Ok(())
}

/// Switches the counting of ended runs on or off: pgbench is compared without it.
///
/// # Errors
/// Those of the statements.
pub async fn set_counting(pool: &PgPool, is_on: bool) -> Result<(), sqlx::Error> {
    let switch = if is_on { "enable" } else { "disable" };
    let switch = format!("alter table run_history {switch} trigger run_history_add_rollup_delta");
    sqlx::raw_sql(AssertSqlSafe(switch)).execute(pool).await.map(drop)
}

/// A batch of every tenant that [`fill`] made.
#[must_use]
pub fn everybody(tenants: u64) -> NewBatch {
    NewBatch {
        id: BatchId::now_v7(),
        target: BatchTarget { organization: None, visible_tenants: None },
        kind: RunKind { strategy: Strategy::PlatformToGbp, dry_run: false },
        flag_at_acceptance: FlagAtAcceptance {
            flag: Flag::CategoryMirroring,
            rollout: None,
            forced: None,
            on_by_default: true,
        },
        confirmed: Some(i64::try_from(tenants).unwrap_or(i64::MAX)),
        overrides: Vec::new(),
        run_overrides: RunOverrides::default(),
        reason: String::new(),
        caller: "bench".to_owned(),
        request_id: None,
        max_attempts: 5,
        max_live: usize::MAX,
    }
}

/// Queues a run of each of the first `runs` tenants that [`fill`] made, as one batch or as single requests.
///
/// # Errors
/// Those of the statements.
pub async fn queue(pool: &PgPool, runs: u64, bulk: bool) -> Result<(), sqlx::Error> {
    let runs = i64::try_from(runs).unwrap_or(i64::MAX);
    in_pieces("queued runs", runs, async |first, last| {
        sqlx::query(
            "insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, bulk, fairness_key, fairness_rank, caller, created_at)
             select overlay(gen_random_uuid()::text placing left(run_id_floor(clock_timestamp())::text, 14) || '7' from 1)::uuid,
                    'bench-' || n, 'platform_to_gbp', false, 'queued', 5, $3, case when $3 then 'batch' end,
                    case when $3 then n else 1 end, 'bench', now()
               from generate_series($1::bigint, $2) n",
        )
        .bind(first)
        .bind(last)
        .bind(bulk)
        .execute(pool)
        .await
        .map(drop)
    })
    .await?;
    sqlx::query("analyze run").execute(pool).await?;
    Ok(())
}

/// Clears up after the counts, as PostgreSQL does by itself within a minute.
///
/// # Errors
/// Those of the statements.
pub async fn clear_up(pool: &PgPool) -> Result<(), sqlx::Error> {
    for table in ["rollup", "rollup_delta", "tenant_rollup"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("vacuum (analyze) {table}"))).execute(pool).await?;
    }
    Ok(())
}

/// Waits until all that was written is on the disk.
///
/// # Errors
/// Those of the statements.
pub async fn checkpoint(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("checkpoint").execute(pool).await?;
    Ok(())
}

/// Whether a run is live.
///
/// # Errors
/// Those of the statements.
pub async fn is_busy(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select 1 from run)").fetch_one(pool).await
}

/// How many runs succeeded.
///
/// # Errors
/// Those of the statements.
pub async fn succeeded(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let count: i64 =
        sqlx::query_scalar("select count(*) from run_history where state = 'succeeded'").fetch_one(pool).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}
