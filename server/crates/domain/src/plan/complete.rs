//! Completeness as a type.

/// What one side holds, from a read that has seen all of it.
///
/// Whatever plans a removal asks for this, and only the code that reads a side can make one, from an answer that it has checked to its
/// end. A read that failed, or that saw a part, has nothing to give, so that "nothing is there" can never be what an error looks like.
///
/// A plan can be made of complete reads:
///
/// ```
/// use category_mirror_domain::{CategorySet, GuardContext, Complete, Plan, map_to_gbp, PlatformCategory};
/// # use chrono::{DateTime, Utc};
/// fn plan(
///     source: &Complete<Vec<PlatformCategory>>, target: Complete<Option<CategorySet>>, now: &GuardContext, at: DateTime<Utc>,
/// ) -> Option<Plan> {
///     Some(Plan::to_gbp(map_to_gbp(source, 9).ok()?, target, now, at))
/// }
/// ```
///
/// It cannot be made of a target that somebody puts together,
///
/// ```compile_fail,E0308
/// use category_mirror_domain::{CategorySet, GuardContext, Complete, Plan, map_to_gbp, PlatformCategory};
/// # use chrono::{DateTime, Utc};
/// fn plan(
///     source: &Complete<Vec<PlatformCategory>>, target: Option<CategorySet>, now: &GuardContext, at: DateTime<Utc>,
/// ) -> Option<Plan> {
///     Some(Plan::to_gbp(map_to_gbp(source, 9).ok()?, target, now, at))
/// }
/// ```
///
/// nor of a read that may have failed,
///
/// ```compile_fail,E0308
/// use category_mirror_domain::{CategorySet, GuardContext, Complete, Failure, Plan, map_to_gbp, PlatformCategory};
/// # use chrono::{DateTime, Utc};
/// fn plan(
///     source: &Complete<Vec<PlatformCategory>>, target: Result<Complete<Option<CategorySet>>, Failure>, now: &GuardContext,
///     at: DateTime<Utc>,
/// ) -> Option<Plan> {
///     Some(Plan::to_gbp(map_to_gbp(source, 9).ok()?, target, now, at))
/// }
/// ```
///
/// nor of a source that is a part of the tenant's categories.
///
/// ```compile_fail,E0308
/// use category_mirror_domain::{CategorySet, GuardContext, Complete, Plan, map_to_gbp, PlatformCategory};
/// # use chrono::{DateTime, Utc};
/// fn plan(
///     source: &Vec<PlatformCategory>, target: Complete<Option<CategorySet>>, now: &GuardContext, at: DateTime<Utc>,
/// ) -> Option<Plan> {
///     Some(Plan::to_gbp(map_to_gbp(source, 9).ok()?, target, now, at))
/// }
/// ```
///
/// There is no other way to a plan.
///
/// ```compile_fail,E0451
/// # use category_mirror_domain::{CategorySet, Plan};
/// fn plan(other: Plan, desired: CategorySet) -> Plan {
///     Plan { desired, ..other }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete<T>(T);

impl<T> Complete<T> {
    /// States that a read saw all of a side. Only the code that reads a side may call this: the GBP client and the store. A test of the
    /// server's sources refuses any other call.
    #[must_use]
    pub fn read(side: T) -> Self {
        Self(side)
    }

    /// A part that is complete because the whole is.
    pub(crate) fn map<U>(self, part: impl FnOnce(T) -> U) -> Complete<U> {
        Complete(part(self.0))
    }

    /// What was read.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.0
    }

    /// What was read, to keep.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}
