//! The leases of this process, and those that have expired anywhere: held, renewed, lost, reclaimed.

mod held;
mod reclaim;
mod renewal;

pub(super) use self::{
    held::{HeldLease, HeldLeases},
    reclaim::{keep_reclaiming_expired, reclaim_expired},
    renewal::keep_renewing,
};
