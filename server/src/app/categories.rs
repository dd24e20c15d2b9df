//! Manages the platform's categories.

use super::{App, Page, PageRequest, require_unrestricted};
use crate::{
    domain::{
        Caller, CatalogEntry, Gcid, MappingState, PlatformCategoryChange, RegionalMapping, Slug, TaxonomyLookup,
        mappings,
    },
    error::{Error, Violations},
};

/// A platform category, and whether Google's lists contain its mappings.
#[derive(Debug, Clone)]
pub struct PlatformCategoryDetails {
    /// The category with its mappings.
    pub entry: CatalogEntry,
    /// The worst state of its mappings; `None`: it has none.
    pub state: Option<MappingState>,
}

impl App {
    /// Creates a platform category.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::Invalid`] for a mapping to a category that Google's list lacks,
    /// [`Error::AlreadyExists`], or a database error.
    pub async fn create_platform_category(
        &self,
        caller: &Caller,
        slug: &Slug,
        display_name: &str,
        gcid: Option<&Gcid>,
        regional: &RegionalMapping,
    ) -> Result<PlatformCategoryDetails, Error> {
        require_unrestricted(caller, "creating a platform category")?;
        self.check_mappings(gcid, regional).await?;
        let entry = self.store.insert_platform_category(None, slug, display_name, gcid, regional).await?;
        self.shown_entry(entry).await
    }

    /// Gets a platform category. All callers may, because platform categories belong to no tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`], or a database error.
    pub async fn platform_category(&self, slug: &Slug) -> Result<PlatformCategoryDetails, Error> {
        self.shown_entry(self.store.platform_category(slug).await?).await
    }

    /// Lists platform categories by slug.
    ///
    /// # Errors
    /// A database error.
    pub async fn platform_categories(
        &self,
        unmapped_only: bool,
        page: PageRequest,
    ) -> Result<Page<PlatformCategoryDetails>, Error> {
        let after = page.after.as_deref().unwrap_or_default();
        let entries = self.store.platform_categories(unmapped_only, after, page.limit()).await?;
        Ok(page.page(self.shown_entries(entries).await?, |shown| shown.entry.category.slug.to_string()))
    }

    /// Changes a platform category.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::Invalid`] for a mapping to a category that Google's list lacks,
    /// [`Error::NotFound`], or a database error.
    pub async fn update_platform_category(
        &self,
        caller: &Caller,
        slug: &Slug,
        change: &PlatformCategoryChange,
    ) -> Result<PlatformCategoryDetails, Error> {
        require_unrestricted(caller, "changing a platform category")?;
        let none = RegionalMapping::default();
        let gcid = change.gcid.as_ref().and_then(Option::as_ref);
        self.check_mappings(gcid, change.regional.as_ref().unwrap_or(&none)).await?;
        let entry = self.store.update_platform_category(None, slug, change).await?;
        self.shown_entry(entry).await
    }

    /// Deletes a platform category that no tenant has.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotFound`], [`Error::CategoryInUse`], or a database error.
    pub async fn delete_platform_category(&self, caller: &Caller, slug: &Slug) -> Result<(), Error> {
        require_unrestricted(caller, "deleting a platform category")?;
        self.store.delete_platform_category(slug).await
    }

    /// Rejects mappings to categories that Google's lists lack. Without an imported list, only their format can be
    /// checked.
    async fn check_mappings(&self, gcid: Option<&Gcid>, regional: &RegionalMapping) -> Result<(), Error> {
        let gcids: Vec<&Gcid> = mappings(gcid, regional).map(|(_, gcid)| gcid).collect();
        if gcids.is_empty() {
            return Ok(());
        }
        let taxonomy_lookup = self.store.taxonomy_lookup(&gcids).await?;
        let mut violations = Violations::default();
        add_mapping_violations(&mut violations, &taxonomy_lookup, gcid, regional);
        violations.finish()
    }

    async fn shown_entry(&self, entry: CatalogEntry) -> Result<PlatformCategoryDetails, Error> {
        let shown = self.shown_entries(vec![entry]).await?.pop();
        shown.ok_or_else(|| Error::Internal("one of one entries is missing".into()))
    }

    async fn shown_entries(&self, entries: Vec<CatalogEntry>) -> Result<Vec<PlatformCategoryDetails>, Error> {
        let all = entries.iter().flat_map(|entry| mappings(entry.category.gcid.as_ref(), &entry.regional));
        let taxonomy_lookup = self.store.taxonomy_lookup(&all.map(|(_, gcid)| gcid).collect::<Vec<_>>()).await?;
        let shown = |entry| PlatformCategoryDetails { state: taxonomy_lookup.worst(&entry), entry };
        Ok(entries.into_iter().map(shown).collect())
    }
}

/// Adds a violation for each mapping that Google's lists do not allow.
pub(super) fn add_mapping_violations(
    violations: &mut Violations,
    taxonomy_lookup: &TaxonomyLookup,
    gcid: Option<&Gcid>,
    regional: &RegionalMapping,
) {
    for (region, gcid) in mappings(gcid, regional) {
        if let Some(validation_error) = taxonomy_lookup.violation(gcid, region) {
            let field = match region {
                Some(region) => format!("platform_category.regional_gbp_categories[{region}]"),
                None => "platform_category.gbp_category".to_owned(),
            };
            violations.add(&field, validation_error);
        }
    }
}
