//! PgBouncer, from the Debian package.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Child,
};

use nix::unistd::{Gid, Uid, chown};

use super::command;

/// In the name of its socket.
pub(crate) const PORT: u16 = 6432;

/// Returns where the program is, if it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Administrators' folders are not in everybody's path.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.exists())
}

/// Returns the path of its settings in its folder.
fn settings_in(folder: &Path) -> PathBuf {
    folder.join("pgbouncer.ini")
}

/// Writes settings that let the role of the server in without a password, by a socket in `folder`: `databases` are the lines of where
/// they lead, and `others` further settings.
pub(crate) fn configure(folder: &Path, databases: &str, others: &str) {
    let users = folder.join("users.txt");
    fs::write(&users, "\"category_mirror\" \"\"\n").expect("written");
    let settings = format!(
        "[databases]\n{databases}[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\nunix_socket_dir = {}\nauth_type = trust\n\
         auth_file = {}\nmax_client_conn = 4000\nserver_idle_timeout = 5\nautodb_idle_timeout = 5\n{others}",
        folder.display(),
        users.display()
    );
    fs::write(settings_in(folder), settings).expect("written");
}

/// Starts one with the settings in `folder`, which gets to be its own. It ends with the thread that starts it.
pub(crate) fn spawn(folder: &Path, user: Option<(Uid, Gid)>) -> Child {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("a mode");
    if let Some((user, group)) = user {
        chown(folder, Some(user), Some(group)).expect("a folder of its own");
    }
    let program = program().expect("pgbouncer is installed");
    let mut command = command(&program, user, "KILL");
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log");
    command.arg(settings_in(folder)).stderr(log).spawn().expect("started")
}
