//! From a location's categories to the platform categories that stand for them.
//!
//! Several platform categories can stand for one of Google's. Then this one is taken, the first that there is:
//! 1. one that the tenant has, the earliest in its own order: the primary one before all others;
//! 2. one of the platform's own, the first by slug;
//! 3. an imported one, the first by slug.
//!
//! What the platform does not know is imported: a new platform category under a slug made of the gcid, with Google's name.
//!
//! A tenant loses only what stands for a category that the location does not have. What is unmapped says nothing about the location, and
//! what stands for a category that another one stands for already says nothing new: both stay, as additional categories.

use aws_lc_rs::digest;

use super::{MappingResult, MergedCategory, SourceCategory, SourceError, UnmappedCategory};
use crate::{
    Category, CategoryRole, CategorySet, Complete, GbpCategory, Gcid, MAX_ADDITIONAL, PlatformCategory, Slug,
    TenantCategory, set_members,
};

/// The longest name for people that the platform keeps, in characters.
const MAX_NAME_CHARS: usize = 200;
/// The longest slug.
const MAX_SLUG_CHARS: usize = 63;
/// How many slugs there are for one category's import.
const MAX_CANDIDATE_SLUGS: usize = 8;
/// What the slugs of imported categories begin with.
const IMPORTED_SLUG_PREFIX: &str = "gbp-";

/// What the platform has that matters for one location: one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformCatalog {
    /// The tenant's categories, the primary one first, the others in their order.
    pub chosen: Vec<PlatformCategory>,
    /// Those that stand for one of the location's categories, and those that have a slug of [`candidate_slugs`]. They can be chosen, too.
    pub known: Vec<PlatformCategory>,
}

impl PlatformCatalog {
    /// The tenant's set; `None` is a tenant without categories.
    #[must_use]
    pub fn set(&self) -> Option<CategorySet<TenantCategory>> {
        let mut chosen = self.chosen.iter().map(TenantCategory::from);
        let primary = chosen.next()?;
        Some(CategorySet::new(primary, chosen.collect()).expect("the table has each slug once for a tenant"))
    }
}

impl Complete<PlatformCatalog> {
    /// The tenant's set, which is as complete as the snapshot that it is from.
    #[must_use]
    pub fn tenants_set(self) -> Complete<Option<CategorySet<TenantCategory>>> {
        self.map(|side| side.set())
    }

    /// The tenant's categories, which are as complete.
    #[must_use]
    pub fn tenants_categories(self) -> Complete<Vec<PlatformCategory>> {
        self.map(|side| side.chosen)
    }
}

/// The slugs that an import of this category can get, in this order: the first that is not taken for something else. Each has been imported
/// and then mapped to something else by a person, so more than the first are needed seldom, and more than a few never.
#[must_use]
pub fn candidate_slugs(gcid: &Gcid) -> [Slug; MAX_CANDIDATE_SLUGS] {
    let plain = format!("{IMPORTED_SLUG_PREFIX}{}", gcid.slug());
    std::array::from_fn(|nth| {
        let text = if nth == 0 && plain.len() <= MAX_SLUG_CHARS { plain.clone() } else { marked_slug(gcid, nth) };
        Slug::parse(&text).expect("a prefix, and characters of a gcid, which slugs have too")
    })
}

/// A slug with a digest in the end, which differs for each `nth` from 1 on; that for 0 is the first one's.
fn marked_slug(gcid: &Gcid, nth: usize) -> String {
    let text = if nth <= 1 { gcid.slug().to_owned() } else { format!("{}#{nth}", gcid.slug()) };
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mark: String = digest.as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    let room = MAX_SLUG_CHARS - IMPORTED_SLUG_PREFIX.len() - 1 - mark.len();
    format!("{IMPORTED_SLUG_PREFIX}{}-{mark}", &gcid.slug()[..gcid.slug().len().min(room)])
}

