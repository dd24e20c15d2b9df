//! PostgreSQL's own benchmark, on the same PostgreSQL.

use std::{path::PathBuf, process::Stdio, time::Duration};

use sqlx::postgres::PgConnectOptions;
use tokio::process::Command;

use category_mirror::commands::CommandError;

/// One run, one transaction: the row that an accepted run is.
pub(crate) const INSERT: &str = "\
insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, caller, created_at)
values (gen_random_uuid(), gen_random_uuid()::text, 'platform_to_gbp', false, 'queued', 5, 'pgbench', now());
";

/// A hundred runs claimed, and a hundred runs ended: two transactions, with no look at what they are about.
pub(crate) const DRAIN: &str = "\
with due as materialized (
    select id from run where state = 'queued' and next_attempt_at is null order by fairness_rank, id limit 100 for update skip locked
), claimed as (
    update run set state = 'running', fencing_token = fencing_token + 1, revision = revision + 1, lease_expires_at = now() + interval '30 s', started_at = now()
     where id = any (array(select id from due)) returning id
) select array_agg(id) as ids from claimed \\gset
with ended as (
    delete from run where id = any (:ids::uuid[])
    returning id, tenant_id, organization_id, strategy, dry_run, revision, fencing_token, uncounted_attempts, max_attempts, cancel_requested, plan, write_intent,
              attempts, written, created, updated, deleted, unmapped, reason, error, caller, request_id, created_at, started_at, attempt_started_at
)
insert into run_history (id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts,
                         cancel_requested, plan, write_intent, attempts, written, created, updated, deleted, unmapped, reason, error,
                         caller, request_id, created_at, started_at, attempt_started_at, ended_at)
select id, tenant_id, organization_id, strategy, dry_run, 'succeeded', revision + 1, fencing_token, uncounted_attempts, max_attempts,
       cancel_requested, plan, write_intent, attempts, written, created, updated, deleted, unmapped, reason, error,
       caller, request_id, created_at, started_at, attempt_started_at, now()
  from ended;
";
/// Runs that one transaction of [`DRAIN`] claims and ends.
pub(crate) const DRAIN_BATCH: u64 = 100;
/// Clients that do so at once.
pub(crate) const DRAIN_CLIENTS: u64 = 4;
/// A run accepted, claimed and ended, each in a transaction of its own: what nobody who keeps a queue in PostgreSQL can do without.
pub(crate) const ALONE: &str = "\
insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, caller, created_at)
values (gen_random_uuid(), gen_random_uuid()::text, 'platform_to_gbp', false, 'queued', 5, 'pgbench', now());
with due as materialized (
    select id from run where state = 'queued' and next_attempt_at is null order by fairness_rank, id limit 1 for update skip locked
) update run set state = 'running', fencing_token = 1, lease_expires_at = now() + interval '30 s', started_at = now()
   where id = any (array(select id from due));
";

/// `pgbench`, and how it reaches the database.
pub(crate) struct Pgbench {
    pub(crate) program: PathBuf,
    pub(crate) options: PgConnectOptions,
    pub(crate) folder: PathBuf,
}

impl Pgbench {
    /// Transactions a second of a script, by `clients` at once, for a while.
    pub(crate) async fn run(&self, script: &str, clients: usize, window: Duration) -> Result<f64, CommandError> {
        self.measure(script, clients, &format!("--time={}", window.as_secs().max(1))).await
    }

    /// The same, each client `transactions` times.
    pub(crate) async fn run_times(&self, script: &str, clients: u64, transactions: u64) -> Result<f64, CommandError> {
        let clients = usize::try_from(clients).unwrap_or(usize::MAX);
        self.measure(script, clients, &format!("--transactions={transactions}")).await
    }

    async fn measure(&self, script: &str, clients: usize, extent: &str) -> Result<f64, CommandError> {
        let failed = |error: &dyn std::fmt::Display| CommandError::failed("pgbench", error);
        let file = self.folder.join("pgbench.sql");
        tokio::fs::write(&file, script).await.map_err(|error| failed(&error))?;
        let socket = self.options.get_socket().cloned().unwrap_or_default();
        let output = Command::new(&self.program)
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .arg(format!("--client={clients}"))
            .arg(extent)
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
