//! Where to listen.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::ConfigError;

/// Addresses and TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
pub struct ListenArgs {
    /// Address and port of gRPC; port 0 lets the system choose
    #[arg(long, env = "LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:50051")]
    pub listen_addr: SocketAddr,
    /// The same for /healthz and /metrics, over plain HTTP and without a token: keep it inside
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
    /// One without the other, a file that cannot be read or is no PEM, or a key of another certificate.
    pub fn tls(&self) -> Result<Option<Arc<ServerConfig>>, ConfigError> {
        match (&self.tls_cert, &self.tls_key) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => identity(cert, key).map(Some),
            (Some(_), None) => Err(ConfigError("TLS_KEY is required with TLS_CERT".to_owned())),
            (None, Some(_)) => Err(ConfigError("TLS_CERT is required with TLS_KEY".to_owned())),
        }
    }
}

/// Each fault names the setting and the file.
fn identity(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, ConfigError> {
    let wrong = |name: &str, path: &Path, problem: &dyn std::fmt::Display| {
        ConfigError(format!("{name}={}: {problem}", path.display()))
    };
    let cert_pem = fs::read(cert).map_err(|error| wrong("TLS_CERT", cert, &error))?;
    let key_pem = fs::read(key).map_err(|error| wrong("TLS_KEY", key, &error))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&cert_pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong("TLS_CERT", cert, &error))?;
    if chain.is_empty() {
        return Err(wrong("TLS_CERT", cert, &"holds no certificate in PEM form"));
    }
    let private = PrivateKeyDer::from_pem_slice(&key_pem)
        .map_err(|_| wrong("TLS_KEY", key, &"holds no private key in PEM form"))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| ConfigError(format!("TLS_CERT={} with TLS_KEY={}: {error}", cert.display(), key.display())))?;
    // gRPC is HTTP/2, and a client may insist on hearing so.
    config.alpn_protocols.push(b"h2".to_vec());
    Ok(Arc::new(config))
}
