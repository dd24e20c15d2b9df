//! Google's lists of categories.

use std::io;

use category_mirror_client::{CategoryMatch, Client, MappingSuggestion, Printable, TaxonomyRefresh, TaxonomyVersion};

use crate::{
    args,
    exit::Exit,
    show::{
        ids,
        list::{List, page_size},
        output::Output,
        table::{Cell, Column},
    },
};

const VERSIONS: [Column; 6] = [
    Column::whole("LIST"),
    Column::number("VERSION"),
    Column::whole("IMPORTED"),
    Column::number("CATEGORIES"),
    Column::whole("CHANGES"),
    Column::text("CALLER"),
];
const MATCHES: [Column; 3] = [Column::number("SCORE"), Column::whole("GBP CATEGORY"), Column::text("NAME")];
const SUGGESTIONS: [Column; 6] = [
    Column::whole("SLUG"),
    Column::text("NAME"),
    Column::whole("MAPS TO"),
    Column::number("SCORE"),
    Column::whole("SUGGESTION"),
    Column::text("ITS NAME"),
];

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
            let request = client.search_categories(query, locale.region_code, locale.language_code);
            let found = request.page_size(page_size(limit)).send();
            let rows = |_: &Output, found: &CategoryMatch| vec![matched(found)];
            List { what: "categories", columns: &MATCHES, limit: Some(limit), rows: &rows }.show(output, found).await
        }
        args::TaxonomyCommand::Suggest { locale, match_count } => {
            let request =
                client.list_mapping_suggestions(locale.region_code, locale.language_code).match_count(match_count);
            let what = "platform categories without a mapping";
            List { what, columns: &SUGGESTIONS, limit: None, rows: &suggested }.show(output, request.send()).await
        }
    }
}

fn matched(found: &CategoryMatch) -> Vec<Cell> {
    let category = &found.category;
    vec![
        format!("{:.2}", found.score).into(),
        Printable(ids::of(&category.name)).into(),
        Printable(&category.display_name).into(),
    ]
}

/// A row for each suggestion; the category is in the first one.
fn suggested(output: &Output, suggestion: &MappingSuggestion) -> Vec<Vec<Cell>> {
    let now = suggestion.gbp_category.as_deref().map_or("unmapped".to_owned(), |name| output.id(name));
    let name = Printable(&suggestion.display_name).to_string();
    let subject: [Cell; 3] = [output.id(&suggestion.platform_category).into(), name.into(), now.into()];
    let same: [Cell; 3] = [" ".into(), " ".into(), " ".into()];
    let none = || vec!["".into(), "".into(), "".into()];
    let mut matches: Vec<Vec<Cell>> = suggestion.matches.iter().map(matched).collect();
    if matches.is_empty() {
        matches.push(none());
    }
    let subjects = std::iter::once(subject).chain(std::iter::repeat(same));
    subjects.zip(matches).map(|(subject, found)| subject.into_iter().chain(found).collect()).collect()
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
    let rows = |output: &Output, version: &TaxonomyVersion| vec![row(output, version)];
    List { what: "imported versions", columns: &VERSIONS, limit: None, rows: &rows }.show(output, request.send()).await
}

fn row(output: &Output, version: &TaxonomyVersion) -> Vec<Cell> {
    let changes = [('+', version.added_count), ('~', version.renamed_count), ('-', version.retired_count)];
    vec![
        format!("{} {}", Printable(&version.region_code), Printable(&version.language_code)).into(),
        version.version.into(),
        output.time(version.import_time).into(),
        version.category_count.into(),
        changes.map(|(sign, count)| format!("{sign}{count}")).join(" ").into(),
        Printable(&version.caller).into(),
    ]
}

fn refreshed(output: &mut Output, refresh: &TaxonomyRefresh) -> io::Result<()> {
    output.field("version", Some(refresh.version.version))?;
    output.field("categories", Some(refresh.version.category_count))?;
    output.field("added", Some(refresh.added_count))?;
    output.field("renamed", Some(refresh.renamed_count))?;
    output.field("retired", Some(refresh.retired_count))?;
    let added = refresh.added.iter().map(|category| format!("+ {category}"));
    output.changes(added.collect::<Vec<_>>().join("\n"))?;
    part(output, "added categories", refresh.added.len(), refresh.added_count)?;
    let renamed =
        refresh.renamed.iter().map(|it| format!("~ {}, was {}", it.category, Printable(&it.previous_display_name)));
    output.changes(renamed.collect::<Vec<_>>().join("\n"))?;
    part(output, "renamed categories", refresh.renamed.len(), refresh.renamed_count)?;
    let retired = refresh.retired.iter().map(|category| format!("- {category}"));
    output.changes(retired.collect::<Vec<_>>().join("\n"))?;
    part(output, "retired categories", refresh.retired.len(), refresh.retired_count)?;
    output.field("mappings", Some(format_args!("{} are affected", refresh.affected_mapping_count)))?;
    for mapping in &refresh.affected_mappings {
        let (name, category) = (Printable(&mapping.platform_category), Printable(&mapping.gbp_category));
        let (effect, tenants) = (mapping.effect, mapping.tenant_count);
        output.line(format_args!("  {effect:<8}  {name} maps to {category}, {tenants} tenants"))?;
    }
    part(output, "affected mappings", refresh.affected_mappings.len(), refresh.affected_mapping_count)?;
    output.field("tenants", Some(format_args!("{} are affected", refresh.affected_tenant_count)))?;
    refresh.affected_tenants.iter().try_for_each(|tenant| output.line(format_args!("  {}", Printable(tenant))))?;
    part(output, "affected tenants", refresh.affected_tenants.len(), refresh.affected_tenant_count)
}

/// Says where a list of an answer is only its beginning.
fn part(output: &mut Output, what: &str, shown: usize, count: i32) -> io::Result<()> {
    if usize::try_from(count).is_ok_and(|count| shown < count) {
        output.line(format_args!("  these are the first {shown} of {count} {what}"))?;
    }
    Ok(())
}
