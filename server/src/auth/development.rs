//! The key of `--dev`.

use std::path::Path;

use crate::key_files::Contents;
use crate::secret_file::{SecretFileError, secret_file};

/// Returns the secret in `dev.key` of the directory; creates it if there is none.
pub(super) fn secret(data_dir: &Path) -> Result<Contents, SecretFileError> {
    secret_file(data_dir, "dev.key")
}
