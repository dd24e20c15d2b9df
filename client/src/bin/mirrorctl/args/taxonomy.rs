//! Google's lists of categories.

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum TaxonomyCommand {
    /// Import Google's list, and say what is different and whom it concerns; give it time with --timeout 60s
    Refresh {
        #[command(flatten)]
        locale: LocaleArgs,
        /// Take the list also when it is more than 5 % shorter than the version before, for this reason
        #[arg(long, value_name = "REASON")]
        allow_shrink: Option<String>,
    },
    /// List the versions of the lists, the newest first
    List {
        /// Only those of this region
        #[arg(long)]
        region_code: Option<String>,
        /// Only those of this language
        #[arg(long)]
        language_code: Option<String>,
    },
    /// Find categories by the beginning of a name or gcid, and by similar names
    Search {
        #[command(flatten)]
        locale: LocaleArgs,
        /// What to look for; nothing finds all
        #[arg(default_value = "")]
        query: String,
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
    },
    /// List the platform categories that stand for nothing that Google has, each with what it may stand for
    Suggest {
        #[command(flatten)]
        locale: LocaleArgs,
        /// How many suggestions for each, at most 10
        #[arg(long, default_value_t = 3)]
        match_count: u8,
    },
}

/// Whose list.
#[derive(Debug, ClapArgs)]
pub(crate) struct LocaleArgs {
    /// CLDR region code, such as US
    pub(crate) region_code: String,
    /// BCP 47 language code, such as en
    pub(crate) language_code: String,
}
