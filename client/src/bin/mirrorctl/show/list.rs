//! How a list is shown: a table for people, an object a line for programs.

use category_mirror_client::Items;
use serde::Serialize;

use crate::{
    args::OutputFormat,
    exit::Exit,
    show::{
        output::Output,
        stderr::say,
        table::{Cell, Column, Table},
    },
};

/// Rows that wait for their widths; longer tables are printed in parts, which bounds the memory.
const PART_ROWS: usize = 1000;
/// Items of a page, at most: the server's limit.
const MAX_PAGE_SIZE: usize = 1000;

/// A list and its table.
pub(crate) struct List<'a, T> {
    /// What the items are, in the plural.
    pub(crate) what: &'a str,
    pub(crate) columns: &'static [Column],
    /// The most that are shown.
    pub(crate) limit: Option<usize>,
    /// The rows of an item.
    pub(crate) rows: &'a dyn Fn(&Output, &T) -> Vec<Vec<Cell>>,
}

/// The page size for a limit: with one item more, which says whether there are more, and is not shown.
pub(crate) fn page_size(limit: usize) -> u16 {
    u16::try_from(limit.saturating_add(1).min(MAX_PAGE_SIZE)).unwrap_or(u16::MAX)
}

impl<T: Serialize> List<'_, T> {
    pub(crate) async fn show(&self, output: &mut Output, mut items: Items<T>) -> Result<(), Exit> {
        let mut table = Table::new(self.columns);
        let mut count = 0;
        let listed = self.fill(output, &mut items, &mut table, &mut count).await;
        // What came before an error is shown all the same.
        output.rows(&mut table)?;
        let has_more = listed?;
        if count == 0 {
            say(format_args!("no {} match", self.what));
        } else if has_more {
            say(format_args!("{count} {} are shown, and there are more: --limit shows them", self.what));
        }
        Ok(())
    }

    /// Returns whether there are more items than the limit.
    async fn fill(
        &self,
        output: &mut Output,
        items: &mut Items<T>,
        table: &mut Table,
        count: &mut usize,
    ) -> Result<bool, Exit> {
        while let Some(item) = items.next().await {
            let item = item?;
            if self.limit == Some(*count) {
                return Ok(true);
            }
            *count += 1;
            if output.format() == OutputFormat::Json {
                output.json(&serde_json::to_string(&item).map_err(std::io::Error::from)?)?;
                continue;
            }
            for row in (self.rows)(output, &item) {
                table.push(row);
            }
            if table.len() >= PART_ROWS {
                output.rows(table)?;
            }
        }
        Ok(false)
    }
}
