//! Where to listen.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use tonic::transport::Identity;

use super::ConfigError;

/// Addresses and TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
pub struct ListenArgs {
    /// gRPC
    #[arg(long, env = "LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:50051")]
    pub listen_addr: SocketAddr,
    /// /healthz and /metrics, over plain HTTP and without a token: keep it inside
    #[arg(long, env = "ADMIN_LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub admin_listen_addr: SocketAddr,
    /// Certificate chain for gRPC, PEM; with TLS_KEY
    #[arg(long, env = "TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of TLS_CERT, PEM
    #[arg(long, env = "TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

impl ListenArgs {
    /// The certificate and its key, read; `None` where neither is set.
    ///
    /// # Errors
    /// One without the other, or a file that cannot be read.
    pub fn tls(&self) -> Result<Option<Identity>, ConfigError> {
        let read = |name: &str, path: &PathBuf| {
            std::fs::read(path).map_err(|error| ConfigError(format!("{name}={}: {error}", path.display())))
        };
        match (&self.tls_cert, &self.tls_key) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some(Identity::from_pem(read("TLS_CERT", cert)?, read("TLS_KEY", key)?))),
            (Some(_), None) => Err(ConfigError("TLS_KEY is required with TLS_CERT".to_owned())),
            (None, Some(_)) => Err(ConfigError("TLS_CERT is required with TLS_KEY".to_owned())),
        }
    }
}
