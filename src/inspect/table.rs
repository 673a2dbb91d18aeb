//! The remap table as it lies on the disk.

use std::collections::BTreeMap;

use crate::port::slots::read_header;
use crate::port::table::TableReader;
use crate::port::{BlockStore, RemapRow};
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::remap_table::{entry, Entry, EntryState, RawBlock};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::table_update::Choice;
use crate::remap_core::units::{Blocks, PerSlot, Replacement, Sector, Slot, BLOCK_4K_SECTORS};
use crate::remap_core::verdict::TableState;
use crate::stop::Stop;

/// Entries by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryCounts {
    /// Nothing uses the replacement block.
    pub free: u64,
    /// A block of main waits for its next write.
    pub pending: u64,
    /// A block of main is served from here.
    pub active: u64,
    /// The replacement block failed.
    pub replacement_bad: u64,
    /// The block was moved elsewhere since.
    pub retired: u64,
}

impl EntryCounts {
    fn add(&mut self, state: EntryState) {
        let count = match state {
            EntryState::Free => &mut self.free,
            EntryState::Pending => &mut self.pending,
            EntryState::Active => &mut self.active,
            EntryState::ReplacementBad => &mut self.replacement_bad,
            EntryState::Retired => &mut self.retired,
        };
        *count += 1;
    }

    /// Every entry that was counted.
    pub const fn total(&self) -> u64 {
        self.free + self.pending + self.active + self.replacement_bad + self.retired
    }
}

/// How much of a remap table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The part that a target reads to come up: up to the first block that was never changed, and the
    /// rest of the piece that this block was read with.
    InUse,
    /// All of it.
    Whole,
}

/// Reading of a remap table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableInspection {
    /// Table blocks in one region.
    pub blocks: u32,
    /// Entries by state, of the blocks that were read.
    pub counts: EntryCounts,
    /// Every live remap, by block of main.
    pub remaps: Vec<RemapRow>,
    /// Blocks that are damaged or older in region A.
    pub damaged_a: Vec<u32>,
    /// Blocks that are damaged or older in region B.
    pub damaged_b: Vec<u32>,
    /// Blocks at one generation with different entries.
    pub contradictions: Vec<u32>,
    /// Blocks that neither region holds, and that a target needs to come up.
    pub lost: Vec<u32>,
    /// Entries that contradict each other, or name blocks that main has not.
    pub strays: u64,
}

impl TableInspection {
    /// State of the table.
    pub fn state(&self) -> TableState {
        if !self.lost.is_empty() {
            TableState::Lost
        } else if !self.contradictions.is_empty() || self.strays > 0 {
            TableState::Contradicted
        } else if !self.damaged_a.is_empty() || !self.damaged_b.is_empty() {
            TableState::Damaged
        } else {
            TableState::Intact
        }
    }

    fn damaged(&mut self, region: Region) -> &mut Vec<u32> {
        match region {
            Region::A => &mut self.damaged_a,
            Region::B => &mut self.damaged_b,
        }
    }
}

/// Reads the remap table of a spare. `None` for plain v4, which has none.
pub fn inspect_table(
    store: &dyn BlockStore,
    superblock: &Superblock,
    extent: Extent,
) -> Option<TableInspection> {
    inspect_table_until(store, superblock, extent, &Stop::default())
}

/// The same; `None` also where nobody waits for it any more.
pub(super) fn inspect_table_until(
    store: &dyn BlockStore,
    superblock: &Superblock,
    extent: Extent,
    stop: &Stop,
) -> Option<TableInspection> {
    let (layout, array) = superblock.layout().zip(superblock.array_uuid())?;
    let mut table = TableInspection {
        blocks: layout.table_blocks(),
        ..TableInspection::default()
    };
    let unit = layout.block_size.sectors().get();
    let main = Blocks::new(superblock.main_sectors.get() / unit);
    let mut live: BTreeMap<u64, (Entry, Replacement)> = BTreeMap::new();
    let mut reader = TableReader::new(store, layout, array);
    // A target that comes up does not look behind the end. As long as a region is damaged
    // there, everything is read all the same: it is to be told how much there is to mend.
    let (mut is_behind, mut both_end) = (false, false);
    for index in 0..layout.table_blocks() {
        stop.check().ok()?;
        if both_end && extent == Extent::InUse && !reader.has(index) {
            break;
        }
        let choice = reader.choose(index);
        note(&mut table, index, &choice, is_behind);
        if let Some(region) = region_to_use(&choice) {
            let found = entries(layout, index, reader.block(region, index));
            for (replacement, found) in found {
                table.counts.add(found.state);
                if is_behind || !found.is_live() {
                    continue;
                }
                match found.is_within(main) {
                    true => keep_newer(&mut live, found, replacement, &mut table.strays),
                    false => table.strays += 1,
                }
            }
        }
        is_behind |= choice.ends_table();
        both_end |= choice.is_untouched();
    }
    table.remaps = live
        .into_values()
        .map(|(found, replacement)| RemapRow {
            block: found.main,
            replacement,
            active: found.state == EntryState::Active,
            moves: found.moves,
        })
        .collect();
    Some(table)
}

