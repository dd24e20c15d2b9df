//! Google's lists of categories.

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum TaxonomyCommand {
    /// Import Google's list, and show what it changes; give it time with --timeout 60s
    Refresh {
        #[command(flatten)]
        locale: LocaleArgs,
        /// Accept a list that is more than 5 % shorter than the version before, for this reason
        #[arg(long, value_name = "REASON")]
        allow_shrink: Option<String>,
    },
    /// List the imported versions, newest first
    List {
        /// List only versions of this region
        #[arg(long, value_name = "REGION")]
        region_code: Option<String>,
        /// List only versions of this language
        #[arg(long, value_name = "LANGUAGE")]
        language_code: Option<String>,
    },
    /// Find GBP categories by the beginning of a name or gcid, and by similar names
    Search {
        #[command(flatten)]
        locale: LocaleArgs,
        /// Text to search; without one, all categories are listed
        #[arg(default_value = "")]
        query: String,
        /// Maximum number of categories to list
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
    },
    /// List platform categories that are unmapped or map to nothing in Google's list, each with suggestions
    Suggest {
        #[command(flatten)]
        locale: LocaleArgs,
        /// Number of suggestions for each category, at most 10
        #[arg(long, default_value_t = 3, value_name = "NUMBER")]
        match_count: u8,
    },
}

/// Region and language of a list.
#[derive(Debug, ClapArgs)]
pub(crate) struct LocaleArgs {
    /// CLDR region code, such as US
    #[arg(value_name = "REGION")]
    pub(crate) region_code: String,
    /// BCP 47 language code, such as en
    #[arg(value_name = "LANGUAGE")]
    pub(crate) language_code: String,
}
