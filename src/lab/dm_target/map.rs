//! The remap table in memory: what lookups see, and how it changes on the spare.
//!
//! # Invariants
//!
//! - What lookups see is durable in both regions.
//! - A table block that could not be written everywhere is *unsettled*: what the spare
//!   holds of it is unknown, and may after a restart relocate the blocks of main that
//!   the failed update was about. Until it is settled nothing may be acknowledged for
//!   those blocks from elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::port::table::{read_block, SpareTable};
use crate::port::{BlockStore, IoError};
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::relocation::{Change, Live};
use crate::remap_core::remap_table::{
    self, entry, put_entry, BlockFlaw, BlockPlace, Entry, EntryState, RawBlock,
};
use crate::remap_core::table_update::{
    choose, repair_block, same_entries, update_block, Choice, UpdateError,
};
use crate::remap_core::units::{
    ArrayUuid, Blocks, Generation, MainBlock, Replacement, BLOCK_4K_BYTES,
};

struct TableBlock {
    raw: Box<RawBlock>,
    /// The highest generation that was ever tried.
    generation: Generation,
    order: [Region; 2],
    unsettled: bool,
    /// What reading the two regions gave, where they must be brought together before
    /// the first update.
    unrepaired: Option<Choice>,
}

impl TableBlock {
    /// Compares what a region holds of this block with the map.
    fn held_against(&self, region: &RegionReader<'_>, index: u32) -> OnDisk {
        let (raw, generation) = region.block(index);
        match generation {
            _ if self.unsettled => OnDisk::Damaged,
            Err(_) => OnDisk::Damaged,
            Ok(generation) if generation < self.generation => OnDisk::Damaged,
            Ok(generation) if generation == self.generation && same_entries(&raw, &self.raw) => {
                OnDisk::Intact
            }
            // What could not be read when the map was put together is no stranger's.
            Ok(_) if self.unrepaired.is_some() => OnDisk::Damaged,
            Ok(_) => OnDisk::Contradicts,
        }
    }
}

/// The table of one device.
pub(super) struct Map {
    array: ArrayUuid,
    layout: Layout,
    blocks: Vec<TableBlock>,
    live: BTreeMap<MainBlock, Live>,
    active: u64,
    used: u64,
    /// Every free entry is at this one or behind it.
    first_free: u64,
    /// Blocks of main that an unsettled table block may relocate.
    limbo: BTreeMap<MainBlock, u32>,
    /// Whether what could not be read was kept from coming back.
    fenced: bool,
}

/// What reading a table found besides the map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    /// Table blocks, of either region, that are damaged or older than their other.
    pub(super) damaged: u32,
    /// Whether entries contradict each other.
    pub(super) contradiction: bool,
    /// Table blocks that neither region holds.
    pub(super) lost: u32,
}

/// A table block that was not updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotUpdated {
    pub(super) index: u32,
    /// `None` where there is no generation left.
    pub(super) error: Option<IoError>,
}

/// What a region holds of a table block, held against the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnDisk {
    Intact,
    /// Damaged, older, or unsettled: to be written anew.
    Damaged,
    /// Valid, and not what this target wrote.
    Contradicts,
}

impl Map {
    /// Reads the table from both regions and puts it together block by block. A main of
    /// `main` remap units is what live entries may speak of.
    pub(super) fn load(
        spare: &dyn BlockStore,
        array: ArrayUuid,
        layout: Layout,
        main: Blocks,
    ) -> (Self, Loaded) {
        let mut map = Self {
            array,
            layout,
            blocks: Vec::new(),
            live: BTreeMap::new(),
            active: 0,
            used: 0,
            first_free: 0,
            limbo: BTreeMap::new(),
            fenced: false,
        };
        let mut loaded = Loaded::default();
        let regions = Region::ALL.map(|region| RegionReader::new(spare, array, layout, region));
        for index in 0..layout.table_blocks() {
            let block = map.load_block(index, &regions, &mut loaded);
            map.blocks.push(block);
        }
        map.collect(main, &mut loaded);
        (map, loaded)
    }

