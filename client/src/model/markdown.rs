//! Plans as Markdown, for example for a ticket.

use std::fmt::{self, Display, Write};

use super::{CategorySetMember, GbpCategory, Operation, Plan, Run};
use crate::{Printable, names};

/// Untrusted text in a table cell, escaped so that it is shown literally, without formatting and links.
struct Cell<T>(T);

impl<T: Display> Display for Cell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Printable(&self.0.to_string()).to_string();
        if links(&text) { in_code(f, &text) } else { escaped(f, &text) }
    }
}

/// Whether some Markdown renderer could create a link from a part of the text: an address, a domain, a mention or an
/// issue number. Renderers also find these in escaped text and in text written with entities, because they search the
/// result of both.
fn links(text: &str) -> bool {
    let mut following = text.chars().skip(1).chain([' ']);
    text.contains("://")
        || text.chars().any(|character| {
            let next = following.next().unwrap_or(' ');
            match character {
                '@' => true,
                '#' | '.' => next.is_alphanumeric(),
                _ => false,
            }
        })
}

/// Writes a code span, in which nothing is formatted. Its fences have more backticks than any sequence in the text.
fn in_code(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    // Renderers strip one space at both ends.
    let pad = if longest > 0 { " " } else { "" };
    // Tables are split into cells before code spans are parsed, so the pipe still has to be escaped.
    write!(f, "{fence}{pad}{}{pad}{fence}", text.replace('|', "\\|"))
}

fn escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for character in text.chars() {
        match character {
            // As an entity: Markdown variants differ in how they escape it in code.
            '<' => f.write_str("&lt;")?,
            '&' => f.write_str("&amp;")?,
            c if "\\`*_{}[]()#+!|~@>".contains(c) => write!(f, "\\{c}")?,
            c => f.write_char(c)?,
        }
    }
    Ok(())
}

impl Plan {
    /// Returns the plan as Markdown: changes, guard results, categories that are left out, and the hash.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_markdown(&mut text);
        text
    }

    fn write_markdown(&self, text: &mut String) -> fmt::Result {
        if self.is_in_sync() {
            writeln!(text, "In sync: nothing to change.")?;
        } else {
            writeln!(text, "| change | before | after |\n|---|---|---|")?;
        }
        for change in &self.changes {
            let operation = match change.operation {
                Operation::Create => "gains",
                Operation::Update => "changes",
                Operation::Delete => "**loses**",
                Operation::Unknown(_) => "?",
            };
            let [before, after] =
                [&change.before, &change.after].map(|side| side.as_ref().map(shown).unwrap_or_default());
            writeln!(text, "| {operation} | {before} | {after} |")?;
        }
        if !self.guard_verdicts.is_empty() {
            writeln!(text, "\n| guard | value | limit | verdict |\n|---|--:|--:|---|")?;
        }
        for guard in &self.guard_verdicts {
            let (rule, outcome) = (Cell(&guard.rule), guard.outcome);
            let outcome = if guard.stops() { format!("**{outcome}**") } else { outcome.to_string() };
            writeln!(text, "| {rule} | {} | {} | {outcome} |", guard.value, guard.limit)?;
        }
        let mut notes = Vec::new();
        for unmapped in &self.unmapped_categories {
            let (slug, name) = (Cell(names::short(&unmapped.platform_category)), Cell(&unmapped.display_name));
            notes.push(format!("- unmapped: {slug} ({name})"));
        }
        for merged in &self.merged_categories {
            let [slug, gcid] = [&merged.platform_category, &merged.gbp_category].map(|name| Cell(names::short(name)));
            notes.push(format!("- merged: {slug} maps to {gcid}, as another category does"));
        }
        for objection in &self.validation_errors {
            notes.push(format!("- Google objects: {}: {}", Cell(&objection.reason), Cell(&objection.message)));
        }
        for issue in &self.location_issues {
            notes.push(format!("- location: {}: {}", Cell(issue), issue.meaning()));
        }
        if !notes.is_empty() {
            writeln!(text, "\n{}", notes.join("\n"))?;
        }
        let read = self.observe_time.map(|time| format!(", made {}", time.format("%Y-%m-%d %H:%M:%S UTC")));
        write!(text, "\nPlan `{}`{}", Printable(&self.hash), read.unwrap_or_default())
    }
}

impl Run {
    /// The run's plan as Markdown, under a line that names the tenant, the run and the strategy. `None`: the run has no plan.
    #[must_use]
    pub fn plan_to_markdown(&self) -> Option<String> {
        let plan = self.plan.as_ref()?.to_markdown();
        let [tenant, run] = [&self.tenant, &self.name].map(|name| Cell(names::short(name)));
        let (kind, strategy) = (if self.dry_run { "dry run" } else { "run" }, Cell(self.strategy));
        Some(format!("Plan of {kind} {run} of tenant {tenant}, strategy {strategy}\n\n{plan}"))
    }
}

fn shown(placed: &CategorySetMember) -> String {
    let category = match (&placed.platform_category, &placed.category) {
        (Some(name), _) => {
            let name_for_people = placed.platform_display_name.as_deref().unwrap_or_default();
            let imported = if placed.imported { ", imported" } else { "" };
            format!("{} ({}){imported}", Cell(names::short(name)), Cell(name_for_people))
        }
        (None, Some(GbpCategory { name, display_name })) if display_name.is_empty() => {
            Cell(names::short(name)).to_string()
        }
        (None, Some(GbpCategory { name, display_name })) => {
            format!("{} ({})", Cell(names::short(name)), Cell(display_name))
        }
        (None, None) => String::new(),
    };
    format!("{} {category}", placed.role)
}
