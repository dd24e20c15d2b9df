//! `category-mirror demo`: the whole product at work, with nothing configured, in under a minute.

mod environment;
mod sample;
mod scenario;
mod screen;

use std::pin::pin;

use self::{environment::DemoEnvironment, screen::Screen};
use super::{
    CommandError,
    signals::{Hangup, shutdown_signal},
};
use crate::config::DemoArgs;

/// Plays the demo; with `--keep` it goes on serving until Ctrl-C.
pub(super) async fn run(args: DemoArgs) -> Result<(), CommandError> {
    let screen = Screen::new();
    // Heard from here on, so that an interruption at any moment leaves nothing behind.
    let mut interrupted = pin!(shutdown_signal(Hangup::Ends));
    screen.say("Starting a PostgreSQL, an emulator of Google Business Profile, and the service.");
    let environment = DemoEnvironment::open(&args).await?;
    let played = tokio::select! {
        played = scenario::play(&environment, &screen) => played,
        () = &mut interrupted => Err(CommandError::Interrupted),
    };
    if played.is_ok() && args.keep {
        environment.explain(&screen);
        interrupted.await;
    }
    environment.close().await;
    played.and(screen.end())
}
