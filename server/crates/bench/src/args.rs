//! Settings of the benchmarks.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

/// Settings of the benchmarks.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Duration of each measurement window. Each figure has its own window, and pgbench runs for one window before it
    /// and one after it
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = humantime::parse_duration, global = true)]
    pub(crate) window: Duration,
    /// Directory with PostgreSQL's binaries, including `pgbench` [default: the newest installed version]
    #[arg(long, env = "PG_BIN_DIR", value_name = "DIR", global = true)]
    pub(crate) pg_bin_dir: Option<PathBuf>,
    /// The benchmark to run.
    #[command(subcommand)]
    pub(crate) figures: Figures,
}

/// How the runs of a history are spread over tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RunSpread {
    /// All tenants have about the same number.
    Even,
    /// One tenant has half of them.
    Skewed,
}

/// The benchmarks.
#[derive(Debug, Subcommand)]
pub(crate) enum Figures {
    /// Durably accepted runs per second, through gRPC and by the store alone, compared with pgbench's single-row
    /// inserts
    ///
    /// `grpc`: callers of MirrorCategories, each waiting for its response, through the published client; server and
    /// client share the processors. `echo`: the same calls of the same client, answered behind the same layers without
    /// any work; it alternates with `grpc`. With `own_connections`, each caller has its own connection, like pgbench's
    /// clients; otherwise, the callers of one process share connections. `store`: the group commit without gRPC;
    /// `with_request_ids`, which the published client sends, it stores a second row for each run. `pgbench`: `insert
    /// into run`, one row per transaction, with the same number of clients, before and after; `ratio` is relative to
    /// their mean.
    Enqueue {
        /// Number of concurrent callers; can be repeated
        #[arg(long, value_name = "N", default_values_t = [1, 16, 64])]
        callers: Vec<usize>,
    },
    /// Queued runs executed per second, for tenants that are in sync, with an in-process emulation of Google
    /// that responds immediately
    ///
    /// Each run is claimed, reads its tenant, reads from Google, plans, and ends with its plan recorded. `pgbench`: 4
    /// clients that claim and end 100 rows of the same table at a time, with two statements, before and after; `ratio`
    /// is relative to their mean.
    Drain {
        /// Number of concurrent runs; can be repeated
        #[arg(long, value_name = "N", default_values_t = [10, 50, 100])]
        concurrency: Vec<usize>,
        /// Number of queued runs for each figure, from 400 to 200000
        #[arg(long, value_name = "N", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(400..=200_000))]
        runs: u64,
    },
    /// Time from acceptance to start: on an idle server, at 500 calls per second, and with bulk runs queued ahead
    ///
    /// A run has started when its location is first requested from Google. `accepted`: measured from the caller's
    /// response; `sent`: from its request. If bulk runs are queued ahead, Google takes 50 ms for each request, so that
    /// these runs keep their worker slots busy. `pgbench`: a single client that inserts a row and claims it, each
    /// durably.
    Latency {
        /// Number of queued bulk runs in the last scenario, at most 150000
        #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(..=150_000))]
        bulk: u64,
    },
    /// Expansion of a batch: time per chunk and in total
    ///
    /// A chunk is one transaction, and a request for one of its tenants waits for its commit: `chunk_ms` is the longest
    /// wait. Chunks of the size that a server uses come first, then smaller and larger ones.
    Batch {
        /// Number of tenants in the batch, from 1000 to 1000000
        #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000))]
        tenants: u64,
    },
    /// Expensive calls by many concurrent callers, and their effect on another caller
    ///
    /// Calls each method, except look-ups by key, in its most expensive form: first by one caller, then by all callers
    /// at once, with distinct subjects or a shared one. `list_tenants`: another caller's calls in the meantime;
    /// `quiet`: the same calls before, without load. `refused`: calls that were refused because too many were waiting.
    /// `health_not_serving`: how often `/healthz` reported an error. The database has 10 lists of 4,000 GBP categories
    /// and 90 days of runs, half of them of one tenant. Each method takes two and a quarter windows.
    Expensive {
        /// Number of concurrent callers
        #[arg(long, value_name = "N", default_value_t = 24)]
        callers: usize,
        /// Number of tenants, from 5000 to 1000000
        #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(5_000..=1_000_000))]
        tenants: u64,
        /// Number of platform categories, from 5000 to 100000
        #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(i32).range(5_000..=100_000))]
        platform_categories: i32,
        /// Number of ended runs, from 10000 to 30000000
        #[arg(long, value_name = "N", default_value_t = 300_000, value_parser = clap::value_parser!(i32).range(10_000..=30_000_000))]
        runs: i32,
    },
    /// Time from turning a feature flag off until the last of three servers refuses what it disables
    ///
    /// `off_everywhere`: from the call of `UpdateFlag` on one server until all three servers have refused a call. Calls
    /// are repeated continuously for one window. The target is 2 s; `ratio_max_to_target` below 1 is better. A run that
    /// is about to write reads the same copy of the flags.
    Flags,
    /// Statistics and lists over 90 days of history, compared with those over 10,000 runs
    ///
    /// `p50_ms`: the store's response time, without gRPC; every queried subject has a failure within the last minute.
    /// `ratio` is relative to 10,000 runs of the same spread. The two histories are databases of one PostgreSQL, and
    /// each query alternates between them. A page after 1,000,000 rows is compared with the first page at 10,000. If
    /// the short history has less than a page of rows, the long one is also queried for that number: `same_page_ratio`.
    /// The histories are in the state that a server leaves them in: summed up except for the last minute, vacuumed, and
    /// counted by tenant except for today. Finally, the oldest day is dropped while claims continue; `slowest_claim_ms`
    /// is the longest claim.
    Reads {
        /// Number of runs in the long history, from 10000 to 100000000; can be repeated
        #[arg(long, value_name = "N", default_values_t = [10_000_000], value_parser = clap::value_parser!(u32).range(10_000..=100_000_000))]
        rows: Vec<u32>,
        /// Spread of the runs: about the same number for each tenant, or half of them for one tenant; can be repeated
        #[arg(long, value_enum, value_name = "SPREAD", default_values_t = [RunSpread::Even])]
        spread: Vec<RunSpread>,
    },
    /// Memory of a server per idle stream, and time from a change to its arrival on a stream
    ///
    /// The server runs in its own process. The streams, each for a different tenant, share ten connections. `idle`:
    /// resident memory without streams and with all of them, after each has sent a heartbeat; `kb_each` is the
    /// difference per stream. Then 200 changes per second, each delivered to one stream: `same_server`, from the call
    /// that accepts a run to the snapshot's arrival; `other_server`, from the commit of a run that the benchmark's
    /// process accepts, like another server, with its wake-up over LISTEN and NOTIFY. `ratio_to_target` below 1 is
    /// better than the target. The streams are idle for 15 s and a window, and each of the two scenarios lasts a
    /// window.
    Streams {
        /// Number of streams, from 100 to 100000
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=100_000))]
        streams: u64,
    },
    /// Memory of the server with 1,000 queued runs, and with a large number of them
    Memory {
        /// Number of queued runs in the second case, from 1000 to 2000000
        #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=2_000_000))]
        queued: u64,
    },
}
