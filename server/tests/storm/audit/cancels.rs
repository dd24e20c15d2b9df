//! Cancelled is what somebody wanted cancelled, and nothing else; it has written nothing. What was answered holds.

use std::collections::{HashMap, HashSet};

use category_mirror_client::RunState;
use serde_json::json;
use uuid::Uuid;

use super::writes::Write;
use crate::{
    evidence::{Evidence, Row},
    witness,
};

/// Compares the requests to cancel with what became of the runs.
pub(super) fn check(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut findings = Vec::new();
    let cancels = evidence.notes.cancels.iter();
    let runs: HashSet<Uuid> = cancels.clone().map(|cancel| witness::id(&cancel.name)).collect();
    let batches: HashSet<Uuid> = evidence.notes.batch_cancels.iter().map(|cancel| witness::id(&cancel.name)).collect();
    // What was sent by a process that had been stopped may come after another's verdict that nothing was.
    let in_time = writes.iter().filter(|write| write.late.is_none() && write.patch.took_effect.is_some());
    let wrote: HashMap<Uuid, &Write<'_>> = in_time.map(|write| (write.run, write)).collect();
    for row in &evidence.rows {
        let is_wanted = runs.contains(&row.id) || row.batch.is_some_and(|batch| batches.contains(&batch));
        if row.cancel_requested && !is_wanted {
            findings.push(format!("cancel: {} is to be cancelled, and nobody wanted that", shown(row)));
        }
        if row.state != "cancelled" {
            continue;
        }
        if !row.cancel_requested {
            findings.push(format!("cancel: {} is cancelled, and was not to be", shown(row)));
        }
        if row.written != json!([]) {
            findings.push(format!("cancel: {} is cancelled, and tells of a write", shown(row)));
        }
        if let Some(write) = wrote.get(&row.id) {
            findings.push(format!("cancel: {} is cancelled, and wrote at {}", shown(row), write.patch.received));
        }
    }
    let rows: HashMap<Uuid, &Row> = evidence.rows.iter().map(|row| (row.id, row)).collect();
    for cancel in cancels {
        let Some(row) = rows.get(&witness::id(&cancel.name)) else {
            findings.push(format!("cancel: {} was to be cancelled, and is gone", cancel.name));
            continue;
        };
        if !matches!(cancel.answer, RunState::Queued | RunState::Running) {
            if row.state != cancel.answer.to_string() {
                let was = &cancel.answer;
                findings.push(format!(
                    "cancel: {} had ended {was} when it was to be, and is {}",
                    shown(row),
                    row.state
                ));
            }
        } else if !row.cancel_requested {
            findings.push(format!("cancel: {} was to be cancelled, and that is forgotten", shown(row)));
        }
    }
    findings
}

fn shown(row: &Row) -> String {
    format!("run {} of {}", row.id, row.tenant)
}
