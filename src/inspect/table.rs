//! The remap table as it lies on the disk.

use std::collections::BTreeMap;

use crate::port::table::read_block;
use crate::port::{BlockStore, RemapRow};
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::remap_table::{entry, Entry, EntryState, RawBlock};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::table_update::{choose, same_entries, Choice};
use crate::remap_core::units::{ArrayUuid, Blocks, Replacement, BLOCK_4K_BYTES};

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

/// What was seen of a remap table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableInspection {
    /// Table blocks in one region.
    pub blocks: u32,
    /// Entries by state.
    pub counts: EntryCounts,
    /// Every live remap, by block of main.
    pub remaps: Vec<RemapRow>,
    /// Blocks that are damaged or older in region A.
    pub damaged_a: Vec<u32>,
    /// Blocks that are damaged or older in region B.
    pub damaged_b: Vec<u32>,
    /// Blocks at one generation with different entries.
    pub contradictions: Vec<u32>,
    /// Blocks that neither region holds.
    pub lost: Vec<u32>,
    /// Entries that contradict each other, or name blocks that main has not.
    pub strays: u64,
}

/// Reads the whole remap table of a spare. `None` for plain v4, which has none.
pub fn inspect_table(store: &dyn BlockStore, superblock: &Superblock) -> Option<TableInspection> {
    let (layout, array) = superblock.layout().zip(superblock.array_uuid())?;
    let mut table = TableInspection {
        blocks: layout.table_blocks(),
        ..TableInspection::default()
    };
    let unit = layout.block_size.sectors().get();
    let main = Blocks::new(superblock.main_sectors.get() / unit);
    let mut live: BTreeMap<u64, (Entry, Replacement)> = BTreeMap::new();
    let mut pair = Pair::new(store, layout, array);
    for index in 0..layout.table_blocks() {
        let Some(raw) = pair.read(index, &mut table) else {
            continue;
        };
        for place in 0.. {
            let Some((replacement, found)) =
                layout.replacement_at(index, place).zip(entry(raw, place))
            else {
                break;
            };
            table.counts.add(found.state);
            if !found.is_within(main) {
                table.strays += 1;
            } else if found.is_live() {
                keep_newer(&mut live, found, replacement, &mut table.strays);
            }
        }
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

/// Room for the two readings of one table block.
struct Pair<'a> {
    store: &'a dyn BlockStore,
    layout: &'a Layout,
    array: ArrayUuid,
    a: Box<RawBlock>,
    b: Box<RawBlock>,
}

impl<'a> Pair<'a> {
    fn new(store: &'a dyn BlockStore, layout: &'a Layout, array: ArrayUuid) -> Self {
        Self {
            store,
            layout,
            array,
            a: Box::new([0; BLOCK_4K_BYTES]),
            b: Box::new([0; BLOCK_4K_BYTES]),
        }
    }

    /// Reads block `index` from both regions, notes what is wrong with it, and returns
    /// the reading to be used.
    fn read(&mut self, index: u32, table: &mut TableInspection) -> Option<&RawBlock> {
        let (store, layout, array) = (self.store, self.layout, self.array);
        let a = read_block(store, layout, array, Region::A, index, &mut self.a);
        let b = read_block(store, layout, array, Region::B, index, &mut self.b);
        match choose(a, b, same_entries(&self.a, &self.b)) {
            Choice::Agreed { .. } => Some(&self.a),
            Choice::Use {
                region: Region::A, ..
            } => {
                table.damaged_b.push(index);
                Some(&self.a)
            }
            Choice::Use {
                region: Region::B, ..
            } => {
                table.damaged_a.push(index);
                Some(&self.b)
            }
            Choice::Contradiction { .. } => {
                table.contradictions.push(index);
                None
            }
            Choice::Lost => {
                table.lost.push(index);
                None
            }
        }
    }
}