    fn load_block(
        &self,
        index: u32,
        regions: &[RegionReader<'_>; 2],
        loaded: &mut Loaded,
    ) -> TableBlock {
        let [(mut raw_a, a), (raw_b, b)] = [regions[0].block(index), regions[1].block(index)];
        let choice = choose(a, b, same_entries(&raw_a, &raw_b));
        let order = choice.write_order();
        let generation = match choice {
            Choice::Agreed { generation } => generation,
            Choice::Use {
                region, generation, ..
            } => {
                loaded.damaged += 1;
                if region == Region::B {
                    raw_a = raw_b;
                }
                generation
            }
            Choice::Contradiction { generation } => {
                loaded.contradiction = true;
                generation
            }
            Choice::Lost => {
                loaded.damaged += 2;
                loaded.lost += 1;
                raw_a.fill(0);
                remap_table::FIRST_GENERATION
            }
        };
        TableBlock {
            raw: raw_a,
            generation,
            order,
            unsettled: false,
            unrepaired: matches!(choice, Choice::Use { .. }).then_some(choice),
        }
    }

    /// Fills what lookups see from the entries.
    fn collect(&mut self, main: Blocks, loaded: &mut Loaded) {
        for index in 0..self.layout.replacement_blocks.get() {
            let replacement = Replacement::new(index);
            let Some(entry) = self.entry(replacement) else {
                continue;
            };
            if entry.state != EntryState::Free {
                self.used += 1;
            }
            if !entry.is_live() {
                continue;
            }
            if !entry.is_within(main) {
                loaded.contradiction = true;
                continue;
            }
            if let Some(earlier) = self.live.get(&entry.main).copied() {
                let earlier_entry = self.entry(earlier.replacement).unwrap_or_default();
                match entry.newer(earlier_entry) {
                    Some(newer) if newer == entry => {}
                    Some(_) => continue,
                    None => {
                        loaded.contradiction = true;
                        continue;
                    }
                }
            }
            self.see(replacement, &entry);
        }
        self.first_free = 0;
    }

    fn see(&mut self, replacement: Replacement, entry: &Entry) {
        let live = Live {
            replacement,
            active: entry.state == EntryState::Active,
            moves: entry.moves,
        };
        self.active += u64::from(live.active);
        if let Some(before) = self.live.insert(entry.main, live) {
            self.active -= u64::from(before.active);
        }
    }

    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn get(&self, block: MainBlock) -> Option<Live> {
        self.live.get(&block).copied()
    }

    /// What is live from `from` on, in the order of main.
    pub(super) fn live_from(
        &self,
        from: MainBlock,
    ) -> impl Iterator<Item = (MainBlock, Live)> + '_ {
        self.live.range(from..).map(|(block, live)| (*block, *live))
    }

    /// The first block from `from` on, before `end`, that is live.
    pub(super) fn first_live(&self, from: MainBlock, end: MainBlock) -> Option<(MainBlock, Live)> {
        self.live
            .range(from..end)
            .next()
            .map(|(block, live)| (*block, *live))
    }

    pub(super) fn active(&self) -> Blocks {
        Blocks::new(self.active)
    }

    pub(super) fn pending(&self) -> Blocks {
        Blocks::new(self.live.len() as u64 - self.active)
    }

    pub(super) const fn used(&self) -> Blocks {
        Blocks::new(self.used)
    }

    pub(super) const fn total(&self) -> Blocks {
        self.layout.replacement_blocks
    }

    pub(super) fn entry(&self, replacement: Replacement) -> Option<Entry> {
        let (index, place) = self.layout.entry_place(replacement)?;
        entry(&self.blocks.get(index as usize)?.raw, place)
    }

    /// The first free entry that `taken` does not hold.
    pub(super) fn free_entry(&mut self, taken: &BTreeSet<Replacement>) -> Option<Replacement> {
        let total = self.total().get();
        let mut all_used_so_far = true;
        for index in self.first_free..total {
            let replacement = Replacement::new(index);
            if self.entry(replacement)?.state != EntryState::Free {
                continue;
            }
            if all_used_so_far {
                self.first_free = index;
                all_used_so_far = false;
            }
            if !taken.contains(&replacement) {
                return Some(replacement);
            }
        }
        None
    }

    /// Makes `changes` durable in both regions, table block by table block, and only
    /// then lets lookups see them. What the entries refer to must be durable already.
    ///
    /// # Errors
    ///
    /// The first table block that was not updated. Lookups see nothing of its changes, and
    /// nothing of those behind it was written: see [`Choice::is_untouched`].
    pub(super) fn commit(
        &mut self,
        spare: &mut dyn BlockStore,
        changes: &[Change],
    ) -> Result<(), NotUpdated> {
        let mut by_block: BTreeMap<u32, Vec<(u32, Change)>> = BTreeMap::new();
        for change in changes {
            if let Some((index, place)) = self.layout.entry_place(change.0) {
                by_block.entry(index).or_default().push((place, *change));
            }
        }
        by_block
            .into_iter()
            .try_for_each(|(index, changes)| self.update(spare, index, &changes))
    }

