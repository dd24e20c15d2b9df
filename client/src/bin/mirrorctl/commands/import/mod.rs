//! Importing what a file holds: each good line is imported, and each bad one reported under its number in the file.

mod line;
mod read;

use std::io;

use category_mirror_client::{Client, Error, FieldViolation, ImportReport, Printable};
use serde::Serialize;

use self::line::{CategoryLine, ImportLine, TenantLine};
use self::read::{Line, lines};
use crate::{
    args::{ImportArgs, OutputFormat},
    exit::Exit,
    show::{ids, output::Output, stderr::say},
};

/// Items of one call.
const CHUNK_SIZE: usize = 1000;

pub(crate) async fn tenants(client: &Client, output: &mut Output, args: ImportArgs) -> Result<(), Exit> {
    let validate_only = args.validate_only;
    let send = async |items: Vec<TenantLine>| {
        client.import_tenants(items.into_iter().map(Into::into)).validate_only(validate_only).send().await
    };
    import(output, &args, send).await
}

pub(crate) async fn platform_categories(client: &Client, output: &mut Output, args: ImportArgs) -> Result<(), Exit> {
    let validate_only = args.validate_only;
    let send = async |items: Vec<CategoryLine>| {
        let items = items.into_iter().map(Into::into);
        client.import_platform_categories(items).validate_only(validate_only).send().await
    };
    import(output, &args, send).await
}

async fn import<T: ImportLine>(
    output: &mut Output,
    args: &ImportArgs,
    send: impl AsyncFn(Vec<T>) -> Result<ImportReport, Error>,
) -> Result<(), Exit> {
    let mut summary = Summary::default();
    let imported = import_all(output, args, &mut summary, send).await;
    // After an error, too: what was imported before it stays.
    summary.show(output)?;
    imported?;
    if args.validate_only {
        say("nothing was changed: --validate-only");
    }
    if summary.refused > 0 { Err(Exit::ItemsRefused) } else { Ok(()) }
}

async fn import_all<T: ImportLine>(
    output: &mut Output,
    args: &ImportArgs,
    summary: &mut Summary,
    send: impl AsyncFn(Vec<T>) -> Result<ImportReport, Error>,
) -> Result<(), Exit> {
    let mut chunk = Chunk::default();
    for line in lines::<T>(args)? {
        let Line { number, item } = line?;
        match item {
            Ok(item) => chunk.items.push((number, item)),
            Err(problem) => chunk.failures.push(Failure::malformed(number, problem)),
        }
        if chunk.items.len() + chunk.failures.len() >= CHUNK_SIZE {
            chunk.send(output, summary, &send).await?;
        }
    }
    chunk.send(output, summary, &send).await
}

/// The lines of one call.
struct Chunk<T> {
    items: Vec<(u64, T)>,
    failures: Vec<Failure>,
}

impl<T> Default for Chunk<T> {
    fn default() -> Self {
        Self { items: Vec::new(), failures: Vec::new() }
    }
}

impl<T: ImportLine> Chunk<T> {
    /// Imports the good lines, and empties the chunk.
    async fn send(
        &mut self,
        output: &mut Output,
        summary: &mut Summary,
        send: &impl AsyncFn(Vec<T>) -> Result<ImportReport, Error>,
    ) -> Result<(), Exit> {
        let (numbers, items): (Vec<u64>, Vec<T>) = std::mem::take(&mut self.items).into_iter().unzip();
        let mut failures = std::mem::take(&mut self.failures);
        let sent = if items.is_empty() { Ok(None) } else { send(items).await.map(Some) };
        if let Ok(Some(report)) = &sent {
            summary.created += i64::from(report.created);
            summary.updated += i64::from(report.updated);
            summary.unchanged += i64::from(report.unchanged);
            failures.extend(report.failures.iter().map(|failure| Failure {
                // The server names an item by its place in the call.
                line: numbers.get(failure.index).copied().unwrap_or_default(),
                name: failure.name.clone(),
                violations: failure.violations.iter().map(violation::<T>).collect(),
            }));
        }
        failures.sort_by_key(|failure| failure.line);
        summary.add(output, failures)?;
        Ok(sent.map(drop)?)
    }
}

/// A line that was not imported.
#[derive(Debug, Serialize)]
struct Failure {
    line: u64,
    name: String,
    violations: Vec<Violation>,
}

/// What is wrong with a key of a line. The key is empty where the line as a whole is wrong.
#[derive(Debug, Serialize)]
struct Violation {
    field: String,
    description: String,
}

impl Failure {
    fn malformed(line: u64, problem: String) -> Self {
        let violation = Violation { field: String::new(), description: problem };
        Self { line, name: String::new(), violations: vec![violation] }
    }

    fn print(&self, output: &mut Output) -> io::Result<()> {
        let name = if self.name.is_empty() { String::new() } else { format!(", {}", Printable(ids::of(&self.name))) };
        for Violation { field, description } in &self.violations {
            let text = format!("{field} {description}");
            output.line(format_args!("line {}{name}: {}", self.line, Printable(text.trim_start())))?;
        }
        Ok(())
    }
}

/// The server's violation, under the key that the file has for it.
fn violation<T: ImportLine>(violation: &FieldViolation) -> Violation {
    let last = violation.field.rsplit('.').next().unwrap_or_default();
    let field = if last == "name" { T::KEY } else { last }.to_owned();
    Violation { field, description: violation.description.clone() }
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    created: i64,
    updated: i64,
    unchanged: i64,
    refused: usize,
    /// For programs; people have read them already.
    failures: Vec<Failure>,
}

impl Summary {
    fn add(&mut self, output: &mut Output, failures: Vec<Failure>) -> io::Result<()> {
        self.refused += failures.len();
        if output.format() == OutputFormat::Json {
            self.failures.extend(failures);
            return Ok(());
        }
        failures.iter().try_for_each(|failure| failure.print(output))
    }

    fn show(&self, output: &mut Output) -> io::Result<()> {
        let Self { created, updated, unchanged, refused, .. } = self;
        output.show(self, |output| {
            output.line(format_args!("{created} created, {updated} changed, {unchanged} as before, {refused} refused"))
        })
    }
}
