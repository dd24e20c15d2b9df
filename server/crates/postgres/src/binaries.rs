//! Where the machine's PostgreSQL is, and which version it has.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::{Error, spawn};

/// Folders that hold a folder for each major version: Debian's, and that of the PostgreSQL project's RPMs.
const VERSIONED: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];

/// One installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) dir: PathBuf,
    /// The major version, such as `17`.
    pub(crate) major: String,
}

impl Binaries {
    /// The installation to run: of the wanted major version where a database exists, else the newest.
    pub(crate) async fn find(
        bin_dir: Option<&Path>,
        wanted: Option<&str>,
        cluster: &Path,
        account: &Account,
    ) -> Result<Self, Error> {
        let candidates = match bin_dir {
            Some(dir) => {
                let dir = std::path::absolute(dir).map_err(Error::io(dir))?;
                if !is_complete(&dir) {
                    return Err(Error::BinDir { path: dir });
                }
                vec![dir]
            }
            None => installed(&VERSIONED, std::env::var_os("PATH").unwrap_or_default()),
        };
        let mut found = Vec::new();
        for dir in candidates {
            let binaries = Self::inspect(dir, account).await?;
            if wanted.is_none_or(|major| major == binaries.major) {
                return Ok(binaries);
            }
            found.push(binaries.major);
        }
        match wanted {
            Some(major) if !found.is_empty() => Err(Error::VersionMismatch {
                path: cluster.to_owned(),
                data: major.to_owned(),
                binaries: found.join(", "),
            }),
            _ => Err(Error::NotInstalled),
        }
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Lets the kernel judge whether PostgreSQL's user can stand in the folder.
    pub(crate) async fn check_reachable(&self, folder: &Path, account: &Account) -> Result<(), Error> {
        match version(&self.dir, account, folder).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Err(Error::UnreachableFolder { user: account.name.clone(), blocked: account.blocked_at(folder) })
            }
            Err(error) => Err(Error::io(folder)(error)),
        }
    }

    /// Asks the binary, not the folder's name, and as the user that is going to run it.
    async fn inspect(dir: PathBuf, account: &Account) -> Result<Self, Error> {
        let text = version(&dir, account, Path::new("/")).await.map_err(Error::io(dir.join("postgres")))?;
        match major_version(&text) {
            Some(major) => Ok(Self { dir, major: major.to_owned() }),
            None => Err(Error::Program { program: "postgres --version", output: text }),
        }
    }
}

/// What `postgres --version` says, standing in a folder.
async fn version(dir: &Path, account: &Account, folder: &Path) -> io::Result<String> {
    let mut command = spawn::command(&dir.join("postgres"), account, folder);
    command.arg("--version");
    let output = spawn::run(command).await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The major version in `postgres (PostgreSQL) 17.2 (Debian 17.2-1)`.
fn major_version(text: &str) -> Option<&str> {
    let version = text.split_once("(PostgreSQL) ")?.1;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    (digits > 0).then(|| &version[..digits])
}

fn is_complete(dir: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|name| dir.join(name).is_file())
}

/// Every installation, in the order of preference: newest first, then what `path` says.
fn installed(versioned: &[(&str, &str)], path: OsString) -> Vec<PathBuf> {
    let mut by_version: Vec<(u32, PathBuf)> = Vec::new();
    for (root, prefix) in versioned {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if let Some(version) = name.to_str().and_then(|name| name.strip_prefix(prefix)).and_then(|v| v.parse().ok())
            {
                by_version.push((version, entry.path().join("bin")));
            }
        }
    }
    by_version.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    // A relative entry of PATH would mean another program in another working directory.
    let path = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect::<Vec<_>>();
    by_version.into_iter().map(|(_, dir)| dir).chain(path).filter(|dir| is_complete(dir)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(dir: PathBuf) -> PathBuf {
        fs::create_dir_all(&dir).expect("folder");
        for name in ["postgres", "initdb"] {
            fs::write(dir.join(name), "").expect("file");
        }
        dir
    }

    #[test]
    fn the_newest_comes_first_as_a_number_and_path_last() {
        let root = tempfile::tempdir().expect("temporary folder");
        let nine = install(root.path().join("lib/9/bin"));
        let seventeen = install(root.path().join("lib/17/bin"));
        let on_path = install(root.path().join("somewhere"));
        fs::create_dir_all(root.path().join("lib/18/bin")).expect("a client without a server");
        fs::create_dir_all(root.path().join("lib/old/bin")).expect("no version");
        let lib = root.path().join("lib");
        let found = installed(&[(lib.to_str().expect("UTF-8"), "")], on_path.clone().into());
        assert_eq!(found, [seventeen, nine, on_path]);
    }

    #[test]
    fn a_machine_without_postgresql_has_none() {
        let root = tempfile::tempdir().expect("temporary folder");
        assert!(installed(&[("/nonexistent", "")], root.path().into()).is_empty());
        assert!(installed(&[], "relative".into()).is_empty());
        assert!(Error::NotInstalled.to_string().contains("apt install postgresql"));
    }

    #[test]
    fn versions_are_read() {
        for (text, major) in [
            ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", Some("15")),
            ("postgres (PostgreSQL) 18beta2\n", Some("18")),
            ("postgres (PostgreSQL) devel", None),
            ("mysqld 8", None),
        ] {
            assert_eq!(major_version(text), major, "{text}");
        }
    }
}
