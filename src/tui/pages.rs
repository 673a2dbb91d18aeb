//! What the pages of the detail hold, before it is drawn: how many rows, and which.

use super::state::{State, Tab};
use crate::inspect::{status_findings, Finding};
use crate::port::journal::ActionRecord;
use crate::port::LoggedEvent;
use crate::remap_core::units::Slot;

/// How many rows the shown page has for its pointer to be on.
pub fn rows(state: &State) -> usize {
    match state.tab {
        Tab::Overview => findings(state).len(),
        Tab::Copies => Slot::COUNT,
        Tab::Remaps => state.remaps.as_ref().map_or(0, |list| list.rows.len()),
        Tab::Events => events(state).count(),
        Tab::Journal => state.journal.len(),
    }
}

/// What is worth saying of the device that is shown, most urgent first: of its target
/// and of its copies.
pub fn findings(state: &State) -> Vec<Finding> {
    let Some(subject) = state.subject() else {
        return Vec::new();
    };
    let mut findings = subject
        .active
        .map(|active| status_findings(&active.mapped_by(state.now)))
        .unwrap_or_default();
    if let Some(inspection) = subject.inspection() {
        findings.extend(inspection.findings.iter().cloned());
    }
    crate::inspect::sort_findings(&mut findings);
    findings
}

/// The events of the device that is shown, newest first; every device's, where it has
/// no name.
pub fn events(state: &State) -> impl Iterator<Item = &LoggedEvent> {
    let name = state.subject().and_then(|subject| subject.name());
    state
        .events
        .iter()
        .rev()
        .filter(move |logged| name.is_none_or(|name| logged.device == name))
}

/// The action under the pointer of the journal, which shows the newest first.
pub fn chosen_action(state: &State) -> Option<&ActionRecord> {
    let at = state.cursors[Tab::Journal as usize];
    state.journal.iter().rev().nth(at)
}

/// The copy under the pointer.
pub fn chosen_slot(state: &State) -> Slot {
    let at = state.cursors[Tab::Copies as usize];
    Slot::ALL.get(at).copied().unwrap_or(Slot::S0)
}
