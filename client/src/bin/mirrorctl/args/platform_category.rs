//! Keeping the platform's categories.

use clap::{Args, Subcommand};

use super::{DeleteArgs, ImportArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum PlatformCategoryCommand {
    /// List platform categories by slug; as JSON, in the form that `import` accepts
    List {
        /// List only categories without a mapping
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
    /// Change the given fields, and no others; an empty mapping removes it
    Update {
        /// Slug of the category
        slug: String,
        #[command(flatten)]
        fields: PlatformCategoryFieldArgs,
    },
    /// Delete a platform category that no tenant has
    Delete {
        /// Slug of the category
        slug: String,
        #[command(flatten)]
        confirmation: DeleteArgs,
    },
    /// Create or change the categories of a file: slug, display_name, gbp_category and regional_gbp_categories (in CSV, such as
    /// `IN=gcid:bakery US=`); bad lines are reported, and good ones imported
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PlatformCategoryFieldArgs {
    /// Name of the category for people
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<String>,
    /// GBP category that it maps to, such as gcid:bakery
    #[arg(long, value_name = "GCID")]
    pub(crate) gbp_category: Option<String>,
    /// Mapping of one region, such as IN=gcid:bakery, or IN= for none there; replaces those of all regions
    #[arg(long, value_name = "REGION=GCID", value_parser = regional)]
    pub(crate) regional_gbp_category: Vec<(String, String)>,
}

fn regional(text: &str) -> Result<(String, String), &'static str> {
    let (region, category) = text.split_once('=').ok_or("must be REGION=GCID")?;
    Ok((region.to_owned(), category.to_owned()))
}
