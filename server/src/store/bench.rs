//! Rows for the benchmarks, which make and forget more of them than any API should.

use sqlx::PgPool;

/// Adds `tenants` tenants, `bench-0` and so on, each with a location and two categories.
///
/// # Errors
/// The database's.
pub async fn fill(pool: &PgPool, tenants: u64) -> Result<(), sqlx::Error> {
    let tenants = i64::try_from(tenants).unwrap_or(i64::MAX);
    sqlx::query(
        "insert into platform_category (slug, display_name, gcid, created_at, updated_at)
         values ('cafe', 'Cafe', 'gcid:cafe', now(), now()), ('bakery', 'Bakery', 'gcid:bakery', now(), now())",
    )
    .execute(pool)
    .await?;
    sqlx::query(
        "insert into tenant (id, display_name, gbp_account, gbp_location, region_code, language_code, created_at, updated_at)
         select 'bench-' || n, 'Store ' || n, '1', n::text, 'US', 'en', now(), now() from generate_series(0, $1 - 1) n",
    )
    .bind(tenants)
    .execute(pool)
    .await?;
    sqlx::query(
        "insert into tenant_category (tenant_id, position, slug)
         select 'bench-' || n, place.position, place.slug
           from generate_series(0, $1 - 1) n, (values (0, 'cafe'), (1, 'bakery')) place (position, slug)",
    )
    .bind(tenants)
    .execute(pool)
    .await?;
    sqlx::query("analyze").execute(pool).await?;
    Ok(())
}

/// Forgets every run and every request.
///
/// # Errors
/// The database's.
pub async fn sweep(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("truncate run, mirror_request").execute(pool).await?;
    Ok(())
}
