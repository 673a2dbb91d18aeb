// SPDX-License-Identifier: GPL-2.0-or-later
//! The remap table of the spare: read when the device comes up, changed block by block.
//!
//! # Invariants
//!
//! - What lookups find on the spare is durable in both regions.
//! - A table block that could not be written everywhere is *unsettled*: what the spare
//!   holds of it is unknown, and may after a restart relocate the blocks of main that
//!   the failed update was about. Until it is settled, or a later move of the block is
//!   recorded elsewhere, nothing may be acknowledged for those blocks from where they
//!   were. In memory they wait for their next write, so that no other write is held.
//! - No write is acknowledged before the table is *fenced*: no region may show more after a
//!   restart than was read of it.
//! - Entries of one block of main differ in their count of moves, also from those that an
//!   unsettled table block may hold.
//! - A replacement that was given back is not handed out before the table is read anew: whoever
//!   looked its block up earlier may still be reading it.
//! - Replacements are handed out lowest first, and a change ends at the first table block
//!   that is not updated and may be read as untouched: nothing lies behind such a block.

mod mend;
mod runs;
mod unsettled;

use crate::remap_core::engine::host::{Full, Host, Index, List, Page, Patience, Room};
use crate::remap_core::engine::readings::{Readings, MOST};
use crate::remap_core::layout::{Layout, Region, ENTRIES_PER_BLOCK};
use crate::remap_core::message::Device;
use crate::remap_core::policy::Failure;
use crate::remap_core::relocation::Change;
use crate::remap_core::remap_table::{
    entry, put_entry, BlockFlaw, Entry, EntryState, RawBlock, FIRST_GENERATION,
};
use crate::remap_core::table_update::{
    choose, repair_block, same_entries, update_block, Choice, TableStore, UpdateError,
};
use crate::remap_core::units::{ArrayUuid, Blocks, Errno, Generation, Replacement, BLOCK_4K_BYTES};

use crate::remap_core::engine::table::unsettled::Limbo;

pub(super) use crate::remap_core::engine::table::mend::Held;

/// The state of one table block that is in use.
#[derive(Clone, Copy)]
struct TableBlock {
    /// The highest generation that was ever tried.
    generation: Generation,
    order: [Region; 2],
    unsettled: bool,
    /// Whether the last write to it failed.
    failed: bool,
    /// Whether entries of it were given back since the table was read.
    rests: bool,
    /// Whether region A, region B may say that nothing was ever put into it, where reading
    /// the table would end.
    bare: [bool; 2],
    /// The region that was chosen, and the flaw of the other one, where they must be brought
    /// together before the first update.
    unrepaired: Option<(Region, Option<BlockFlaw>)>,
}

impl TableBlock {
    const UNTOUCHED: Self = Self {
        generation: FIRST_GENERATION,
        order: Region::ALL,
        unsettled: false,
        failed: false,
        rests: false,
        bare: [true; 2],
        unrepaired: None,
    };

    /// Whether entries may lie behind it: wherever it is read, reading goes on.
    fn leads_on(&self) -> bool {
        self.bare == [false; 2]
    }

    fn bare_mut(&mut self, region: Region) -> &mut bool {
        let [a, b] = &mut self.bare;
        match region {
            Region::A => a,
            Region::B => b,
        }
    }

    /// Whether a region that could not be read may hold an update that the other one does not.
    /// The first update of a block goes to region A first, so that region B holds none while
    /// region A is as it was laid out.
    fn may_hold_more(&self) -> bool {
        match self.unrepaired {
            Some((Region::A, _)) if self.generation == FIRST_GENERATION => false,
            Some((_, flaw)) => flaw == Some(BlockFlaw::Unreadable),
            None => false,
        }
    }

    fn choice(&self) -> Option<Choice> {
        let (region, other) = self.unrepaired?;
        Some(Choice::Use {
            region,
            generation: self.generation,
            other,
        })
    }
}

/// Table blocks that there is room for before they come into use.
const TABLE_BLOCKS_AHEAD: usize = 2;

