//! `category-mirror migrate`

use super::{CommandError, database::Database, print};
use crate::{config::DatabaseArgs, store::migrations};

/// Brings the database up to date.
pub(super) async fn run(args: DatabaseArgs) -> Result<(), CommandError> {
    let database = Database::open(&args, false).await?;
    let told = print(format_args!("the database is at version {}", migrations::latest()));
    database.close().await;
    told
}
