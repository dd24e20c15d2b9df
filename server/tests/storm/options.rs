//! The command line: the storm's own arguments, and those that cargo passes to every test program.

use std::{ops::RangeInclusive, time::Duration};

use clap::Parser;

/// The name that a filter of `cargo test` is compared with.
const NAME: &str = "storm";

/// A paragraph a line: the terminal's width breaks it.
const TEACH: &str = "\
Several `serve` processes carry out runs for many tenants. On every beat one of them is killed with `kill -9`, and something else \
happens: a server is stopped beyond its lease and continued, told to end, or cut off from the database, or its database falls silent without a word, \
or PostgreSQL is restarted or killed. One of the servers speaks to the database through PgBouncer in transaction mode, which is killed, \
restarted and reloaded, too. A share of Google's answers is wrong, late, halved, or lost after the write took effect. Some runs are cancelled: at once, \
after a while, or in the middle of a write. With every fourth run a careful caller mirrors a tenant of its own, or makes a dry run of it and \
may apply the plan, sometimes after one of the sides was changed; for half of these tenants Google wins. Some of what was \
written is taken back. With every 15 runs an organization is mirrored by a batch, beside calls for single tenants of \
it; some batches are cancelled. Whatever call gets no answer is repeated, and some that get one are too.

With every other run one of the troubled tenants has an episode: the owner edits between the service's read and its write, or between the \
write and its answer; the write is refused, or its answer is lost, and then the location is forbidden or not found, the source's \
primary category loses its mapping, the platform wants something else, the tenant loses its location, the run is cancelled, the \
plan is stale, or the kill switch is off; a caller joins a run that has read its source already; two tenants swap their locations under live runs, \
or one moves to a spare location and back. All calls to Google pass through a gate, which does these things at exactly that call. \
Of three servers one has a fast clock and one a slow one. The kill switch is off now and then, for all or for some. When half of the \
runs are ordered, every table gets another column, and for some seconds nothing else strikes.

PostgreSQL is a primary and a standby that streams from it, and a commit is answered once both have it. In a failover the primary is lost, the \
standby is promoted (`pg_ctl promote`), and the name of the database, a TCP proxy, leads there; then another standby is made. In turn the \
primary is killed and its connections break, or it vanishes without a word, or it is fenced: it refuses writes and keeps its connections \
for a while. A storm goes on until everything has struck once, except with a `--beat` of more than 5 s; what never happened is named \
in the end (`never` in the JSON object).

When all has calmed down, each tenant gets one more run. Then an auditor compares what callers were promised, a journal of every change \
of the run table, and the emulator's record of every write. A dry run must have written nothing and planned what the sides were, and its plan must have been \
carried out as it was, or be stale because a side had moved. What was taken back must have led to what was there before, or have been left alone because it had changed. Where \
Google wins, the platform must have what Google had, and Google must \
have got nothing.

What a run says that it wrote must be its own writes that took effect, all of them and nothing of the owner's, or the run must have failed \
and say that a write of it is unresolved. No run that has written may be skipped or cancelled, lose its plan, or remove more in all of its writes \
than a guard lets pass. No write may reach a location that is not the tenant's then, or be sent when the kill switch is off for more than \
2 s. A joined run must do what was wanted when it was joined. What was committed before a failover must be there after it, and every server \
must take a write within 60 s of the name's move, whatever else strikes. The clocks must be as wrong as they were to be. Ids, times and the last run must follow the database's clock. Writes that \
came late are excepted where nobody can know of them.

Then the auditor forges that evidence in many ways, and must find each forgery. \
Findings end the program with code 1, and leave its folder with all logs for you.

The last line on stdout is one JSON object. `late_writes` in it counts writes that reached Google after their lease had ended, and of \
which nobody can tell from outside whether they were begun before: their process was stopped between its look at the lease and the wire.

The same seed makes the same decisions: what strikes when, what each tenant wants. How far each process has come by then is the \
machine's business, so a finding need not come back at once: run the seed again, or longer. What does not need a blow comes back \
more surely without any: see the last example.

Examples:
  cargo test -p category-mirror-server --test storm
  cargo test -p category-mirror-server --test storm -- --seed 7 --runs 1000
  cargo test -p category-mirror-server --test storm -- --seed 9 --duration 1h
  cargo test -p category-mirror-server --test storm -- --seeds 1..20 --runs 300
  cargo test -p category-mirror-server --test storm -- --faults 0 --beat 1h --skew 0s --switches false";

/// Tries to lose, double or garble runs, and checks whether it succeeded.
#[derive(Debug, Clone, Parser)]
#[command(name = "storm", after_help = TEACH)]
pub(crate) struct Options {
    /// Of every decision
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many runs to order at least, beside those of batches
    #[arg(long, default_value_t = 60, value_name = "N")]
    pub(crate) runs: u64,
    /// Go on for so long instead, such as `10m` or `1h`
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, conflicts_with = "runs")]
    pub(crate) duration: Option<Duration>,
    /// How many servers there are
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=20))]
    pub(crate) replicas: u16,
    /// How many tenants there are; else a quarter of the runs, at least 10 and at most 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=5000))]
    pub(crate) tenants: Option<u16>,
    /// How many runs are asked for in a second
    #[arg(long, default_value_t = 6.0, value_name = "N", value_parser = rate)]
    pub(crate) rate: f64,
    /// The time between blows: each is a `kill -9` and one more
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) beat: Duration,
    /// How many in a hundred of Google's answers are faulty
    #[arg(long, default_value_t = 20, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=90))]
    pub(crate) faults: u8,
    /// How far the clocks of two servers in three are off, one fast and one slow; `0s` lets all agree
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) skew: Duration,
    /// Whether troubled tenants have episodes beside the other runs
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) troubles: bool,
    /// Whether the kill switch is off now and then
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) switches: bool,
    /// Whether the primary PostgreSQL is lost now and then, and a standby promoted
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) failovers: bool,
    /// Whether one of the servers speaks to the database through PgBouncer: by the seed another one
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) pooler: bool,
    /// Whether every table gets another column when half of the runs are ordered
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) migration: bool,
    /// Run one storm after the other, each in a process of its own, and print one line for each, such as `1..20` for the seeds 1 to 20
    #[arg(long, value_name = "FIRST..LAST", value_parser = seeds, conflicts_with = "seed")]
    pub(crate) seeds: Option<RangeInclusive<u64>>,
    #[command(flatten)]
    cargo: CargoOptions,
}

