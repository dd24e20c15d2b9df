//! What callers ask for and are answered with: filters, changes and reports. Both the protocol and the statements know these types, and
//! neither knows the other.

mod affected;
mod category_change;
mod run_filter;
mod sync_filter;
mod sync_stats;
mod tenant_change;

pub use affected::{Affected, AffectedMapping, MappingEffect};
pub use category_change::{NewCategory, PlatformCategoryChange};
pub use run_filter::RunFilter;
pub use sync_filter::SyncFilter;
pub use sync_stats::{EndedRuns, SyncStats};
pub use tenant_change::{NewTenant, TenantChange};
