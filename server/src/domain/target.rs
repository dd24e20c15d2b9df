//! Which side a run may write, as a type.

use super::{RunKind, Strategy};

/// The word of a real run of `platform_to_gbp` that Google's side is its target. Nobody gets a writer of that side without it, and no other
/// run can give it: neither a dry run nor one of the other strategy.
///
/// ```
/// use category_mirror::{domain::{RunKind, Strategy, WritesGbp}, gbp::{Client, Writer}};
/// fn real(google: &Client, word: WritesGbp) -> Writer {
///     google.writer(word)
/// }
/// let writes = |strategy, dry_run| RunKind { strategy, dry_run }.writes_gbp().is_some();
/// assert!(writes(Strategy::PlatformToGbp, false));
/// assert!(!writes(Strategy::PlatformToGbp, true));
/// assert!(!writes(Strategy::GbpToPlatform, false));
/// ```
///
/// Who has the way to Google and not the word gets no writer,
///
/// ```compile_fail,E0061
/// use category_mirror::gbp::{Client, Writer};
/// fn real(google: &Client) -> Writer {
///     google.writer()
/// }
/// ```
///
/// nor does the word that the platform is written,
///
/// ```compile_fail,E0308
/// use category_mirror::{domain::WritesPlatform, gbp::{Client, Writer}};
/// fn real(google: &Client, word: WritesPlatform) -> Writer {
///     google.writer(word)
/// }
/// ```
///
/// and nobody makes the word up.
///
/// ```compile_fail,E0423
/// use category_mirror::{domain::WritesGbp, gbp::{Client, Writer}};
/// fn real(google: &Client) -> Writer {
///     google.writer(WritesGbp(()))
/// }
/// ```
///
/// What plans has less: a [`Reader`](crate::gbp::Reader), in which there is no way to Google but to read.
///
/// ```
/// use category_mirror::{domain::{Failure, LocationId}, gbp::{Location, Reader}};
/// async fn look(google: &Reader, id: &LocationId) -> Result<Location, Failure> {
///     google.location(id).await
/// }
/// ```
///
/// ```compile_fail,E0599
/// use category_mirror::{domain::WritesGbp, gbp::{Reader, Writer}};
/// fn real(google: &Reader, word: WritesGbp) -> Writer {
///     google.writer(word)
/// }
/// ```
///
/// ```compile_fail,E0616
/// use category_mirror::{domain::WritesGbp, gbp::{Reader, Writer}};
/// fn real(google: &Reader, word: WritesGbp) -> Writer {
///     google.0.writer(word)
/// }
/// ```
#[derive(Debug)]
pub struct GbpWriteCapability(());

/// The word of a real run of `gbp_to_platform` that the platform's side is its target. The store writes no tenant's categories for a run
/// without it.
///
/// ```
/// # use category_mirror::{domain::{Plan, Tenant, TenantCategory, WritesPlatform}, store::{Held, Progress, Store}};
/// # async fn write(store: &Store, held: Held, of: &Tenant, plan: &Plan<TenantCategory>, progress: &Progress, word: WritesPlatform) {
/// let _ = store.write_platform(None, held, of, plan, progress, word).await;
/// # }
/// ```
///
/// ```compile_fail,E0308
/// # use category_mirror::{domain::{Plan, Tenant, TenantCategory, WritesGbp}, store::{Held, Progress, Store}};
/// # async fn write(store: &Store, held: Held, of: &Tenant, plan: &Plan<TenantCategory>, progress: &Progress, word: WritesGbp) {
/// let _ = store.write_platform(None, held, of, plan, progress, word).await;
/// # }
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
