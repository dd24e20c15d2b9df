//! `CategoryService`.

use std::collections::HashMap;

use category_mirror_proto::v1::{self as proto, category_service_server::CategoryService};
use tonic::{Request, Response, Status};

use crate::api::{
    decode::{import, request},
    encode::{self, status::status},
};
use crate::{
    app::{App, PageRequest},
    domain::{Gcid, LanguageCode, Locale, NewCategory, PlatformCategoryChange, RegionCode, RegionalMapping, Slug},
    error::{Error, Violations},
};

/// Maximum length of a query, in characters.
const MAX_QUERY: usize = 200;
/// Number of suggestions per unmapped category: default and maximum.
const DEFAULT_AND_MAX_MATCHES: (u8, u8) = (3, 10);

/// Implements the service with the use cases of the application.
pub(in crate::api) struct CategoryApi {
    app: App,
}

impl CategoryApi {
    pub(in crate::api) fn new(app: App) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl CategoryService for CategoryApi {
    async fn create_platform_category(
        &self,
        request: Request<proto::CreatePlatformCategoryRequest>,
    ) -> Result<Response<proto::CreatePlatformCategoryResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let new = new_category(message.platform_category).map_err(status)?;
        let (gcid, regional) = (new.gcid.as_ref(), &new.regional);
        let created = self.app.create_platform_category(&caller, &new.slug, &new.display_name, gcid, regional).await;
        let platform_category = Some(encode::platform_category(created.map_err(status)?));
        Ok(Response::new(proto::CreatePlatformCategoryResponse { platform_category }))
    }

    async fn get_platform_category(
        &self,
        request: Request<proto::GetPlatformCategoryRequest>,
    ) -> Result<Response<proto::GetPlatformCategoryResponse>, Status> {
        let slug = request::slug("name", &request.get_ref().name).map_err(status)?;
        let platform_category =
            Some(encode::platform_category(self.app.platform_category(&slug).await.map_err(status)?));
        Ok(Response::new(proto::GetPlatformCategoryResponse { platform_category }))
    }

    async fn list_platform_categories(
        &self,
        request: Request<proto::ListPlatformCategoriesRequest>,
    ) -> Result<Response<proto::ListPlatformCategoriesResponse>, Status> {
        let message = request.into_inner();
        let filters = ["platformCategories", if message.unmapped_only { "unmapped" } else { "" }];
        let page = PageRequest::new(Violations::default(), message.page_size, &message.page_token, &filters)
            .map_err(status)?;
        let page = self.app.platform_categories(message.unmapped_only, page).await.map_err(status)?;
        Ok(Response::new(proto::ListPlatformCategoriesResponse {
            platform_categories: page.items.into_iter().map(encode::platform_category).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn update_platform_category(
        &self,
        request: Request<proto::UpdatePlatformCategoryRequest>,
    ) -> Result<Response<proto::UpdatePlatformCategoryResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let (slug, change) = category_change(message).map_err(status)?;
        let updated = self.app.update_platform_category(&caller, &slug, &change).await.map_err(status)?;
        let platform_category = Some(encode::platform_category(updated));
        Ok(Response::new(proto::UpdatePlatformCategoryResponse { platform_category }))
    }

    async fn delete_platform_category(
        &self,
        request: Request<proto::DeletePlatformCategoryRequest>,
    ) -> Result<Response<proto::DeletePlatformCategoryResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let slug = request::slug("name", &message.name).map_err(status)?;
        self.app.delete_platform_category(&caller, &slug).await.map_err(status)?;
        Ok(Response::new(proto::DeletePlatformCategoryResponse {}))
    }

    async fn import_platform_categories(
        &self,
        request: Request<proto::ImportPlatformCategoriesRequest>,
    ) -> Result<Response<proto::ImportPlatformCategoriesResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let names: Vec<String> = message.platform_categories.iter().map(|category| category.name.clone()).collect();
        let items = import::items("platform_categories", message.platform_categories, |v, it| category_fields(v, &it));
        let items = items.await.map_err(status)?;
        let report = self.app.import_platform_categories(&caller, items, message.validate_only).await;
        let report = report.map_err(status)?;
        Ok(Response::new(proto::ImportPlatformCategoriesResponse {
            created_count: encode::count(report.created),
            updated_count: encode::count(report.updated),
            unchanged_count: encode::count(report.unchanged),
            failures: encode::import_failures(report, &names),
        }))
    }

    async fn refresh_taxonomy(
        &self,
        request: Request<proto::RefreshTaxonomyRequest>,
    ) -> Result<Response<proto::RefreshTaxonomyResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let mut violations = Violations::default();
        let v = &mut violations;
        let locale = locale(v, &message.region_code, &message.language_code);
        let reason = v.take("reason", request::reason(&message.reason));
        if message.allow_shrink && message.reason.trim().is_empty() {
            v.add("reason", "is required with allow_shrink");
        }
        let (locale, reason) = violations.finish_with(locale.zip(reason)).map_err(status)?;
        let refreshed = self.app.refresh_taxonomy(&caller, &locale, message.allow_shrink, &reason).await;
        Ok(Response::new(encode::refreshed(refreshed.map_err(status)?)))
    }

