//! `category-mirror migrate`

use super::{CommandError, database::Database, print};
use crate::{config::DatabaseArgs, key_files, store::migrations};

/// Brings the database up to date.
pub(super) async fn run(args: DatabaseArgs) -> Result<(), CommandError> {
    let database = Database::open(&args, false).await?;
    if let Some(file) = &args.database_url_file {
        key_files::warn_if_exposed("DATABASE_URL_FILE", file);
    }
    let told = print(format_args!("the database is at version {}", migrations::latest()));
    database.close().await;
    told
}
