//! The version of a server.

/// What a server was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ServerVersion {
    /// Its version, such as `0.1.0`.
    pub version: String,
    /// The commit that it was built from. `None`: the build was not told.
    pub commit: Option<String>,
}

impl ServerVersion {
    pub(crate) fn from_header(header: &str) -> Self {
        let (version, commit) =
            header.split_once('+').map_or((header, None), |(version, commit)| (version, Some(commit)));
        Self { version: version.to_owned(), commit: commit.map(str::to_owned) }
    }
}