    fn update(
        &mut self,
        spare: &mut dyn BlockStore,
        index: u32,
        changes: &[(u32, Change)],
    ) -> Result<(), NotUpdated> {
        let exhausted = NotUpdated { index, error: None };
        let failed = |error| NotUpdated {
            index,
            error: Some(error),
        };
        let block = self.blocks.get_mut(index as usize).ok_or(exhausted)?;
        let mut table = SpareTable::new(spare, self.layout);
        if let Some(choice) = &block.unrepaired {
            let mut raw = block.raw.clone();
            repair_block(&mut table, &mut raw, self.array, index, choice).map_err(failed)?;
            block.unrepaired = None;
        }
        let mut raw = block.raw.clone();
        for (place, (_, entry)) in changes {
            put_entry(&mut raw, *place, entry);
        }
        let (generation, order) = (block.generation, block.order);
        let updated = update_block(&mut table, &mut raw, self.array, index, generation, order);
        match updated {
            Ok(generation) => block.generation = generation,
            Err(UpdateError::GenerationExhausted) => return Err(exhausted),
            Err(error @ (UpdateError::First(source) | UpdateError::Second(source))) => {
                (block.generation, block.order) = error.settle(generation, order);
                block.unsettled = true;
                let entries = changes.iter().map(|(_, (_, entry))| entry);
                let live = entries.filter(|entry| entry.is_live());
                self.limbo.extend(live.map(|entry| (entry.main, index)));
                return Err(failed(source));
            }
        }
        let before = std::mem::replace(&mut block.raw, raw);
        block.unsettled = false;
        self.limbo.retain(|_, unsettled| *unsettled != index);
        for (place, (replacement, entry)) in changes {
            let before = remap_table::entry(&before, *place).unwrap_or_default();
            self.become_visible(*replacement, &before, entry);
        }
        Ok(())
    }

    fn become_visible(&mut self, replacement: Replacement, before: &Entry, after: &Entry) {
        self.used -= u64::from(before.state != EntryState::Free);
        self.used += u64::from(after.state != EntryState::Free);
        if after.is_live() {
            self.see(replacement, after);
        } else if self
            .get(before.main)
            .is_some_and(|live| before.is_live() && live.replacement == replacement)
        {
            if let Some(gone) = self.live.remove(&before.main) {
                self.active -= u64::from(gone.active);
            }
        }
    }

    /// The table blocks that may, after a restart, relocate some of `count` blocks from
    /// `first` on although lookups do not see it.
    pub(super) fn limbo_within(
        &self,
        first: MainBlock,
        count: u64,
    ) -> impl Iterator<Item = u32> + '_ {
        let end = MainBlock::new(first.get().saturating_add(count));
        self.limbo.range(first..end).map(|(_, index)| *index)
    }

    /// Brings the regions together where reading them gave different things, or at least
    /// keeps what the map was not made from from ever being believed. Otherwise, if the
    /// better region could not be read at a later start, an older state of the table
    /// would win; and a region that could not be read now, and then can, may hold the
    /// next generation, of an update that failed. Either would take blocks of main back
    /// to what they were before writes that were acknowledged.
    ///
    /// Once is enough, and before the first write is.
    pub(super) fn fence(&mut self, spare: &mut dyn BlockStore) -> Result<(), IoError> {
        if std::mem::replace(&mut self.fenced, true) {
            return Ok(());
        }
        let mut outcome = Ok(());
        for (index, block) in (0u32..).zip(&mut self.blocks) {
            let Some(choice @ Choice::Use { region, .. }) = block.unrepaired else {
                continue;
            };
            let mut table = SpareTable::new(spare, self.layout);
            let mut raw = block.raw.clone();
            match repair_block(&mut table, &mut raw, self.array, index, &choice) {
                Ok(()) => block.unrepaired = None,
                Err(_) => {
                    let destroyed = destroy_header(spare, &self.layout, region.other(), index);
                    outcome = outcome.and(destroyed);
                }
            }
        }
        outcome
    }

    /// Writes table block `index` as the map has it to both regions, at the next
    /// generation.
    pub(super) fn settle(
        &mut self,
        spare: &mut dyn BlockStore,
        index: u32,
    ) -> Result<(), NotUpdated> {
        self.update(spare, index, &[])
    }

    /// Writes table block `index` as the map has it to the regions that do not hold it.
    /// Where both do it is written anew, which puts the spare to the test.
    pub(super) fn mend(
        &mut self,
        spare: &mut dyn BlockStore,
        index: u32,
    ) -> Result<(), NotUpdated> {
        let failed = |error| NotUpdated { index, error };
        let Some(block) = self.blocks.get(index as usize) else {
            return Err(failed(None));
        };
        let holds = |region: &Region| {
            let reader = RegionReader::single(spare, self.array, self.layout, *region);
            block.held_against(&reader, index) == OnDisk::Intact
        };
        // Where both are damaged, the one that was worth less goes first: if it cannot be
        // written, the other keeps what may still come back from it.
        let mut damaged = block.order.to_vec();
        damaged.retain(|region| !holds(region));
        if block.unsettled || damaged.is_empty() {
            return self.settle(spare, index);
        }
        let mut table = SpareTable::new(spare, self.layout);
        for region in damaged {
            let choice = Choice::Use {
                region: region.other(),
                generation: block.generation,
                other: Some(BlockFlaw::Magic),
            };
            let mut raw = block.raw.clone();
            repair_block(&mut table, &mut raw, self.array, index, &choice)
                .map_err(|error| failed(Some(error)))?;
        }
        if let Some(block) = self.blocks.get_mut(index as usize) {
            block.unrepaired = None;
        }
        Ok(())
    }

    /// Compares what `region` holds of every table block with the map.
    pub(super) fn compare(
        &self,
        spare: &dyn BlockStore,
        region: Region,
    ) -> impl Iterator<Item = (u32, OnDisk)> + '_ {
        let reader = RegionReader::new(spare, self.array, self.layout, region);
        let found: Vec<(u32, OnDisk)> = (0u32..)
            .zip(&self.blocks)
            .map(|(index, block)| (index, block.held_against(&reader, index)))
            .collect();
        found.into_iter()
    }
}

