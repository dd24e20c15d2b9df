//! A Google Business Profile of our own: the calls that this project makes, over real HTTP and with Google's manners, and beside
//! them a control interface under `/_control/` that seeds, observes and breaks things.
//!
//! It exists because nothing about the real service can be proved offline, so where Google is known to be strict, this is
//! strict: masks, parameters, field names, error details, quotas. It shares no code with the client that it is there to test.
//!
//! Deliberately absent: persistence, TLS, the calls that this project does not make, partial answers by the system parameter
//! `fields` (tolerated, without effect), `filter` and `orderBy` on a list of locations (refused), and the service and hours
//! types that `view=FULL` would add.

mod answer;
mod calls;
mod categories;
mod command;
mod control;
mod demo;
mod edit;
mod faults;
mod google;
mod location;
mod locations;
mod mask;
mod method;
mod paging;
mod query;
mod quota;
mod seeding;
mod server;
mod taxonomy;
mod tokens;
mod world;

pub use command::{Args, run};
pub use server::Emulator;
