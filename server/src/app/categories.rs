//! Keeping the platform's categories.

use super::{App, Page, PageRequest, unlimited};
use crate::{
    domain::{Caller, Gcid, PlatformCategory, Slug},
    error::Error,
    store::PlatformCategoryChange,
};

impl App {
    /// Creates a platform category.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::AlreadyExists`], or the database's.
    pub async fn create_platform_category(
        &self,
        caller: &Caller,
        slug: &Slug,
        display_name: &str,
        gcid: Option<&Gcid>,
    ) -> Result<PlatformCategory, Error> {
        unlimited(caller, "creating a platform category")?;
        self.store.insert_platform_category(None, slug, display_name, gcid).await
    }

    /// Gets a platform category. Those are no tenant's, so every caller may.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn platform_category(&self, slug: &Slug) -> Result<PlatformCategory, Error> {
        self.store.platform_category(slug).await
    }

    /// Lists platform categories by slug.
    ///
    /// # Errors
    /// The database's.
    pub async fn platform_categories(
        &self,
        unmapped_only: bool,
        page: PageRequest,
    ) -> Result<Page<PlatformCategory>, Error> {
        let after = page.after.as_deref().unwrap_or_default();
        let categories = self.store.platform_categories(unmapped_only, after, page.limit()).await?;
        Ok(page.page(categories, |category| category.slug.to_string()))
    }

    /// Changes a platform category.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotFound`], or the database's.
    pub async fn update_platform_category(
        &self,
        caller: &Caller,
        slug: &Slug,
        change: &PlatformCategoryChange,
    ) -> Result<PlatformCategory, Error> {
        unlimited(caller, "changing a platform category")?;
        self.store.update_platform_category(None, slug, change).await
    }

    /// Deletes a platform category that no tenant has.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotFound`], [`Error::CategoryInUse`], or the database's.
    pub async fn delete_platform_category(&self, caller: &Caller, slug: &Slug) -> Result<(), Error> {
        unlimited(caller, "deleting a platform category")?;
        self.store.delete_platform_category(slug).await
    }
}
