//! What an attempt has, and only this: a read-only context, a journal, and what it may use of either side.

mod abort;
mod begun;
mod context;
mod drift;
mod google;
mod journal;
mod request;

pub(super) use self::{
    abort::Abort,
    begun::{BegunAttempt, PrefetchedSnapshot},
    context::AttemptContext,
    drift::{assess, desired, resume},
    google::{GbpTarget, gbp_reader, gbp_target},
    journal::Journal,
    request::Request,
};
