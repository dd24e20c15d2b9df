//! Keeping the platform's categories.

use clap::{Args, Subcommand};

use super::ImportArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum PlatformCategoryCommand {
    /// List platform categories by slug
    List {
        /// Only those without a mapping
        #[arg(long)]
        unmapped: bool,
    },
    /// Show a platform category
    Get {
        /// Its slug
        slug: String,
    },
    /// Create a platform category
    Create {
        /// Its slug
        slug: String,
        #[command(flatten)]
        fields: PlatformCategoryFieldArgs,
    },
    /// Change what is given, and nothing else; an empty mapping takes it away
    Update {
        /// Its slug
        slug: String,
        #[command(flatten)]
        fields: PlatformCategoryFieldArgs,
    },
    /// Delete a platform category that no tenant has
    Delete {
        /// Its slug
        slug: String,
    },
    /// Create or change what a file holds: a JSON object a line, with slug, display_name, gbp_category and regional_gbp_categories; each
    /// good line is taken
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PlatformCategoryFieldArgs {
    /// The platform's name for people
    #[arg(long)]
    pub(crate) display_name: Option<String>,
    /// The GBP category it maps to, such as gcid:bakery
    #[arg(long)]
    pub(crate) gbp_category: Option<String>,
    /// A region where it maps to something else, such as IN=gcid:bakery, or to nothing, such as IN=; all of them, if any is changed
    #[arg(long, value_name = "REGION=GCID", value_parser = regional)]
    pub(crate) regional_gbp_category: Vec<(String, String)>,
}

fn regional(text: &str) -> Result<(String, String), &'static str> {
    let (region, category) = text.split_once('=').ok_or("must be REGION=GCID")?;
    Ok((region.to_owned(), category.to_owned()))
}
