//! Requests that manage platform categories and their mappings.

use category_mirror_proto::v1::{self, category_service_client::CategoryServiceClient};

use crate::{Client, PlatformCategory, names};

const COLLECTION: &str = "platformCategories";

impl Client {
    /// Creates a platform category. Sent once, never retried.
    pub fn create_platform_category(&self, slug: impl Into<String>) -> CreatePlatformCategory {
        let category = v1::PlatformCategory { name: names::qualified(COLLECTION, slug), ..Default::default() };
        let message = v1::CreatePlatformCategoryRequest { platform_category: Some(category) };
        CreatePlatformCategory { client: self.clone(), message }
    }

    /// Gets a platform category by its slug or `platformCategories/{slug}`.
    pub fn get_platform_category(&self, slug: impl Into<String>) -> GetPlatformCategory {
        let message = v1::GetPlatformCategoryRequest { name: names::qualified(COLLECTION, slug) };
        GetPlatformCategory { client: self.clone(), message }
    }

    /// Lists platform categories by slug.
    pub fn list_platform_categories(&self) -> ListPlatformCategories {
        ListPlatformCategories { client: self.clone(), message: v1::ListPlatformCategoriesRequest::default() }
    }

    /// Changes the fields that are set on the request, and no others.
    pub fn update_platform_category(&self, slug: impl Into<String>) -> UpdatePlatformCategory {
        let category = v1::PlatformCategory { name: names::qualified(COLLECTION, slug), ..Default::default() };
        let message = v1::UpdatePlatformCategoryRequest {
            platform_category: Some(category),
            update_mask: Some(Default::default()),
        };
        UpdatePlatformCategory { client: self.clone(), message }
    }

    /// Deletes a platform category that no tenant has. Sent once, never retried.
    pub fn delete_platform_category(&self, slug: impl Into<String>) -> DeletePlatformCategory {
        let message = v1::DeletePlatformCategoryRequest { name: names::qualified(COLLECTION, slug) };
        DeletePlatformCategory { client: self.clone(), message }
    }
}

request! {
    /// Request of [`Client::create_platform_category`].
    CreatePlatformCategory(v1::CreatePlatformCategoryRequest) -> PlatformCategory {
        CategoryServiceClient.create_platform_category, NonIdempotent,
        |a: v1::CreatePlatformCategoryResponse| a.platform_category.map(PlatformCategory::from_wire)
    }
}

request! {
    /// Request of [`Client::get_platform_category`].
    GetPlatformCategory(v1::GetPlatformCategoryRequest) -> PlatformCategory {
        CategoryServiceClient.get_platform_category, Idempotent,
        |a: v1::GetPlatformCategoryResponse| a.platform_category.map(PlatformCategory::from_wire)
    }
}

list_request! {
    /// Request of [`Client::list_platform_categories`].
    ListPlatformCategories(ListPlatformCategoriesRequest) -> PlatformCategory {
        CategoryServiceClient.list_platform_categories, platform_categories
    }
}

impl ListPlatformCategories {
    /// Sets whether to list only categories without a mapping. Default: false.
    pub fn unmapped_only(mut self, unmapped_only: bool) -> Self {
        self.message.unmapped_only = unmapped_only;
        self
    }
}

request! {
    /// Request of [`Client::update_platform_category`].
    UpdatePlatformCategory(v1::UpdatePlatformCategoryRequest) -> PlatformCategory {
        CategoryServiceClient.update_platform_category, Idempotent,
        |a: v1::UpdatePlatformCategoryResponse| a.platform_category.map(PlatformCategory::from_wire)
    }
}

request! {
    /// Request of [`Client::delete_platform_category`].
    DeletePlatformCategory(v1::DeletePlatformCategoryRequest) -> () {
        CategoryServiceClient.delete_platform_category, NonIdempotent, |_: v1::DeletePlatformCategoryResponse| Some(())
    }
}

impl CreatePlatformCategory {
    /// Sets the platform's display name, 1 to 200 characters.
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.message.platform_category.get_or_insert_default().display_name = name.into();
        self
    }

    /// Sets the GBP category that it maps to: `gcid:bakery` or `categories/gcid:bakery`. Default: unmapped.
    pub fn gbp_category(mut self, category: impl Into<String>) -> Self {
        self.message.platform_category.get_or_insert_default().gbp_category = names::qualified("categories", category);
        self
    }

    /// Sets the mapping in one region. An empty category: unmapped in that region.
    pub fn regional_gbp_category(mut self, region_code: impl Into<String>, category: impl Into<String>) -> Self {
        let regional = &mut self.message.platform_category.get_or_insert_default().regional_gbp_categories;
        regional.insert(region_code.into(), names::qualified("categories", category));
        self
    }
}

impl UpdatePlatformCategory {
    /// Sets the platform's display name, 1 to 200 characters.
    pub fn display_name(self, name: impl Into<String>) -> Self {
        self.set("display_name", |category| category.display_name = name.into())
    }

    /// Sets the GBP category that it maps to: `gcid:bakery` or `categories/gcid:bakery`.
    pub fn gbp_category(self, category: impl Into<String>) -> Self {
        self.set("gbp_category", |it| it.gbp_category = names::qualified("categories", category))
    }

    /// Removes the mapping.
    pub fn clear_gbp_category(self) -> Self {
        self.gbp_category("")
    }

    /// Replaces all regional mappings: pairs of a region code and a category. An empty category: unmapped in that
    /// region.
    pub fn regional_gbp_categories<R, C>(self, regional: impl IntoIterator<Item = (R, C)>) -> Self
    where
        R: Into<String>,
        C: Into<String>,
    {
        let regional = regional.into_iter().map(|(region, it)| (region.into(), names::qualified("categories", it)));
        self.set("regional_gbp_categories", |category| category.regional_gbp_categories = regional.collect())
    }

    fn set(mut self, field: &str, write: impl FnOnce(&mut v1::PlatformCategory)) -> Self {
        write(self.message.platform_category.get_or_insert_default());
        self.message.update_mask.get_or_insert_default().paths.push(field.to_owned());
        self
    }
}
