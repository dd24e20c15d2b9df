//! Google's lists of categories.

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum TaxonomyCommand {
    /// Import Google's list, and show what it changes; takes about ten seconds, so set --timeout 60s
    Refresh {
        #[command(flatten)]
        locale: LocaleArgs,
        /// Reason to import a list that is more than 5 % shorter than the previous version
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
    /// Search GBP categories by the start of a name or gcid, and by similar names
    Search {
        #[command(flatten)]
        locale: LocaleArgs,
        /// Text to search for; without it, all categories are listed
        #[arg(default_value = "")]
        query: String,
        /// Maximum number of categories to list
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
    },
    /// List platform categories that are unmapped or whose GBP category Google's list lacks, with suggestions
    Suggest {
        #[command(flatten)]
        locale: LocaleArgs,
        /// Maximum number of suggestions per category, at most 10
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
