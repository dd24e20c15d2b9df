//! Permits of calls: limits how much each holder may use at once, and tracks what a call holds.
//!
//! Central invariant: a permit is held as long as any work uses it. A call's future is not sufficient for that, because
//! a connection to the database stays in use after the call's future has been dropped. So each connection that a call
//! acquires also holds the call's permits, and they are freed when the last of both is dropped.

mod held;
mod shares;

pub use self::{
    held::HeldPermits,
    shares::{SharePermit, Shares},
};
