//! The connections of the store: pools, and what is known of the server behind them.
//!
//! Every answer of the database is waited for only as long as its server is known to answer, and no connection is used again that was
//! given up in the middle of a statement, that an error has made doubtful, or whose server may not be the one that takes writes now. So a
//! server that fails over or stops answering costs the statements in progress, and no later ones.
//!
//! Behind a pooler that lends a session to each transaction, a prepared statement with a name is one that another session has, or that
//! another client has given this name. Statements without one are prepared and executed in two round trips, between which another client
//! may have replaced them: outside of a transaction they would answer another client's question. So there, every statement is sent without
//! a name, and within a transaction.

mod connection;
mod database_facts;
mod epoch;
mod hosts;
pub(in crate::store) mod limits;
mod pool;
mod pool_state;
pub(in crate::store) mod pools;
mod repeatable;
pub(in crate::store) mod requirements;
pub(in crate::store) mod route;
pub(in crate::store) mod session;
mod session_check;
mod sql_state;
mod transaction;
mod watchdog;

pub use self::pool::ConnectionPool;
pub(super) use self::{
    connection::Connection,
    epoch::Epochs,
    repeatable::{is_outgrown, note_outgrown},
    sql_state::{is_cut, is_transient},
    watchdog::Watchdog,
};
