//! `postmaster.pid`, in which a postmaster says who and how far it is.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// The two lines that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: i32,
    pub(crate) ready: bool,
}

pub(crate) fn path(cluster: &Path) -> PathBuf {
    cluster.join("postmaster.pid")
}

/// `None` while there is no file, or none that can be read yet.
pub(crate) fn read(cluster: &Path) -> Option<PidFile> {
    // The folder is another user's when we are root: that user shall not lead us to another file, or to a pipe that blocks.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path(cluster)).ok()?;
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    parse(&text)
}

fn parse(text: &str) -> Option<PidFile> {
    let mut lines = text.lines();
    // Negative in single-user mode.
    let pid = lines.next()?.trim().parse::<i32>().ok()?.abs();
    let ready = lines.nth(6).is_some_and(|status| status.trim() == "ready");
    (pid > 1).then_some(PidFile { pid, ready })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eighth_line_tells() {
        let text = "4711\n/data\n1700000000\n5432\n../socket\n\n  5432001    262153\nready   \n";
        assert_eq!(parse(text), Some(PidFile { pid: 4711, ready: true }));
        assert_eq!(parse(&text.replace("ready", "starting")), Some(PidFile { pid: 4711, ready: false }));
        assert_eq!(parse("4711\n/data\n"), Some(PidFile { pid: 4711, ready: false }));
        for text in ["", "x\n", "0\n", "1\n", "-1\n"] {
            assert_eq!(parse(text), None, "signalling it would hit others: {text:?}");
        }
    }
}
