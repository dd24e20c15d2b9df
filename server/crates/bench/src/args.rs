//! What to measure.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

/// Settings of the benchmarks.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// How long each window of measurement lasts; every figure has a window of its own, and pgbench one before and one after
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = humantime::parse_duration, global = true)]
    pub(crate) window: Duration,
    /// Folder of PostgreSQL's binaries, `pgbench` among them; else the newest that is installed
    #[arg(long, env = "PG_BIN_DIR", value_name = "DIR", global = true)]
    pub(crate) pg_bin_dir: Option<PathBuf>,
    /// Which figures.
    #[command(subcommand)]
    pub(crate) figures: Figures,
}

/// Whose runs a history has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RunSpread {
    /// Each tenant has about as many.
    Even,
    /// One tenant has half of all.
    Skewed,
}

/// The benchmarks.
#[derive(Debug, Subcommand)]
pub(crate) enum Figures {
    /// Durably accepted runs a second, through gRPC and by the store alone, against pgbench's single-row insert
    ///
    /// `grpc`: callers of MirrorCategories, each waiting for its answer, through the published client, server and client on the
    /// same processors. `echo`: the same calls of the same client, answered by nothing behind the same layers; the two take turns. Callers have
    /// `own_connections`, as pgbench's clients have, or the callers of one process share them. `store`: the group commit
    /// without gRPC; `with_request_ids`, as the published client sends them, it keeps a second row for each run. `pgbench`: `insert into run`,
    /// one row a transaction, as many clients, before and after; `ratio` is against their mean.
    Enqueue {
        /// How many callers at once; may be given several times
        #[arg(long, value_name = "N", default_values_t = [1, 16, 64])]
        callers: Vec<usize>,
    },
    /// Queued runs carried out a second, of tenants in sync, with a Google inside the process that answers at once
    ///
    /// Each run is claimed, reads its tenant, asks Google, plans, and ends with its plan recorded. `pgbench`: hundreds of rows of the same
    /// table claimed and ended by two statements, by 4 clients, before and after; `ratio` is against their mean.
    Drain {
        /// How many runs at once; may be given several times
        #[arg(long, value_name = "N", default_values_t = [10, 50, 100])]
        concurrency: Vec<usize>,
        /// How many runs are queued for each figure
        #[arg(long, value_name = "N", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(400..=200_000))]
        runs: u64,
    },
    /// From accepted to started: on an idle server, at 500 calls a second, and with bulk runs queued before
    ///
    /// A run has started when Google is first asked about its location; `accepted` is when its caller has the answer, `sent` when it asked.
    /// Behind bulk runs, Google takes 50 ms for each, so that they keep their places busy. `pgbench`: a lone client that inserts a row and
    /// claims it, each durably.
    Latency {
        /// How many bulk runs are queued in the last scenario
        #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(..=150_000))]
        bulk: u64,
    },
    /// Making the runs of a batch: how long a chunk takes, and all of them
    ///
    /// A chunk is one transaction, and a request for one of its tenants waits for its commit: `chunk_ms` is the longest that it waits.
    /// Chunks of the size that a server makes come first, then smaller and larger ones.
    Batch {
        /// How many tenants the batch touches
        #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000))]
        tenants: u64,
    },
    /// Expensive calls by many callers at once, and what they leave for another caller
    ///
    /// The most expensive form of each method that is not a look-up by a key: first by one caller, then by all at once, who have subjects of their own
    /// or share one. `list_tenants`: another caller's calls in the meantime, and `quiet` the same calls before, beside nothing. `refused`: calls that were told to come back, because too many waited.
    /// `health_not_serving`: how often `/healthz` said so. The database has 10 lists of 4,000 GBP categories and 90 days of runs, half of them one
    /// tenant's. Each method takes two windows and a quarter.
    Expensive {
        /// How many callers at once
        #[arg(long, value_name = "N", default_value_t = 24)]
        callers: usize,
        /// How many tenants there are
        #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(5_000..=1_000_000))]
        tenants: u64,
        /// How many platform categories there are
        #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(i32).range(5_000..=100_000))]
        platform_categories: i32,
        /// How many ended runs there are
        #[arg(long, value_name = "N", default_value_t = 300_000, value_parser = clap::value_parser!(i32).range(10_000..=30_000_000))]
        runs: i32,
    },
    /// From a switch-off of a feature flag to the last of three servers that refuses what it stops
    ///
    /// `off_everywhere`: from the call of `UpdateFlag` on one server until all three have refused a call, asked again and again, over a window.
    /// `ratio_max_to_target` below 1 is better than the 2 s that are promised. What has begun and is about to write asks the same copy of the flags.
    Flags,
    /// Statistics and lists over 90 days of history, beside the same over 10,000 runs
    ///
    /// `p50_ms`: the store's answer, without gRPC, of whoever has the newest failure, within the last minute. `ratio` is against 10,000 runs
    /// of the same spread. The two histories are databases of one PostgreSQL, and each question is asked of both in turns. A page after
    /// 1,000,000 rows is compared with the first page at 10,000. Where the short history has fewer rows of a page, the long one is also
    /// asked for so many: `same_page_ratio`. The histories are as a server has them: summed up but for the last minute, vacuumed, and counted
    /// for tenants but for today. Last, the oldest day is dropped, and claims go on beside that; `slowest_claim_ms` is the longest that one
    /// took.
    Reads {
        /// How many runs the long history has; may be given several times
        #[arg(long, value_name = "N", default_values_t = [10_000_000], value_parser = clap::value_parser!(u32).range(10_000..=100_000_000))]
        rows: Vec<u32>,
        /// Whose runs they are: each tenant's about as many, or half of them one tenant's; may be given several times
        #[arg(long, value_enum, value_name = "SPREAD", default_values_t = [RunSpread::Even])]
        spread: Vec<RunSpread>,
    },
    /// Memory of a server for each idle stream, and how soon a change is at its stream
    ///
    /// The server runs in a process of its own; the streams, each of a tenant of its own, share ten connections. `idle`: resident memory
    /// without a stream and with all of them, after each has sent a heartbeat; `kb_each` is the difference for one. Then 200 changes a
    /// second, each delivered to one stream: `same_server`, from the call that accepts a run to the snapshot's arrival; `other_server`,
    /// from the commit of one that this process accepts, as another server would, with its wake-up over LISTEN and NOTIFY. `ratio_to_target`
    /// below 1 is better than wanted. The streams are idle for 15 s and a window, and each of the two scenarios lasts a window.
    Streams {
        /// How many streams
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=100_000))]
        streams: u64,
    },
    /// Memory of the server with 1,000 runs queued, and with many
    Memory {
        /// How many are many
        #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=2_000_000))]
        queued: u64,
    },
}
