//! Files with keys and secrets: bounded, wiped from memory, checked for access by other users, and re-read when they
//! change.
//!
//! A file that every user can *write* is refused, because they could replace the key. A file that others can only
//! *read* is used, with a warning: by default, Kubernetes mounts secrets with mode 0644, owned by a root that may not
//! be this process's user. Refusing them would break correct deployments, and in a container there is no other user.
//! The development keys, which this program creates itself, are checked more strictly (`secret_file`).

mod current;
mod watch;

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use nix::unistd::Uid;
use zeroize::Zeroizing;

pub use current::Current;
pub use watch::{Watched, keep_current};

/// Maximum size of a key file: far above any key set or certificate chain.
pub const MAX_KEY_FILE_BYTES: u64 = 1024 * 1024;

/// Contents of a file, wiped from memory on drop.
pub type Contents = Zeroizing<Vec<u8>>;

/// Why a key file is not used. Contains neither the file's contents nor its path, which the caller's setting names.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system's error.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// The file is longer than [`MAX_KEY_FILE_BYTES`].
    #[error("is longer than {MAX_KEY_FILE_BYTES} bytes")]
    TooLong,
    /// Every user can replace the key.
    #[error("can be written by every user of this machine (mode {mode:o}), who could replace the key: run chmod o-w")]
    WritableByOthers {
        /// The file's permission bits.
        mode: u32,
    },
}

/// Reads a key file. A pipe, such as a shell's `<(…)`, is read to its end.
///
/// # Errors
/// [`KeyFileError`].
pub fn read(path: &Path) -> Result<Contents, KeyFileError> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mode = metadata.mode() & 0o7777;
    if metadata.is_file() && mode & 0o002 != 0 {
        return Err(KeyFileError::WritableByOthers { mode });
    }
    // Allocated at once, because a vector that grows leaves copies of the secret behind.
    let room = if metadata.is_file() { metadata.len().min(MAX_KEY_FILE_BYTES) } else { MAX_KEY_FILE_BYTES };
    let mut contents = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0) + 64));
    file.take(MAX_KEY_FILE_BYTES + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > MAX_KEY_FILE_BYTES { Err(KeyFileError::TooLong) } else { Ok(contents) }
}

/// Warns of a secret file that other users of this machine can read. A file that this process itself can read only
/// through the file's group, as with the `fsGroup` of Kubernetes, cannot be restricted further.
pub fn warn_if_exposed(setting: &str, path: &Path) {
    // A pipe no longer exists here, and a file that cannot be read has been refused before.
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_file() && is_exposed(&metadata) {
        let mode = format!("{:o}", metadata.mode() & 0o7777);
        tracing::warn!(
            setting,
            path = %path.display(),
            mode,
            "a secret file can be read by other users of this machine"
        );
    }
}

fn is_exposed(metadata: &Metadata) -> bool {
    let is_own = metadata.uid() == Uid::effective().as_raw();
    metadata.mode() & 0o004 != 0 || (is_own && metadata.mode() & 0o040 != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_whole_regular_and_unwritable_files_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let write = |content: &[u8], mode| {
            fs::write(&path, content).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        };
        for mode in [0o600, 0o400, 0o644, 0o664] {
            write(b"", mode | 0o200);
            write(b"secret", mode);
            assert_eq!(read(&path).expect("read").as_slice(), b"secret");
        }
        for mode in [0o602, 0o666, 0o777] {
            write(b"secret", mode);
            assert!(matches!(read(&path), Err(KeyFileError::WritableByOthers { mode: found }) if found == mode));
        }
        let full = vec![b'x'; 1024 * 1024];
        write(&full, 0o600);
        assert_eq!(read(&path).expect("read").len(), full.len());
        write(&[&full[..], b"x"].concat(), 0o600);
        assert!(matches!(read(&path), Err(KeyFileError::TooLong)));
        assert!(matches!(read(Path::new("/dev/zero")), Err(KeyFileError::TooLong)), "a device without an end");
        assert!(matches!(read(folder.path()), Err(KeyFileError::Unreadable(_))), "a folder");
        assert!(matches!(read(&folder.path().join("none")), Err(KeyFileError::Unreadable(_))));
    }
}
