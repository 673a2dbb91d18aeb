//! The bytes of one copy beside those that it should have, and the one under the cursor.

use std::ops::Range;

use super::keymap::Command;
use super::layout::Areas;
use super::pages;
use super::state::{CopyView, State};
use crate::format::field_map::{self, Field};
use crate::inspect::Inspection;
use crate::remap_core::quorum::Reading;
use crate::remap_core::superblock::{readdress, RawCopy, COPY_BYTES};
use crate::remap_core::units::Slot;

/// The chosen copy beside the winner's.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Which copy.
    pub slot: Slot,
    /// Its bytes.
    pub raw: RawCopy,
    /// What the winner would be in the same slot, and where it lies; `None` where no
    /// copy wins. That is what a repair writes.
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

    /// What stands beside the copy; nothing beside the winner itself.
    pub fn beside(&self) -> Option<&(Slot, RawCopy)> {
        self.winner
            .as_ref()
            .filter(|(winner, _)| *winner != self.slot)
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

    /// Where the differing bytes nearest to `from` begin, behind it or before it.
    pub fn next_difference(&self, from: usize, forward: bool) -> Option<usize> {
        let begins = |at: &usize| self.differs(*at) && (*at == 0 || !self.differs(at - 1));
        if forward {
            (from + 1..COPY_BYTES).find(begins)
        } else {
            (0..from).rev().find(begins)
        }
    }
}

/// Bytes of one copy in one row of so many columns. A byte takes three: two digits, and
/// what stands before it.
pub const fn bytes_per_row(width: u16, beside: bool) -> usize {
    const TWO_WIDE: u16 = 2 * (16 * 3 + 1) + OFFSET_WIDTH + DIVIDER_WIDTH;
    const ONE_WIDE: u16 = 16 * 3 + 1 + OFFSET_WIDTH + 1 + 16;
    if width >= (if beside { TWO_WIDE } else { ONE_WIDE }) {
        16
    } else {
        8
    }
}

/// The columns of a row's offset.
pub const OFFSET_WIDTH: u16 = 5;
/// The columns between two copies.
pub const DIVIDER_WIDTH: u16 = 1;

fn width(state: &State) -> u16 {
    Areas::of(state.size, state.focus).map_or(0, |areas| areas.detail.width.saturating_sub(2))
}

/// The chosen copy of the device that is shown, beside the winner's.
pub fn comparison(state: &State) -> Option<Comparison> {
    let inspection = state.subject()?.inspection()?;
    Comparison::of(inspection, pages::chosen_slot(state))
}

/// The byte under the cursor: where it was moved to, else the first that differs, else
/// the first.
pub fn cursor(state: &State, copies: &Comparison) -> usize {
    let first = || (0..COPY_BYTES).find(|at| copies.differs(*at));
    state.copy_byte.or_else(first).unwrap_or(0)
}

/// Where the cursor is after a command that moves it.
pub fn moved(state: &State, copies: &Comparison, command: Command, rows: usize) -> usize {
    let at = cursor(state, copies);
    match state.copy_view {
        CopyView::Bytes => moved_by_bytes(state, copies, at, command, rows),
        CopyView::Fields => moved_by_fields(copies, at, command, rows),
    }
}

fn moved_by_bytes(
    state: &State,
    copies: &Comparison,
    at: usize,
    command: Command,
    rows: usize,
) -> usize {
    let each = bytes_per_row(width(state), copies.beside().is_some());
    let last = COPY_BYTES - 1;
    // Up and down stay in their column.
    let up = |by: usize| at.checked_sub(by).unwrap_or(at % each);
    let down = |by: usize| {
        let to = at + by;
        if to <= last {
            to
        } else {
            COPY_BYTES - each + at % each
        }
    };
    match command {
        Command::Left => at.saturating_sub(1),
        Command::Right => (at + 1).min(last),
        Command::Up => up(each),
        Command::Down => down(each),
        Command::HalfPageUp => up(each * rows),
        Command::HalfPageDown => down(each * rows),
        Command::First => 0,
        Command::Last => last,
        Command::NextMark => copies.next_difference(at, true).unwrap_or(at),
        Command::PreviousMark => copies.next_difference(at, false).unwrap_or(at),
        _ => at,
    }
}

fn moved_by_fields(copies: &Comparison, at: usize, command: Command, rows: usize) -> usize {
    let fields = copies.fields();
    let last = fields.len().saturating_sub(1);
    let now = fields
        .iter()
        .position(|field| field.range().contains(&at))
        .unwrap_or(0);
    let differs = |index: &usize| {
        let field = fields.get(*index);
        field.is_some_and(|field| copies.differs_within(field.range()))
    };
    let to = match command {
        Command::Up | Command::Left => now.saturating_sub(1),
        Command::Down | Command::Right => (now + 1).min(last),
        Command::HalfPageUp => now.saturating_sub(rows),
        Command::HalfPageDown => (now + rows).min(last),
        Command::First => 0,
        Command::Last => last,
        Command::NextMark => (now + 1..fields.len()).find(differs).unwrap_or(now),
        Command::PreviousMark => (0..now).rev().find(differs).unwrap_or(now),
        _ => return at,
    };
    fields.get(to).map_or(at, |field| field.start)
}
