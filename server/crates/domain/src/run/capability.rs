//! Which side a run may write, as a type.

use crate::{RunKind, Strategy};

/// The permission of a real run of `platform_to_gbp` to write to Google. The GBP client returns a writer only in exchange for it, and only
/// such a run has one: no dry run, and no run of the other strategy.
///
/// ```
/// use category_mirror_domain::{RunKind, Strategy};
/// let writes = |strategy, dry_run| RunKind { strategy, dry_run }.gbp_write_capability().is_some();
/// assert!(writes(Strategy::PlatformToGbp, false));
/// assert!(!writes(Strategy::PlatformToGbp, true));
/// assert!(!writes(Strategy::GbpToPlatform, false));
/// ```
///
/// No other code can make one.
///
/// ```compile_fail,E0423
/// let made_up = category_mirror_domain::GbpWriteCapability(());
/// ```
#[derive(Debug)]
pub struct GbpWriteCapability(());

/// The permission of a real run of `gbp_to_platform` to write the tenant's categories. The store requires it for that write, and only such
/// a run has one.
///
/// ```
/// use category_mirror_domain::{RunKind, Strategy};
/// let writes = |strategy, dry_run| RunKind { strategy, dry_run }.platform_write_capability().is_some();
/// assert!(writes(Strategy::GbpToPlatform, false));
/// assert!(!writes(Strategy::GbpToPlatform, true));
/// assert!(!writes(Strategy::PlatformToGbp, false));
/// ```
///
/// No other code can make one.
///
/// ```compile_fail,E0423
/// let made_up = category_mirror_domain::PlatformWriteCapability(());
/// ```
#[derive(Debug)]
pub struct PlatformWriteCapability(());

impl RunKind {
    /// Whether such a run writes at Google.
    #[must_use]
    pub fn gbp_write_capability(self) -> Option<GbpWriteCapability> {
        (self == Self { strategy: Strategy::PlatformToGbp, dry_run: false }).then_some(GbpWriteCapability(()))
    }

    /// Whether such a run writes on the platform.
    #[must_use]
    pub fn platform_write_capability(self) -> Option<PlatformWriteCapability> {
        (self == Self { strategy: Strategy::GbpToPlatform, dry_run: false }).then_some(PlatformWriteCapability(()))
    }
}
