//! What the demo shows: in colour and with moving lines on a terminal, as plain lines everywhere else.

use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use category_mirror_client::{Run, RunState};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::commands::{CommandError, output::unwritten};

const TICK: Duration = Duration::from_millis(80);

/// Standard output.
pub(super) struct Screen {
    is_terminal: bool,
    in_colour: bool,
    /// Why a line could not be written, the first time.
    failure: OnceLock<io::Error>,
}

/// The lines of runs under way.
pub(super) struct ProgressDisplay<'a> {
    screen: &'a Screen,
    lines: Option<MultiProgress>,
}

/// One run's line.
pub(super) struct Line<'a> {
    screen: &'a Screen,
    name: &'static str,
    bar: Option<ProgressBar>,
    shown: String,
}

impl Screen {
    pub(super) fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let in_colour = is_terminal && std::env::var_os("NO_COLOR").is_none();
        Self { is_terminal, in_colour, failure: OnceLock::new() }
    }

    /// A line. Where it cannot be written, the demo goes on unseen: it has things to stop and to remove.
    pub(super) fn say(&self, text: &str) {
        if let Err(error) = writeln!(io::stdout(), "{text}") {
            // The first one is the cause.
            let _ = self.failure.set(error);
        }
    }

    /// Whether everything could be shown. A reader who has seen enough, as with `| head`, is no failure.
    pub(super) fn end(self) -> Result<(), CommandError> {
        match self.failure.into_inner() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritten(&error)),
            _ => Ok(()),
        }
    }

    /// A heading, with a line of space before it.
    pub(super) fn heading(&self, text: &str) {
        self.say("");
        self.say(&self.paint(Style::new().bold(), text));
    }

    /// The good end, with a line of space before it.
    pub(super) fn success(&self, text: &str) {
        self.say("");
        self.say(&self.paint(AnsiColor::Green.on_default().bold(), text));
    }

    /// A store's name, and what was found about it, each line coloured by its first character.
    pub(super) fn block(&self, name: &str, text: &str) {
        self.say(&self.paint(Style::new().bold(), name));
        for line in text.lines() {
            self.say(&format!("  {}", self.paint(style_of(line), line)));
        }
    }

    /// Shows runs under way, one line each.
    pub(super) fn progress(&self) -> ProgressDisplay<'_> {
        let lines = || MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        ProgressDisplay { screen: self, lines: self.is_terminal.then(lines) }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.in_colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

impl<'a> ProgressDisplay<'a> {
    /// Adds the line of a run.
    pub(super) fn line(&self, name: &'static str) -> Line<'a> {
        let bar = self.lines.as_ref().map(|lines| {
            let style = ProgressStyle::with_template("{spinner} {prefix:28} {msg}");
            let bar = lines.add(ProgressBar::new_spinner()).with_prefix(name).with_style(
                // The template is a constant; should it ever be wrong, the default one does.
                style.unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(TICK);
            bar
        });
        Line { screen: self.screen, name, bar, shown: String::new() }
    }
}

impl Line<'_> {
    /// Shows the run as it is now.
    pub(super) fn show(&mut self, run: &Run) {
        let (text, style) = describe(run);
        if text == self.shown {
            return;
        }
        let painted = self.screen.paint(style, &text);
        match &self.bar {
            Some(bar) if run.is_terminal() => bar.finish_with_message(painted),
            Some(bar) => bar.set_message(painted),
            None => self.screen.say(&format!("  {:28} {painted}", self.name)),
        }
        self.shown = text;
    }
}

fn describe(run: &Run) -> (String, Style) {
    let colour = |colour: AnsiColor| colour.on_default();
    let reason = run.reason.as_deref().unwrap_or_default();
    match run.state {
        RunState::Succeeded if run.counts.created + run.counts.updated + run.counts.deleted == 0 => {
            ("succeeded, nothing to do".to_owned(), colour(AnsiColor::Green))
        }
        RunState::Succeeded => (format!("succeeded, wrote {}", run.counts), colour(AnsiColor::Green)),
        RunState::Failed => (format!("failed: {reason}"), colour(AnsiColor::Red)),
        RunState::Skipped => (format!("skipped: {reason}"), Style::new().dimmed()),
        RunState::Queued if run.attempt > 0 => {
            (format!("attempt {} failed: {reason}; will try again", run.attempt), colour(AnsiColor::Yellow))
        }
        RunState::Running if run.attempt > 1 => {
            (format!("running, attempt {}", run.attempt), colour(AnsiColor::Yellow))
        }
        state => (state.to_string(), colour(AnsiColor::Yellow)),
    }
}

fn style_of(line: &str) -> Style {
    match line.chars().next() {
        Some('+') => AnsiColor::Green.on_default(),
        Some('~' | '!') => AnsiColor::Yellow.on_default(),
        Some('-' | 'x') => AnsiColor::Red.on_default(),
        Some('=') => Style::new().dimmed(),
        _ => Style::new(),
    }
}
