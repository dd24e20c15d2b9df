//! The stage of a flood: a server process over a database with tenants, and where to attack it.

use std::{collections::BTreeMap, net::SocketAddr};

use category_mirror::{domain::Role, store};
use category_mirror_client::{Client, RetryPolicy};

use super::provider::{KID, Provider};
use crate::processes::{keys::token_of_key, server::Server, site::Site};

/// Whom to attack, and with which tokens.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) grpc: SocketAddr,
    pub(super) admin: SocketAddr,
    /// A viewer's token.
    pub(super) viewer: String,
    /// A token of an administrator who means no good.
    pub(super) administrator: String,
}

/// A server with everything around it.
pub(super) struct Stage {
    site: Site,
    has_tenants: bool,
    provider: Option<Provider>,
    pub(super) server: Server,
}

impl Stage {
    /// The same with keys of an identity provider, as [`Provider`] publishes them.
    pub(super) async fn open_with_provider(settings: &[(&str, &str)]) -> Self {
        Self::open(&[settings, &[("KEY_PROVIDER", "held")]].concat(), 0).await
    }

    /// Starts a server with settings beside the usual ones. `runs`: tenants, each with a run that waits.
    pub(super) async fn open(settings: &[(&str, &str)], runs: u64) -> Self {
        let site = Site::new().await;
        if runs > 0 {
            let pool = site.pool();
            store::fill(&pool, runs).await.expect("tenants");
            store::queue(&pool, runs, true).await.expect("runs");
            pool.close().await;
        }
        // One setting is the shell's, how many descriptors the process may have, and one is the stage's.
        let of_stage = |wanted| settings.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        let mut command = site.limited_server(std::env::var_os("FLOOD_SERVER"), of_stage("DESCRIPTORS"));
        let provider = match of_stage("KEY_PROVIDER") {
            Some(how) => Some(Provider::start(how == "slow").await),
            None => None,
        };
        if let Some(provider) = &provider {
            command.env_remove("AUTH_HS256_SECRET_FILE").env("AUTH_JWKS_URL", provider.url());
        }
        command.envs(settings.iter().filter(|(name, _)| !["DESCRIPTORS", "KEY_PROVIDER"].contains(name)).copied());
        let server = Server::start(command).await;
        Self { site, has_tenants: runs > 0, provider, server }
    }

    pub(super) fn target(&self) -> Target {
        let token = |role, subject| self.site.token_of(role, subject);
        Target {
            grpc: self.server.address,
            admin: self.server.admin,
            viewer: token(Role::Viewer, "attacker"),
            administrator: token(Role::Admin, "malicious"),
        }
    }

    /// A client of somebody who means well.
    pub(super) fn client(&self) -> Client {
        if self.provider.is_none() {
            return self.site.client(&self.server);
        }
        let client = Client::builder(format!("http://{}", self.server.address)).token(token_of_key(KID));
        client.retry(RetryPolicy::never()).build().expect("a client")
    }

    /// The identity provider, where there is one.
    pub(super) fn provider(&self) -> &Provider {
        self.provider.as_ref().expect("a provider")
    }

    /// The same, who makes calls again that found no connection.
    pub(super) fn client_that_retries(&self) -> Client {
        let client = Client::builder(format!("http://{}", self.server.address)).token(self.site.token());
        client.build().expect("a client")
    }

    /// Whether it was filled with tenants and their categories.
    pub(super) fn has_tenants(&self) -> bool {
        self.has_tenants
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// Whether the process is still there.
    pub(super) fn is_alive(&self) -> bool {
        self.status("VmRSS").is_some()
    }

    /// Resident memory, kB.
    pub(super) fn resident_kb(&self) -> u64 {
        self.status("VmRSS").expect("it is alive")
    }

    fn status(&self, line: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid())).ok()?;
        let line = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// The series of a metric that are not 0.
    pub(super) async fn metrics(&self, name: &str) -> BTreeMap<String, f64> {
        let answer = reqwest::get(format!("http://{}/metrics", self.server.admin)).await.expect("an answer");
        let text = answer.text().await.expect("text");
        let series = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        let series = series.map(|(labels, value)| (labels.to_owned(), value.parse().expect("a number")));
        series.filter(|(_, value)| *value > 0.0).collect()
    }

    /// How many connections to the database were opened so far, as far as PostgreSQL has counted them.
    pub(super) async fn sessions(&self) -> i64 {
        let sessions = "select sessions from pg_stat_database where datname = current_database()";
        sqlx::query_scalar(sessions).fetch_one(&self.site.pool()).await.expect("counted")
    }

    pub(super) async fn close(self) {
        self.server.kill().await;
    }
}
