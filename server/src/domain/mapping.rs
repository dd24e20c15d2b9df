//! From a tenant's platform categories to the GBP set that they stand for.

use serde::{Deserialize, Serialize};

use super::{CategorySet, GbpCategory, Gcid, PlatformCategory, Slug};

/// A platform category that maps to nothing: reported, never sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmapped {
    /// The platform category.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: String,
}

/// A platform category that maps to a GBP category which the set has already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The platform category that adds nothing.
    pub slug: Slug,
    /// What the set has already.
    pub gcid: Gcid,
}

/// What a tenant's platform categories stand for on Google.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// The set.
    pub set: CategorySet,
    /// What was left out because it is unmapped.
    pub unmapped: Vec<Unmapped>,
    /// What was left out because it adds nothing.
    pub merged: Vec<Merged>,
}

/// A source from which nothing may be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is no primary category: nothing to mirror, which is never "delete everything".
    #[error("the tenant has no categories on the platform")]
    Empty,
    /// The primary category cannot be left out.
    #[error("the primary category `{0}` is mapped to no GBP category")]
    UnmappedPrimary(Slug),
    /// More than Google takes.
    #[error("{count} additional categories, and Google takes at most {limit}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// Maps a tenant's categories: the first is the primary one.
///
/// # Errors
/// [`SourceError`]; there is no such thing as a partly mapped primary or an empty set.
pub fn map_to_gbp(source: &[PlatformCategory], max_additional: usize) -> Result<Mapped, SourceError> {
    let (primary, additional) = source.split_first().ok_or(SourceError::Empty)?;
    let gcid = primary.gcid.clone().ok_or_else(|| SourceError::UnmappedPrimary(primary.slug.clone()))?;
    let primary = GbpCategory::new(gcid, &primary.display_name);

    let mut kept: Vec<GbpCategory> = Vec::new();
    let mut unmapped = Vec::new();
    let mut merged = Vec::new();
    for category in additional {
        let slug = category.slug.clone();
        match category.gcid.clone() {
            None => unmapped.push(Unmapped { slug, display_name: category.display_name.clone() }),
            Some(gcid) if gcid == primary.gcid || kept.iter().any(|k| k.gcid == gcid) => {
                merged.push(Merged { slug, gcid })
            }
            Some(gcid) => kept.push(GbpCategory::new(gcid, &category.display_name)),
        }
    }
    if kept.len() > max_additional {
        return Err(SourceError::TooMany { count: kept.len(), limit: max_additional });
    }
    let set = CategorySet::new(primary, kept).expect("duplicates were merged above");
    Ok(Mapped { set, unmapped, merged })
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
            created_at: Utc::now(),
            updated_at: Utc::now(),
        }
    }

    #[test]
    fn d3_an_empty_source_is_an_error() {
        assert_eq!(map_to_gbp(&[], 9), Err(SourceError::Empty));
    }

    #[test]
    fn d4_unmapped_categories_are_reported_and_left_out() {
        let mapped = map_to_gbp(&[category("a", Some("gcid:a")), category("b", None)], 9).expect("mapped");
        assert_eq!(mapped.set.additional(), []);
        assert_eq!(mapped.unmapped[0].slug.as_str(), "b");
        let primary = map_to_gbp(&[category("b", None), category("a", Some("gcid:a"))], 9);
        assert_eq!(primary, Err(SourceError::UnmappedPrimary(Slug::parse("b").expect("valid"))));
    }

    #[test]
    fn two_categories_of_one_meaning_are_one() {
        let source = [category("a", Some("gcid:x")), category("b", Some("gcid:x")), category("c", Some("gcid:y"))];
        let mapped = map_to_gbp(&source, 9).expect("mapped");
        assert_eq!(mapped.merged.len(), 1);
        assert_eq!(mapped.set.additional().len(), 1);
    }

    #[test]
    fn more_than_google_takes_is_refused() {
        let source: Vec<_> = (0..=10).map(|n| category(&format!("c{n}"), Some(&format!("gcid:c{n}")))).collect();
        assert_eq!(map_to_gbp(&source, 9), Err(SourceError::TooMany { count: 10, limit: 9 }));
    }
}
