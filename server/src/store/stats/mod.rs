//! Statistics of runs: rollups by period, and the answers that are summed from them.

pub(in crate::store) mod count_map;
pub(in crate::store) mod partial_aggregate;
pub(in crate::store) mod rollup;
pub(in crate::store) mod sync_stats;
pub(in crate::store) mod tenant_stats;
pub(in crate::store) mod window;
