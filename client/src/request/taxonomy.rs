//! Requests about Google's lists of categories.

use category_mirror_proto::v1::{self, category_service_client::CategoryServiceClient};

use crate::{CategoryMatch, Client, MappingSuggestion, TaxonomyRefresh, TaxonomyVersion};

impl Client {
    /// Imports Google's list of categories for a region (`US`) and a language (`en`). This takes about ten seconds: set
    /// the client's [`timeout`](crate::ClientBuilder::timeout). Sent once, never retried. Only a complete list changes
    /// anything.
    pub fn refresh_taxonomy(
        &self,
        region_code: impl Into<String>,
        language_code: impl Into<String>,
    ) -> RefreshTaxonomy {
        let message = v1::RefreshTaxonomyRequest {
            region_code: region_code.into(),
            language_code: language_code.into(),
            ..Default::default()
        };
        RefreshTaxonomy { client: self.clone(), message }
    }

    /// Lists the imported versions of Google's lists by region and language, newest first.
    pub fn list_taxonomy_versions(&self) -> ListTaxonomyVersions {
        ListTaxonomyVersions { client: self.clone(), message: v1::ListTaxonomyVersionsRequest::default() }
    }

    /// Searches the categories of a region by their display names in a language. Those that start with `query` come
    /// first, then those with similar names. An empty query finds all.
    pub fn search_categories(
        &self,
        query: impl Into<String>,
        region_code: impl Into<String>,
        language_code: impl Into<String>,
    ) -> SearchCategories {
        let message = v1::SearchCategoriesRequest {
            query: query.into(),
            region_code: region_code.into(),
            language_code: language_code.into(),
            ..Default::default()
        };
        SearchCategories { client: self.clone(), message }
    }

    /// Lists the platform categories that are unmapped in a region or map to a GBP category that Google's list lacks,
    /// each with GBP categories of similar names.
    pub fn list_mapping_suggestions(
        &self,
        region_code: impl Into<String>,
        language_code: impl Into<String>,
    ) -> ListMappingSuggestions {
        let message = v1::ListMappingSuggestionsRequest {
            region_code: region_code.into(),
            language_code: language_code.into(),
            ..Default::default()
        };
        ListMappingSuggestions { client: self.clone(), message }
    }
}

request! {
    /// Request of [`Client::refresh_taxonomy`].
    RefreshTaxonomy(v1::RefreshTaxonomyRequest) -> TaxonomyRefresh {
        CategoryServiceClient.refresh_taxonomy, NonIdempotent, TaxonomyRefresh::from_wire
    }
}

impl RefreshTaxonomy {
    /// Imports the list even if it is more than 5 % shorter than the previous version, for this reason.
    pub fn allow_shrink(mut self, reason: impl Into<String>) -> Self {
        (self.message.allow_shrink, self.message.reason) = (true, reason.into());
        self
    }
}

list_request! {
    /// Request of [`Client::list_taxonomy_versions`].
    ListTaxonomyVersions(ListTaxonomyVersionsRequest) -> TaxonomyVersion {
        CategoryServiceClient.list_taxonomy_versions, versions
    }
}

impl ListTaxonomyVersions {
    /// Lists only versions of this region.
    pub fn region_code(mut self, code: impl Into<String>) -> Self {
        self.message.region_code = code.into();
        self
    }

    /// Lists only versions of this language.
    pub fn language_code(mut self, code: impl Into<String>) -> Self {
        self.message.language_code = code.into();
        self
    }
}

list_request! {
    /// Request of [`Client::search_categories`].
    SearchCategories(SearchCategoriesRequest) -> CategoryMatch { CategoryServiceClient.search_categories, matches }
}

list_request! {
    /// Request of [`Client::list_mapping_suggestions`].
    ListMappingSuggestions(ListMappingSuggestionsRequest) -> MappingSuggestion {
        CategoryServiceClient.list_mapping_suggestions, suggestions
    }
}

impl ListMappingSuggestions {
    /// Sets the maximum number of suggestions per platform category, at most 10. Default: 3.
    pub fn match_count(mut self, matches: u8) -> Self {
        self.message.match_count = matches.into();
        self
    }
}
