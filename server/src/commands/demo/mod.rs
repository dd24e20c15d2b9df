//! `category-mirror demo`: the whole product at work, with nothing configured, in under a minute.

mod sample;
mod screen;
mod stage;
mod tour;

use std::pin::pin;

use self::{screen::Screen, stage::Stage};
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
    let stage = Stage::open(&args).await?;
    let played = tokio::select! {
        played = tour::play(&stage, &screen) => played,
        () = &mut interrupted => Err(CommandError::Interrupted),
    };
    if played.is_ok() && args.keep {
        stage.explain(&screen);
        interrupted.await;
    }
    stage.close().await;
    played.and(screen.end())
}
