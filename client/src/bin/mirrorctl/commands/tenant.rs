//! Tenants and their categories.

use std::io;

use category_mirror_client::{Client, Printable, Tenant, TenantCategories};

use crate::{
    args,
    commands::import,
    confirm,
    exit::Exit,
    show::{
        ids,
        list::List,
        output::Output,
        table::{Cell, Column},
    },
};

const TENANTS: [Column; 7] = [
    Column::whole("TENANT"),
    Column::text("NAME"),
    Column::text("ORGANIZATION"),
    Column::whole("LOCATION"),
    Column::optional("REGION"),
    Column::optional("LANGUAGE"),
    Column::optional("ACCOUNT"),
];

/// Tenants of a page: a long list takes few calls.
const PAGE_SIZE: u16 = 1000;

/// Sets on a request what was given on the command line.
macro_rules! with_fields {
    ($request:expr, $fields:expr) => {{
        let (mut request, fields) = ($request, $fields);
        if let Some(name) = fields.display_name {
            request = request.display_name(name);
        }
        if let Some(organization) = fields.organization {
            request = request.organization(organization);
        }
        if let (Some(account), Some(location)) = (fields.gbp_account, fields.gbp_location) {
            request = request.location(account, location);
        }
        if let Some(region) = fields.region_code {
            request = request.region_code(region);
        }
        if let Some(language) = fields.language_code {
            request = request.language_code(language);
        }
        request
    }};
}

pub(crate) async fn tenant(client: &Client, output: &mut Output, command: args::TenantCommand) -> Result<(), Exit> {
    let tenant = match command {
        args::TenantCommand::List { organization } => return list(client, output, organization).await,
        args::TenantCommand::Import(file) => return import::tenants(client, output, file).await,
        args::TenantCommand::Delete { tenant, confirmation } => {
            confirm::deletion(&format!("tenant {}", ids::of(&tenant)), confirmation.yes)?;
            return Ok(client.delete_tenant(tenant).send().await?);
        }
        args::TenantCommand::GetCategories { tenant } => {
            let categories = client.get_tenant_categories(tenant).send().await?;
            return show_categories(output, &categories);
        }
        args::TenantCommand::SetCategories { tenant, primary, additional } => {
            let categories = client.set_tenant_categories(tenant, primary).additional(additional).send().await?;
            return show_categories(output, &categories);
        }
        args::TenantCommand::Get { tenant } => client.get_tenant(tenant).send().await?,
        args::TenantCommand::Create { tenant, fields } => {
            with_fields!(client.create_tenant(tenant), fields).send().await?
        }
        args::TenantCommand::Update { tenant, fields } => {
            with_fields!(client.update_tenant(tenant), fields).send().await?
        }
    };
    Ok(output.show(&tenant, |output| details(output, &tenant))?)
}

async fn list(client: &Client, output: &mut Output, organization: Option<String>) -> Result<(), Exit> {
    let mut request = client.list_tenants();
    if let Some(organization) = organization {
        request = request.organization(organization);
    }
    List { what: "tenants", columns: &TENANTS, limit: None, rows: &|output, tenant| vec![row(output, tenant)] }
        .show(output, request.page_size(PAGE_SIZE).send())
        .await
}

fn row(output: &Output, tenant: &Tenant) -> Vec<Cell> {
    let id = |name: &Option<String>| name.as_deref().map(|name| output.id(name)).unwrap_or_default();
    vec![
        output.id(&tenant.name).into(),
        Printable(&tenant.display_name).into(),
        id(&tenant.organization).into(),
        id(&tenant.gbp_location).into(),
        Printable(&tenant.region_code).into(),
        Printable(&tenant.language_code).into(),
        id(&tenant.gbp_account).into(),
    ]
}

fn details(output: &mut Output, tenant: &Tenant) -> io::Result<()> {
    output.field("tenant", Some(Printable(&tenant.name)))?;
    output.field("display name", Some(Printable(&tenant.display_name)))?;
    output.field("organization", tenant.organization.as_deref().map(Printable))?;
    output.field("account", tenant.gbp_account.as_deref().map(Printable))?;
    output.field("location", tenant.gbp_location.as_deref().map(Printable))?;
    output.field("region", Some(Printable(&tenant.region_code)))?;
    output.field("language", Some(Printable(&tenant.language_code)))?;
    output.time_field("created", tenant.create_time)?;
    output.time_field("changed", tenant.update_time)
}

fn show_categories(output: &mut Output, categories: &TenantCategories) -> Result<(), Exit> {
    let text = |output: &mut Output| {
        output.field("primary", Some(Printable(categories.primary.as_deref().unwrap_or("none"))))?;
        categories.additional.iter().try_for_each(|name| output.field("additional", Some(Printable(name))))
    };
    Ok(output.show(categories, text)?)
}
