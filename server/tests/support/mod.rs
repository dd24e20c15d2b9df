//! What the integration tests and the storm share: PostgreSQL servers that fail over, the name that leads to one of them, and a pooler.

pub(crate) mod name;
pub(crate) mod node;
pub(crate) mod pooler;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::unistd::{Gid, Uid, User, chown};

/// Returns the user that PostgreSQL and PgBouncer run as if the tests run as root, which both programs refuse to be.
pub(crate) fn account() -> Option<(Uid, Gid)> {
    let named = |name| User::from_name(name).ok().flatten();
    let user = || named("postgres").or_else(|| named("nobody")).expect("a user that is not root");
    Uid::effective().is_root().then(user).map(|user| (user.uid, user.gid))
}

/// Creates a folder that only [`account`] can open.
pub(crate) fn own_folder(path: &Path) -> PathBuf {
    fs::create_dir(path).expect("a folder");
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("a mode");
    if let Some((user, group)) = account() {
        chown(path, Some(user), Some(group)).expect("an owner");
    }
    path.to_owned()
}

/// Returns a command that runs a program as this user, or as the tests' own, and that receives `signal` when the thread that starts it
/// ends. So it has to be started by a thread that lives as long as it is needed.
pub(crate) fn command(program: &Path, user: Option<(Uid, Gid)>, signal: &str) -> Command {
    let mut command = Command::new("setpriv");
    // The signal is set last: a change of the user clears it.
    if let Some((user, group)) = user {
        command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    }
    command.args(["--pdeathsig", signal]).arg(program);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
