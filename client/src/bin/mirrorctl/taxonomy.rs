//! Google's lists of categories.

use std::io;

use category_mirror_client::{Client, Printable, TaxonomyRefresh};

use crate::{args, exit::Exit, output::Output};

pub(crate) async fn taxonomy(client: &Client, output: &mut Output, command: args::TaxonomyCommand) -> Result<(), Exit> {
    match command {
        args::TaxonomyCommand::Refresh { locale, allow_shrink } => {
            let mut request = client.refresh_taxonomy(locale.region_code, locale.language_code);
            if let Some(reason) = allow_shrink {
                request = request.allow_shrink(reason);
            }
            let refresh = request.send().await?;
            Ok(output.show(&refresh, |output| refreshed(output, &refresh))?)
        }
        args::TaxonomyCommand::List { region_code, language_code } => {
            list(client, output, region_code, language_code).await
        }
        args::TaxonomyCommand::Search { locale, query, limit } => {
            let page_size = u16::try_from(limit.clamp(1, 1000)).expect("at most 1000");
            let mut found =
                client.search_categories(query, locale.region_code, locale.language_code).page_size(page_size).send();
            for _ in 0..limit {
                let Some(found) = found.next().await else { break };
                let found = found?;
                output.show(&found, |output| output.line(format_args!("{:.2}  {}", found.score, found.category)))?;
            }
            Ok(())
        }
        args::TaxonomyCommand::Suggest { locale, match_count } => {
            let request =
                client.list_mapping_suggestions(locale.region_code, locale.language_code).match_count(match_count);
            let mut suggestions = request.send();
            while let Some(suggestion) = suggestions.next().await {
                let suggestion = suggestion?;
                output.show(&suggestion, |output| {
                    let now = suggestion.gbp_category.as_deref().unwrap_or("unmapped");
                    let [name, display_name, now] = [&suggestion.platform_category, &suggestion.display_name, now]
                        .map(|text| Printable(text).to_string());
                    output.line(format_args!("{name:<40}  {display_name:<32}  {now}"))?;
                    let mut matches = suggestion.matches.iter();
                    matches.try_for_each(|it| output.line(format_args!("  {:.2}  {}", it.score, it.category)))
                })?;
            }
            Ok(())
        }
    }
}

async fn list(
    client: &Client,
    output: &mut Output,
    region_code: Option<String>,
    language_code: Option<String>,
) -> Result<(), Exit> {
    let mut request = client.list_taxonomy_versions();
    if let Some(region) = region_code {
        request = request.region_code(region);
    }
    if let Some(language) = language_code {
        request = request.language_code(language);
    }
    let mut versions = request.send();
    while let Some(version) = versions.next().await {
        let version = version?;
        output.show(&version, |output| {
            let locale = format!("{}/{}", Printable(&version.region_code), Printable(&version.language_code));
            let (count, caller) = (version.category_count, Printable(&version.caller));
            let changes = [('+', version.added_count), ('~', version.renamed_count), ('-', version.retired_count)];
            let changes = changes.map(|(sign, count)| format!("{sign}{count}")).join(" ");
            let time = version.import_time.map(|time| time.to_rfc3339()).unwrap_or_default();
            let number = version.version;
            output
                .line(format_args!("{locale:<8}  {number:>4}  {time}  {count:>6} categories  {changes:<20}  {caller}"))
        })?;
    }
    Ok(())
}

fn refreshed(output: &mut Output, refresh: &TaxonomyRefresh) -> io::Result<()> {
    output.field("version", Some(refresh.version.version))?;
    output.field("categories", Some(refresh.version.category_count))?;
    output.field("added", Some(refresh.added_count))?;
    output.field("renamed", Some(refresh.renamed_count))?;
    output.field("retired", Some(refresh.retired_count))?;
    let added = refresh.added.iter().map(|category| format!("+ {category}"));
    let renamed =
        refresh.renamed.iter().map(|it| format!("~ {}, was {}", it.category, Printable(&it.previous_display_name)));
    let retired = refresh.retired.iter().map(|category| format!("- {category}"));
    output.changes(added.chain(renamed).chain(retired).collect::<Vec<_>>().join("\n"))?;
    output.field("mappings hit", Some(refresh.affected_mapping_count))?;
    for mapping in &refresh.affected_mappings {
        let (name, category) = (Printable(&mapping.platform_category), Printable(&mapping.gbp_category));
        let (effect, tenants) = (mapping.effect, mapping.tenant_count);
        output.line(format_args!("  {effect:<8}  {name} maps to {category}, {tenants} tenants"))?;
    }
    output.field("tenants hit", Some(refresh.affected_tenant_count))?;
    refresh.affected_tenants.iter().try_for_each(|tenant| output.line(format_args!("  {}", Printable(tenant))))
}
