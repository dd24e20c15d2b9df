//! The key of `--dev`: this machine's own, so that a token of another machine's development server is worth nothing here.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::AuthConfigError;
use crate::data_dir::DataDir;

const KEY_BYTES: usize = 32;

/// The secret in `dev.key` of the folder, made where there is none.
pub(super) fn secret(data_dir: &Path) -> Result<Vec<u8>, AuthConfigError> {
    let dir = DataDir::claim(data_dir)?;
    let path = dir.join("dev.key");
    let failed = |source| AuthConfigError::File { setting: "DATA_DIR", path: path.clone(), source };
    if !path.exists() {
        create(&dir, &path).map_err(failed)?;
    }
    let invalid = |problem: &str| AuthConfigError::Invalid {
        setting: "DATA_DIR",
        value: path.display().to_string(),
        problem: format!("{problem}: remove the file, and a new one is made"),
    };
    if fs::metadata(&path).map_err(failed)?.mode() & 0o077 != 0 {
        return Err(invalid("others may have read the development key"));
    }
    let secret = fs::read(&path).map_err(failed)?;
    if secret.len() == KEY_BYTES { Ok(secret) } else { Err(invalid("is not a development key")) }
}

/// Whole or not at all, also when `serve` and `token` begin at the same moment: a link fails where the name exists.
fn create(dir: &DataDir, path: &Path) -> io::Result<()> {
    let mut secret = [0; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| io::Error::other("no random numbers"))?;
    let unfinished = dir.join(&format!("dev.key.{}", uuid::Uuid::now_v7()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let linked = file.write_all(&secret).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&unfinished, path));
    fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
