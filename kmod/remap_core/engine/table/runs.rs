// SPDX-License-Identifier: GPL-2.0-or-later
//! Table blocks that lie one behind the other, updated in one piece of each region; and entries
//! that are given back.

use crate::remap_core::engine::host::{Chunk, Host, Index, List, Patience, Room};
use crate::remap_core::engine::readings::Readings;
use crate::remap_core::engine::table::{change, compose, own_of, Table, TableBlock, ENTRIES};
use crate::remap_core::layout::Region;
use crate::remap_core::message::Device;
use crate::remap_core::relocation::Change;
use crate::remap_core::remap_table::{seal_block, BlockPlace, Entry, EntryState};
use crate::remap_core::units::{Blocks, Generation, MainBlock, Replacement};

/// Table blocks that are updated in one piece.
struct Run {
    first: u32,
    count: u32,
    order: [Region; 2],
}

impl Run {
    const fn end(&self) -> u32 {
        self.first.saturating_add(self.count)
    }

    const fn numbers(&self) -> core::ops::Range<u32> {
        self.first..self.end()
    }
}

impl<R: Room> Table<R> {
    /// Has updates of several table blocks made in pieces of what `readings` has room for, until
    /// it is called again with what it gave in exchange.
    pub(in crate::remap_core::engine) fn swap_readings(&mut self, readings: &mut Readings<R>) {
        core::mem::swap(&mut self.reading, readings);
    }

