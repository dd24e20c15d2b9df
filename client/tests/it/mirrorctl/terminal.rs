//! The tool on a terminal: a real one, of a certain width.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::command;
use crate::fake::Fake;

/// What a terminal has shown, and how the tool ended.
pub(super) struct Shown {
    pub(super) code: Option<i32>,
    pub(super) text: String,
}

impl Shown {
    /// The lines of standard output and standard error, without what the terminal adds.
    pub(super) fn lines(&self) -> Vec<&str> {
        self.text.lines().map(str::trim_end).collect()
    }
}

/// Executes the tool on a terminal of `width` columns on which somebody types `input`.
pub(super) async fn on_terminal(fake: &Fake, width: u16, arguments: &[&str], input: &str) -> Shown {
    let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&near).expect("granted");
    unlockpt(&near).expect("unlocked");
    let size = Winsize { ws_row: 50, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&near, size).expect("a size");
    let name = ptsname(&near, Vec::new()).expect("a name");
    let far = OpenOptions::new().read(true).write(true).open(name.to_str().expect("UTF-8")).expect("its other side");
    let mut near = File::from(near);
    near.write_all(input.as_bytes()).expect("typed");

    let mut command = command(fake, arguments);
    command.env("NO_COLOR", "1");
    let side = || far.try_clone().expect("another handle");
    command.stdin(side()).stdout(side()).stderr(side());
    let mut child = command.spawn().expect("the tool starts");
    // The terminal ends with the last handle to this side of it.
    drop((command, far));
    let read = tokio::task::spawn_blocking(move || {
        let mut shown = Vec::new();
        let mut part = [0; 4096];
        // Linux ends a terminal with an error.
        while let Ok(length @ 1..) = near.read(&mut part) {
            shown.extend_from_slice(&part[..length]);
        }
        String::from_utf8(shown).expect("UTF-8")
    });
    let code = child.wait().await.expect("it ends").code();
    Shown { code, text: read.await.expect("read") }
}
