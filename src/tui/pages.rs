//! What the pages of the detail hold, before it is drawn: how many rows, and which.

use std::ops::Range;

use super::layout::Areas;
use super::state::{CopyView, State, Tab};
use crate::format::field_map::{self, Field};
use crate::inspect::{status_findings, Finding, Inspection};
use crate::port::journal::ActionRecord;
use crate::port::LoggedEvent;
use crate::remap_core::quorum::Reading;
use crate::remap_core::superblock::{readdress, RawCopy, COPY_BYTES};
use crate::remap_core::units::Slot;

/// From this inner width on a row of bytes holds sixteen of each copy, not eight.
const WIDE: u16 = 76;

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

/// Bytes of one copy in one row.
pub const fn bytes_per_row(inner_width: u16) -> usize {
    if inner_width >= WIDE {
        16
    } else {
        8
    }
}

/// The chosen copy beside the winner's.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Which copy.
    pub slot: Slot,
    /// Its bytes.
    pub raw: RawCopy,
    /// What the winner would be in the same slot, and where it lies; `None` where no
    /// copy wins.
    pub winner: Option<(Slot, RawCopy)>,
}

impl Comparison {
    /// The chosen copy of `inspection`; `None` where it could not be read.
    pub fn of(inspection: &Inspection, slot: Slot) -> Option<Self> {
        let Reading::Read { raw, .. } = inspection.survey.slots.get(slot) else {
            return None;
        };
        let winning = inspection.judgement.winning_copy(&inspection.survey);
        // The winner's own number and checksum are not what this slot should hold.
        let winner = inspection
            .judgement
            .winner
            .zip(winning.map(|winning| readdress(winning, slot)));
        Some(Self {
            slot,
            raw: *raw,
            winner,
        })
    }

    /// Whether the byte at `offset` is not what it should be.
    pub fn differs(&self, offset: usize) -> bool {
        self.winner
            .as_ref()
            .is_some_and(|(_, winner)| self.raw.get(offset) != winner.get(offset))
    }

    /// How many bytes are not what they should be.
    pub fn differing(&self) -> usize {
        (0..COPY_BYTES).filter(|at| self.differs(*at)).count()
    }

    /// Whether any byte of `range` is not what it should be.
    pub fn differs_within(&self, mut range: Range<usize>) -> bool {
        range.any(|at| self.differs(at))
    }

    /// The fields of the copy.
    pub fn fields(&self) -> Vec<Field> {
        field_map::of_copy(&self.raw)
    }

    /// The fields of the winner.
    pub fn winner_fields(&self) -> Vec<Field> {
        self.winner
            .as_ref()
            .map(|(_, winner)| field_map::of_copy(winner))
            .unwrap_or_default()
    }
}

/// The chosen copy of the device that is shown, beside the winner's.
pub fn comparison(state: &State) -> Option<Comparison> {
    let inspection = state.subject()?.inspection()?;
    Comparison::of(inspection, chosen_slot(state))
}

fn inner_width(state: &State) -> u16 {
    Areas::of(state.size, state.focus).map_or(0, |areas| areas.detail.width.saturating_sub(2))
}

/// How many rows of bytes or fields the chosen copy has.
pub fn copy_rows(state: &State) -> usize {
    match state.copy_view {
        CopyView::Bytes => COPY_BYTES.div_ceil(bytes_per_row(inner_width(state))),
        CopyView::Fields => comparison(state).map_or(0, |copies| copies.fields().len()),
    }
}

/// The first row of bytes or fields to show: where it was scrolled to, else the first
/// that differs, else the first.
pub fn copy_first_row(state: &State) -> usize {
    if let Some(row) = state.copy_scroll {
        return row;
    }
    let Some(copies) = comparison(state) else {
        return 0;
    };
    let first = match state.copy_view {
        CopyView::Bytes => {
            let each = bytes_per_row(inner_width(state));
            (0..COPY_BYTES)
                .find(|at| copies.differs(*at))
                .map(|at| at / each)
        }
        CopyView::Fields => copies
            .fields()
            .iter()
            .position(|field| copies.differs_within(field.range())),
    };
    first.unwrap_or(0)
}