/// Maps a location's categories to platform categories. `locale` is the language and region of Google's names.
///
/// # Errors
/// [`SourceError::EmptyLocation`], which is never "delete everything"; [`SourceError::TooMany`], where what is kept does not fit beside
/// what the location has; [`SourceError::NoFreeSlug`], where a category cannot be imported.
pub fn map_to_platform(
    location: &Complete<Option<CategorySet>>,
    platform: &Complete<PlatformCatalog>,
    locale: &str,
) -> Result<MappingResult<TenantCategory>, SourceError> {
    let location = location.get().as_ref().ok_or(SourceError::EmptyLocation)?;
    let platform = platform.get();
    let standing: Vec<(CategoryRole, TenantCategory, &GbpCategory)> = location
        .iter()
        .zip(set_members(location))
        .map(|(category, member)| Ok((member.role, category_for(category, platform, locale)?, category)))
        .collect::<Result<_, SourceError>>()?;

    let (mut unmapped, mut merged, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for category in &platform.chosen {
        if standing.iter().any(|(_, standing, _)| standing.slug == category.slug) {
            continue;
        }
        match &category.gcid {
            None => {
                unmapped.push(UnmappedCategory {
                    slug: category.slug.clone(),
                    display_name: category.display_name.clone(),
                });
            }
            Some(gcid) if location.iter().any(|at_google| at_google.gcid == *gcid) => {
                merged.push(MergedCategory { slug: category.slug.clone(), gcid: gcid.clone() });
            }
            Some(_) => continue,
        }
        kept.push(TenantCategory::from(category));
    }

    let source = standing
        .iter()
        .map(|(role, platform, google)| SourceCategory {
            role: *role,
            slug: Some(platform.slug.clone()),
            gcid: Some(google.gcid.clone()),
            display_name: google.display_name.clone(),
        })
        .collect();
    let mut standing = standing.into_iter().map(|(_, category, _)| category);
    // A set begins with its primary category.
    let primary = standing.next().ok_or(SourceError::EmptyLocation)?;
    let additional: Vec<TenantCategory> = standing.chain(kept).collect();
    if additional.len() > MAX_ADDITIONAL {
        return Err(SourceError::TooMany { count: additional.len(), limit: MAX_ADDITIONAL });
    }
    let set = CategorySet::new(primary, additional)
        .expect("one platform category stands for one of Google's, and what is kept is none of these");
    Ok(MappingResult { set, unmapped, merged, source })
}

/// The platform category that stands for one of Google's, with Google's name where that is what it is called by.
fn category_for(
    category: &GbpCategory,
    platform: &PlatformCatalog,
    locale: &str,
) -> Result<TenantCategory, SourceError> {
    let is_it = |known: &&PlatformCategory| known.gcid.as_ref() == Some(&category.gcid);
    let chosen = platform.chosen.iter().find(is_it);
    let known =
        || platform.known.iter().filter(is_it).min_by_key(|known| (known.imported_locale.is_some(), &known.slug));
    let Some(known) = chosen.or_else(known) else { return import(category, platform, locale) };
    let mut standing = TenantCategory::from(known);
    if standing.imported_locale.as_deref() == Some(locale) && !category.display_name.is_empty() {
        standing.display_name = name(category);
    }
    Ok(standing)
}

fn import(category: &GbpCategory, platform: &PlatformCatalog, locale: &str) -> Result<TenantCategory, SourceError> {
    let is_free = |slug: &Slug| !platform.chosen.iter().chain(&platform.known).any(|known| known.slug == *slug);
    let slug = candidate_slugs(&category.gcid).into_iter().find(is_free);
    Ok(TenantCategory {
        slug: slug.ok_or_else(|| SourceError::NoFreeSlug(category.gcid.clone()))?,
        display_name: name(category),
        gcid: Some(category.gcid.clone()),
        imported_locale: Some(locale.to_owned()),
    })
}

/// Google's name, or the gcid's own words where it gave none.
fn name(category: &GbpCategory) -> String {
    let name = category.display_name.trim();
    if name.is_empty() { category.key().replace('_', " ") } else { name.chars().take(MAX_NAME_CHARS).collect() }
}

#[cfg(test)]
mod tests;
