//! The client against a server that the test writes, over real connections.

mod calls;
mod credentials;
mod errors;
mod fake;
mod flags;
mod guard;
mod lists;
mod metadata;
#[cfg(feature = "cli")]
mod mirrorctl;
mod surface;
mod watch;