/// Overwrites as little of a table block as makes it invalid for good: its header.
fn destroy_header(
    spare: &mut dyn BlockStore,
    layout: &Layout,
    region: Region,
    index: u32,
) -> Result<(), IoError> {
    let Some(at) = layout.table_block(region, index) else {
        return Ok(());
    };
    let bytes = vec![0xff; spare.logical_block().bytes() as usize];
    spare.write_at(at, &bytes)?;
    spare.flush()
}

/// A region read at once where that works, block by block where it does not.
struct RegionReader<'a> {
    spare: &'a dyn BlockStore,
    array: ArrayUuid,
    layout: Layout,
    region: Region,
    /// The table blocks, without the header block.
    bytes: Option<Vec<u8>>,
}

/// The most that is read at once, in bytes.
const READ_AT_ONCE: usize = 16 << 20;

impl<'a> RegionReader<'a> {
    fn new(spare: &'a dyn BlockStore, array: ArrayUuid, layout: Layout, region: Region) -> Self {
        let length = (layout.table_blocks() as usize).saturating_mul(BLOCK_4K_BYTES);
        let bytes = layout
            .table_block(region, 0)
            .filter(|_| length <= READ_AT_ONCE)
            .and_then(|at| {
                let mut bytes = vec![0; length];
                spare.read_at(at, &mut bytes).ok().map(|()| bytes)
            });
        Self {
            spare,
            array,
            layout,
            region,
            bytes,
        }
    }

    /// A reader for single blocks.
    fn single(spare: &'a dyn BlockStore, array: ArrayUuid, layout: Layout, region: Region) -> Self {
        Self {
            spare,
            array,
            layout,
            region,
            bytes: None,
        }
    }

    fn block(&self, index: u32) -> (Box<RawBlock>, Result<Generation, BlockFlaw>) {
        let mut raw: Box<RawBlock> = Box::new([0; BLOCK_4K_BYTES]);
        let at_once = self.bytes.as_ref().and_then(|bytes| {
            let start = (index as usize).checked_mul(BLOCK_4K_BYTES)?;
            bytes.get(start..)?.first_chunk::<BLOCK_4K_BYTES>()
        });
        let generation = match at_once {
            Some(bytes) => {
                *raw = *bytes;
                let place = BlockPlace {
                    array: self.array,
                    region: self.region,
                    index,
                };
                remap_table::check_block(&raw, &place)
            }
            None => read_block(
                self.spare,
                &self.layout,
                self.array,
                self.region,
                index,
                &mut raw,
            ),
        };
        (raw, generation)
    }
}
