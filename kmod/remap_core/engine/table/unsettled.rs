// SPDX-License-Identifier: GPL-2.0-or-later
//! Table blocks that did not take a write: what they may hold on the spare, which writes must
//! wait for that, and how the table goes on without them.

use crate::remap_core::engine::host::{Full, Host, Index, List, Page, Patience, Room};
use crate::remap_core::engine::table::{Table, TableBlock, ENTRIES};
use crate::remap_core::layout::{Region, ENTRIES_PER_BLOCK};
use crate::remap_core::message::Device;
use crate::remap_core::policy::Failure;
use crate::remap_core::relocation::{pending, Change};
use crate::remap_core::remap_table::{
    check_block, entry, seal_block, BlockFlaw, BlockPlace, Entry, EntryState,
};
use crate::remap_core::units::{Blocks, Errno, MainBlock, Replacement, BLOCK_4K_BYTES};

/// An entry that an unsettled table block may hold on the spare.
#[derive(Clone, Copy)]
pub(super) struct Limbo {
    /// The block of main that it may relocate after a restart.
    pub(super) block: MainBlock,
    /// Its count of moves.
    pub(super) moves: u16,
    /// The replacement that it leads to, whose content must stay.
    pub(super) replacement: Replacement,
    /// The table block.
    pub(super) number: u32,
}

impl Limbo {
    fn is_within(&self, first: MainBlock, count: Blocks) -> bool {
        self.block.get().wrapping_sub(first.get()) < count.get()
    }
}

impl<R: Room> Table<R> {
    /// Whether the table block of an entry takes changes: its last write did not fail, or no
    /// other block may be used in its place.
    pub(in crate::remap_core::engine) fn takes(&self, at: Replacement) -> bool {
        let number = self.layout.entry_place(at).map(|(number, _)| number);
        number.is_some_and(|number| self.takes_changes(number))
    }

    pub(super) fn takes_changes(&self, number: u32) -> bool {
        let block = self.blocks.get(number as usize);
        block.is_none_or(|block| !block.failed || !block.leads_on())
    }

    /// Whether a table block takes no writes, and may be read as the end of the table: nothing
    /// can be recorded any more.
    pub(in crate::remap_core::engine) fn is_stuck(&self) -> bool {
        let stuck = |block: &TableBlock| block.failed && !block.leads_on();
        self.blocks.iter().any(stuck)
    }

    /// The highest count of moves of the entries about a block that the spare may hold though
    /// they were not recorded. While there are any, nothing is acknowledged for it but a move
    /// that counts for more.
    pub(in crate::remap_core::engine) fn limbo_of(&self, block: MainBlock) -> Option<u16> {
        let about = self.limbo.iter().filter(|limbo| limbo.block == block);
        about.map(|limbo| limbo.moves).max()
    }

    /// Whether there are no such entries at all.
    pub(in crate::remap_core::engine) fn has_no_limbo(&self) -> bool {
        self.limbo.is_empty()
    }

