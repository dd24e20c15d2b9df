//! `FlagService`.

use std::collections::BTreeSet;

use category_mirror_proto::v1::{self as proto, flag_service_server::FlagService};
use tonic::{Request, Response, Status};

use crate::api::{
    decode::request,
    encode::{self, status::status},
};
use crate::{
    app::{App, FlagRequest, PageRequest, RolloutEdit},
    domain::{Flag, FlagState, InvalidId, OrganizationId, Percent, TenantId},
    error::{Error, Resource, Violations},
};

/// Maximum number of tenants or organizations in a list: a pilot is small, and every server reads the list each second.
const MAX_LISTED: usize = 1000;

/// Implements the service with the use cases of the application.
pub(in crate::api) struct FlagApi {
    app: App,
}

impl FlagApi {
    pub(in crate::api) fn new(app: App) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl FlagService for FlagApi {
    async fn list_flags(
        &self,
        request: Request<proto::ListFlagsRequest>,
    ) -> Result<Response<proto::ListFlagsResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let page = PageRequest::new(Violations::default(), message.page_size, &message.page_token, &["flags"]);
        let page = self.app.flags(&caller, page.map_err(status)?).await.map_err(status)?;
        Ok(Response::new(proto::ListFlagsResponse {
            flags: page.items.into_iter().map(encode::flag).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn get_flag(
        &self,
        request: Request<proto::GetFlagRequest>,
    ) -> Result<Response<proto::GetFlagResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let mut violations = Violations::default();
        let name = request::required(&mut violations, "name", &message.name, Flag::parse);
        let flag = known(&message.name, violations.finish_with(name)).map_err(status)?;
        let flag = self.app.flag(&caller, flag).await.map_err(status)?;
        Ok(Response::new(proto::GetFlagResponse { flag: Some(encode::flag(flag)) }))
    }

    async fn update_flag(
        &self,
        request: Request<proto::UpdateFlagRequest>,
    ) -> Result<Response<proto::UpdateFlagResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let wanted = flag_request(message).map_err(status)?;
        let flag = self.app.update_flag(&caller, &wanted).await.map_err(status)?;
        Ok(Response::new(proto::UpdateFlagResponse { flag: Some(encode::flag(flag)) }))
    }

    async fn evaluate_flag(
        &self,
        request: Request<proto::EvaluateFlagRequest>,
    ) -> Result<Response<proto::EvaluateFlagResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let mut violations = Violations::default();
        let name = request::required(&mut violations, "name", &message.name, Flag::parse);
        let tenant = request::required(&mut violations, "tenant", &message.tenant, TenantId::parse);
        let (name, tenant) = violations.finish_with(name.zip(tenant)).map_err(status)?;
        let flag = known(&message.name, Ok(name)).map_err(status)?;
        let evaluation = self.app.evaluate_flag(&caller, flag, &tenant).await.map_err(status)?;
        Ok(Response::new(encode::evaluation(flag, &tenant, evaluation)))
    }

    async fn list_flag_changes(
        &self,
        request: Request<proto::ListFlagChangesRequest>,
    ) -> Result<Response<proto::ListFlagChangesResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let mut violations = Violations::default();
        let flag = request::optional(&mut violations, "flag", &message.flag, Flag::parse);
        let filters = ["flag changes", message.flag.as_str()];
        let page = PageRequest::new(violations, message.page_size, &message.page_token, &filters).map_err(status)?;
        let flag = flag.map(|name| known(&message.flag, Ok(name))).transpose().map_err(status)?;
        let page = self.app.flag_changes(&caller, flag, page).await.map_err(status)?;
        Ok(Response::new(proto::ListFlagChangesResponse {
            changes: page.items.into_iter().map(encode::flag_change).collect(),
            next_page_token: page.next_page_token,
        }))
    }
}

/// Returns the flag. A well-formed name of an unknown flag is not a violation, but a missing resource.
fn known(name: &str, flag: Result<Option<Flag>, Error>) -> Result<Flag, Error> {
    let not_found = || Error::NotFound(Resource::Flag, format!("flags/{}", name.trim_start_matches("flags/")));
    flag?.ok_or_else(not_found)
}

fn flag_request(message: proto::UpdateFlagRequest) -> Result<FlagRequest, Error> {
    let flag = message.flag.ok_or_else(|| Error::invalid("flag", "is required"))?;
    let mut violations = Violations::default();
    let v = &mut violations;
    let name = request::required(v, "flag.name", &flag.name, Flag::parse);
    // Only whether a value is empty matters here.
    let given = |is_given: bool| if is_given { "given" } else { "" };
    let fields = [
        ("state", given(flag.state != 0)),
        ("percent", given(flag.percent != 0.0)),
        ("tenants", given(!flag.tenants.is_empty())),
        ("organizations", given(!flag.organizations.is_empty())),
        ("excluded_tenants", given(!flag.excluded_tenants.is_empty())),
        ("excluded_organizations", given(!flag.excluded_organizations.is_empty())),
    ];
    let mut edit = RolloutEdit::default();
    for field in request::masked(v, message.update_mask.as_ref(), &fields) {
        match field {
            "state" => edit.state = v.take("flag.state", state(flag.state)),
            "percent" => edit.percent = v.take("flag.percent", Percent::parse(flag.percent)),
            "tenants" => edit.tenants = Some(list(v, "flag.tenants", &flag.tenants, TenantId::parse)),
            "organizations" => {
                edit.organizations = Some(list(v, "flag.organizations", &flag.organizations, OrganizationId::parse));
            }
            "excluded_tenants" => {
                edit.excluded_tenants = Some(list(v, "flag.excluded_tenants", &flag.excluded_tenants, TenantId::parse));
            }
            _ => {
                let organizations = &flag.excluded_organizations;
                edit.excluded_organizations =
                    Some(list(v, "flag.excluded_organizations", organizations, OrganizationId::parse));
            }
        }
    }
    let expected_revision = message.expected_revision;
    if expected_revision.is_some_and(|revision| revision < 0) {
        v.add("expected_revision", "must not be negative");
    }
    let reason = v.take("reason", request::reason(&message.reason));
    let (name, reason) = violations.finish_with(name.zip(reason))?;
    let flag = known(&flag.name, Ok(name))?;
    Ok(FlagRequest { flag, edit, expected_revision, allow_unknown: message.allow_unknown, reason })
}

fn state(number: i32) -> Result<FlagState, String> {
    match proto::flag::State::try_from(number) {
        Ok(proto::flag::State::Off) => Ok(FlagState::Off),
        Ok(proto::flag::State::On) => Ok(FlagState::On),
        Ok(proto::flag::State::Partial) => Ok(FlagState::Partial),
        Ok(proto::flag::State::Unspecified) => Err("must be STATE_OFF, STATE_ON or STATE_PARTIAL".to_owned()),
        Err(_) => Err(format!("{number} is no state")),
    }
}

fn list<T: Ord>(
    violations: &mut Violations,
    field: &str,
    texts: &[String],
    parse: fn(&str) -> Result<T, InvalidId>,
) -> BTreeSet<T> {
    if texts.len() > MAX_LISTED {
        violations.add(field, format!("has {} entries, at most {MAX_LISTED} are allowed", texts.len()));
        return BTreeSet::new();
    }
    let parsed = texts.iter().enumerate().map(|(n, text)| violations.take(&format!("{field}[{n}]"), parse(text)));
    parsed.collect::<Vec<_>>().into_iter().flatten().collect()
}
