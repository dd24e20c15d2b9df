//! From a tenant's platform categories to the GBP set that they stand for, and back.

mod to_platform;

use serde::{Deserialize, Serialize};

use crate::{CategoryRole, CategorySet, Complete, GbpCategory, Gcid, PlatformCategory, Slug};

pub use to_platform::{PlatformCatalog, candidate_slugs, map_to_platform};

/// A platform category that maps to nothing: reported, never sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmappedCategory {
    /// The platform category.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: String,
}

/// A platform category that maps to a GBP category which the set has already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedCategory {
    /// The platform category that adds nothing.
    pub slug: Slug,
    /// What the set has already.
    pub gcid: Gcid,
}

/// A category of the source, and what it stands for on the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCategory {
    /// Its role in the source.
    pub role: CategoryRole,
    /// The platform category.
    pub slug: Option<Slug>,
    /// Google's; `None` is unmapped.
    pub gcid: Option<Gcid>,
    /// The source's name for people.
    pub display_name: String,
}

impl SourceCategory {
    /// What it is, without its name.
    #[must_use]
    pub fn identity(&self) -> (CategoryRole, Option<&Slug>, Option<&Gcid>) {
        (self.role, self.slug.as_ref(), self.gcid.as_ref())
    }
}

/// What the whole of one side stands for on the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingResult<C = GbpCategory> {
    /// The set.
    pub set: CategorySet<C>,
    /// What is unmapped: left out of Google's set, and left alone in the tenant's.
    pub unmapped: Vec<UnmappedCategory>,
    /// What adds nothing to Google's set.
    pub merged: Vec<MergedCategory>,
    /// Each category of the source. Made only here, of complete reads.
    pub(crate) source: Vec<SourceCategory>,
}

/// A source from which nothing may be planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SourceError {
    /// There is no primary category: nothing to mirror, which is never "delete everything".
    #[error("the tenant has no categories on the platform")]
    Empty,
    /// The same of the location.
    #[error("the location has no categories on Google")]
    EmptyLocation,
    /// The primary category cannot be left out.
    #[error("the primary category `{0}` is not mapped to a GBP category")]
    UnmappedPrimary(Slug),
    /// More than the target takes.
    #[error("the source has {count} additional categories, but the target accepts at most {limit}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A category of the location maps to no platform category, and cannot be imported either.
    #[error(
        "`{0}` cannot be imported: every platform category that was imported for it now maps to another one; map one of them, or \
         another platform category, to `{0}`"
    )]
    NoFreeSlug(Gcid),
}

/// Maps a tenant's categories: the first is the primary one.
///
/// # Errors
/// [`SourceError`]; there is no such thing as a partly mapped primary or an empty set.
pub fn map_to_gbp(
    source: &Complete<Vec<PlatformCategory>>,
    max_additional: usize,
) -> Result<MappingResult, SourceError> {
    let (primary, additional) = source.get().split_first().ok_or(SourceError::Empty)?;
    let gcid = primary.gcid.clone().ok_or_else(|| SourceError::UnmappedPrimary(primary.slug.clone()))?;
    let primary = GbpCategory::new(gcid, &primary.display_name);

    let mut kept: Vec<GbpCategory> = Vec::new();
    let mut unmapped = Vec::new();
    let mut merged = Vec::new();
    for category in additional {
        let slug = category.slug.clone();
        match category.gcid.clone() {
            None => unmapped.push(UnmappedCategory { slug, display_name: category.display_name.clone() }),
            Some(gcid) if gcid == primary.gcid || kept.iter().any(|k| k.gcid == gcid) => {
                merged.push(MergedCategory { slug, gcid })
            }
            Some(gcid) => kept.push(GbpCategory::new(gcid, &category.display_name)),
        }
    }
    if kept.len() > max_additional {
        return Err(SourceError::TooMany { count: kept.len(), limit: max_additional });
    }
    let set = CategorySet::new(primary, kept).expect("duplicates were merged above");
    let source_category = |(position, category): (usize, &PlatformCategory)| SourceCategory {
        role: if position == 0 { CategoryRole::Primary } else { CategoryRole::Additional },
        slug: Some(category.slug.clone()),
        gcid: category.gcid.clone(),
        display_name: category.display_name.clone(),
    };
    let source = source.get().iter().enumerate().map(source_category).collect();
    Ok(MappingResult { set, unmapped, merged, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;

    fn category(slug: &str, gcid: Option<&str>) -> PlatformCategory {
        PlatformCategory {
            slug: Slug::parse(slug).expect("valid"),
            display_name: slug.to_uppercase(),
            gcid: gcid.map(|g| Gcid::parse(g).expect("valid")),
            imported_locale: None,
            created_at: Utc::now(),
            updated_at: Utc::now(),
        }
    }

    fn map(source: &[PlatformCategory]) -> Result<MappingResult, SourceError> {
        map_to_gbp(&Complete::read(source.to_vec()), 9)
    }

    #[test]
    fn d3_an_empty_source_is_an_error() {
        assert_eq!(map(&[]), Err(SourceError::Empty));
    }

    #[test]
    fn d4_unmapped_categories_are_reported_and_left_out() {
        let mapped = map(&[category("a", Some("gcid:a")), category("b", None)]).expect("mapped");
        assert_eq!(mapped.set.additional(), []);
        assert_eq!(mapped.unmapped[0].slug.as_str(), "b");
        let primary = map(&[category("b", None), category("a", Some("gcid:a"))]);
        assert_eq!(primary, Err(SourceError::UnmappedPrimary(Slug::parse("b").expect("valid"))));
    }

    #[test]
    fn two_categories_of_one_meaning_are_one() {
        let source = [category("a", Some("gcid:x")), category("b", Some("gcid:x")), category("c", Some("gcid:y"))];
        let mapped = map(&source).expect("mapped");
        assert_eq!(mapped.merged.len(), 1);
        assert_eq!(mapped.set.additional().len(), 1);
    }

    #[test]
    fn more_than_google_takes_is_refused() {
        let source: Vec<_> = (0..=10).map(|n| category(&format!("c{n}"), Some(&format!("gcid:c{n}")))).collect();
        assert_eq!(map(&source), Err(SourceError::TooMany { count: 10, limit: 9 }));
    }
}