/// The table of one device. The entries themselves are in the host's index.
pub(super) struct Table<R: Room> {
    array: ArrayUuid,
    layout: Layout,
    /// The table blocks in use, from the first on.
    blocks: R::List<TableBlock>,
    live: u64,
    active: u64,
    used: u64,
    /// Every free entry that may be handed out is at this one or behind it.
    first_free: u64,
    /// Entries that the spare may hold though they were not recorded.
    limbo: R::List<Limbo>,
    /// Whether the spare holds for good what was read of it.
    flushed: bool,
    /// Whether the regions are to be brought together before the next write.
    fence_due: bool,
    /// Whether no region may show more after a restart than was read of it.
    fenced: bool,
    pages: [R::Page; 2],
    /// One block of each region, for reading when memory is short.
    reading: Readings<R>,
}

/// The findings of reading a table, besides its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    /// Whether entries contradict each other.
    pub(super) contradiction: bool,
    /// Table blocks that neither region holds.
    pub(super) lost: u32,
}

/// A table block that was not updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotUpdated {
    /// `None` where there is no generation or no memory left.
    pub(super) error: Option<Errno>,
}

impl NotUpdated {
    /// Whether the spare gave an error that speaks of single blocks.
    pub(super) fn is_of_blocks(&self) -> bool {
        let of_blocks = |errno| Failure::from_errno(errno).is_of_blocks();
        self.error.is_some_and(of_blocks)
    }
}

impl From<Full> for NotUpdated {
    fn from(_: Full) -> Self {
        Self { error: None }
    }
}

/// The regions of a spare, as the rules write to them.
struct Regions<'a, H: Host> {
    host: &'a mut H,
    layout: &'a Layout,
    page: &'a mut <H::Room as Room>::Page,
}

impl<H: Host> TableStore for Regions<'_, H> {
    type Error = Errno;

    fn write_block(&mut self, region: Region, index: u32, raw: &RawBlock) -> Result<(), Errno> {
        let at = self.layout.table_block(region, index).ok_or(Errno::EIO)?;
        // The rules write from where they like; a device is written from a page.
        *self.page.raw_mut() = *raw;
        let whole = BLOCK_4K_BYTES as u32;
        self.host.write(Device::Spare, at, self.page, whole)
    }
}

/// The entries that a table block has.
const ENTRIES: u32 = ENTRIES_PER_BLOCK as u32;

impl<R: Room> Table<R> {
    /// A table without entries, for a device that has just been laid out.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory.
    pub(super) fn new(array: ArrayUuid, layout: Layout) -> Result<Self, Full> {
        Ok(Self {
            array,
            layout,
            blocks: R::list(),
            live: 0,
            active: 0,
            used: 0,
            first_free: 0,
            limbo: R::list(),
            flushed: true,
            fence_due: false,
            fenced: true,
            pages: [R::page()?, R::page()?],
            reading: Readings::new(1)?,
        })
    }

    /// Reads the table from both regions and puts it together block by block, into the
    /// host's index, which must be empty. A main of `main` remap units is what live entries may speak of.
    ///
    /// Reading ends at the first block of which either region says, and can be believed, that
    /// it was never changed: no update of it was ever acknowledged, nor of one behind it.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory.
    pub(super) fn load<H: Host<Room = R>>(
        array: ArrayUuid,
        layout: Layout,
        host: &mut H,
        main: Blocks,
    ) -> Result<(Self, Loaded), Full> {
        let mut table = Self::new(array, layout)?;
        let mut loaded = Loaded::default();
        let mut readings = Readings::new(1)?;
        let mut first = 0;
        while first < layout.table_blocks() {
            readings.read(host, &layout, first);
            if !table.take_up_run(host, &readings, main, &mut loaded)? {
                break;
            }
            first = readings.numbers().end;
            // A small table takes small reads, a large one few.
            if readings.room() < MOST {
                readings = Readings::new(readings.room().saturating_mul(4))?;
            }
        }
        let unequal = |block: &TableBlock| block.unrepaired.is_some();
        table.fence_due = table.blocks.iter().any(unequal);
        // Done at once, while the spare is known to be there. A device with nothing on its spare
        // does not depend on it.
        table.flushed = false;
        let _ = table.make_lasting(host);
        table.flushed |= table.blocks.is_empty();
        table.fenced = table.flushed && !table.blocks.iter().any(TableBlock::may_hold_more);
        table.hold_writes(host.index_mut());
        table.make_room(host.index_mut(), Patience::Waits)?;
        Ok((table, loaded))
    }

