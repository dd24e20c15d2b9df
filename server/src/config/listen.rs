//! Where to listen.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Args};

use super::{ConfigError, switch::switch};
use crate::{
    key_files::Watched,
    tls::{Tls, TlsFiles},
};

/// Addresses and TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
pub struct ListenArgs {
    /// Address and port of gRPC; port 0 lets the system choose. Beyond this machine it needs TLS_CERT and TLS_KEY, or INSECURE_LISTEN
    #[arg(long, env = "LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:50051")]
    pub listen_addr: SocketAddr,
    /// The same for /healthz and /metrics, over plain HTTP and without a token: keep it inside. Beyond this machine it needs INSECURE_ADMIN_LISTEN
    #[arg(long, env = "ADMIN_LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub admin_listen_addr: SocketAddr,
    /// Listen beyond this machine without TLS, or with --dev, on every port, so that tokens can be read on their way: for networks that encrypt by themselves, such as a service mesh
    #[arg(long, env = "INSECURE_LISTEN", action = ArgAction::SetTrue, value_parser = switch())]
    pub insecure_listen: bool,
    /// The same for ADMIN_LISTEN_ADDR alone, which has no TLS: for networks in which only probes and Prometheus reach it
    #[arg(long, env = "INSECURE_ADMIN_LISTEN", action = ArgAction::SetTrue, value_parser = switch())]
    pub insecure_admin_listen: bool,
    /// Certificate chain for gRPC, PEM; with TLS_KEY. Both are read again when they change, and on SIGHUP
    #[arg(long, env = "TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of TLS_CERT, PEM
    #[arg(long, env = "TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authorities, PEM: callers of gRPC need a certificate of one of them, and their token as well; with TLS_CERT
    #[arg(long, env = "TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
}

impl ListenArgs {
    /// The certificate and its key, read, with what reads them again; `None` where neither is set.
    ///
    /// # Errors
    /// One without the other, a file that cannot be read or is no PEM, or a key of another certificate.
    pub fn tls(&self) -> Result<Option<(Tls, Watched)>, ConfigError> {
        let files = match (&self.tls_cert, &self.tls_key) {
            (None, None) if self.tls_client_ca.is_some() => {
                return Err(ConfigError("TLS_CERT and TLS_KEY are required with TLS_CLIENT_CA".to_owned()));
            }
            (None, None) => return Ok(None),
            (Some(cert), Some(key)) => {
                TlsFiles { cert: cert.clone(), key: key.clone(), client_ca: self.tls_client_ca.clone() }
            }
            (Some(_), None) => return Err(ConfigError("TLS_KEY is required with TLS_CERT".to_owned())),
            (None, Some(_)) => return Err(ConfigError("TLS_CERT is required with TLS_KEY".to_owned())),
        };
        Tls::load(files).map(Some).map_err(ConfigError)
    }

    /// Checks that nothing can be reached from another machine unless it is encrypted, or was asked for by name. `emulator` is where the
    /// built-in emulator listens, if it does.
    ///
    /// # Errors
    /// The address, and what allows it.
    pub fn check_exposure(&self, dev: bool, emulator: Option<SocketAddr>) -> Result<(), ConfigError> {
        let is_exposed = |address: SocketAddr| !address.ip().to_canonical().is_loopback();
        let refused = |setting: &str, address: SocketAddr, problem: &str| {
            Err(ConfigError(format!("{setting}={address}: reaches beyond this machine {problem}")))
        };
        if self.insecure_listen {
            return Ok(());
        }
        if is_exposed(self.listen_addr) && dev {
            let problem = "with --dev, whose keys are for trying out: set INSECURE_LISTEN=true if that is meant";
            return refused("LISTEN_ADDR", self.listen_addr, problem);
        }
        if is_exposed(self.listen_addr) && self.tls_cert.is_none() {
            let problem = "without TLS, so that tokens can be read on their way: set TLS_CERT and TLS_KEY, or \
                           INSECURE_LISTEN=true";
            return refused("LISTEN_ADDR", self.listen_addr, problem);
        }
        if is_exposed(self.admin_listen_addr) && !self.insecure_admin_listen {
            let problem =
                "without TLS and tokens: set INSECURE_ADMIN_LISTEN=true, or INSECURE_LISTEN=true for every port";
            return refused("ADMIN_LISTEN_ADDR", self.admin_listen_addr, problem);
        }
        match emulator {
            Some(address) if is_exposed(address) => {
                refused("GBP_EMULATOR_LISTEN_ADDR", address, "without TLS: set INSECURE_LISTEN=true if that is meant")
            }
            _ => Ok(()),
        }
    }
}
