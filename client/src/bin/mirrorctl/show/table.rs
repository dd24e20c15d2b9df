//! Tables with a header, as wide as the terminal, or as wide as they need to be in a pipe.

use anstyle::AnsiColor;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns between two cells.
const GAP: usize = 2;
/// The narrowest that a text is cut to, its ellipsis included.
const MIN_TEXT_WIDTH: usize = 8;
/// The width below which no text is cut while there is an optional column to leave out.
const READABLE_TEXT_WIDTH: usize = 24;

/// What becomes of a column where the terminal is too narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Stays whole: ids, times, numbers.
    Whole,
    /// Is cut.
    Cut,
    /// Is left out, the last one first.
    Optional,
}

/// A column: its title, and how it fits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    fit: Fit,
    is_number: bool,
}

impl Column {
    /// A column that is never cut, so that what it shows can be copied.
    pub(crate) const fn whole(title: &'static str) -> Self {
        Self { title, fit: Fit::Whole, is_number: false }
    }

    /// A column of texts, which are cut on a narrow terminal.
    pub(crate) const fn text(title: &'static str) -> Self {
        Self { title, fit: Fit::Cut, is_number: false }
    }

    /// A column that a narrow terminal does not show.
    pub(crate) const fn optional(title: &'static str) -> Self {
        Self { title, fit: Fit::Optional, is_number: false }
    }

    /// A column of numbers, which stand at its right.
    pub(crate) const fn number(title: &'static str) -> Self {
        Self { title, fit: Fit::Whole, is_number: true }
    }
}

/// A value, and its color on a terminal.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) color: Option<AnsiColor>,
}

impl<T: ToString> From<T> for Cell {
    fn from(value: T) -> Self {
        Self { text: value.to_string(), color: None }
    }
}

/// Rows that wait for their widths to be known.
#[derive(Debug)]
pub(crate) struct Table {
    columns: &'static [Column],
    rows: Vec<Vec<Cell>>,
    /// The widest cell of each column so far, so that later parts of a long table stay in line.
    widths: Vec<usize>,
    has_header: bool,
}

impl Table {
    pub(crate) fn new(columns: &'static [Column]) -> Self {
        let widths = columns.iter().map(|column| column.title.width()).collect();
        Self { columns, rows: Vec::new(), widths, has_header: false }
    }

    pub(crate) fn push(&mut self, mut row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len(), "a cell for each column");
        for (cell, width) in row.iter_mut().zip(&mut self.widths) {
            if cell.text.is_empty() {
                "-".clone_into(&mut cell.text);
            }
            *width = (*width).max(cell.text.width());
        }
        self.rows.push(row);
    }

    /// How many rows wait.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Takes the rows as lines of cells, the first time with the header before them. `width` is the terminal's; `None` cuts nothing.
    pub(crate) fn take(&mut self, width: Option<usize>) -> Vec<Vec<Cell>> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Vec::new();
        }
        let widths = self.fitted(width);
        let header: Vec<Cell> = self.columns.iter().map(|column| Cell::from(column.title)).collect();
        let header = (!std::mem::replace(&mut self.has_header, true)).then_some(header);
        header.into_iter().chain(rows).map(|row| self.line(row, &widths)).collect()
    }

    /// The width of each column; `None` leaves it out.
    fn fitted(&self, width: Option<usize>) -> Vec<Option<usize>> {
        let mut widths: Vec<Option<usize>> = self.widths.iter().copied().map(Some).collect();
        let Some(width) = width else { return widths };
        let total = |widths: &[Option<usize>]| widths.iter().flatten().map(|width| width + GAP).sum::<usize>() - GAP;
        let readable = |widths: &[Option<usize>]| {
            let cut = |(width, column): (&Option<usize>, &Column)| {
                width.map(|width| if column.fit == Fit::Cut { width.min(READABLE_TEXT_WIDTH) } else { width })
            };
            total(&widths.iter().zip(self.columns).map(cut).collect::<Vec<_>>())
        };
        while readable(&widths) > width {
            let is_left_out =
                |(index, column): &(usize, &Column)| column.fit == Fit::Optional && widths[*index].is_some();
            let Some((last, _)) = self.columns.iter().enumerate().rfind(is_left_out) else { break };
            widths[last] = None;
        }
        while total(&widths) > width {
            let texts = widths.iter_mut().zip(self.columns).filter(|(_, column)| column.fit == Fit::Cut);
            let widest = texts.filter_map(|(width, _)| width.as_mut()).max();
            match widest {
                Some(widest) if *widest > MIN_TEXT_WIDTH => *widest -= 1,
                // Even so it is too wide: the terminal breaks the lines, and nothing is lost.
                _ => break,
            }
        }
        widths
    }

    fn line(&self, row: Vec<Cell>, widths: &[Option<usize>]) -> Vec<Cell> {
        let shown = row.into_iter().zip(self.columns).zip(widths);
        let mut line: Vec<Cell> = shown
            .filter_map(|((cell, column), width)| {
                let width = (*width)?;
                let text = if column.fit == Fit::Cut { cut(cell.text, width) } else { cell.text };
                let pad = " ".repeat(width.saturating_sub(text.width()));
                let text = if column.is_number { pad + &text } else { text + &pad };
                Some(Cell { text, ..cell })
            })
            .collect();
        if let Some(last) = line.last_mut() {
            last.text.truncate(last.text.trim_end().len());
        }
        line
    }
}

/// A text of at most `width` columns, with an ellipsis where something is missing.
pub(crate) fn cut(text: String, width: usize) -> String {
    if text.width() <= width {
        return text;
    }
    let mut used = 0;
    let fits = |character: &char| {
        used += character.width().unwrap_or(0);
        used < width
    };
    text.chars().take_while(fits).chain(['…']).collect()
}