/// Notes what is wrong with a block.
fn note(table: &mut TableInspection, index: u32, choice: &Choice, is_behind: bool) {
    match choice {
        Choice::Agreed { .. } => {}
        Choice::Use { region, .. } => table.damaged(region.other()).push(index),
        // No target reads these before it needs them, and a scrub writes them anew.
        Choice::Contradiction { .. } | Choice::Lost if is_behind => {
            table.damaged_a.push(index);
            table.damaged_b.push(index);
        }
        Choice::Contradiction { .. } => table.contradictions.push(index),
        Choice::Lost => table.lost.push(index),
    }
}

/// The region whose entries a target takes.
const fn region_to_use(choice: &Choice) -> Option<Region> {
    match choice {
        Choice::Agreed { .. } | Choice::Contradiction { .. } => Some(Region::A),
        Choice::Use { region, .. } => Some(*region),
        Choice::Lost => None,
    }
}

/// The entries of table block `index`, each with its replacement.
fn entries<'a>(
    layout: &'a Layout,
    index: u32,
    raw: &'a RawBlock,
) -> impl Iterator<Item = (Replacement, Entry)> + 'a {
    (0..).map_while(move |place| layout.replacement_at(index, place).zip(entry(raw, place)))
}

/// Of two live entries for one block of main the one that was moved more often counts.
fn keep_newer(
    live: &mut BTreeMap<u64, (Entry, Replacement)>,
    found: Entry,
    replacement: Replacement,
    strays: &mut u64,
) {
    match live.get(&found.main.get()) {
        None => drop(live.insert(found.main.get(), (found, replacement))),
        Some((known, _)) => match known.newer(found) {
            Some(newer) if newer == found => {
                live.insert(found.main.get(), (found, replacement));
            }
            Some(_) => {}
            None => *strays += 1,
        },
    }
}

/// Tells whether ours lies at a sector of the spare: a copy that wins, a table block or a header that
/// is intact, or what a replacement block in use holds, which is main's own.
pub(super) fn is_of_ours(
    store: &dyn BlockStore,
    superblock: &Superblock,
    winners: &PerSlot<bool>,
    at: Sector,
) -> bool {
    let in_slot = |slot: Slot| slot.sector() == at && *winners.get(slot);
    if Slot::ALL.into_iter().any(in_slot) {
        return true;
    }
    let Some((layout, array)) = superblock.layout().zip(superblock.array_uuid()) else {
        return false;
    };
    let mut reader = TableReader::new(store, layout, array);
    for region in Region::ALL {
        let distance = at.get().checked_sub(layout.region_start(region).get());
        let block = distance.map(|sectors| sectors / BLOCK_4K_SECTORS);
        match block.filter(|block| *block < u64::from(layout.region_blocks)) {
            None => {}
            Some(0) => return read_header(store, region, layout.region_start(region)).is_ok(),
            // A region counts its blocks in 32 bits.
            Some(block) => return reader.read(region, block as u32 - 1).is_ok(),
        }
    }
    let distance = at.get().checked_sub(layout.replacement.get());
    let replacement = distance.map(|sectors| sectors / layout.block_size.sectors().get());
    let place = replacement.and_then(|it| layout.entry_place(Replacement::new(it)));
    let Some((index, place)) = place else {
        return false;
    };
    let region = region_to_use(&reader.choose(index));
    let found = region.and_then(|region| entry(reader.block(region, index), place));
    // A pending block has nothing on the spare yet.
    found.is_some_and(|found| !matches!(found.state, EntryState::Free | EntryState::Pending))
}
