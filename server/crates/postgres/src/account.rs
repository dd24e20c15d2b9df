//! The operating system's user that PostgreSQL runs as.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, chown};

use crate::error::Error;

/// A user that is not root.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// Whether the server is somebody else (root), and has to become this user.
    pub(crate) switch: bool,
}

impl Account {
    /// This user; for root the owner of the cluster, else `postgres`, else `nobody`.
    pub(crate) fn choose(cluster: &Path) -> Result<Self, Error> {
        let user = Uid::effective();
        if !user.is_root() {
            return Self::named(User::from_uid(user), false)?.ok_or(Error::NoPasswdEntry { uid: user.as_raw() });
        }
        if let Ok(metadata) = std::fs::symlink_metadata(cluster)
            && metadata.uid() != 0
        {
            let uid = metadata.uid();
            return Self::named(User::from_uid(uid.into()), true)?.ok_or(Error::NoPasswdEntry { uid });
        }
        for name in ["postgres", "nobody"] {
            if let Some(account) = Self::named(User::from_name(name), true)? {
                return Ok(account);
            }
        }
        Err(Error::NoUser)
    }

    fn named(user: nix::Result<Option<User>>, switch: bool) -> Result<Option<Self>, Error> {
        let user = user.map_err(|errno| Error::io("/etc/passwd")(errno.into()))?;
        Ok(user.map(|user| Self { name: user.name, uid: user.uid, gid: user.gid, switch }))
    }

    /// Creates a folder that only this user can enter. One that exists is the caller's own, of an earlier start.
    pub(crate) fn create_private_dir(&self, path: &Path) -> Result<(), Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io(path))?;
        if self.switch {
            chown(path, Some(self.uid), Some(self.gid)).map_err(|errno| Error::io(path)(errno.into()))?;
        }
        Ok(())
    }

    /// The first folder on the way to `path` that this user's permission bits close. Bits only: the kernel has already said no, and this
    /// finds out where.
    pub(crate) fn blocked_at(&self, path: &Path) -> PathBuf {
        let mut way: Vec<_> = path.ancestors().collect();
        way.reverse();
        way.into_iter().find(|folder| !self.may_enter(folder)).unwrap_or(path).to_owned()
    }

    fn may_enter(&self, folder: &Path) -> bool {
        std::fs::metadata(folder).is_ok_and(|metadata| {
            let bits = match metadata {
                ref m if m.uid() == self.uid.as_raw() => metadata.mode() >> 6,
                ref m if m.gid() == self.gid.as_raw() => metadata.mode() >> 3,
                _ => metadata.mode(),
            };
            bits & 1 == 1
        })
    }
}
