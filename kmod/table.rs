// SPDX-License-Identifier: GPL-2.0-or-later
//! The remap table of the spare: read when the device comes up, changed block by block.
//!
//! # Invariants
//!
//! - What lookups see is durable in both regions.
//! - A table block that could not be written everywhere is *unsettled*: what the spare
//!   holds of it is unknown, and may after a restart relocate the blocks of main that
//!   the failed update was about. Until it is settled nothing may be acknowledged for
//!   those blocks from elsewhere.
//! - Replacements are handed out lowest first, and a change ends at the first table block
//!   that is not updated: nothing lies behind an untouched block.

mod check;

use kernel::alloc::flags::{__GFP_NOWARN, GFP_NOWAIT};
use kernel::alloc::Flags;
use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::device::Buffer;
use crate::index::{Index, Minding};
use crate::remap_core::layout::{Layout, Region, ENTRIES_PER_BLOCK};
use crate::remap_core::relocation::Change;
use crate::remap_core::remap_table::{
    check_block, entry, format_block, put_entry, BlockFlaw, BlockPlace, Entry, EntryState,
    RawBlock, FIRST_GENERATION,
};
use crate::remap_core::table_update::{
    choose, repair_block, same_entries, update_block, Choice, TableStore, UpdateError,
};
use crate::remap_core::units::{
    ArrayUuid, Blocks, Errno, Generation, MainBlock, Replacement, BLOCK_4K_BYTES,
};
use crate::store::Spare;

pub use check::OnDisk;

/// What is known of one table block that is in use.
#[derive(Clone, Copy)]
struct TableBlock {
    /// The highest generation that was ever tried.
    generation: Generation,
    order: [Region; 2],
    unsettled: bool,
    /// Which region was chosen, and whether the other one is damaged, where they must be
    /// brought together before the first update.
    unrepaired: Option<(Region, bool)>,
}

impl TableBlock {
    const UNTOUCHED: Self = Self {
        generation: FIRST_GENERATION,
        order: Region::ALL,
        unsettled: false,
        unrepaired: None,
    };

    fn choice(&self) -> Option<Choice> {
        let (region, damaged) = self.unrepaired?;
        Some(Choice::Use {
            region,
            generation: self.generation,
            other: damaged.then_some(BlockFlaw::Magic),
        })
    }
}

/// Table blocks that there is room for before they come into use.
const TABLE_BLOCKS_AHEAD: usize = 2;

/// The table of one device. The entries themselves are in the index.
pub struct Table {
    array: ArrayUuid,
    layout: Layout,
    /// The table blocks in use, from the first on.
    blocks: KVVec<TableBlock>,
    live: u64,
    active: u64,
    used: u64,
    /// Every free entry is at this one or behind it.
    first_free: u64,
    /// Blocks of main that an unsettled table block may relocate.
    limbo: KVVec<(MainBlock, u32)>,
    /// Whether there was no memory to note some of those.
    limbo_is_short: bool,
    /// Whether what could not be read was kept from coming back.
    fenced: bool,
    buffers: [Buffer; 2],
}

/// What reading a table found besides its entries.
#[derive(Clone, Copy, Default)]
pub struct Loaded {
    /// Whether entries contradict each other.
    pub contradiction: bool,
    /// Table blocks that neither region holds.
    pub lost: u32,
}

/// A table block that was not updated.
#[derive(Clone, Copy)]
pub struct NotUpdated {
    /// `None` where there is no generation or no memory left.
    pub error: Option<Errno>,
}

/// The regions of a spare, as the shared rules write to them.
struct Regions<'a> {
    spare: &'a Spare<'a>,
    layout: &'a Layout,
    buffer: &'a mut Buffer,
}

impl TableStore for Regions<'_> {
    type Error = Errno;

    fn write_block(&mut self, region: Region, index: u32, raw: &RawBlock) -> Result<(), Errno> {
        let at = self.layout.table_block(region, index).ok_or(Errno::EIO)?;
        // The rules write from where they like; a device is written from a page.
        *self.buffer.bytes_mut() = *raw;
        self.spare
            .write_durably(at, self.buffer, BLOCK_4K_BYTES as u32)
    }
}

