//! `CategoryService`.

use category_mirror_proto::v1::{self as proto, category_service_server::CategoryService};
use tonic::{Request, Response, Status};

use super::{convert, request, status::status};
use crate::{
    app::{App, PageRequest},
    domain::{Gcid, Slug},
    error::{Error, Violations},
    store::PlatformCategoryChange,
};

/// The service over the use cases.
pub(super) struct Categories {
    app: App,
}

impl Categories {
    pub(super) fn new(app: App) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl CategoryService for Categories {
    async fn create_platform_category(
        &self,
        request: Request<proto::CreatePlatformCategoryRequest>,
    ) -> Result<Response<proto::CreatePlatformCategoryResponse>, Status> {
        let (caller, message) = request::open(request).map_err(status)?;
        let (slug, name, gcid) = new_category(message.platform_category).map_err(status)?;
        let created = self.app.create_platform_category(&caller, &slug, &name, gcid.as_ref()).await.map_err(status)?;
        let platform_category = Some(convert::platform_category(created));
        Ok(Response::new(proto::CreatePlatformCategoryResponse { platform_category }))
    }

    async fn get_platform_category(
        &self,
        request: Request<proto::GetPlatformCategoryRequest>,
    ) -> Result<Response<proto::GetPlatformCategoryResponse>, Status> {
        let slug = request::slug("name", &request.get_ref().name).map_err(status)?;
        let platform_category =
            Some(convert::platform_category(self.app.platform_category(&slug).await.map_err(status)?));
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
            platform_categories: page.items.into_iter().map(convert::platform_category).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn update_platform_category(
        &self,
        request: Request<proto::UpdatePlatformCategoryRequest>,
    ) -> Result<Response<proto::UpdatePlatformCategoryResponse>, Status> {
        let (caller, message) = request::open(request).map_err(status)?;
        let (slug, change) = category_change(message).map_err(status)?;
        let updated = self.app.update_platform_category(&caller, &slug, &change).await.map_err(status)?;
        let platform_category = Some(convert::platform_category(updated));
        Ok(Response::new(proto::UpdatePlatformCategoryResponse { platform_category }))
    }

    async fn delete_platform_category(
        &self,
        request: Request<proto::DeletePlatformCategoryRequest>,
    ) -> Result<Response<proto::DeletePlatformCategoryResponse>, Status> {
        let (caller, message) = request::open(request).map_err(status)?;
        let slug = request::slug("name", &message.name).map_err(status)?;
        self.app.delete_platform_category(&caller, &slug).await.map_err(status)?;
        Ok(Response::new(proto::DeletePlatformCategoryResponse {}))
    }
}

fn new_category(message: Option<proto::PlatformCategory>) -> Result<(Slug, String, Option<Gcid>), Error> {
    let message = message.ok_or_else(|| Error::invalid("platform_category", "is required"))?;
    let mut violations = Violations::default();
    let v = &mut violations;
    let slug = request::required(v, "platform_category.name", &message.name, Slug::parse);
    let name = v.take("platform_category.display_name", request::display_name(&message.display_name));
    let gcid = request::optional(v, "platform_category.gbp_category", &message.gbp_category, Gcid::parse);
    let (slug, name) = violations.finish_with(slug.zip(name))?;
    Ok((slug, name, gcid))
}

fn category_change(message: proto::UpdatePlatformCategoryRequest) -> Result<(Slug, PlatformCategoryChange), Error> {
    let category = message.platform_category.ok_or_else(|| Error::invalid("platform_category", "is required"))?;
    let mut violations = Violations::default();
    let v = &mut violations;
    let slug = request::required(v, "platform_category.name", &category.name, Slug::parse);
    let fields = [("display_name", category.display_name.as_str()), ("gbp_category", category.gbp_category.as_str())];
    let masked = request::masked(v, message.update_mask.as_ref(), &fields);
    let mut change = PlatformCategoryChange::default();
    if masked.contains(&"display_name") {
        change.display_name = v.take("platform_category.display_name", request::display_name(&category.display_name));
    }
    if masked.contains(&"gbp_category") {
        change.gcid = Some(request::optional(v, "platform_category.gbp_category", &category.gbp_category, Gcid::parse));
    }
    Ok((violations.finish_with(slug)?, change))
}
