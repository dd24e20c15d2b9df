//! PostgreSQL's own benchmark, on the same PostgreSQL.

use std::{path::PathBuf, process::Stdio, time::Duration};

use sqlx::postgres::PgConnectOptions;
use tokio::process::Command;

use crate::commands::CommandError;

/// One run, one transaction: the row that an accepted run is.
pub(super) const INSERT: &str = "\
insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, caller, created_at)
values (gen_random_uuid(), gen_random_uuid()::text, 'platform_to_gbp', false, 'queued', 5, 'pgbench', now());
";

/// `pgbench`, and how it reaches the database.
pub(super) struct Pgbench {
    pub(super) program: PathBuf,
    pub(super) options: PgConnectOptions,
    pub(super) folder: PathBuf,
}

impl Pgbench {
    /// Transactions a second of a script, by `clients` at once.
    pub(super) async fn run(&self, script: &str, clients: usize, window: Duration) -> Result<f64, CommandError> {
        let failed = |error: &dyn std::fmt::Display| CommandError::failed("pgbench", error);
        let file = self.folder.join("pgbench.sql");
        tokio::fs::write(&file, script).await.map_err(|error| failed(&error))?;
        let socket = self.options.get_socket().cloned().unwrap_or_default();
        let output = Command::new(&self.program)
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .arg(format!("--client={clients}"))
            .arg(format!("--time={}", window.as_secs().max(1)))
            .arg(format!("--file={}", file.display()))
            .arg(format!("--host={}", socket.display()))
            .arg("--port=5432")
            .arg(format!("--username={}", self.options.get_username()))
            .arg(self.options.get_database().unwrap_or_default())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| failed(&format!("{}: {error}", self.program.display())))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.ok_or_else(|| failed(&String::from_utf8_lossy(&output.stderr)))
    }
}
