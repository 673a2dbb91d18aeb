//! What the pages of the detail hold, before it is drawn: how many rows, and which.

use super::history::{self, Counter, WINDOWS};
use super::layout::Areas;
use super::remaps::Grid;
use super::state::{Focus, State, Tab};
use crate::inspect::{idle_main, status_findings, Finding};
use crate::port::journal::ActionRecord;
use crate::port::LoggedEvent;
use crate::remap_core::units::{BlockSize, Blocks, Slot};

/// How many rows the shown page has for its pointer to be on.
pub fn rows(state: &State) -> usize {
    match state.tab {
        Tab::Overview => findings(state).len(),
        Tab::Copies => Slot::COUNT,
        Tab::Remaps => state
            .remaps
            .as_ref()
            .map_or(0, |list| state.remap_table.len(list)),
        Tab::Events => events(state).count(),
        Tab::Journal => state.journal.len(),
        Tab::Counters => Counter::ALL.len(),
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
        // Nothing on main says that it is one; the spare that was looked at as well does.
        let name = state.idle_main_of(&inspection.path);
        if name.is_some() || subject.held.is_some() {
            findings.retain(|finding| finding.id != "not-ours");
        }
        findings.extend(name.filter(|_| subject.held.is_none()).map(idle_main));
    }
    findings.extend(subject.held.map(|held| held.finding.clone()));
    crate::inspect::sort_findings(&mut findings);
    findings
}

/// The events of the device that is shown, newest first, under the filter; every
/// device's, where it has no name.
pub fn events(state: &State) -> impl Iterator<Item = &LoggedEvent> {
    let name = state.subject().and_then(|subject| subject.name());
    state
        .events
        .iter()
        .rev()
        .filter(move |logged| name.is_none_or(|name| logged.device == name))
        .filter(|logged| state.event_filter.passes(logged))
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

/// How the lines of the page of remaps are parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemapParts {
    /// The lines on top that say how things are.
    pub head: u16,
    /// The map, its title and the line below it included; 0 where it has no room.
    pub map: u16,
    /// The table with its heading; 0 where it has no room.
    pub table: u16,
}

/// The columns of a line's first block in front of the map.
pub const MAP_LABEL: u16 = 14;

impl RemapParts {
    /// The parts of a page of so many lines; who is on the map has more of it.
    pub const fn of(height: u16, inside: bool) -> Self {
        const ROOM_FOR_BOTH: u16 = 9;
        let head = match height {
            0..4 => 1,
            4..16 => 2,
            _ => 3,
        };
        let rest = height.saturating_sub(head);
        let map = match (inside, rest) {
            (true, 0..14) => rest,
            (true, _) => rest - rest / 3,
            (false, 0..ROOM_FOR_BOTH) => 0,
            (false, _) => rest / 2,
        };
        Self {
            head,
            map,
            table: rest - map,
        }
    }
}

/// The remap unit and the blocks of main of the device that is shown.
pub fn main_blocks(state: &State) -> Option<(BlockSize, Blocks)> {
    let subject = state.subject()?;
    let (unit, size) = match subject.active {
        Some(active) => (active.mapped.block_size, active.mapped.size),
        None => {
            let superblock = subject.inspection()?.superblock.as_ref()?;
            (superblock.layout()?.block_size, superblock.main_sectors)
        }
    };
    Some((unit, Blocks::new(size.get() / unit.sectors().get())))
}

/// The map of main that is drawn, if there is room for one.
pub fn remap_grid(state: &State) -> Option<Grid> {
    let areas = Areas::of(state.size, state.focus)?;
    let height = u16::try_from(areas.detail_rows()).ok()?;
    let parts = RemapParts::of(height, state.focus == Focus::Inside);
    let lines = parts.map.checked_sub(2)?;
    // One blank on either side, and the frame.
    let columns = areas.detail.width.checked_sub(4 + MAP_LABEL)?;
    let (_, main) = main_blocks(state)?;
    Grid::new(main, state.remap_map, columns.into(), lines.into())
}

/// How far one looks back, in seconds.
pub fn history_window(state: &State) -> u64 {
    WINDOWS.get(state.window).copied().unwrap_or(WINDOWS[0])
}

/// A counter of the device that is shown over that time, in so many columns.
pub fn history(state: &State, counter: Counter, columns: usize) -> Vec<Option<u64>> {
    let name = state.subject().and_then(|subject| subject.name());
    let samples = name.and_then(|name| state.histories.get(name));
    let samples = samples.map(|samples| &samples[..]).unwrap_or_default();
    let window = history_window(state);
    history::parts(samples, counter, state.wall_clock(), window, columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::ram::RamDisk;
    use crate::remap_core::units::IdentityDigest;
    use crate::tui::event::{Answer, Event};
    use crate::tui::rows::RowKey;
    use crate::tui::sample::{self, happen, look, path, superblock, COLOUR, MAIN};

    #[test]
    fn the_main_of_a_device_that_is_not_up_is_called_that() {
        let identity = IdentityDigest::new([5; 16]);
        let disk = RamDisk::new(MAIN).with_identity(identity);
        for (array, ids) in [(4, ["idle-main"]), (3, ["not-ours"])] {
            let mut state = sample::state(COLOUR, 80, 24);
            let spare = sample::spare(superblock(array, "disk-e", "disk-f"), "depot");
            let found = vec![look(&disk, "disk-e"), look(&spare, "disk-f")];
            happen(&mut state, 1, Event::Told(Answer::Examined(found)));
            assert!(state.choose(&RowKey::Device(path("disk-e"))));
            let findings = findings(&state);
            let told: Vec<&str> = findings.iter().map(|finding| finding.id).collect();
            assert_eq!(told, ids);
        }
    }
}