    async fn list_taxonomy_versions(
        &self,
        request: Request<proto::ListTaxonomyVersionsRequest>,
    ) -> Result<Response<proto::ListTaxonomyVersionsResponse>, Status> {
        let message = request.into_inner();
        let mut violations = Violations::default();
        let v = &mut violations;
        let region = request::optional(v, "region_code", &message.region_code, RegionCode::parse);
        let language = request::optional(v, "language_code", &message.language_code, LanguageCode::parse);
        let filters = ["taxonomy versions", &message.region_code, &message.language_code];
        let page = PageRequest::new(violations, message.page_size, &message.page_token, &filters).map_err(status)?;
        let page = self.app.taxonomy_versions(region.as_ref(), language.as_ref(), page).await.map_err(status)?;
        Ok(Response::new(proto::ListTaxonomyVersionsResponse {
            versions: page.items.into_iter().map(encode::taxonomy_version).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn search_categories(
        &self,
        request: Request<proto::SearchCategoriesRequest>,
    ) -> Result<Response<proto::SearchCategoriesResponse>, Status> {
        let message = request.into_inner();
        let mut violations = Violations::default();
        let locale = locale(&mut violations, &message.region_code, &message.language_code);
        let query = violations.take("query", request::free_text(&message.query, MAX_QUERY));
        // Includes the violations of the page itself, before the list is looked up.
        let first = PageRequest::new(violations, message.page_size, "", &[]).map(|_| locale.zip(query));
        let Some((locale, query)) = first.map_err(status)? else {
            return Err(status(Error::Internal("a value is missing without a violation".into())));
        };
        let index = self.app.category_index(&locale).await.map_err(status)?;
        let version = index.version();
        let (place, number) = (locale.to_string(), version.to_string());
        let filters = ["categories by name", query.as_str(), place.as_str(), number.as_str()];
        let page = PageRequest::new(Violations::default(), message.page_size, &message.page_token, &filters);
        let query = query.trim().to_owned();
        let page = self.app.search_categories(index, query, page.map_err(status)?).await.map_err(status)?;
        Ok(Response::new(proto::SearchCategoriesResponse {
            matches: page.items.into_iter().map(encode::category_match).collect(),
            next_page_token: page.next_page_token,
            version,
        }))
    }

    async fn list_mapping_suggestions(
        &self,
        request: Request<proto::ListMappingSuggestionsRequest>,
    ) -> Result<Response<proto::ListMappingSuggestionsResponse>, Status> {
        let message = request.into_inner();
        let mut violations = Violations::default();
        let v = &mut violations;
        let locale = locale(v, &message.region_code, &message.language_code);
        let (default, max) = DEFAULT_AND_MAX_MATCHES;
        let matches = match u8::try_from(message.match_count) {
            Ok(0) => default,
            Ok(count) if count <= max => count,
            _ => {
                v.add("match_count", format!("must be 0 to {max}, is {}", message.match_count));
                default
            }
        };
        let (place, number) = (locale.as_ref().map(ToString::to_string).unwrap_or_default(), matches.to_string());
        let filters = ["mapping suggestions", place.as_str(), number.as_str()];
        let page = PageRequest::new(violations, message.page_size, &message.page_token, &filters).map_err(status)?;
        let locale = locale.ok_or_else(|| status(Error::Internal("a value is missing without a violation".into())))?;
        let page = self.app.mapping_suggestions(&locale, matches.into(), page).await.map_err(status)?;
        Ok(Response::new(proto::ListMappingSuggestionsResponse {
            suggestions: page.items.into_iter().map(encode::mapping_suggestion).collect(),
            next_page_token: page.next_page_token,
        }))
    }
}

fn locale(violations: &mut Violations, region: &str, language: &str) -> Option<Locale> {
    let region = request::required(violations, "region_code", region, RegionCode::parse);
    let language = request::required(violations, "language_code", language, LanguageCode::parse);
    let (region, language) = region.zip(language)?;
    Some(Locale { region, language })
}

fn new_category(message: Option<proto::PlatformCategory>) -> Result<NewCategory, Error> {
    let message = message.ok_or_else(|| Error::invalid("platform_category", "is required"))?;
    let mut violations = Violations::default();
    let category = category_fields(&mut violations, &message);
    violations.finish_with(category)
}

/// Parses a platform category; `None` if there is a violation.
fn category_fields(v: &mut Violations, message: &proto::PlatformCategory) -> Option<NewCategory> {
    let slug = request::required(v, "platform_category.name", &message.name, Slug::parse);
    let name = v.take("platform_category.display_name", request::display_name(&message.display_name));
    let gcid = request::optional(v, "platform_category.gbp_category", &message.gbp_category, Gcid::parse);
    let regional = regional(v, &message.regional_gbp_categories);
    Some(NewCategory { slug: slug?, display_name: name?, gcid, regional })
}

fn regional(violations: &mut Violations, message: &HashMap<String, String>) -> RegionalMapping {
    // Sorted, so that the violations are in a defined order.
    let mut entries: Vec<_> = message.iter().collect();
    entries.sort();
    let mut regional = RegionalMapping::new();
    for (code, category) in entries {
        // An invalid code is arbitrary text, and errors travel in headers.
        let shown: String = code.escape_default().take(20).collect();
        let field = format!("platform_category.regional_gbp_categories[{shown}]");
        let region = violations.take(&field, RegionCode::parse(code).map_err(|error| format!("the region {error}")));
        let gcid = request::optional(violations, &field, category, Gcid::parse);
        if let Some(region) = region {
            regional.insert(region, gcid);
        }
    }
    regional
}

fn category_change(message: proto::UpdatePlatformCategoryRequest) -> Result<(Slug, PlatformCategoryChange), Error> {
    let category = message.platform_category.ok_or_else(|| Error::invalid("platform_category", "is required"))?;
    let mut violations = Violations::default();
    let v = &mut violations;
    let slug = request::required(v, "platform_category.name", &category.name, Slug::parse);
    let fields = [
        ("display_name", category.display_name.as_str()),
        ("gbp_category", category.gbp_category.as_str()),
        // Only whether it is empty matters here.
        ("regional_gbp_categories", if category.regional_gbp_categories.is_empty() { "" } else { "given" }),
    ];
    let masked = request::masked(v, message.update_mask.as_ref(), &fields);
    let mut change = PlatformCategoryChange::default();
    if masked.contains(&"display_name") {
        change.display_name = v.take("platform_category.display_name", request::display_name(&category.display_name));
    }
    if masked.contains(&"gbp_category") {
        change.gcid = Some(request::optional(v, "platform_category.gbp_category", &category.gbp_category, Gcid::parse));
    }
    if masked.contains(&"regional_gbp_categories") {
        change.regional = Some(regional(v, &category.regional_gbp_categories));
    }
    Ok((violations.finish_with(slug)?, change))
}
