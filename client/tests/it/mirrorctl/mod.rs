//! The tool, as a process of its own.

mod batches;
mod changes;
mod commands;
mod connecting;
mod contexts;
mod credentials;
mod documented;
mod errors;
mod flags;
mod generated;
mod hostile;
mod imports;
mod lists;
mod output;
mod runs;
mod starting;
mod stats;
mod tables;
mod taxonomy;
mod terminal;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use category_mirror_proto::v1::{self, run::State};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::fake::{Ending, Fake, run, updates};

/// The tool, in an environment that has the server and nothing else.
fn command(fake: &Fake, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorctl"));
    command.args(arguments).env_clear().env("MIRRORCTL_ENDPOINT", fake.endpoint()).env("MIRRORCTL_TOKEN", "s3cret");
    command.env("TZ", "UTC").kill_on_drop(true);
    command
}

async fn mirrorctl(fake: &Fake, arguments: &[&str]) -> Output {
    command(fake, arguments).output().await.expect("the tool starts")
}

/// Executes the tool with this on its standard input.
async fn fed(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).await.expect("written");
    drop(stdin);
    child.wait_with_output().await.expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// A folder of a test's own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mirrorctl-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and returns its path.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the system's temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn planned(state: State) -> v1::Run {
    let category = v1::GbpCategory { name: "categories/gcid:bakery".into(), display_name: "Bakery\u{1b}[2J".into() };
    let placed = v1::CategorySetMember {
        category: Some(category),
        role: v1::category_set_member::Role::Additional.into(),
        ..Default::default()
    };
    let operation = v1::change::Operation::Create.into();
    let plan =
        v1::Plan { changes: vec![v1::Change { operation, before: None, after: Some(placed) }], ..Default::default() };
    v1::Run { plan: Some(plan), dry_run: true, ..run("1", 2, state) }
}

fn will_run(fake: &Fake, end: State) {
    let accepted = v1::MirrorCategoriesResponse { run: Some(run("1", 1, State::Queued)), ..Default::default() };
    fake.methods.mirror_categories.will(Ok(accepted));
    let snapshots = vec![run("1", 1, State::Queued), planned(end)];
    fake.methods.stream_run_updates.will(Ok(updates(snapshots, Ending::Close)));
}