    /// Takes up what was read. Returns whether there may be more behind it.
    fn take_up_run<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        readings: &Readings<R>,
        main: Blocks,
        loaded: &mut Loaded,
    ) -> Result<bool, Full> {
        for number in readings.numbers() {
            let choice = self.choose(readings, number);
            if choice.is_untouched() {
                return Ok(false);
            }
            self.take_up(&choice, self.bare(readings, number))?;
            if choice.ends_table() {
                // What its other region may hold is kept from coming back, like that of every
                // block that is taken up.
                return Ok(false);
            }
            let chosen = match choice {
                Choice::Use { region, .. } => Some(region),
                Choice::Agreed { .. } => Some(Region::A),
                Choice::Contradiction { .. } => {
                    loaded.contradiction = true;
                    Some(Region::A)
                }
                Choice::Lost => {
                    loaded.lost = loaded.lost.saturating_add(1);
                    None
                }
            };
            let raw = chosen.and_then(|region| readings.raw(region, number));
            if let Some(raw) = raw {
                let entries = self.entries_in_use();
                host.index_mut().reserve(entries, Patience::Waits)?;
                self.collect(number, raw, main, host.index_mut(), loaded);
            }
        }
        Ok(true)
    }

    /// The choice between the readings of one block.
    fn choose(&self, readings: &Readings<R>, number: u32) -> Choice {
        let [a, b] = Region::ALL.map(|region| readings.check(self.array, region, number));
        let [raw_a, raw_b] = Region::ALL.map(|region| readings.raw(region, number));
        let same = match (raw_a, raw_b) {
            (Some(a), Some(b)) => same_entries(a, b),
            _ => false,
        };
        choose(a, b, same)
    }

    /// Whether each region may say of a block that nothing was ever put into it.
    fn bare(&self, readings: &Readings<R>, number: u32) -> [bool; 2] {
        Region::ALL.map(|region| {
            let found = readings.check(self.array, region, number);
            matches!(found, Ok(FIRST_GENERATION) | Err(BlockFlaw::Unreadable))
        })
    }

    fn take_up(&mut self, choice: &Choice, bare: [bool; 2]) -> Result<(), Full> {
        let (generation, unrepaired) = match *choice {
            Choice::Agreed { generation } => (generation, None),
            // The device is read-only then, until a person has this one written over the other.
            Choice::Contradiction { generation } => (generation, Some((Region::A, None))),
            Choice::Use {
                region,
                generation,
                other,
            } => (generation, Some((region, other))),
            Choice::Lost => (FIRST_GENERATION, None),
        };
        self.push(TableBlock {
            generation,
            order: match unrepaired {
                Some((region, _)) => [region.other(), region],
                None => choice.write_order(),
            },
            bare,
            unrepaired,
            ..TableBlock::UNTOUCHED
        })
    }

    /// Takes the entries of block `number` into the index.
    fn collect<I: Index>(
        &mut self,
        number: u32,
        raw: &RawBlock,
        main: Blocks,
        index: &mut I,
        loaded: &mut Loaded,
    ) {
        for place in 0..ENTRIES {
            let known = self.layout.replacement_at(number, place);
            let (Some(found), Some(replacement)) = (entry(raw, place), known) else {
                continue;
            };
            if found.state != EntryState::Free {
                self.used = self.used.saturating_add(1);
            }
            let visible = found.is_live() && {
                let within = found.is_within(main);
                let earlier = index
                    .get(found.main)
                    .filter(|_| within)
                    .map(|earlier| index.entry(earlier.replacement));
                match earlier.map(|earlier| found.newer(earlier)) {
                    None => {
                        loaded.contradiction |= !within;
                        within
                    }
                    Some(Some(newer)) => newer == found,
                    Some(None) => {
                        loaded.contradiction = true;
                        false
                    }
                }
            };
            self.count(replacement, &found, visible, index);
        }
    }

    /// Puts an entry into the index, and counts it where it becomes visible.
    fn count<I: Index>(
        &mut self,
        replacement: Replacement,
        entry: &Entry,
        visible: bool,
        index: &mut I,
    ) {
        if visible {
            match index.get(entry.main) {
                Some(before) => {
                    self.active = self.active.saturating_sub(u64::from(before.active));
                }
                None => self.live = self.live.saturating_add(1),
            }
            let active = u64::from(entry.state == EntryState::Active);
            self.active = self.active.saturating_add(active);
        }
        index.put(replacement, entry, visible);
    }

    /// Entries of the table blocks that are in use.
    fn entries_in_use(&self) -> usize {
        self.blocks.len().saturating_mul(ENTRIES as usize)
    }

    /// Makes room for what the next blocks that move take.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory.
    pub(super) fn make_room<I: Index>(
        &mut self,
        index: &mut I,
        patience: Patience,
    ) -> Result<(), Full> {
        self.blocks.reserve(TABLE_BLOCKS_AHEAD, patience)?;
        self.limbo.reserve(ENTRIES as usize, patience)?;
        index.reserve(self.entries_in_use(), patience)
    }

    /// Before an update: makes room again for later ones, if that takes no waiting. All
    /// memory may hold data that is on its way to this very device, and nothing of it is
    /// freed before the update is done.
    fn keep_room<I: Index>(&mut self, index: &mut I) -> Result<(), Full> {
        if self.make_room(index, Patience::None).is_ok() {
            return Ok(());
        }
        match self.entries_in_use() <= index.room() {
            true => Ok(()),
            false => index.reserve(self.entries_in_use(), Patience::Waits),
        }
    }

    /// The layout of the spare.
    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The array it is of.
    pub(super) const fn array(&self) -> ArrayUuid {
        self.array
    }

    /// Blocks served from the spare.
    pub(super) const fn active(&self) -> Blocks {
        Blocks::new(self.active)
    }

    /// Blocks that the next write moves.
    pub(super) const fn pending(&self) -> Blocks {
        Blocks::new(self.live.saturating_sub(self.active))
    }

    /// Replacements that are not free.
    pub(super) const fn used(&self) -> Blocks {
        Blocks::new(self.used)
    }

    /// Replacements in all.
    pub(super) const fn total(&self) -> Blocks {
        self.layout.replacement_blocks
    }

    /// The first free entry at or behind `from` of a table block that takes entries.
    pub(super) fn free_entry<I: Index>(&mut self, from: u64, index: &I) -> Option<Replacement> {
        let end = self.total().get();
        while self.first_free < end && !self.is_free(Replacement::new(self.first_free), index) {
            self.first_free = self.first_free.saturating_add(1);
        }
        (self.first_free.max(from)..end)
            .map(Replacement::new)
            .find(|at| self.is_free(*at, index))
    }

    /// Whether an entry may be handed out: nothing leads to its replacement, nor may after a
    /// restart.
    pub(super) fn is_free<I: Index>(&self, at: Replacement, index: &I) -> bool {
        let leads_here = |limbo: &Limbo| limbo.replacement == at;
        self.takes(at)
            && !self.rests(at)
            && index.entry(at).is_free()
            && !self.limbo.iter().any(leads_here)
    }

    /// Whether a replacement is of a table block of which entries were given back.
    fn rests(&self, at: Replacement) -> bool {
        let number = self.layout.entry_place(at).map(|(number, _)| number);
        let block = number.and_then(|number| self.blocks.get(number as usize));
        block.is_some_and(|block| block.rests)
    }

    /// Whether at least `wanted` replacements can be handed out. Costs by what is in use and what
    /// is wanted.
    pub(super) fn has_room_for<I: Index>(&self, wanted: Blocks, index: &I) -> bool {
        let free = (self.first_free..self.total().get()).map(Replacement::new);
        let free = free.filter(|at| self.is_free(*at, index));
        free.take(usize::try_from(wanted.get()).unwrap_or(usize::MAX))
            .count() as u64
            == wanted.get()
    }

    fn block_of(&self, change: &Change) -> Option<u32> {
        self.layout.entry_place(change.0).map(|(block, _)| block)
    }

    /// Makes `changes` durable in both regions, table block by table block from the first
    /// on, and only then lets lookups see them. What the entries refer to must be durable
    /// already.
    ///
    /// # Errors
    ///
    /// That of the first table block that was not updated: lookups are led to nothing of it.
    /// Those behind it were tried, unless the spare is gone or reading would end at it. A
    /// block that failed before is left to repairs.
    pub(super) fn commit<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        changes: &[Change],
    ) -> Result<(), NotUpdated> {
        let of = |table: &Self, from: u32| {
            let blocks = changes.iter().filter_map(|change| table.block_of(change));
            let blocks = blocks.filter(|block| *block >= from && table.takes_changes(*block));
            blocks.min()
        };
        let mut outcome = Ok(());
        let mut next = of(self, 0);
        while let Some(block) = next {
            if let Some(end) = self.update_run(host, block, changes) {
                next = of(self, end);
                continue;
            }
            if let Err(failed) = self.update(host, block, changes) {
                outcome = outcome.and(Err(failed));
                if !failed.is_of_blocks() || self.takes_changes(block) {
                    break;
                }
            }
            next = of(self, block.saturating_add(1));
        }
        outcome
    }

    /// Updates table block `number` with those of `changes` that are its own.
    fn update<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        number: u32,
        changes: &[Change],
    ) -> Result<(), NotUpdated> {
        self.make_known(host, number)?;
        self.keep_room(host.index_mut())?;
        self.limbo
            .reserve(changes.len().min(ENTRIES as usize), Patience::None)?;
        self.bring_together(host, number)?;
        let layout = self.layout;
        let own = own_of(layout, number);
        let [raw, page] = &mut self.pages;
        compose(&layout, number, host.index(), raw.raw_mut());
        change(&layout, number, changes, raw.raw_mut());
        let block = self.blocks.get_mut(number as usize);
        let block = block.ok_or(NotUpdated { error: None })?;
        let mut regions = Regions {
            host,
            layout: &layout,
            page,
        };
        let (generation, order) = (block.generation, block.order);
        let raw = raw.raw_mut();
        match update_block(&mut regions, raw, self.array, number, generation, order) {
            Ok(generation) => block.generation = generation,
            Err(UpdateError::GenerationExhausted) => return Err(NotUpdated { error: None }),
            Err(error @ (UpdateError::First(source) | UpdateError::Second(source))) => {
                (block.generation, block.order) = error.settle(generation, order);
                block.unsettled = true;
                if let (UpdateError::Second(_), [first, _]) = (error, order) {
                    *block.bare_mut(first) = false;
                }
                self.leave_in_limbo(number, changes.iter().filter(own), host.index_mut());
                self.refused(host, number, source);
                self.hold_writes(host.index_mut());
                return Err(NotUpdated {
                    error: Some(source),
                });
            }
        }
        self.recorded(host.index_mut(), number, changes);
        self.hold_writes(host.index_mut());
        Ok(())
    }

    /// Both regions hold a table block with those of `changes` that are its own.
    fn recorded<I: Index>(&mut self, index: &mut I, number: u32, changes: &[Change]) {
        if let Some(block) = self.blocks.get_mut(number as usize) {
            block.unsettled = false;
            block.bare = [false; 2];
        }
        self.limbo.retain(|limbo| limbo.number != number);
        for (replacement, entry) in changes.iter().filter(own_of(self.layout, number)) {
            self.become_visible(*replacement, entry, index);
            // What counts for less is not gone by after a restart.
            let superseded = |limbo: &Limbo| {
                entry.is_live() && limbo.block == entry.main && limbo.moves < entry.moves
            };
            self.limbo.retain(|limbo| !superseded(limbo));
        }
        self.works(number);
    }

    /// Reads table blocks up to `number` that nothing was ever put into. One that was is a
    /// stranger's, and is not written over.
    fn make_known<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        number: u32,
    ) -> Result<(), NotUpdated> {
        let mut read = 0..0;
        while self.blocks.len() <= number as usize {
            let next = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
            if !read.contains(&next) {
                let layout = self.layout;
                self.reading.read(host, &layout, next);
                read = self.reading.numbers();
            }
            let choice = self.choose(&self.reading, next);
            if choice == Choice::Lost || choice.is_untouched() {
                self.push(TableBlock::UNTOUCHED)?;
            } else if self.is_blank(host.index(), next, &choice) {
                self.take_up(&choice, self.bare(&self.reading, next))?;
            } else {
                return Err(NotUpdated { error: None });
            }
        }
        Ok(())
    }

    /// Whether block `number` has no entries, as it was just read and chosen.
    fn is_blank<I: Index>(&self, index: &I, number: u32, choice: &Choice) -> bool {
        let region = match choice {
            Choice::Agreed { .. } => Region::A,
            Choice::Use { region, .. } => *region,
            Choice::Contradiction { .. } | Choice::Lost => return false,
        };
        self.has_entries(index, self.reading.raw(region, number), number)
    }

    fn push(&mut self, block: TableBlock) -> Result<(), Full> {
        self.blocks.reserve(1, Patience::Waits)?;
        self.blocks.push(block)
    }

    fn become_visible<I: Index>(&mut self, replacement: Replacement, after: &Entry, index: &mut I) {
        let before = index.entry(replacement);
        let counts = |entry: &Entry| u64::from(entry.state != EntryState::Free);
        self.used = self.used.saturating_sub(counts(&before));
        self.used = self.used.saturating_add(counts(after));
        let was_seen = before.is_live()
            && index
                .get(before.main)
                .is_some_and(|live| live.replacement == replacement);
        if !after.is_live() && was_seen {
            self.live = self.live.saturating_sub(1);
            let active = u64::from(before.state == EntryState::Active);
            self.active = self.active.saturating_sub(active);
        }
        self.count(replacement, after, after.is_live(), index);
    }

    /// Brings the two regions of a block together where reading them gave different
    /// things.
    fn bring_together<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        number: u32,
    ) -> Result<(), NotUpdated> {
        let block = self.blocks.get(number as usize);
        let Some(choice) = block.and_then(TableBlock::choice) else {
            return Ok(());
        };
        if let Err(errno) = self.repair_region(host, number, &choice) {
            self.refused(host, number, errno);
            return Err(NotUpdated { error: Some(errno) });
        }
        self.brought_together(number);
        Ok(())
    }

    /// Both regions hold what was chosen.
    fn brought_together(&mut self, number: u32) {
        if let Some(block) = self.blocks.get_mut(number as usize) {
            block.unrepaired = None;
            block.bare = [block.generation == FIRST_GENERATION; 2];
            if block.generation == FIRST_GENERATION {
                block.order = Region::ALL;
            }
        }
    }

    fn repair_region<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        number: u32,
        choice: &Choice,
    ) -> Result<(), Errno> {
        let [raw, page] = &mut self.pages;
        compose(&self.layout, number, host.index(), raw.raw_mut());
        let mut regions = Regions {
            host,
            layout: &self.layout,
            page,
        };
        let repaired = repair_block(&mut regions, raw.raw_mut(), self.array, number, choice);
        if let (Err(_), Choice::Use { region, .. }) = (&repaired, choice) {
            // What that region holds is unknown now. The other one is known to be whole, and
            // is not written to before this one is, too.
            if let Some(block) = self.blocks.get_mut(number as usize) {
                block.order = [region.other(), *region];
            }
        }
        repaired
    }
}

/// Tells the changes that are of table block `number`.
fn own_of(layout: Layout, number: u32) -> impl Fn(&&Change) -> bool {
    move |change| layout.entry_place(change.0).map(|place| place.0) == Some(number)
}

/// Makes `raw` table block `number` as the index has it, without a seal.
fn compose<I: Index>(layout: &Layout, number: u32, index: &I, raw: &mut RawBlock) {
    *raw = [0; BLOCK_4K_BYTES];
    for place in 0..ENTRIES {
        if let Some(replacement) = layout.replacement_at(number, place) {
            put_entry(raw, place, &index.entry(replacement));
        }
    }
}

/// Puts those of `changes` into a block that are of table block `number`.
fn change(layout: &Layout, number: u32, changes: &[Change], raw: &mut RawBlock) {
    for (replacement, entry) in changes.iter().filter(own_of(*layout, number)) {
        if let Some((_, place)) = layout.entry_place(*replacement) {
            put_entry(raw, place, entry);
        }
    }
}
