//! What this program was built from.

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit. `None`: the build was not told, by `CATEGORY_MIRROR_COMMIT`.
pub const COMMIT: Option<&str> = option_env!("CATEGORY_MIRROR_COMMIT");