impl Table {
    /// A table without entries, for a device that has just been laid out.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(array: ArrayUuid, layout: Layout) -> Result<Self> {
        Ok(Self {
            array,
            layout,
            blocks: KVVec::new(),
            live: 0,
            active: 0,
            used: 0,
            first_free: 0,
            limbo: KVVec::new(),
            limbo_is_short: false,
            fenced: false,
            buffers: [Buffer::new(GFP_KERNEL)?, Buffer::new(GFP_KERNEL)?],
        })
    }

    /// Reads the table from both regions and puts it together block by block, into
    /// `index`. A main of `main` remap units is what live entries may speak of.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn load(
        array: ArrayUuid,
        layout: Layout,
        spare: &Spare<'_>,
        main: Blocks,
        index: &Index,
    ) -> Result<(Self, Loaded)> {
        index.clear();
        let mut table = Self::new(array, layout)?;
        let mut loaded = Loaded::default();
        for number in 0..layout.table_blocks() {
            let (choice, chosen) = table.choose(spare, number);
            if choice.is_untouched() {
                break;
            }
            table.take_up(&choice)?;
            match choice {
                Choice::Contradiction { .. } => loaded.contradiction = true,
                Choice::Lost => loaded.lost += 1,
                Choice::Agreed { .. } | Choice::Use { .. } => {}
            }
            if choice != Choice::Lost {
                index.reserve(table.entries_in_use(), GFP_KERNEL)?;
                table.collect(number, chosen, main, index, &mut loaded);
            }
        }
        let unequal = |block: &TableBlock| block.unrepaired.is_some();
        table.fenced = !table.blocks.iter().any(unequal);
        index.mind(Minding::HOLD_WRITES, !table.fenced);
        table.make_room(index, GFP_KERNEL)?;
        Ok((table, loaded))
    }

    /// Entries of the table blocks that are in use.
    fn entries_in_use(&self) -> usize {
        self.blocks.len() * ENTRIES_PER_BLOCK as usize
    }

    /// Makes room for what the next blocks that move take.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn make_room(&mut self, index: &Index, flags: Flags) -> Result {
        self.blocks.reserve(TABLE_BLOCKS_AHEAD, flags)?;
        index.reserve(self.entries_in_use(), flags)
    }

    /// Before an update: makes room again for later ones, if that takes no waiting. All
    /// memory may hold data that is on its way to this very device, and nothing of it is
    /// freed before the update is done.
    fn keep_room(&mut self, index: &Index) -> Result {
        if self.make_room(index, GFP_NOWAIT | __GFP_NOWARN).is_ok() {
            return Ok(());
        }
        match self.entries_in_use() <= index.room() {
            true => Ok(()),
            false => index.reserve(self.entries_in_use(), GFP_KERNEL),
        }
    }

    /// Reads block `number` of both regions, and chooses; gives which buffer holds the
    /// one to be used.
    fn choose(&mut self, spare: &Spare<'_>, number: u32) -> (Choice, usize) {
        let a = self.read(spare, Region::A, number);
        let b = self.read(spare, Region::B, number);
        let [raw_a, raw_b] = &self.buffers;
        let choice = choose(a, b, same_entries(raw_a.bytes(), raw_b.bytes()));
        let chosen = match choice {
            Choice::Use {
                region: Region::B, ..
            } => 1,
            _ => 0,
        };
        (choice, chosen)
    }

    /// Reads one block of a region into the buffer of that region.
    fn read(
        &mut self,
        spare: &Spare<'_>,
        region: Region,
        number: u32,
    ) -> Result<Generation, BlockFlaw> {
        let [a, b] = &mut self.buffers;
        let buffer = if region == Region::A { a } else { b };
        let at = self.layout.table_block(region, number);
        let read = at.map(|at| spare.read(at, buffer));
        if !matches!(read, Some(Ok(()))) {
            return Err(BlockFlaw::Unreadable);
        }
        let place = BlockPlace {
            array: self.array,
            region,
            index: number,
        };
        check_block(buffer.bytes(), &place)
    }

    fn take_up(&mut self, choice: &Choice) -> Result {
        let (generation, unrepaired) = match *choice {
            Choice::Agreed { generation } | Choice::Contradiction { generation } => {
                (generation, None)
            }
            Choice::Use {
                region,
                generation,
                other,
            } => (generation, Some((region, other.is_some()))),
            Choice::Lost => (FIRST_GENERATION, None),
        };
        let block = TableBlock {
            generation,
            order: choice.write_order(),
            unsettled: false,
            unrepaired,
        };
        self.blocks.push(block, GFP_KERNEL)?;
        Ok(())
    }

    /// Takes the entries of block `number` from a buffer into the index.
    fn collect(
        &mut self,
        number: u32,
        buffer: usize,
        main: Blocks,
        index: &Index,
        loaded: &mut Loaded,
    ) {
        for place in 0..ENTRIES_PER_BLOCK as u32 {
            let raw = self.buffers.get(buffer).map(Buffer::bytes);
            let found = raw.and_then(|raw| entry(raw, place));
            let (Some(found), Some(replacement)) =
                (found, self.layout.replacement_at(number, place))
            else {
                continue;
            };
            if found.state != EntryState::Free {
                self.used += 1;
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
    fn count(&mut self, replacement: Replacement, entry: &Entry, visible: bool, index: &Index) {
        if visible {
            match index.get(entry.main) {
                Some(before) => self.active -= u64::from(before.active),
                None => self.live += 1,
            }
            self.active += u64::from(entry.state == EntryState::Active);
        }
        index.put(replacement, entry, visible);
    }

    /// Where things lie.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The array it is of.
    pub const fn array(&self) -> ArrayUuid {
        self.array
    }

    /// Blocks served from the spare.
    pub const fn active(&self) -> Blocks {
        Blocks::new(self.active)
    }

    /// Blocks that the next write moves.
    pub const fn pending(&self) -> Blocks {
        Blocks::new(self.live - self.active)
    }

    /// Replacements that are not free.
    pub const fn used(&self) -> Blocks {
        Blocks::new(self.used)
    }

    /// Replacements in all.
    pub const fn total(&self) -> Blocks {
        self.layout.replacement_blocks
    }

    /// The first free entry at or behind `from`.
    pub fn free_entry(&mut self, from: u64, index: &Index) -> Option<Replacement> {
        let free = |at: u64| index.entry(Replacement::new(at)).state == EntryState::Free;
        while self.first_free < self.total().get() && !free(self.first_free) {
            self.first_free += 1;
        }
        (self.first_free.max(from)..self.total().get())
            .find(|at| free(*at))
            .map(Replacement::new)
    }

    /// Makes `changes` durable in both regions, table block by table block from the first
    /// on, and only then lets lookups see them. What the entries refer to must be durable
    /// already.
    ///
    /// # Errors
    ///
    /// The first table block that was not updated: lookups see nothing of it, and nothing
    /// of those behind it was written.
    pub fn commit(
        &mut self,
        spare: &Spare<'_>,
        index: &Index,
        changes: &[Change],
    ) -> Result<(), NotUpdated> {
        let number = |change: &Change| self.layout.entry_place(change.0).map(|place| place.0);
        let mut next = changes.iter().filter_map(number).min();
        while let Some(block) = next {
            self.update(spare, index, block, changes)?;
            let number = |change: &Change| self.layout.entry_place(change.0).map(|place| place.0);
            next = changes
                .iter()
                .filter_map(number)
                .filter(|of| *of > block)
                .min();
        }
        Ok(())
    }

    /// Updates table block `number` with those of `changes` that are its own.
    fn update(
        &mut self,
        spare: &Spare<'_>,
        index: &Index,
        number: u32,
        changes: &[Change],
    ) -> Result<(), NotUpdated> {
        self.make_known(spare, number)
            .and_then(|()| self.keep_room(index))
            .map_err(|_| NotUpdated { error: None })?;
        self.bring_together(spare, index, number)?;
        self.compose(number, index);
        let layout = self.layout;
        let own = move |change: &&Change| {
            layout.entry_place(change.0).map(|place| place.0) == Some(number)
        };
        let [raw, buffer] = &mut self.buffers;
        for (replacement, entry) in changes.iter().filter(own) {
            if let Some((_, place)) = layout.entry_place(*replacement) {
                put_entry(raw.bytes_mut(), place, entry);
            }
        }
        let block = self.blocks.get_mut(number as usize);
        let block = block.ok_or(NotUpdated { error: None })?;
        let mut regions = Regions {
            spare,
            layout: &layout,
            buffer,
        };
        let (generation, order) = (block.generation, block.order);
        let raw = raw.bytes_mut();
        match update_block(&mut regions, raw, self.array, number, generation, order) {
            Ok(generation) => block.generation = generation,
            Err(UpdateError::GenerationExhausted) => return Err(NotUpdated { error: None }),
            Err(error @ (UpdateError::First(source) | UpdateError::Second(source))) => {
                (block.generation, block.order) = error.settle(generation, order);
                block.unsettled = true;
                self.remember_limbo(number, changes.iter().filter(own), index);
                return Err(NotUpdated {
                    error: Some(source),
                });
            }
        }
        if core::mem::replace(&mut block.unsettled, false) {
            self.limbo.retain(|(_, unsettled)| *unsettled != number);
            self.limbo_is_short &= self.blocks.iter().any(|block| block.unsettled);
        }
        for (replacement, entry) in changes.iter().filter(own) {
            self.become_visible(*replacement, entry, index);
        }
        index.mind(Minding::HOLD_WRITES, !self.is_settled());
        Ok(())
    }

    fn remember_limbo<'c>(
        &mut self,
        number: u32,
        changes: impl Iterator<Item = &'c Change>,
        index: &Index,
    ) {
        for (_, entry) in changes.filter(|(_, entry)| entry.is_live()) {
            // Without memory for it, every block counts as one that may be relocated.
            let flags = GFP_NOWAIT | __GFP_NOWARN;
            let noted = self.limbo.push((entry.main, number), flags);
            self.limbo_is_short |= noted.is_err();
        }
        index.mind(Minding::HOLD_WRITES, true);
    }

    /// Reads table blocks up to `number` that nothing was ever put into. One that was is a
    /// stranger's, and is not written over.
    fn make_known(&mut self, spare: &Spare<'_>, number: u32) -> Result {
        while self.blocks.len() <= number as usize {
            let (choice, _) = self.choose(spare, self.blocks.len() as u32);
            match choice {
                Choice::Use { generation, .. } if generation == FIRST_GENERATION => {
                    self.take_up(&choice)?;
                }
                Choice::Lost => self.blocks.push(TableBlock::UNTOUCHED, GFP_KERNEL)?,
                _ if choice.is_untouched() => {
                    self.blocks.push(TableBlock::UNTOUCHED, GFP_KERNEL)?
                }
                _ => return Err(EUCLEAN),
            }
        }
        Ok(())
    }

    fn become_visible(&mut self, replacement: Replacement, after: &Entry, index: &Index) {
        let before = index.entry(replacement);
        self.used -= u64::from(before.state != EntryState::Free);
        self.used += u64::from(after.state != EntryState::Free);
        let was_seen = before.is_live()
            && index
                .get(before.main)
                .is_some_and(|live| live.replacement == replacement);
        if !after.is_live() && was_seen {
            self.live -= 1;
            self.active -= u64::from(before.state == EntryState::Active);
        }
        self.count(replacement, after, after.is_live(), index);
    }

    /// Makes the first buffer table block `number` as the index has it, without a seal.
    fn compose(&mut self, number: u32, index: &Index) {
        let [raw, _] = &mut self.buffers;
        let raw = raw.bytes_mut();
        *raw = [0; BLOCK_4K_BYTES];
        for place in 0..ENTRIES_PER_BLOCK as u32 {
            if let Some(replacement) = self.layout.replacement_at(number, place) {
                put_entry(raw, place, &index.entry(replacement));
            }
        }
    }

    /// Brings the two regions of a block together where reading them gave different
    /// things.
    fn bring_together(
        &mut self,
        spare: &Spare<'_>,
        index: &Index,
        number: u32,
    ) -> Result<(), NotUpdated> {
        let block = self.blocks.get(number as usize);
        let Some(choice) = block.and_then(TableBlock::choice) else {
            return Ok(());
        };
        self.repair_region(spare, index, number, &choice)
            .map_err(|error| NotUpdated { error: Some(error) })?;
        if let Some(block) = self.blocks.get_mut(number as usize) {
            block.unrepaired = None;
        }
        Ok(())
    }

    fn repair_region(
        &mut self,
        spare: &Spare<'_>,
        index: &Index,
        number: u32,
        choice: &Choice,
    ) -> Result<(), Errno> {
        self.compose(number, index);
        let [raw, buffer] = &mut self.buffers;
        let mut regions = Regions {
            spare,
            layout: &self.layout,
            buffer,
        };
        repair_block(&mut regions, raw.bytes_mut(), self.array, number, choice)
    }

    /// Whether what the spare holds of every table block is known.
    fn is_settled(&self) -> bool {
        self.fenced && !self.blocks.iter().any(|block| block.unsettled)
    }

    /// Before a write to `count` blocks from `first` on: brings the regions together, or
    /// at least keeps what the index was not made from from ever being believed; and
    /// settles what an earlier update may have left on the spare about these blocks.
    /// Otherwise a restart could take them back to what they were before.
    ///
    /// The first result is whether all that succeeded, the second whether the write may
    /// go on.
    pub fn settle_under(
        &mut self,
        spare: &Spare<'_>,
        index: &Index,
        first: MainBlock,
        count: Blocks,
    ) -> (bool, bool) {
        let mut well = self.fence(spare, index);
        let mut may_go_on = true;
        for number in 0..self.blocks.len() as u32 {
            let unsettled = self
                .blocks
                .get(number as usize)
                .is_some_and(|block| block.unsettled);
            if unsettled && self.concerns(number, first, count) {
                may_go_on &= self.update(spare, index, number, &[]).is_ok();
            }
        }
        well &= may_go_on;
        index.mind(Minding::HOLD_WRITES, !self.is_settled());
        (well, may_go_on)
    }

    /// Whether an unsettled block may relocate some of these blocks of main.
    fn concerns(&self, number: u32, first: MainBlock, count: Blocks) -> bool {
        let within = |block: MainBlock| block.get().wrapping_sub(first.get()) < count.get();
        let mut named = self.limbo.iter().filter(|(_, of)| *of == number);
        self.limbo_is_short || named.any(|(block, _)| within(*block))
    }

    fn fence(&mut self, spare: &Spare<'_>, index: &Index) -> bool {
        if core::mem::replace(&mut self.fenced, true) {
            return true;
        }
        let mut well = true;
        for number in 0..self.blocks.len() as u32 {
            let chosen = self
                .blocks
                .get(number as usize)
                .and_then(|block| block.unrepaired);
            let Some((region, _)) = chosen else {
                continue;
            };
            if self.bring_together(spare, index, number).is_err() {
                well &= self.destroy_header(spare, region.other(), number);
            }
        }
        well
    }

    /// Overwrites as little of a table block as makes it invalid for good: its header.
    fn destroy_header(&mut self, spare: &Spare<'_>, region: Region, number: u32) -> bool {
        let [buffer, _] = &mut self.buffers;
        *buffer.bytes_mut() = [0xff; BLOCK_4K_BYTES];
        let at = self.layout.table_block(region, number);
        at.is_none_or(|at| {
            let least = spare.logical_block_bytes();
            spare.write_durably(at, buffer, least).is_ok()
        })
    }

    /// A page for whoever holds the table.
    pub fn scratch(&mut self) -> &mut Buffer {
        let [buffer, _] = &mut self.buffers;
        buffer
    }

    /// Lays both regions out anew: every entry free.
    ///
    /// # Errors
    ///
    /// What the spare gave.
    pub fn format(&mut self, spare: &Spare<'_>) -> Result<(), Errno> {
        for region in Region::ALL {
            for index in 0..self.layout.table_blocks() {
                let [buffer, _] = &mut self.buffers;
                let place = BlockPlace {
                    array: self.array,
                    region,
                    index,
                };
                format_block(buffer.bytes_mut(), &place);
                let at = self.layout.table_block(region, index).ok_or(Errno::EIO)?;
                spare.write(at, buffer)?;
            }
        }
        self.fenced = true;
        spare.flush()
    }
}
