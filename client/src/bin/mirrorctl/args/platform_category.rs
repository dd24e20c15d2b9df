//! Keeping the platform's categories.

use clap::{Args, Subcommand};

use super::{DeleteArgs, ImportArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum PlatformCategoryCommand {
    /// List platform categories by slug; `import` accepts the JSON output
    List {
        /// List only unmapped categories
        #[arg(long)]
        unmapped: bool,
    },
    /// Show a platform category
    Get {
        /// Slug of the category
        slug: String,
    },
    /// Create a platform category
    Create {
        /// Slug of the category
        slug: String,
        #[command(flatten)]
        fields: PlatformCategoryFieldArgs,
    },
    /// Change only the given fields of a platform category; an empty value removes a mapping
    Update {
        /// Slug of the category
        slug: String,
        #[command(flatten)]
        fields: PlatformCategoryFieldArgs,
    },
    /// Delete a platform category; refused if a tenant has it
    Delete {
        /// Slug of the category
        slug: String,
        #[command(flatten)]
        confirmation: DeleteArgs,
    },
    /// Create or change the categories in a file, with slug, display_name, gbp_category and regional_gbp_categories (in CSV, such as
    /// `IN=gcid:bakery US=`). Valid lines are imported even if others are invalid; those are reported
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PlatformCategoryFieldArgs {
    /// Display name of the category
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<String>,
    /// GBP category that it maps to, such as gcid:bakery
    #[arg(long, value_name = "GCID")]
    pub(crate) gbp_category: Option<String>,
    /// Regional mapping, such as IN=gcid:bakery, or IN= for unmapped; can be repeated, and replaces the mappings of all regions
    #[arg(long, value_name = "REGION=GCID", value_parser = regional)]
    pub(crate) regional_gbp_category: Vec<(String, String)>,
}

fn regional(text: &str) -> Result<(String, String), &'static str> {
    let (region, category) = text.split_once('=').ok_or("must be REGION=GCID")?;
    Ok((region.to_owned(), category.to_owned()))
}
