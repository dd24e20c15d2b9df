//! The state machine of a run as a table: the model test of the store takes no step that is not in it, and the picture in
//! `docs/run-states.svg` is drawn from it.

use std::{env, fmt::Write, fs, path::Path};

use category_mirror::domain::RunState;

/// A step in the life of a run.
pub(crate) struct Transition {
    /// The state before; empty for a run that did not exist.
    from: &'static str,
    to: &'static str,
    /// What brings it about.
    event: &'static str,
}

const fn step(from: &'static str, to: &'static str, event: &'static str) -> Transition {
    Transition { from, to, event }
}

/// Every step that a run may take. It takes no others: a terminal run never changes.
pub(crate) const TRANSITIONS: [Transition; 9] = [
    step("", "queued", "accepted"),
    step("", "skipped", "a batch met a live run of the tenant"),
    step("queued", "running", "claimed"),
    step("running", "queued", "retried, released, lease expired"),
    step("queued", "cancelled", "cancelled, nothing written"),
    step("running", "succeeded", "did what was asked"),
    step("running", "failed", "permanent error, or no attempt left"),
    step("running", "skipped", "not to be executed"),
    step("running", "cancelled", "cancelled before it wrote"),
];

/// Whether a run may go from one state (`None`: it did not exist) to the other in one step, or stay where it is.
pub(crate) fn is_step(from: Option<&str>, to: &str) -> bool {
    from == Some(to) || TRANSITIONS.iter().any(|step| step.from == from.unwrap_or_default() && step.to == to)
}

/// Where each state is in the picture: its left edge and its middle. The beginning has no box.
const PLACES: [(&str, i32, i32); 7] = [
    ("", 30, 150),
    ("queued", 140, 150),
    ("running", 470, 150),
    ("succeeded", 900, 60),
    ("failed", 900, 150),
    ("cancelled", 900, 240),
    ("skipped", 900, 330),
];
const WIDTH: i32 = 120;
const HEIGHT: i32 = 40;

fn place(state: &str) -> (i32, i32) {
    let found = PLACES.iter().find(|(name, _, _)| *name == state);
    found.map(|(_, left, middle)| (*left, *middle)).expect("each state has a place")
}

/// The path of an arrow, where its text stands, and which part of the text stands there.
fn arrow(step: &Transition) -> (String, (i32, i32), &'static str) {
    let ((from, from_y), (to, to_y)) = (place(step.from), place(step.to));
    let (center, bottom) = (from + WIDTH / 2, from_y + HEIGHT / 2);
    match (step.from, step.to) {
        ("running", "queued") => {
            let (end, top, bend) = (to + WIDTH / 2, from_y - HEIGHT / 2, from_y - HEIGHT / 2 - 60);
            (
                format!("M {center} {top} C {center} {bend}, {end} {bend}, {end} {top}"),
                ((center + end) / 2, top - 53),
                "middle",
            )
        }
        ("", "queued") => (format!("M {} {from_y} L {to} {to_y}", from + 7), ((from + to) / 2, from_y - 12), "middle"),
        ("", "skipped") => {
            (format!("M {from} {} C {from} 420, 300 390, {to} {}", from_y + 7, to_y + 8), (330, 398), "middle")
        }
        ("queued", "cancelled") => (
            format!("M {center} {bottom} C {center} {to_y}, 400 {to_y}, {to} {}", to_y + 8),
            (330, to_y + 22),
            "middle",
        ),
        ("queued", "running") => {
            (format!("M {} {from_y} L {to} {to_y}", from + WIDTH), ((from + WIDTH + to) / 2, from_y - 8), "middle")
        }
        _ => {
            let (begin, bend) = (from + WIDTH, from + WIDTH + 30);
            (format!("M {begin} {from_y} C {bend} {from_y}, {bend} {to_y}, {to} {to_y}"), (to - 14, to_y - 8), "end")
        }
    }
}

fn draw() -> String {
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1050 430\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>States of a run</title>\n\
         <defs><marker id=\"head\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M 0 0 L 10 5 L 0 10 z\" fill=\"#555\"/></marker></defs>\n\
         <rect width=\"1050\" height=\"430\" fill=\"#fff\"/>\n",
    );
    for step in &TRANSITIONS {
        let (path, (x, y), anchor) = arrow(step);
        let line = format!("<path d=\"{path}\" fill=\"none\" stroke=\"#555\" marker-end=\"url(#head)\"/>");
        // Twice: the first one is a white margin around the second.
        let text =
            |style: &str| format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\"{style}>{}</text>", step.event);
        let (margin, text) = (text(" stroke=\"#fff\" stroke-width=\"5\""), text(""));
        writeln!(svg, "{line}\n{margin}\n{text}").expect("a string grows");
    }
    for (state, left, middle) in PLACES {
        if state.is_empty() {
            writeln!(svg, "<circle cx=\"{left}\" cy=\"{middle}\" r=\"7\" fill=\"#555\"/>").expect("a string grows");
            continue;
        }
        let is_terminal = RunState::ALL.iter().any(|known| known.as_str() == state && known.is_terminal());
        let (fill, stroke) = if is_terminal { ("#eee", 3) } else { ("#e8f0fe", 1) };
        writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\" fill=\"{fill}\" stroke=\"#555\" \
             stroke-width=\"{stroke}\"/>\n<text x=\"{center}\" y=\"{base}\" text-anchor=\"middle\" font-weight=\"bold\">{state}</text>",
            top = middle - HEIGHT / 2,
            center = left + WIDTH / 2,
            base = middle + 5,
        )
        .expect("a string grows");
    }
    svg.push_str("</svg>\n");
    svg
}

#[test]
fn the_table_has_every_state_and_terminal_ones_lead_nowhere() {
    for state in RunState::ALL {
        let name = state.as_str();
        assert!(TRANSITIONS.iter().any(|step| step.to == name), "nothing leads to {name}");
        assert_eq!(TRANSITIONS.iter().any(|step| step.from == name), !state.is_terminal(), "{name}");
    }
    assert!(is_step(None, "queued") && is_step(Some("failed"), "failed"));
    assert!(!is_step(Some("failed"), "queued") && !is_step(None, "running"));
}

/// `UPDATE_PICTURES=1` draws it anew.
#[test]
fn the_picture_of_the_states_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/run-states.svg");
    let drawn = draw();
    if env::var_os("UPDATE_PICTURES").is_some() {
        fs::write(&path, &drawn).expect("written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == drawn, "docs/run-states.svg is stale: run this test with UPDATE_PICTURES=1");
}
