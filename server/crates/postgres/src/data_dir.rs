//! The folder that a program keeps its own things in: the embedded PostgreSQL, and whatever else it puts there.
//!
//! A folder is used only when it was empty, or carries our mark: a mistyped `DATA_DIR=/etc` is refused before anything is written,
//! chowned or deleted there.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

/// A folder that belongs to this process's user, and that nobody else can write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir {
    path: PathBuf,
    /// The file that says whose folder it is.
    marker: String,
}

/// Why a folder cannot be the program's.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It holds something, and not ours.
    #[error("DATA_DIR {path:?} contains {found:?} and was not created by {program}: use an empty or new directory")]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// The program that would use it.
        program: String,
        /// Something that is in it.
        found: PathBuf,
    },
    /// It belongs to somebody else.
    #[error(
        "DATA_DIR {path:?} belongs to user id {owner}, but this process has user id {user}: use a new directory inside it, or another one"
    )]
    ForeignOwner {
        /// The folder.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// The user id of this process.
        user: u32,
    },
    /// Others could exchange what is in it.
    #[error(
        "DATA_DIR {path:?} can be written by other users (mode {mode:o}): use a new directory inside it, or run chmod go-w"
    )]
    WritableByOthers {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It cannot stand in a configuration file.
    #[error("DATA_DIR {path:?} must be UTF-8 without control characters")]
    Unwritable {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system said no.
    #[error("DATA_DIR {path:?}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl DataDir {
    /// Makes the folder that of `program`, such as `category-mirror`, or finds that it is; creates it where it does not exist. Claiming twice does no harm.
    ///
    /// # Errors
    /// [`DataDirError`]; the folder is then as it was.
    pub fn claim(program: &str, path: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io { path: path.to_owned(), source };
        if path.to_str().is_none_or(|text| text.is_empty() || text.chars().any(char::is_control)) {
            return Err(DataDirError::Unwritable { path: path.to_owned() });
        }
        // Root's folder may be passed through, but not listed: PostgreSQL runs in it as another user.
        let mode = if Uid::effective().is_root() { 0o711 } else { 0o700 };
        DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed)?;
        // Not what the path says later, when a symbolic link may point elsewhere or the working directory be another.
        let folder = Self { path: path.canonicalize().map_err(failed)?, marker: format!(".{program}") };
        folder.check_owner()?;
        match folder.contents().map_err(failed)? {
            Contents::Ours => {}
            Contents::Nothing => {
                fs::set_permissions(&folder.path, Permissions::from_mode(mode)).map_err(failed)?;
                folder.mark().map_err(failed)?;
            }
            Contents::Foreign(found) => {
                return Err(DataDirError::NotOurs { path: folder.path, program: program.to_owned(), found });
            }
        }
        Ok(folder)
    }

    /// The folder: absolute, without symbolic links, UTF-8.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside the folder.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn check_owner(&self) -> Result<(), DataDirError> {
        let path = self.path.clone();
        let metadata = fs::metadata(&path).map_err(|source| DataDirError::Io { path: path.clone(), source })?;
        let (owner, user, mode) = (metadata.uid(), Uid::effective().as_raw(), metadata.mode() & 0o7777);
        if owner != user {
            Err(DataDirError::ForeignOwner { path, owner, user })
        } else if mode & 0o022 != 0 {
            Err(DataDirError::WritableByOthers { path, mode })
        } else {
            Ok(())
        }
    }

    fn contents(&self) -> io::Result<Contents> {
        // Listed first, looked for the mark second: another server may be claiming the folder at this moment, and marks it first.
        let first = fs::read_dir(&self.path)?.next().transpose()?;
        match (first, fs::symlink_metadata(self.join(&self.marker))) {
            (None, _) => Ok(Contents::Nothing),
            (Some(_), Ok(mark)) if mark.is_file() => Ok(Contents::Ours),
            (Some(entry), _) => Ok(Contents::Foreign(entry.file_name().into())),
        }
    }

    fn mark(&self) -> io::Result<()> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.join(&self.marker)) {
            Ok(mark) => mark.sync_all().and_then(|()| File::open(&self.path)?.sync_all()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

enum Contents {
    Nothing,
    Ours,
    Foreign(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_a_new_and_a_claimed_folder_are_ours() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let first = DataDir::claim("program", folder.path()).expect("empty");
        assert_eq!(DataDir::claim("program", folder.path()).expect("claimed"), first);
        let nested = DataDir::claim("program", &folder.path().join("a/b")).expect("new");
        assert_eq!(fs::read_dir(nested.path()).expect("listed").count(), 1, "only the mark");
    }

    #[test]
    fn a_folder_with_foreign_things_is_left_as_it_was() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::write(folder.path().join("thesis.txt"), "years of work").expect("written");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o750)).expect("mode");
        let error = DataDir::claim("program", folder.path()).expect_err("not ours");
        assert!(matches!(&error, DataDirError::NotOurs { found, .. } if found == Path::new("thesis.txt")), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
        assert_eq!(fs::metadata(folder.path()).expect("metadata").mode() & 0o777, 0o750);
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("mode");
        let error = DataDir::claim("program", folder.path()).expect_err("unsafe");
        assert!(matches!(error, DataDirError::WritableByOthers { mode: 0o777, .. }), "{error}");
        assert!(fs::read_dir(folder.path()).expect("listed").next().is_none());
    }

    #[test]
    fn a_path_that_no_configuration_file_can_hold_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for name in ["a\nlisten_addresses='*'", "a\u{7}b"] {
            let path = folder.path().join(name);
            assert!(matches!(DataDir::claim("program", &path), Err(DataDirError::Unwritable { .. })));
            assert!(!path.exists());
        }
    }
}
