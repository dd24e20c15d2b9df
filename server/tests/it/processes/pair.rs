//! A primary PostgreSQL and a standby that streams from it. A commit is answered once the standby has it.

use tempfile::TempDir;

use super::site::folder;
use crate::support::node::Node;

/// Of both: they are quick, and lose nothing when they are killed.
const SETTINGS: [&str; 2] = ["max_connections=200", "fsync=off"];

/// The two. Dropped, they end.
pub(super) struct Pair {
    /// Takes writes, until it is stopped.
    pub(super) primary: Node,
    /// Takes none, until it is promoted.
    pub(super) standby: Node,
    _folder: TempDir,
}

impl Pair {
    /// Starts both, with an empty database.
    pub(super) async fn start() -> Self {
        let folder = folder();
        let primary = Node::create(folder.path(), "a", &SETTINGS).await;
        let standby = primary.copy(folder.path(), "b").await;
        primary.require_standby().await;
        Self { primary, standby, _folder: folder }
    }
}
