//! Keys of `--dev`: this machine's own, so that what another machine's development server made is worth nothing here.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{
    PROGRAM,
    key_files::{Contents, KeyFileError, read},
    postgres::{DataDir, DataDirError},
};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Why a development key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The folder cannot be the server's.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// It cannot be read or written.
    #[error("DATA_DIR: cannot read {path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyFileError,
    },
    /// It is there, and no secret.
    #[error("DATA_DIR {path:?}: {problem}: remove the file to have a new one created")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
}

/// The key in the file `name` of the folder, made where there is none.
///
/// # Errors
/// [`SecretFileError`]; a key that others may have read is none.
pub fn secret_file(data_dir: &Path, name: &str) -> Result<Contents, SecretFileError> {
    let dir = DataDir::claim(PROGRAM, data_dir)?;
    let path = dir.join(name);
    let failed = |source: KeyFileError| SecretFileError::Io { path: path.clone(), source };
    if !path.exists() {
        create(&dir, name).map_err(|error| failed(error.into()))?;
    }
    let invalid = |problem| SecretFileError::Invalid { path: path.clone(), problem };
    if fs::metadata(&path).map_err(|error| failed(error.into()))?.mode() & 0o077 != 0 {
        return Err(invalid("others may have read the development key"));
    }
    let secret = read(&path).map_err(failed)?;
    if secret.len() == KEY_BYTES { Ok(secret) } else { Err(invalid("is not a development key")) }
}

/// Whole or not at all, also when `serve` and `token` begin at the same moment: a link fails where the name exists.
fn create(dir: &DataDir, name: &str) -> io::Result<()> {
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    aws_lc_rs::rand::fill(secret.as_mut_slice()).map_err(|_| io::Error::other("no random numbers"))?;
    let unfinished = dir.join(&format!("{name}.{}", uuid::Uuid::now_v7()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let linked = file
        .write_all(secret.as_slice())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&unfinished, dir.join(name)));
    fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
