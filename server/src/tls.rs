//! TLS of the gRPC port: certificate, key and the authority of callers' certificates, which are replaced while the server runs.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use crate::key_files::{Contents, Current, Watched, read};

/// HTTP/2, the only protocol that gRPC speaks.
const ALPN: &[u8] = b"h2";

/// The files that TLS is made of, PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// `TLS_CERT`: the certificate chain, the server's own first.
    pub cert: PathBuf,
    /// `TLS_KEY`: its private key.
    pub key: PathBuf,
    /// `TLS_CLIENT_CA`: authorities, of one of which every caller must have a certificate. `None`: no caller needs one.
    pub client_ca: Option<PathBuf>,
}

/// The TLS of the gRPC port as it is now. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Current<ServerConfig>>);

impl Tls {
    /// Reads the files. The second value reads them again when they change.
    ///
    /// # Errors
    /// One line that names the setting, its file and what is wrong there.
    pub fn load(files: TlsFiles) -> Result<(Self, Watched), String> {
        let TlsFiles { cert, key, client_ca } = files;
        let mut paths = vec![("TLS_CERT", cert), ("TLS_KEY", key)];
        paths.extend(client_ca.map(|path| ("TLS_CLIENT_CA", path)));
        let contents = paths.iter().map(|(setting, path)| read(path).map_err(|error| wrong(setting, path, &error)));
        let contents = contents.collect::<Result<Vec<_>, _>>()?;
        let current = Arc::new(Current::new(config(&paths, &contents)?));
        let settings = if paths.len() > 2 { "TLS_CERT, TLS_KEY, TLS_CLIENT_CA" } else { "TLS_CERT, TLS_KEY" };
        let watched_paths = paths.iter().map(|(_, path)| path.clone()).collect();
        let replaced = Arc::clone(&current);
        let watched = Watched::new(settings, watched_paths, &contents, move |contents| {
            replaced.set(config(&paths, contents)?);
            Ok(())
        });
        Ok((Self(current), watched))
    }

    /// What makes the handshake of a connection that arrives now.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.get())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}

/// Each call makes a session store of its own, so that no session of an earlier certificate or authority can be resumed.
fn config(paths: &[(&'static str, PathBuf)], contents: &[Contents]) -> Result<ServerConfig, String> {
    let file = |index: usize| Some((paths.get(index)?, contents.get(index)?));
    let (Some(((cert, cert_path), cert_pem)), Some(((key, key_path), key_pem))) = (file(0), file(1)) else {
        return Err("TLS_CERT and TLS_KEY are required".to_owned());
    };
    let chain = certificates(cert_pem).map_err(|problem| wrong(cert, cert_path, &problem))?;
    let private = PrivateKeyDer::from_pem_slice(key_pem)
        .map_err(|_| wrong(key, key_path, &"holds no private key in PEM form"))?;
    let builder = ServerConfig::builder();
    let builder = match file(2) {
        Some(((client_ca, path), pem)) => {
            let problem = |error: &dyn fmt::Display| wrong(client_ca, path, error);
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem).map_err(|error| problem(&error))? {
                roots.add(certificate).map_err(|error| problem(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder(roots.into()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| problem(&error))?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, private)
        .map_err(|error| format!("{cert}={} with {key}={}: {error}", cert_path.display(), key_path.display()))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if chain.is_empty() { Err("holds no certificate in PEM form".to_owned()) } else { Ok(chain) }
}

fn wrong(setting: &str, path: &Path, problem: &dyn fmt::Display) -> String {
    format!("{setting}={}: {problem}", path.display())
}
