//! Google's lists of categories.

use category_mirror_proto::v1::{self, category_service_client::CategoryServiceClient};

use crate::{CategoryMatch, Client, MappingSuggestion, TaxonomyRefresh, TaxonomyVersion};

impl Client {
    /// Imports Google's list of categories for a region (`US`) and a language (`en`). Takes some ten seconds: set the client's
    /// [`timeout`](crate::ClientBuilder::timeout). Sent once, never retried; nothing is changed unless the whole list came.
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

    /// Lists the versions of Google's lists by region and language, the newest first.
    pub fn list_taxonomy_versions(&self) -> ListTaxonomyVersions {
        ListTaxonomyVersions { client: self.clone(), message: v1::ListTaxonomyVersionsRequest::default() }
    }

    /// Finds categories of a region, by names in a language: those that begin with `query`, then those whose names are like it. An empty query
    /// finds all.
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

    /// Lists the platform categories that stand for nothing that Google has in a region, each with categories of a similar name.
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
    /// Asks for an import of Google's list; see [`Client::refresh_taxonomy`].
    RefreshTaxonomy(v1::RefreshTaxonomyRequest) -> TaxonomyRefresh {
        CategoryServiceClient.refresh_taxonomy, NonIdempotent, TaxonomyRefresh::from_wire
    }
}

impl RefreshTaxonomy {
    /// Takes the list also when it is more than 5 % shorter than the version before, for this reason.
    pub fn allow_shrink(mut self, reason: impl Into<String>) -> Self {
        (self.message.allow_shrink, self.message.reason) = (true, reason.into());
        self
    }
}

list_request! {
    /// Asks for versions; see [`Client::list_taxonomy_versions`].
    ListTaxonomyVersions(ListTaxonomyVersionsRequest) -> TaxonomyVersion {
        CategoryServiceClient.list_taxonomy_versions, versions
    }
}

impl ListTaxonomyVersions {
    /// Only those of this region.
    pub fn region_code(mut self, code: impl Into<String>) -> Self {
        self.message.region_code = code.into();
        self
    }

    /// Only those of this language.
    pub fn language_code(mut self, code: impl Into<String>) -> Self {
        self.message.language_code = code.into();
        self
    }
}

list_request! {
    /// Asks for categories; see [`Client::search_categories`].
    SearchCategories(SearchCategoriesRequest) -> CategoryMatch { CategoryServiceClient.search_categories, matches }
}

list_request! {
    /// Asks for what needs a decision; see [`Client::list_mapping_suggestions`].
    ListMappingSuggestions(ListMappingSuggestionsRequest) -> MappingSuggestion {
        CategoryServiceClient.list_mapping_suggestions, suggestions
    }
}

impl ListMappingSuggestions {
    /// How many suggestions each platform category gets, at most 10: 3 unless told otherwise.
    pub fn match_count(mut self, matches: u8) -> Self {
        self.message.match_count = matches.into();
        self
    }
}
