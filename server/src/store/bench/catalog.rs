//! A catalog for the benchmark of expensive calls: Google's lists and the platform's categories, with names of three words.

use sqlx::PgPool;

/// Words of names, as common as those of business categories are.
const WORDS: &str = "'{store,shop,restaurant,service,center,school,repair,supplier,american,auto,equipment,rental,manufacturer,company,market,\
                       contractor,italian,office,club,park,clinic,doctor,food,furniture,garden,hotel,house,ice,insurance,japanese,kitchen,\
                       lawyer,medical,museum,music,night,organic,paint,pet,pizza,plumbing,print,real,estate,sauna,seafood,shoe,sports,\
                       station,steak,studio,tax,tea,theater,tile,tour,toy,travel,used,wine}'::text[]";

/// Adds a list of `listed` categories in each of `locales` regions (`US` is the first), and `mapped` platform categories, every second one
/// without a mapping.
///
/// # Errors
/// Those of the statements.
pub async fn fill_catalog(pool: &PgPool, locales: i32, listed: i32, mapped: i32) -> Result<(), sqlx::Error> {
    let name = format!(
        "initcap(({WORDS})[1 + n % 60] || ' ' || ({WORDS})[1 + n / 60 % 60] || ' ' || ({WORDS})[1 + n * 7 % 60])"
    );
    let fill = format!(
        "insert into taxonomy_version (region_code, language_code, version, category_count, added, renamed, retired, caller, allow_shrink_reason,
                                       imported_at, checked_at)
         select region, 'en', 1, {listed}, {listed}, 0, 0, 'bench', '', now(), now()
           from (select case when nth = 0 then 'US' else 'A' || chr(65 + nth % 26) end as region
                   from generate_series(0, {locales} - 1) nth) regions
         on conflict do nothing;
         insert into taxonomy_category (region_code, language_code, since_version, gcid, display_name)
         select region_code, 'en', 1, 'gcid:c_' || n, {name}
           from taxonomy_version, generate_series(1, {listed}) n
         on conflict do nothing;
         insert into platform_category (slug, display_name, gcid, created_at, updated_at)
         select 'bench-' || n, {name} || ' ' || n % 10, case when n % 2 = 0 then 'gcid:c_' || 1 + n % {listed} end, now(), now()
           from generate_series(1, {mapped}) n;
         analyze taxonomy_category;
         analyze platform_category"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill)).execute(pool).await?;
    Ok(())
}
