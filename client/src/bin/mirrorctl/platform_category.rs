//! The platform's categories.

use std::io;

use category_mirror_client::{Client, PlatformCategory, Printable};

use crate::{args, exit::Exit, import, output::Output};

pub(crate) async fn platform_category(
    client: &Client,
    output: &mut Output,
    command: args::PlatformCategoryCommand,
) -> Result<(), Exit> {
    let category = match command {
        args::PlatformCategoryCommand::List { unmapped } => {
            let mut categories = client.list_platform_categories().unmapped_only(unmapped).send();
            while let Some(category) = categories.next().await {
                show(output, &category?)?;
            }
            return Ok(());
        }
        args::PlatformCategoryCommand::Import(file) => return import::platform_categories(client, output, file).await,
        args::PlatformCategoryCommand::Delete { slug } => {
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
    Ok(show(output, &category)?)
}

fn show(output: &mut Output, category: &PlatformCategory) -> io::Result<()> {
    output.show(category, |output| {
        let mapping = category.gbp_category.as_deref().unwrap_or("unmapped");
        let [name, display_name, mapping] =
            [&category.name, &category.display_name, mapping].map(|text| Printable(text).to_string());
        let state = category.mapping_state.map(|state| format!(" ({state})")).unwrap_or_default();
        output.line(format_args!("{name:<40}  {display_name:<32}  {mapping}{state}"))?;
        for (region, mapping) in &category.regional_gbp_categories {
            let mapping = mapping.as_deref().unwrap_or("unmapped");
            output.line(format_args!("{:<40}  in {:<29}  {}", "", Printable(region), Printable(mapping)))?;
        }
        Ok(())
    })
}