/// What cargo and other runners pass to a test program. Most of it is accepted only to be ignored: there is one test.
#[derive(Debug, Clone, clap::Args)]
struct CargoOptions {
    #[arg(hide = true)]
    filters: Vec<String>,
    #[arg(long, hide = true)]
    list: bool,
    #[arg(long, hide = true)]
    exact: bool,
    #[arg(long, hide = true)]
    ignored: bool,
    #[arg(long, hide = true, value_name = "FILTER")]
    skip: Vec<String>,
    #[arg(long, hide = true)]
    include_ignored: bool,
    #[arg(long, hide = true, visible_alias = "no-capture")]
    nocapture: bool,
    #[arg(long, hide = true)]
    show_output: bool,
    #[arg(long, hide = true)]
    test: bool,
    #[arg(long, short, hide = true)]
    quiet: bool,
    #[arg(long, hide = true)]
    test_threads: Option<u32>,
    #[arg(long, hide = true)]
    format: Option<String>,
    #[arg(long, hide = true)]
    color: Option<String>,
    #[arg(short = 'Z', hide = true)]
    unstable: Vec<String>,
}

/// What the command line asks for.
pub(crate) enum Invocation {
    /// A storm.
    Storm(Box<Options>),
    /// One for each of these seeds.
    Seeds(Box<Options>, RangeInclusive<u64>),
    /// A list of the tests.
    List,
    /// Other tests.
    Nothing,
}

impl Options {
    /// Reads the command line; ends the program where it makes no sense, or asks for help.
    pub(crate) fn from_command_line() -> Invocation {
        let options = Self::parse();
        if !options.cargo.includes_storm() {
            return Invocation::Nothing;
        }
        match options.seeds.clone() {
            _ if options.cargo.list => Invocation::List,
            Some(seeds) => Invocation::Seeds(Box::new(options), seeds),
            None => Invocation::Storm(Box::new(options)),
        }
    }

    /// The arguments of one storm of several, without its seed.
    pub(crate) fn of_one(&self) -> Vec<String> {
        let switch = |name: &str, is_on: bool| [format!("--{name}"), is_on.to_string()];
        let time = |name: &str, time: Duration| [format!("--{name}"), humantime::format_duration(time).to_string()];
        let number = |name: &str, number: &dyn ToString| [format!("--{name}"), number.to_string()];
        let length = self.duration.map_or_else(|| number("runs", &self.runs), |duration| time("duration", duration));
        let all = [
            length,
            number("replicas", &self.replicas),
            number("tenants", &self.tenants()),
            number("rate", &self.rate),
            time("beat", self.beat),
            number("faults", &self.faults),
            time("skew", self.skew),
            switch("troubles", self.troubles),
            switch("switches", self.switches),
            switch("failovers", self.failovers),
            switch("pooler", self.pooler),
            switch("migration", self.migration),
        ];
        all.into_iter().flatten().collect()
    }

    /// How many runs are ordered before the schema changes; of a storm that goes on for a while, so many that it comes soon.
    pub(crate) fn half(&self) -> u64 {
        if self.duration.is_some() { 60 } else { (self.runs / 2).max(1) }
    }

    /// Whether everything is to strike once, however few runs are ordered.
    pub(crate) fn strikes_all(&self) -> bool {
        self.duration.is_none() && self.beat <= Duration::from_secs(5)
    }

    /// The place of the server that speaks to the database through a pooler; `None`: there shall be no pooler.
    pub(crate) fn pooled_place(&self) -> Option<usize> {
        let place = usize::try_from(self.seed % u64::from(self.replicas)).unwrap_or_default();
        self.pooler.then_some(place)
    }

    /// How many tenants there are.
    pub(crate) fn tenants(&self) -> usize {
        let by_runs = if self.duration.is_some() { 200 } else { (self.runs / 4).clamp(10, 200) };
        self.tenants.map_or(by_runs, u64::from).try_into().unwrap_or(200)
    }
}

impl CargoOptions {
    fn includes_storm(&self) -> bool {
        let is_meant = |filter: &String| if self.exact { filter == NAME } else { NAME.contains(filter.as_str()) };
        !self.ignored
            && (self.filters.is_empty() || self.filters.iter().any(is_meant))
            && !self.skip.iter().any(is_meant)
    }
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (first, last) = text.split_once("..").ok_or("must be two numbers, such as 1..20")?;
    let number =
        |text: &str| text.trim_start_matches('=').parse::<u64>().map_err(|_| format!("{text:?} is not a number"));
    let (first, last) = (number(first)?, number(last)?);
    if first <= last { Ok(first..=last) } else { Err(format!("{first} is greater than {last}")) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    if (0.1..=1000.0).contains(&rate) { Ok(rate) } else { Err("must be from 0.1 to 1000".to_owned()) }
}
