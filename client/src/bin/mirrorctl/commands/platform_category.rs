//! The platform's categories.

use category_mirror_client::{Client, Items, PlatformCategory, Printable};

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

const CATEGORIES: [Column; 5] = [
    Column::whole("SLUG"),
    Column::text("NAME"),
    Column::whole("MAPS TO"),
    Column::text("IN REGIONS"),
    Column::optional("STATE"),
];

pub(crate) async fn platform_category(
    client: &Client,
    output: &mut Output,
    command: args::PlatformCategoryCommand,
) -> Result<(), Exit> {
    let category = match command {
        args::PlatformCategoryCommand::List { unmapped } => {
            let categories = client.list_platform_categories().unmapped_only(unmapped).send();
            return list(output, categories).await;
        }
        args::PlatformCategoryCommand::Import(file) => return import::platform_categories(client, output, file).await,
        args::PlatformCategoryCommand::Delete { slug, confirmation } => {
            confirm::deletion(&format!("platform category {}", ids::of(&slug)), confirmation.yes)?;
            return Ok(client.delete_platform_category(slug).send().await?);
        }
        args::PlatformCategoryCommand::Get { slug } => client.get_platform_category(slug).send().await?,
        args::PlatformCategoryCommand::Create { slug, fields } => {
            let mut request = client.create_platform_category(slug);
            if let Some(name) = fields.display_name {
                request = request.display_name(name);
            }
            if let Some(category) = fields.gbp_category {
                request = request.gbp_category(category);
            }
            for (region, category) in fields.regional_gbp_category {
                request = request.regional_gbp_category(region, category);
            }
            request.send().await?
        }
        args::PlatformCategoryCommand::Update { slug, fields } => {
            let mut request = client.update_platform_category(slug);
            if let Some(name) = fields.display_name {
                request = request.display_name(name);
            }
            if let Some(category) = fields.gbp_category {
                request = request.gbp_category(category);
            }
            if !fields.regional_gbp_category.is_empty() {
                request = request.regional_gbp_categories(fields.regional_gbp_category);
            }
            request.send().await?
        }
    };
    show(output, &category)
}

async fn list(output: &mut Output, categories: Items<PlatformCategory>) -> Result<(), Exit> {
    let rows = |output: &Output, category: &PlatformCategory| vec![row(output, category)];
    List { what: "platform categories", columns: &CATEGORIES, limit: None, rows: &rows }.show(output, categories).await
}

fn row(output: &Output, category: &PlatformCategory) -> Vec<Cell> {
    let mapping = |name: Option<&str>| name.map_or("unmapped".to_owned(), |name| output.id(name));
    let regional = category.regional_gbp_categories.iter();
    let regional: Vec<String> =
        regional.map(|(region, name)| format!("{}={}", Printable(region), mapping(name.as_deref()))).collect();
    vec![
        output.id(&category.name).into(),
        Printable(&category.display_name).into(),
        mapping(category.gbp_category.as_deref()).into(),
        regional.join(" ").into(),
        category.mapping_state.map(|state| state.to_string()).unwrap_or_default().into(),
    ]
}

fn show(output: &mut Output, category: &PlatformCategory) -> Result<(), Exit> {
    let text = |output: &mut Output| {
        let mapping = category.gbp_category.as_deref().unwrap_or("unmapped");
        output.field("category", Some(Printable(&category.name)))?;
        output.field("display name", Some(Printable(&category.display_name)))?;
        output.field("maps to", Some(Printable(mapping)))?;
        for (region, mapping) in &category.regional_gbp_categories {
            let mapping = Printable(mapping.as_deref().unwrap_or("unmapped"));
            output.field("in a region", Some(format_args!("{}: {mapping}", Printable(region))))?;
        }
        output.field("mapping is", category.mapping_state)?;
        output.field("imported", category.imported.then_some("from Google"))?;
        output.time_field("created", category.create_time)?;
        output.time_field("changed", category.update_time)
    };
    Ok(output.show(category, text)?)
}
