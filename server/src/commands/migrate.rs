//! `category-mirror migrate`

use super::{CommandError, database::Database};
use crate::{config::DatabaseArgs, store::migrations};

/// Brings the database up to date.
pub(super) async fn run(args: DatabaseArgs) -> Result<(), CommandError> {
    let database = Database::open(&args, false).await?;
    println!("the database is at version {}", migrations::latest());
    database.close().await;
    Ok(())
}
