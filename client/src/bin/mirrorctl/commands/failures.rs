//! Failures by reason, each with an example.

use category_mirror_client::{FailureCount, ListSyncLogs, Printable, Run};

use crate::{
    args::OutputFormat,
    exit::Exit,
    show::{
        output::Output,
        table::{Cell, Column, Table},
    },
};

/// Examples that are read one by one. The reasons are sorted by their number of runs, so the rare ones do without.
const MAX_READ_EXAMPLES: usize = 10;

const COLUMNS: [Column; 4] =
    [Column::whole("FAILED FOR"), Column::number("RUNS"), Column::whole("LAST RUN"), Column::text("ITS ERROR")];

/// Shows failures as a table for people. Examples are taken from `known` runs, or read with `request`.
pub(crate) async fn show(
    output: &mut Output,
    counts: &[&FailureCount],
    known: &[Run],
    request: &ListSyncLogs,
) -> Result<(), Exit> {
    if counts.is_empty() || output.format() == OutputFormat::Json {
        return Ok(());
    }
    let mut table = Table::new(&COLUMNS);
    for (index, count) in counts.iter().enumerate() {
        let known = known.iter().find(|run| run.reason.as_ref() == Some(&count.reason)).cloned();
        let example = match known {
            None if index < MAX_READ_EXAMPLES => newest(request, &count.reason).await,
            known => known,
        };
        table.push(row(output, count, example.as_ref()));
    }
    output.line("")?;
    Ok(output.rows(&mut table)?)
}

/// The newest run that failed for a reason. The table is complete without it, so an error only leaves it out.
async fn newest(request: &ListSyncLogs, reason: &str) -> Option<Run> {
    request.clone().reason(reason).page_size(1).send().next().await?.ok()
}

fn row(output: &Output, count: &FailureCount, example: Option<&Run>) -> Vec<Cell> {
    let message = example.and_then(|run| run.error.as_ref()).map(|error| error.message.as_str()).unwrap_or_default();
    vec![
        Printable(&count.reason).into(),
        count.run_count.into(),
        example.map(|run| output.id(&run.name)).unwrap_or_default().into(),
        Printable(message).into(),
    ]
}
