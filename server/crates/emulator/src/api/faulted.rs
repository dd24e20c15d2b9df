//! A call as it is answered: as Google does, or as a scripted fault has it.

use std::time::Duration;

use axum::response::Response;

use crate::api::answer::{Answer, hang_up};
use crate::api::method::Call;
use crate::state::faults::{Break, Script};
use crate::state::{EmulatorState, Shared};

/// Counts a call and carries it out, unless and as far as a fault lets it.
pub(crate) async fn apply_fault(
    state: &Shared,
    call: &Call,
    perform: impl FnOnce(&mut EmulatorState) -> Answer,
) -> Response {
    let struck = {
        let mut state = state.lock();
        state.calls.count(call.method);
        state.faults.strike(call)
    };
    let Some(fault) = struck else { return perform(&mut state.lock()).send() };
    // Not the headers and the body, which may repeat a token: that is one of the faults to rehearse.
    let Script { status, delay_ms, drop, .. } = &fault;
    tracing::debug!(method = call.method.name(), status, delay_ms, ?drop, "a scripted fault strikes");
    if fault.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    }
    if fault.drop == Some(Break::Before) {
        return hang_up();
    }
    let is_bare = fault.delay_ms == 0 && fault.drop.is_none();
    let answer = if fault.has_answer() || is_bare { fault.answer(call) } else { perform(&mut state.lock()) };
    match fault.drop {
        Some(Break::Truncate) => answer.send_half(),
        Some(Break::After) => hang_up(),
        _ => answer.send(),
    }
}
