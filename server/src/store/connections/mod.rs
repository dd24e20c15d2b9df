//! The connections of the store: pools, and what is known of the server behind them.
//!
//! Every answer of the database is waited for only as long as its server is known to answer, and no connection is used again that was
//! given up in the middle of a statement, that an error has made doubtful, or whose server may not be the one that takes writes now. So a
//! server that fails over, or falls silent, costs the statements under way, and nothing after them.

mod connection;
mod epoch;
mod hosts;
mod pool;
mod repeatable;
mod watchdog;

pub(crate) use self::pool::ConnectionPool;
pub(super) use self::{
    connection::Connection,
    epoch::Epochs,
    hosts::Hosts,
    pool::PoolLimits,
    repeatable::{is_outgrown, note_outgrown},
    watchdog::Watchdog,
};
