//! Finds runs and batches by their shortened ids, among the newest.

use category_mirror_client::{Client, Items};

use crate::{exit::Exit, show::ids};

/// How many runs or batches, the newest ones, a shortened id is searched in: one page of the server.
const MAX_SEARCHED: u16 = 1000;

/// The name of the run that a person means.
pub(crate) async fn run(client: &Client, text: String) -> Result<String, Exit> {
    if !ids::is_shortened(&text) {
        return Ok(text);
    }
    found("run", text, client.list_sync_logs().page_size(MAX_SEARCHED).send(), |run| run.name).await
}

/// The name of the batch that a person means.
pub(crate) async fn batch(client: &Client, text: String) -> Result<String, Exit> {
    if !ids::is_shortened(&text) {
        return Ok(text);
    }
    found("batch", text, client.list_batches().page_size(MAX_SEARCHED).send(), |batch| batch.name).await
}

async fn found<T>(what: &str, text: String, mut items: Items<T>, name: impl Fn(T) -> String) -> Result<String, Exit> {
    let ending = text.to_ascii_lowercase();
    let mut names = Vec::new();
    for _ in 0..MAX_SEARCHED {
        let Some(item) = items.next().await else { break };
        names.extend(Some(name(item?)).filter(|name| ids::of(name).ends_with(&ending)));
    }
    match names.as_slice() {
        [] => Err(Exit::Refused(format!(
            "none of the newest {MAX_SEARCHED} {what}{} has an id that ends in {text}: give the whole id (--full-ids shows it)",
            if what == "batch" { "es" } else { "s" }
        ))),
        [name] => Ok(name.clone()),
        several => Err(Exit::usage(format!("{text} is ambiguous: it ends the ids of {}", several.join(" and ")))),
    }
}