    /// Updates several table blocks from `first` on with those of `changes` that are theirs: all
    /// of them in one region, durably, then all of them in the other. A table block is torn or
    /// old in one region at the most, as it is when they are updated one by one.
    ///
    /// Blocks that nothing was ever put into are written without entries first, in both regions.
    /// Worked example: blocks 4 to 6 are such. Power fails in their first write, of which block 6
    /// alone reaches the disk. Reading ends at block 4, and block 6 is met when it is needed: had
    /// it entries, they would come back once 4 and 5 are in use.
    ///
    /// Returns the number of the block behind them. `None`: each is to be updated on its own;
    /// what the spare may hold of a piece that failed is known as unsettled then.
    pub(super) fn update_run<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        first: u32,
        changes: &[Change],
    ) -> Option<u32> {
        let run = self.run_of(host, first, changes)?;
        self.keep_room(host.index_mut()).ok()?;
        self.limbo.reserve(changes.len(), Patience::None).ok()?;
        let leads_on = |number| {
            let block = self.blocks.get(number as usize);
            block.is_some_and(TableBlock::leads_on)
        };
        if !run.numbers().all(leads_on) {
            self.write_both(host, &run, &[])?;
        }
        self.write_both(host, &run, changes)?;
        Some(run.end())
    }

    /// Writes the next generation of all blocks of a run to both regions. `None` if one of them
    /// did not take it.
    fn write_both<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        run: &Run,
        changes: &[Change],
    ) -> Option<()> {
        let [one, other] = run.order;
        for region in [one, other] {
            if self.write_run(host, run, region, changes).is_some() {
                continue;
            }
            for number in run.numbers() {
                self.run_failed(host, number, region == other, changes);
            }
            self.hold_writes(host.index_mut());
            return None;
        }
        for number in run.numbers() {
            if let Some(block) = self.blocks.get_mut(number as usize) {
                block.generation = block.generation.next().unwrap_or(block.generation);
            }
            self.recorded(host.index_mut(), number, changes);
        }
        self.hold_writes(host.index_mut());
        Some(())
    }

    /// The table blocks from `first` on that have changes and can be updated in one piece;
    /// `None` where that are fewer than two.
    fn run_of<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        first: u32,
        changes: &[Change],
    ) -> Option<Run> {
        let room = u32::try_from(self.reading.room()).unwrap_or(1);
        let end = first.saturating_add(room).min(self.layout.table_blocks());
        let has_changes =
            |table: &Self, number| changes.iter().any(|it| own_of(table.layout, number)(&it));
        let mut last = first;
        while last < end && has_changes(self, last) {
            last = last.saturating_add(1);
        }
        if last.saturating_sub(first) < 2 {
            return None;
        }
        self.make_known(host, last.saturating_sub(1)).ok()?;
        let order = self.blocks.get(first as usize)?.order;
        let fits = |block: &TableBlock| {
            let settled = !block.unsettled && !block.failed && block.unrepaired.is_none();
            // It may be written twice.
            let next = block.generation.next().and_then(Generation::next);
            settled && block.order == order && next.is_some()
        };
        let blocks = self.blocks.get(first as usize..last as usize)?;
        let count = blocks.iter().take_while(|block| fits(block)).count();
        let count = u32::try_from(count).ok().filter(|count| *count > 1)?;
        Some(Run {
            first,
            count,
            order,
        })
    }

    fn write_run<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        run: &Run,
        region: Region,
        changes: &[Change],
    ) -> Option<()> {
        let layout = self.layout;
        let chunk = self.reading.chunk_mut(region);
        for (at, number) in (0usize..).zip(run.numbers()) {
            let place = BlockPlace {
                array: self.array,
                region,
                index: number,
            };
            let raw = chunk.block_mut(at)?;
            compose(&layout, number, host.index(), raw);
            change(&layout, number, changes, raw);
            seal_block(
                raw,
                &place,
                self.blocks.get(number as usize)?.generation.next()?,
            );
        }
        let to = (Device::Spare, layout.table_block(region, run.first)?);
        host.write_chunk(to, chunk, 0, run.count as usize).ok()
    }

    /// A piece was not written to a region: to the first of both, or with `second` to the other
    /// one. What that holds of a block is unknown.
    fn run_failed<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        number: u32,
        second: bool,
        changes: &[Change],
    ) {
        let Some(block) = self.blocks.get_mut(number as usize) else {
            return;
        };
        let [one, other] = block.order;
        block.generation = block.generation.next().unwrap_or(block.generation);
        block.unsettled = true;
        if second {
            *block.bare_mut(one) = false;
            block.order = [other, one];
        }
        let own = changes.iter().filter(own_of(self.layout, number));
        self.leave_in_limbo(number, own, host.index_mut());
    }

    /// Notes in `changes` that the replacements of blocks from `first` on, `count` of them, are
    /// free. No more than there is room for.
    pub(in crate::remap_core::engine) fn give_back(
        changes: &mut R::List<Change>,
        first: Replacement,
        count: Blocks,
    ) {
        for ahead in 0..count.get() {
            let replacement = Replacement::new(first.get().saturating_add(ahead));
            if changes.push((replacement, Entry::default())).is_err() {
                return;
            }
        }
    }

    /// Keeps the replacements in `changes` that were given back from being handed out.
    pub(in crate::remap_core::engine) fn let_rest(&mut self, changes: &[Change]) {
        for (replacement, _) in changes {
            let number = self.layout.entry_place(*replacement).map(|place| place.0);
            let block = number.and_then(|number| self.blocks.get_mut(number as usize));
            if let Some(block) = block {
                block.rests = true;
            }
        }
    }

    /// Notes in `changes` that live entries about blocks from `first` on, `count` of them, are
    /// retired where another one counts: with that one gone they would be gone by after a
    /// restart. Returns whether there was room for all.
    pub(in crate::remap_core::engine) fn retire_superseded<I: Index>(
        &self,
        changes: &mut R::List<Change>,
        first: MainBlock,
        count: Blocks,
        index: &I,
    ) -> bool {
        let used = self.blocks.len().saturating_mul(ENTRIES as usize) as u64;
        for replacement in (0..used.min(self.total().get())).map(Replacement::new) {
            let entry = index.entry(replacement);
            let about = entry.main.get().wrapping_sub(first.get()) < count.get();
            let counts = index
                .get(entry.main)
                .is_some_and(|live| live.replacement == replacement);
            if entry.is_live() && about && !counts {
                let retired = Entry {
                    state: EntryState::Retired,
                    ..entry
                };
                if changes.push((replacement, retired)).is_err() {
                    return false;
                }
            }
        }
        true
    }
}
