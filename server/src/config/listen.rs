//! Listening addresses and TLS.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Args};

use super::{ConfigError, switch::switch};
use crate::{
    key_files::Watched,
    tls::{Tls, TlsFiles},
};

/// Listening addresses and TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
pub struct ListenArgs {
    /// Address and port of gRPC. With port 0, the system chooses one. If other machines can reach the address, TLS_CERT
    /// and TLS_KEY, or INSECURE_LISTEN, are required
    #[arg(long, env = "LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:50051")]
    pub listen_addr: SocketAddr,
    /// Address and port of /livez, /readyz, /healthz and /metrics, without TLS and tokens: do not expose it. If other
    /// machines can reach the address, INSECURE_ADMIN_LISTEN or INSECURE_LISTEN is required
    #[arg(long, env = "ADMIN_LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub admin_listen_addr: SocketAddr,
    /// Allow all ports to be reachable from other machines without TLS or with --dev. Tokens can then be read in
    /// transit: only for networks that are encrypted themselves, such as a service mesh
    #[arg(long, env = "INSECURE_LISTEN", action = ArgAction::SetTrue, value_parser = switch())]
    pub insecure_listen: bool,
    /// Allow ADMIN_LISTEN_ADDR, which has no TLS, to be reachable from other machines: only for networks in which
    /// nothing but probes and Prometheus reaches it
    #[arg(long, env = "INSECURE_ADMIN_LISTEN", action = ArgAction::SetTrue, value_parser = switch())]
    pub insecure_admin_listen: bool,
    /// PEM file with the certificate chain for gRPC; requires TLS_KEY. Both files are re-read when they change and on
    /// SIGHUP
    #[arg(long, env = "TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of TLS_CERT
    #[arg(long, env = "TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// PEM file with certificate authorities; requires TLS_CERT. Callers of gRPC then need a certificate that one of
    /// them issued, in addition to a token
    #[arg(long, env = "TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
}

impl ListenArgs {
    /// Returns the loaded certificate and key, and what re-reads them; `None` if neither is set.
    ///
    /// # Errors
    ///
    /// If only one of the two is set, a file cannot be read or is not PEM, or the key belongs to another certificate.
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

    /// Checks that every address that other machines can reach is encrypted or explicitly allowed. `emulator` is the
    /// address of the built-in emulator, if it runs.
    ///
    /// # Errors
    ///
    /// Names the address, and the setting that allows it.
    pub fn check_exposure(&self, dev: bool, emulator: Option<SocketAddr>) -> Result<(), ConfigError> {
        let is_exposed = |address: SocketAddr| !address.ip().to_canonical().is_loopback();
        let refused = |setting: &str, address: SocketAddr, problem: &str| {
            Err(ConfigError(format!("{setting}={address}: is reachable from other machines {problem}")))
        };
        if self.insecure_listen {
            return Ok(());
        }
        if is_exposed(self.listen_addr) && dev {
            let problem = "with --dev, whose keys are for evaluation: set INSECURE_LISTEN=true to allow this";
            return refused("LISTEN_ADDR", self.listen_addr, problem);
        }
        if is_exposed(self.listen_addr) && self.tls_cert.is_none() {
            let problem = "without TLS, so tokens can be read in transit: set TLS_CERT and TLS_KEY, or \
                           INSECURE_LISTEN=true";
            return refused("LISTEN_ADDR", self.listen_addr, problem);
        }
        if is_exposed(self.admin_listen_addr) && !self.insecure_admin_listen {
            let problem =
                "without TLS and tokens: set INSECURE_ADMIN_LISTEN=true, or INSECURE_LISTEN=true for all ports";
            return refused("ADMIN_LISTEN_ADDR", self.admin_listen_addr, problem);
        }
        match emulator {
            Some(address) if is_exposed(address) => {
                refused("GBP_EMULATOR_LISTEN_ADDR", address, "without TLS: set INSECURE_LISTEN=true to allow this")
            }
            _ => Ok(()),
        }
    }
}
