//! What outlives a server that is killed: its folder, its database, and Google.

use std::{env, fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command, time::Duration};

use category_mirror::auth::{AuthArgs, Grant, Signer};
use category_mirror::domain::Role;
use category_mirror_client::{Client, RetryPolicy, Run, RunState, Strategy};
use sqlx::ConnectOptions;
use tempfile::TempDir;

use super::server::Server;
use crate::{
    database::{self, TestDatabase},
    service::Google,
};

/// The secret that tokens are signed with.
pub(crate) const SECRET: &str = "only-for-tests-0123456789abcdef0";
/// The access token that the server shows to Google.
pub(crate) const ACCESS_TOKEN: &str = "ya29.only-for-tests";
/// Longer than any test takes.
pub(crate) const FOR_EVER_MS: u64 = 600_000;

/// The program with nothing of our environment but the way to PostgreSQL's binaries.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_category-mirror"));
    command.args(arguments);
    bare(command)
}

/// A command with nothing of our environment but the way to PostgreSQL's binaries.
fn bare(mut command: Command) -> Command {
    command.env_clear();
    for name in ["PATH", "PG_BIN_DIR"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// A folder that PostgreSQL's user can reach, also where we are root.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    folder
}

/// Everything that a server needs, and that stays when it dies.
pub(crate) struct Site {
    pub(crate) google: Google,
    database: Option<TestDatabase>,
    folder: TempDir,
}

impl Site {
    /// With a database in the PostgreSQL of all tests, which is quick.
    pub(crate) async fn new() -> Self {
        Self::on(database::create().await).await
    }

    /// With this database.
    pub(crate) async fn on(database: TestDatabase) -> Self {
        Self { database: Some(database), ..Self::embedded().await }
    }

    /// With a `DATA_DIR`, where each server starts a PostgreSQL of its own.
    pub(crate) async fn embedded() -> Self {
        let folder = folder();
        let secret = folder.path().join("secret");
        fs::write(&secret, SECRET).expect("written");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("a mode");
        Self { google: Google::start().await, database: None, folder }
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with the settings of this site.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        self.with_settings(program(arguments))
    }

    /// `serve` of another build of the program, if one is given, and with so many descriptors.
    pub(crate) fn limited_server(&self, program: Option<std::ffi::OsString>, descriptors: Option<&str>) -> Command {
        let mut command = Command::new("sh");
        let limit = descriptors.map(|descriptors| format!("ulimit -n {descriptors} && ")).unwrap_or_default();
        command.args(["-c", &format!("{limit}exec \"$0\" serve")]);
        command.arg(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_category-mirror").into()));
        self.with_settings(bare(command))
    }

    fn with_settings(&self, mut command: Command) -> Command {
        match &self.database {
            Some(database) => command.envs(database.settings()),
            None => command.env("DATA_DIR", self.path("data")),
        };
        command
            .env("AUTH_HS256_SECRET_FILE", self.path("secret"))
            .env("GBP_ENDPOINT", &self.google.endpoint)
            .env("GBP_ACCESS_TOKEN", ACCESS_TOKEN)
            .env("LISTEN_ADDR", "127.0.0.1:0")
            .env("ADMIN_LISTEN_ADDR", "127.0.0.1:0")
            .env("LOG_FORMAT", "json")
            // Tests wait for the leases of servers that were killed. Shorter ones would be lost by a server that a busy machine stops for a
            // moment, and an attempt more be handed back than the test has made.
            .env("RUNNER_LEASE", "6s")
            .env("RUNNER_COOLDOWN", "0s")
            // The first run of `store` takes something away.
            .env("GUARD_MAX_FIRST_RUN_REMOVALS", "1");
        for flag in ["FF_CATEGORY_MIRRORING", "FF_TENANT_PLATFORM_CATEGORY", "FF_TENANT_GBP_CATEGORY_SYNC"] {
            command.env(flag, "on");
        }
        command
    }

    /// Starts a server, with settings beside those of the site; an empty one takes the site's away.
    pub(crate) async fn serve(&self, settings: &[(&str, &str)]) -> Server {
        let mut command = self.program(&["serve"]);
        for (name, value) in settings {
            if value.is_empty() {
                command.env_remove(name)
            } else {
                command.env(name, value)
            };
        }
        Server::start(command).await
    }

    /// The database.
    pub(crate) fn database(&self) -> &TestDatabase {
        self.database.as_ref().expect("a database by URL")
    }

    /// The URL of the database that leads through a pooler in transaction mode.
    pub(crate) async fn pooled_url(&self) -> String {
        self.database.as_ref().expect("a database by URL").pooled_url().await
    }

    /// Connections to the database.
    pub(crate) fn pool(&self) -> sqlx::PgPool {
        self.database.as_ref().expect("a database by URL").pool()
    }

    /// The URL of the database with a password, which nobody asks for where the operating system vouches for the user.
    pub(crate) fn url_with_password(&self, password: &str) -> String {
        let database = self.database.as_ref().expect("a database by URL");
        database.options().password(password).to_url_lossy().into()
    }

    /// An administrator's token.
    pub(crate) fn token(&self) -> String {
        self.token_of(Role::Admin, "tester")
    }

    /// The token of another caller.
    pub(crate) fn token_of(&self, role: Role, subject: &str) -> String {
        let args = AuthArgs { auth_hs256_secret_file: Some(self.path("secret")), ..AuthArgs::default() };
        let grant = Grant { subject: subject.to_owned(), role, tenants: None, ttl: Duration::from_secs(600) };
        Signer::from_args(&args).expect("a key").sign(&grant, chrono::Utc::now()).expect("a token")
    }

    /// A client of a server. It tries each call once, so that tests see every refusal.
    pub(crate) fn client(&self, server: &Server) -> Client {
        let client = Client::builder(format!("http://{}", server.address)).token(self.token());
        client.retry(RetryPolicy::never()).build().expect("a client")
    }

    /// Adds tenant `store` at `locations/77`, which has `cafe` and `bakery` here, and `cafe` and `bar` at Google.
    pub(crate) async fn load(&self, client: &Client) {
        for slug in ["cafe", "bakery"] {
            let category = client.create_platform_category(slug).display_name(slug);
            category.gbp_category(format!("gcid:{slug}")).send().await.expect("created");
        }
        self.load_tenant(client, "77").await;
    }

    /// The same at another location, where the categories are there.
    pub(crate) async fn load_tenant(&self, client: &Client, location: &str) {
        let tenant = client.create_tenant("store").display_name("Store").location("1", location);
        tenant.region_code("US").language_code("en").send().await.expect("created");
        client.set_tenant_categories("store", "cafe").additional(["bakery"]).send().await.expect("set");
        self.google.put(location, "cafe", &["bar"]).await;
    }

    /// Asks for a real run of `store`, and gives its name.
    pub(crate) async fn trigger(&self, client: &Client) -> String {
        client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run.name
    }

    /// Waits until Google was asked so often, whether it has answered or not.
    pub(crate) async fn asked(&self, method: &str, times: u64) {
        until(method, || async { self.google.count(method).await >= times }).await;
    }

    /// Checks that a run did its work with exactly one write, however many attempts it took.
    pub(crate) async fn assert_mirrored_once(&self, run: &Run) {
        assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        assert_eq!(self.google.writes().await.len(), 1);
        assert_eq!(self.google.merchant("77").await, ["cafe", "bakery"]);
        assert_eq!((run.counts.created, run.counts.updated, run.counts.deleted), (1, 0, 1));
        assert_eq!(run.written_changes.len(), 2, "{:?}", run.written_changes);
    }
}

/// Waits for a run's end.
pub(crate) async fn ended(client: &Client, run: &str) -> Run {
    let mut snapshots = client.watch_run(run).send();
    let mut last = None;
    while let Some(run) = snapshots.next().await {
        last = Some(run.expect("a snapshot"));
    }
    last.filter(Run::is_terminal).expect("a terminal snapshot")
}

/// Looks again and again until it is so: for what tells nobody when it happens.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let look = async {
        let mut again = tokio::time::interval(Duration::from_millis(10));
        while !is_so().await {
            again.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(180), look).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}
