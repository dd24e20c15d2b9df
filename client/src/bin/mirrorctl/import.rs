//! Importing what a file holds, a JSON object a line.

use std::{collections::BTreeMap, fs::File, io, io::BufRead, path::Path};

use category_mirror_client::{Client, ImportReport, PlatformCategoryImport, Printable, TenantImport};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{args::ImportArgs, exit::Exit, output::Output};

/// Items of one call.
const CHUNK_SIZE: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantLine {
    tenant: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    organization: String,
    #[serde(default)]
    gbp_account: String,
    #[serde(default)]
    gbp_location: String,
    #[serde(default)]
    region_code: String,
    #[serde(default)]
    language_code: String,
    primary: Option<String>,
    #[serde(default)]
    additional: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryLine {
    slug: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    gbp_category: String,
    #[serde(default)]
    regional_gbp_categories: BTreeMap<String, String>,
}

impl From<TenantLine> for TenantImport {
    fn from(line: TenantLine) -> Self {
        let tenant = Self::new(line.tenant)
            .display_name(line.display_name)
            .organization(line.organization)
            .location(line.gbp_account, line.gbp_location)
            .region_code(line.region_code)
            .language_code(line.language_code);
        match line.primary {
            // Additional ones without a primary one are the server's to refuse.
            None if line.additional.is_empty() => tenant,
            primary => tenant.categories(primary.unwrap_or_default(), line.additional),
        }
    }
}

impl From<CategoryLine> for PlatformCategoryImport {
    fn from(line: CategoryLine) -> Self {
        let category = Self::new(line.slug).display_name(line.display_name).gbp_category(line.gbp_category);
        let regional = line.regional_gbp_categories.into_iter();
        regional.fold(category, |category, (region, gcid)| category.regional_gbp_category(region, gcid))
    }
}

pub(crate) async fn tenants(client: &Client, output: &mut Output, import: ImportArgs) -> Result<(), Exit> {
    let mut summary = ImportSummary::default();
    for Chunk { lines, items } in chunks::<TenantLine>(&import.file)? {
        let request = client.import_tenants(items.into_iter().map(TenantImport::from));
        let report = request.validate_only(import.validate_only).send().await?;
        summary.add(output, &lines, &report)?;
    }
    summary.end()
}

pub(crate) async fn platform_categories(client: &Client, output: &mut Output, import: ImportArgs) -> Result<(), Exit> {
    let mut summary = ImportSummary::default();
    for Chunk { lines, items } in chunks::<CategoryLine>(&import.file)? {
        let request = client.import_platform_categories(items.into_iter().map(PlatformCategoryImport::from));
        let report = request.validate_only(import.validate_only).send().await?;
        summary.add(output, &lines, &report)?;
    }
    summary.end()
}

/// The items of one call, and the line of each in the file, from 1.
struct Chunk<T> {
    lines: Vec<usize>,
    items: Vec<T>,
}

/// The items of a file, some at a time. The whole file is read before anything is sent. Blank lines are skipped, and a byte order mark, which
/// editors and spreadsheets put at the start of a file, is no part of it.
fn chunks<T: DeserializeOwned>(file: &Path) -> Result<Vec<Chunk<T>>, Exit> {
    let unreadable = |error: io::Error| Exit::usage(format!("{}: {error}", file.display()));
    let mut chunks: Vec<Chunk<T>> = Vec::new();
    for (index, line) in reader(file).map_err(unreadable)?.lines().enumerate() {
        let line = line.map_err(unreadable)?;
        let text = if index == 0 { without_mark(&line) } else { &line };
        if text.trim().is_empty() {
            continue;
        }
        let item = serde_json::from_str(text)
            .map_err(|error| Exit::usage(format!("{}, line {}: {error}", file.display(), index + 1)))?;
        match chunks.last_mut() {
            Some(chunk) if chunk.items.len() < CHUNK_SIZE => {
                chunk.lines.push(index + 1);
                chunk.items.push(item);
            }
            _ => chunks.push(Chunk { lines: vec![index + 1], items: vec![item] }),
        }
    }
    Ok(chunks)
}

/// A file, or standard input.
fn reader(file: &Path) -> io::Result<Box<dyn BufRead>> {
    match file.to_str() {
        Some("-") => Ok(Box::new(io::stdin().lock())),
        _ => Ok(Box::new(io::BufReader::new(File::open(file)?))),
    }
}

/// A file's text without a byte order mark at its start.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[derive(Default)]
struct ImportSummary {
    has_failures: bool,
}

impl ImportSummary {
    fn add(&mut self, output: &mut Output, lines: &[usize], report: &ImportReport) -> io::Result<()> {
        self.has_failures |= !report.failures.is_empty();
        output.show(report, |output| {
            for failure in &report.failures {
                let name = Printable(&failure.name);
                // The server names an item by its place in the call.
                let line = lines.get(failure.index).map_or("?".to_owned(), ToString::to_string);
                for violation in &failure.violations {
                    let (field, description) = (Printable(&violation.field), Printable(&violation.description));
                    output.line(format_args!("line {line}, {name}: {field} {description}"))?;
                }
            }
            let ImportReport { created, updated, unchanged, failures, .. } = report;
            let refused = failures.len();
            output.line(format_args!("{created} created, {updated} changed, {unchanged} as before, {refused} refused"))
        })
    }

    fn end(self) -> Result<(), Exit> {
        if self.has_failures { Err(Exit::ItemsRefused) } else { Ok(()) }
    }
}