    /// Notes what an update that failed may have left on the spare. In memory blocks that are
    /// not served from the spare wait for their next write, which moves them: their entries
    /// stay taken, and writes to them are told from all others.
    ///
    /// Where an entry that counts was to be given back, a restart may go by it or by main, which
    /// hold the same: the next write moves the block on.
    pub(super) fn leave_in_limbo<'c, I: Index>(
        &mut self,
        number: u32,
        changes: impl Iterator<Item = &'c Change>,
        index: &mut I,
    ) {
        for (replacement, entry) in changes {
            if !entry.is_live() {
                self.leave_given_back(number, *replacement, index);
                continue;
            }
            let (block, moves) = (entry.main, entry.moves);
            if index.get(block).is_none() {
                let (_, waiting) = pending(block, *replacement);
                let waiting = Entry { moves, ..waiting };
                self.become_visible(*replacement, &waiting, index);
            }
            if entry.state == EntryState::Active {
                // There is room: the update made it.
                let _ = self.limbo.push(Limbo {
                    block,
                    moves,
                    replacement: *replacement,
                    number,
                });
            }
        }
    }

    fn leave_given_back<I: Index>(&mut self, number: u32, replacement: Replacement, index: &I) {
        let before = index.entry(replacement);
        let counts = index
            .get(before.main)
            .is_some_and(|live| live.active && live.replacement == replacement && before.is_live());
        if counts {
            // There is room: the update made it.
            let _ = self.limbo.push(Limbo {
                block: before.main,
                moves: before.moves,
                replacement,
                number,
            });
        }
    }

    /// A table block did not take a write. It is left to repairs, as long as others can be used
    /// in its place: nothing may be behind a block at which reading the table could end. So
    /// the region that failed is made to say nothing, and then the other one, if it is as it
    /// was laid out, to say that the block was changed.
    pub(super) fn refused<H: Host<Room = R>>(&mut self, host: &mut H, number: u32, errno: Errno) {
        let Some(block) = self.blocks.get_mut(number as usize) else {
            return;
        };
        block.failed = true;
        let [worse, whole] = block.order;
        if !Failure::from_errno(errno).is_of_blocks() {
            return;
        }
        if *block.bare_mut(worse) && self.destroy_header(host, worse, number).is_err() {
            return;
        }
        let Some(block) = self.blocks.get(number as usize).copied() else {
            return;
        };
        let Some(next) = block.generation.next() else {
            return;
        };
        if block.leads_on() {
            return;
        }
        let [page, _] = &mut self.pages;
        *page.raw_mut() = [0; BLOCK_4K_BYTES];
        let place = BlockPlace {
            array: self.array,
            region: whole,
            index: number,
        };
        seal_block(page.raw_mut(), &place, next);
        let at = self.layout.table_block(whole, number);
        let written = at.is_some_and(|at| {
            let all = BLOCK_4K_BYTES as u32;
            host.write(Device::Spare, at, page, all).is_ok()
        });
        if let Some(block) = self.blocks.get_mut(number as usize) {
            block.generation = next;
            block.unsettled |= !written;
            *block.bare_mut(whole) = !written;
        }
    }

    /// A table block took everything: its entries may be handed out.
    pub(super) fn works(&mut self, number: u32) {
        let Some(block) = self.blocks.get_mut(number as usize) else {
            return;
        };
        if core::mem::replace(&mut block.failed, false) {
            let first = u64::from(number).saturating_mul(ENTRIES_PER_BLOCK);
            self.first_free = self.first_free.min(first);
        }
    }

    /// Has every block tried again: everything on the spare is as it must be.
    pub(in crate::remap_core::engine) fn try_all_again(&mut self) {
        for number in 0..self.blocks.len() {
            self.works(u32::try_from(number).unwrap_or(u32::MAX));
        }
    }

    /// Holds every write while one could go, past what is only known here, where a restart
    /// would not look for it.
    pub(super) fn hold_writes<I: Index>(&self, index: &mut I) {
        let is_served = |limbo: &Limbo| index.get(limbo.block).is_some_and(|live| live.active);
        let hold = self.fence_due || !self.fenced || self.limbo.iter().any(is_served);
        index.hold_writes(hold);
    }

    /// Before a write to `count` blocks from `first` on: brings the regions together, or
    /// at least keeps what the index was not made from from ever being believed; and
    /// tries to settle what an earlier update may have left on the spare about these blocks.
    /// Otherwise a restart could take them back to what they were before.
    ///
    /// # Errors
    ///
    /// The spare's, of any that did not succeed. Blocks for which [`Self::limbo_of`] still
    /// knows something must be moved.
    pub(in crate::remap_core::engine) fn settle_under<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        first: MainBlock,
        count: Blocks,
    ) -> Result<(), Errno> {
        let mut outcome = self.fence(host);
        if self.limbo.is_empty() {
            self.hold_writes(host.index_mut());
            return outcome;
        }
        let concerned = |table: &Self, from: u32| {
            let limbo = table.limbo.iter();
            let limbo = limbo.filter(|limbo| limbo.number >= from && limbo.is_within(first, count));
            limbo.map(|limbo| limbo.number).min()
        };
        let mut next = concerned(self, 0);
        while let Some(number) = next {
            let settled = self.update(host, number, &[]);
            outcome = outcome.and(settled.map_err(|failed| failed.error.unwrap_or(Errno::EIO)));
            next = concerned(self, number.saturating_add(1));
        }
        self.hold_writes(host.index_mut());
        outcome
    }

    /// Whether nothing can come back after a restart that was not read when the table was.
    /// While it may, no write is acknowledged.
    pub(in crate::remap_core::engine) const fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Brings the regions together where they differ, as far as the spare takes it, and keeps
    /// what could not be read of them from ever being believed.
    ///
    /// # Errors
    ///
    /// The spare's: [`Self::is_fenced`] does not hold. It is tried again at the next write.
    fn fence<H: Host<Room = R>>(&mut self, host: &mut H) -> Result<(), Errno> {
        if !self.fence_due && self.fenced {
            return Ok(());
        }
        self.fence_due = false;
        self.make_lasting(host)?;
        let mut outcome = Ok(());
        for number in 0..self.blocks.len() {
            let chosen = self.blocks.get(number).and_then(|block| block.unrepaired);
            let Some((region, _)) = chosen else {
                continue;
            };
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            if self.bring_together(host, number).is_err() {
                let destroyed = self.destroy_header(host, region.other(), number);
                if destroyed.is_err() && self.doubt(host, region, number).is_err() {
                    // Tried again, with the memory that it takes.
                    self.fence_due = true;
                    self.fenced = false;
                    return destroyed;
                }
                outcome = outcome.and(destroyed);
            }
        }
        self.fenced = !self.blocks.iter().any(TableBlock::may_hold_more);
        outcome
    }

    /// Leaves in limbo what only one `region` says in a table block, where the other one can be
    /// read, may be believed, and takes no write. Whoever reads that one alone after a restart
    /// finds these blocks where they were before.
    ///
    /// # Errors
    ///
    /// No memory for it.
    fn doubt<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        region: Region,
        number: u32,
    ) -> Result<(), Full> {
        let (layout, other) = (self.layout, region.other());
        let place = BlockPlace {
            array: self.array,
            region: other,
            index: number,
        };
        let [page, _] = &mut self.pages;
        let Some(at) = layout.table_block(other, number) else {
            return Ok(());
        };
        let read = host.read(Device::Spare, at, page, BLOCK_4K_BYTES as u32);
        if read.is_ok() && check_block(page.raw(), &place).is_err() {
            return Ok(());
        }
        self.limbo.reserve(ENTRIES as usize, Patience::None)?;
        for place in 0..ENTRIES {
            let Some(replacement) = layout.replacement_at(number, place) else {
                continue;
            };
            let ours = host.index().entry(replacement);
            let live = host.index().get(ours.main);
            let counts = live.is_some_and(|live| live.replacement == replacement);
            let theirs = entry(page.raw(), place).filter(|_| read.is_ok());
            if counts && ours.state == EntryState::Active && theirs != Some(ours) {
                self.limbo.push(Limbo {
                    block: ours.main,
                    moves: ours.moves,
                    replacement,
                    number,
                })?;
            }
        }
        Ok(())
    }

    /// Has the spare hold for good what was read of it. In its cache that may lie over an
    /// update that was given up, which would be back after a power failure.
    ///
    /// # Errors
    ///
    /// The spare's.
    pub(super) fn make_lasting<H: Host<Room = R>>(&mut self, host: &mut H) -> Result<(), Errno> {
        if !self.flushed {
            host.flush()?;
            self.flushed = true;
        }
        Ok(())
    }

    /// Overwrites as little of a table block as makes it invalid for good: its header.
    fn destroy_header<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        region: Region,
        number: u32,
    ) -> Result<(), Errno> {
        let [page, _] = &mut self.pages;
        *page.raw_mut() = [0xff; BLOCK_4K_BYTES];
        let least = host.logical_block(Device::Spare).bytes();
        let at = self.layout.table_block(region, number).ok_or(Errno::EIO)?;
        host.write(Device::Spare, at, page, least)?;
        if let Some(block) = self.blocks.get_mut(number as usize) {
            *block.bare_mut(region) = false;
            if let Some((chosen, flaw)) = &mut block.unrepaired {
                if *chosen != region {
                    *flaw = Some(BlockFlaw::Magic);
                }
            }
        }
        Ok(())
    }
}
