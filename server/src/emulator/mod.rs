//! A Google Business Profile of our own: the calls that this project makes, over real HTTP and with Google's manners, and beside
//! them a control interface under `/_control/` that seeds, observes and breaks things.
//!
//! It exists because nothing about the real service can be proved offline, so where Google is known to be strict, this is
//! strict: masks, parameters, field names, error details, quotas. It shares no code with the client that it is there to test.
//!
//! | control call | does |
//! |---|---|
//! | `PUT`, `GET`, `DELETE /_control/locations/{l}` | seeds `{account, title, regionCode, languageCode, categories, metadata, openInfo}`; shows every view; removes |
//! | `PATCH /_control/locations/{l}` | what Google says of it: `{metadata: {hasVoiceOfMerchant, duplicateLocation}, openInfo: {status}}` |
//! | `POST /_control/locations/{l}:edit` | an edit from outside, `{by: "owner" or "google", categories}` |
//! | `POST /_control/locations/{l}:publish` | ends the review of an edit |
//! | `PUT /_control/review` | `{enabled}`: whether edits wait for review; off at first |
//! | `GET`, `DELETE /_control/calls` | counts by method, and `writes` in order; forgets them |
//! | `GET /_control/patches` | each `locations.patch` as it arrived, whether or not it took effect, and a fingerprint of its caller's token |
//! | `GET /_control/faults` | how often each of the scripted ones struck |
//! | `POST`, `DELETE /_control/faults` | `{method, location, times, probability, seed, status, headers, body, delay_ms, drop}` |
//! | `PUT /_control/quota` | `{requests_per_minute, edits_per_minute_per_location}`: 0 is no access, absent unlimited |
//! | `POST /_control/taxonomy` | `{retire: […], rename: {…}, add: {…}}` |
//! | `POST /_control/tokens` | `{revoke_refresh: […], revoke_access: […], expire_access, expires_in, allow_access: […]}` |
//!
//! Control calls are answered for programs on this machine only, wherever the emulator listens, and for no page of another site in a
//! browser on it (403).
//!
//! A fault strikes the calls that it matches, for ever unless `times` says otherwise, and answers 503 unless it says otherwise;
//! with nothing but `delay_ms` the call is answered late, and normally. `categories` are in Google's form or
//! `{primary, additional}` with gcids.
//!
//! A location is verified, unique and open unless it is told otherwise. Without a voice of the merchant, and as a duplicate, it takes
//! edits and the public does not see them. What a `PATCH` leaves out stays as it is; `duplicateLocation: null` takes that away.
//!
//! Deliberately absent: persistence, TLS, the calls that this project does not make, partial answers by the system parameter
//! `fields` (tolerated, without effect), `filter` and `orderBy` on a list of locations (refused), and the service and hours
//! types that `view=FULL` would add.

mod answer;
mod calls;
mod categories;
mod command;
mod condition;
mod control;
mod demo;
mod edit;
mod faults;
mod google;
mod local;
mod location;
mod locations;
mod mask;
mod method;
mod paging;
mod query;
mod quota;
mod seeding;
mod server;
mod state;
mod taxonomy;
mod tokens;

pub use command::{Args, run};
pub use server::Emulator;
