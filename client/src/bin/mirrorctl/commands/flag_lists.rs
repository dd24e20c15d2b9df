//! Changing the lists of a flag: each is read first, so that no name is removed without notice, and written only if it is still what was read.

use std::collections::BTreeSet;

use category_mirror_client::{Client, Flag, Printable, UpdateFlag};

use crate::{args::FlagListArgs, exit::Exit, show::output::Output};

/// One list: what is there, and what is wanted of it.
struct List<'a> {
    /// The option that replaces it.
    option: &'static str,
    collection: &'static str,
    before: &'a [String],
    add: &'a [String],
    remove: &'a [String],
    replacement: Option<&'a str>,
}

impl List<'_> {
    fn is_changed(&self) -> bool {
        self.replacement.is_some() || !(self.add.is_empty() && self.remove.is_empty())
    }

    /// The whole list as it shall be.
    fn after(&self) -> Result<BTreeSet<String>, Exit> {
        if let Some(replacement) = self.replacement {
            return Ok(self.names(replacement.split(',')));
        }
        let mut after: BTreeSet<String> = self.before.iter().cloned().collect();
        for name in self.names(self.remove.iter().map(String::as_str)) {
            if !after.remove(&name) {
                return Err(Exit::usage(format!("{name} is not listed, so it cannot be removed")));
            }
        }
        after.extend(self.names(self.add.iter().map(String::as_str)));
        Ok(after)
    }

    /// Names in their full form; an empty one is none.
    fn names<'n>(&self, names: impl Iterator<Item = &'n str>) -> BTreeSet<String> {
        let prefix = format!("{}/", self.collection);
        let names = names.map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| if name.starts_with(&prefix) { name.to_owned() } else { format!("{prefix}{name}") }).collect()
    }
}

/// Adds the lists to a request, where any is to change. A replacement that removes names is shown, and needs to be confirmed.
pub(crate) async fn edited(
    client: &Client,
    output: &mut Output,
    flag: &str,
    lists: &FlagListArgs,
    expected_revision: Option<i64>,
    mut request: UpdateFlag,
) -> Result<UpdateFlag, Exit> {
    request = request.allow_unknown(lists.allow_unknown);
    // A switch-off is one call.
    if !lists.is_given() {
        return Ok(request);
    }
    let before = client.get_flag(flag).send().await?;
    if let Some(expected) = expected_revision.filter(|expected| *expected != before.revision) {
        let Flag { name, revision, .. } = &before;
        return Err(Exit::Refused(format!(
            "{name} has changed: its revision is {revision}, not {expected}; read it again and retry"
        )));
    }
    // A change of the lists in the meantime is not overwritten.
    request = request.expected_revision(before.revision);
    let mut unconfirmed = Vec::new();
    for list in all(lists, &before).iter().filter(|list| list.is_changed()) {
        let after = list.after()?;
        let removed: Vec<&String> = list.before.iter().filter(|name| !after.contains(*name)).collect();
        if list.replacement.is_some() && !removed.is_empty() {
            if lists.replace {
                for name in &removed {
                    output.note("removes", Printable(name))?;
                }
            } else {
                let names: Vec<&str> = removed.iter().map(|name| name.as_str()).collect();
                unconfirmed.push(format!("{} would remove {}", list.option, names.join(", ")));
            }
        }
        request = match list.option {
            "--tenants" => request.tenants(after),
            "--organizations" => request.organizations(after),
            "--excluded-tenants" => request.excluded_tenants(after),
            _ => request.excluded_organizations(after),
        };
    }
    if unconfirmed.is_empty() {
        return Ok(request);
    }
    Err(Exit::usage(format!(
        "{}; nothing was changed: confirm with --replace, or change single names with --add-… and --remove-…",
        unconfirmed.join("; ")
    )))
}

fn all<'a>(lists: &'a FlagListArgs, flag: &'a Flag) -> [List<'a>; 4] {
    [
        List {
            option: "--tenants",
            collection: "tenants",
            before: &flag.tenants,
            add: &lists.add_tenants,
            remove: &lists.remove_tenants,
            replacement: lists.tenants.as_deref(),
        },
        List {
            option: "--organizations",
            collection: "organizations",
            before: &flag.organizations,
            add: &lists.add_organizations,
            remove: &lists.remove_organizations,
            replacement: lists.organizations.as_deref(),
        },
        List {
            option: "--excluded-tenants",
            collection: "tenants",
            before: &flag.excluded_tenants,
            add: &lists.add_excluded_tenants,
            remove: &lists.remove_excluded_tenants,
            replacement: lists.excluded_tenants.as_deref(),
        },
        List {
            option: "--excluded-organizations",
            collection: "organizations",
            before: &flag.excluded_organizations,
            add: &lists.add_excluded_organizations,
            remove: &lists.remove_excluded_organizations,
            replacement: lists.excluded_organizations.as_deref(),
        },
    ]
}
