//! An additive migration while the servers run, as the first half of a rolling upgrade: each table gets one more column.

use std::time::Duration;

use tokio::time::sleep;

use crate::stage::Stage;

/// Partitions get it with their table.
const TABLES: &str = "
    select format('%I', relname)
      from pg_class
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition and relname !~ '^_'
     order by relname";

/// For so long nothing strikes before, so that the servers know the old schema.
const EVE: Duration = Duration::from_secs(2);
/// For so long nothing strikes afterwards: servers that were killed would have forgotten what they knew of the old schema.
const AFTERMATH: Duration = Duration::from_secs(4);

/// Adds the column to every table, one after the other, until each has it, while nothing waits for a lock for long. Ends when that had its
/// time to show.
pub(crate) async fn add_columns(stage: &Stage) {
    sleep(EVE).await;
    let pool = &stage.database.pool;
    let tables: Vec<String> = loop {
        match sqlx::query_scalar(TABLES).fetch_all(pool).await {
            Ok(tables) => break tables,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    };
    for table in tables {
        let sql = format!(
            "begin; set local lock_timeout = '500ms';
             alter table {table} add column if not exists {COLUMN} text not null default 'new'; commit"
        );
        // A statement that fails leaves its transaction open, so each try has a connection that is closed afterwards.
        loop {
            let Ok(connection) = pool.acquire().await else { continue };
            let mut connection = connection.detach();
            let altered = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&mut connection).await;
            let _ = sqlx::Connection::close(connection).await;
            if altered.is_ok() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        stage.record.count("columns added");
    }
    sleep(AFTERMATH).await;
}

/// The column's name. Whoever compares whole rows of before and after leaves it out.
pub(crate) const COLUMN: &str = "storm_extra";
