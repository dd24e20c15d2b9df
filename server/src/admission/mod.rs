//! Permits of calls: who may have how much at once, and what a call holds.
//!
//! Central invariant: a permit is held for as long as anything works for it. A call's future is not enough for that, because a
//! connection to the database lives on when the call's future is dropped. So each connection that is acquired within a call holds the
//! call's permits, too, and they are free again when the last of both is.

mod held;
mod shares;

pub use self::{
    held::HeldPermits,
    shares::{SharePermit, Shares},
};
