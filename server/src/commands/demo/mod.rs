//! `category-mirror demo`: the whole product at work, with nothing configured, in under a minute.

mod environment;
mod sample;
mod scenario;
mod screen;

use std::{env, pin::pin};

use self::{environment::DemoEnvironment, screen::Screen};
use super::{CommandError, signals::first_signal};
use crate::config::DemoArgs;

/// Plays the demo; with `--keep` it goes on serving until Ctrl-C. Whenever it is interrupted, nothing is left behind.
pub(super) async fn run(args: DemoArgs) -> Result<(), CommandError> {
    let screen = Screen::new();
    // Subscribed before anything is created. Further signals are ignored: they would interrupt the removal.
    let mut interrupted = pin!(first_signal());
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
    if played.is_ok() && !args.keep {
        conclude(&screen);
    }
    played.and(screen.end())
}

/// The last lines: what was shown, and what to try next.
fn conclude(screen: &Screen) {
    // Cargo sets it for what it runs.
    let program = if env::var_os("CARGO").is_some() { "cargo run --" } else { "category-mirror" };
    screen.success(
        "Success: Google now has the platform's categories for five stores. The sixth has a location that Google does \
         not know, and its runs name that reason. Everything that the demo started is stopped and removed.",
    );
    screen.say("Try next:");
    screen.say(&format!("  {program} demo --keep     the same, and it goes on serving, with commands to paste"));
    screen.say(&format!("  {program} serve --dev     an empty service with its own PostgreSQL and emulator"));
    screen.say(&format!("  {program} --help          all commands; docs/api.md shows how to call the service"));
}
