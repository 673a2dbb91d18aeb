// SPDX-License-Identifier: GPL-2.0-or-later
//! The table on the spare, held against the one in memory, and brought to it.

use crate::remap_core::engine::host::{Chunk, Full, Host, Index, List, Room};
use crate::remap_core::engine::readings::{Readings, MOST};
use crate::remap_core::engine::table::{Table, TableBlock, ENTRIES};
use crate::remap_core::engine::WriteFailure;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::message::Device;
use crate::remap_core::relocation::Change;
use crate::remap_core::remap_table::{
    entry, format_block, BlockFlaw, BlockPlace, Entry, EntryState, RawBlock,
};
use crate::remap_core::table_update::Choice;
use crate::remap_core::units::{Blocks, Errno, Sector, Sectors, BLOCK_4K_SECTORS};

/// A region's content of a table block, held against the table in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remap_core::engine) enum Held {
    /// The same.
    Intact,
    /// Damaged, older, or unsettled: to be written anew.
    Damaged,
    /// The read failed, which says nothing of what lies there.
    Unreadable,
    /// Valid, and not what this target wrote.
    Contradicts,
}

impl<R: Room> Table<R> {
    fn known(&self, number: u32) -> TableBlock {
        let block = self.blocks.get(number as usize);
        block.copied().unwrap_or(TableBlock::UNTOUCHED)
    }

    /// Whether nothing was ever put into block `number`.
    fn is_untouched(&self, number: u32) -> bool {
        number as usize >= self.blocks.len()
    }

    /// Compares what a region holds of block `number` with the table in memory.
    pub(in crate::remap_core::engine) fn held<I: Index>(
        &self,
        index: &I,
        readings: &Readings<R>,
        region: Region,
        number: u32,
    ) -> Held {
        let known = self.known(number);
        match readings.check(self.array, region, number) {
            Err(BlockFlaw::Unreadable) => Held::Unreadable,
            _ if known.unsettled => Held::Damaged,
            Err(_) => Held::Damaged,
            Ok(generation) if generation < known.generation => Held::Damaged,
            // One into which nothing was ever put may have been written anew as it was.
            Ok(generation)
                if (generation == known.generation || self.is_untouched(number))
                    && self.has_entries(index, readings.raw(region, number), number) =>
            {
                Held::Intact
            }
            // What could not be read when the table was put together is no stranger's.
            Ok(_) if known.unrepaired.is_some() => Held::Damaged,
            Ok(_) => Held::Contradicts,
        }
    }

    /// Whether the entries of a block are those in memory.
    pub(super) fn has_entries<I: Index>(
        &self,
        index: &I,
        raw: Option<&RawBlock>,
        number: u32,
    ) -> bool {
        raw.is_some_and(|raw| {
            (0..ENTRIES).all(|place| {
                let known = self.layout.replacement_at(number, place);
                let known = known.map(|replacement| index.entry(replacement));
                entry(raw, place) == Some(known.unwrap_or_default())
            })
        })
    }

    /// Brings every block of a reading to what memory holds, in the regions that do not hold
    /// it. A region that agrees is left alone. One that could not be read is written over only
    /// while the other is known to be intact. Where a block contradicts, nothing is written.
    /// A block that the spare does not take keeps none behind it from being mended.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`] of the first block that was not brought to it.
    pub(in crate::remap_core::engine) fn mend<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        readings: &mut Readings<R>,
    ) -> Result<(), WriteFailure> {
        let numbers = readings.numbers();
        let used = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        let mut outcome = Ok(());
        self.make_lasting(host).map_err(WriteFailure::Spare)?;
        for number in numbers.start..numbers.end.min(used) {
            let mended = self.mend_block(host, readings, number);
            outcome = outcome.and(go_on(mended)?);
        }
        for region in Region::ALL {
            self.mend_untouched(host, readings, region, numbers.start.max(used))?;
        }
        outcome
    }

    fn mend_block<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        readings: &Readings<R>,
        number: u32,
    ) -> Result<(), WriteFailure> {
        let mut held = Region::ALL.map(|region| self.held(host.index(), readings, region, number));
        if held == [Held::Intact; 2] {
            self.brought_together(number);
            self.works(number);
            return Ok(());
        }
        if held.contains(&Held::Contradicts) {
            return Err(WriteFailure::Contradiction);
        }
        let block = self.known(number);
        keep(host, &self.layout, number, 1)?;
        if block.unsettled {
            return Ok(self.update(host, number, &[])?);
        }
        // Where both are damaged, the one that was worth less goes first: if it cannot be
        // written, the other keeps what may still come back from it. Damage is surer than a
        // read that failed.
        let [worse, better] = block.order;
        let of = |held: &[Held; 2], region: Region| {
            let [a, b] = *held;
            if region == Region::A {
                a
            } else {
                b
            }
        };
        let order = match of(&held, worse) == Held::Unreadable && of(&held, better) == Held::Damaged
        {
            true => [better, worse],
            false => [worse, better],
        };
        for region in order {
            match (of(&held, region), of(&held, region.other())) {
                (Held::Intact | Held::Contradicts, _) => continue,
                (Held::Unreadable, other) if other != Held::Intact => {
                    return Err(WriteFailure::Spare(Errno::EIO));
                }
                (Held::Unreadable | Held::Damaged, _) => {}
            }
            let choice = Choice::Use {
                region: region.other(),
                generation: block.generation,
                other: Some(BlockFlaw::Magic),
            };
            self.repair_region(host, number, &choice)
                .map_err(WriteFailure::Spare)?;
            let [a, b] = &mut held;
            *if region == Region::A { a } else { b } = Held::Intact;
        }
        self.brought_together(number);
        self.works(number);
        Ok(())
    }

    /// Lays blocks that nothing was ever put into out anew where a region lost them, in runs:
    /// a region that was overwritten is gigabytes of them.
    fn mend_untouched<H: Host<Room = R>>(
        &self,
        host: &mut H,
        readings: &mut Readings<R>,
        region: Region,
        from: u32,
    ) -> Result<(), WriteFailure> {
        let mut outcome = Ok(());
        let mut run: Option<(u32, u32)> = None;
        for number in from..readings.numbers().end {
            let held = self.held(host.index(), readings, region, number);
            let other = self.held(host.index(), readings, region.other(), number);
            let (wanted, why) = match (held, other) {
                (Held::Intact, _) => (false, Ok(())),
                (Held::Contradicts, _) | (_, Held::Contradicts) => {
                    (false, Err(WriteFailure::Contradiction))
                }
                (Held::Unreadable, other) if other != Held::Intact => {
                    (false, Err(WriteFailure::Spare(Errno::EIO)))
                }
                (Held::Unreadable | Held::Damaged, _) => (true, Ok(())),
            };
            outcome = outcome.and(why);
            run = match (run, wanted) {
                (None, true) => Some((number, 1)),
                (Some((first, count)), true) => Some((first, count.saturating_add(1))),
                (Some((first, count)), false) => {
                    self.lay_out(host, readings, region, first, count)?;
                    None
                }
                (None, false) => None,
            };
        }
        if let Some((first, count)) = run {
            self.lay_out(host, readings, region, first, count)?;
        }
        outcome
    }

    /// Writes `count` blocks from `first` on as they are when nothing was put into them. The
    /// reading must hold them.
    fn lay_out<H: Host<Room = R>>(
        &self,
        host: &mut H,
        readings: &mut Readings<R>,
        region: Region,
        first: u32,
        count: u32,
    ) -> Result<(), WriteFailure> {
        keep(host, &self.layout, first, count)?;
        let start = first.saturating_sub(readings.numbers().start) as usize;
        let chunk = readings.chunk_mut(region);
        for (number, at) in (first..first.saturating_add(count)).zip(start..) {
            if let Some(raw) = chunk.block_mut(at) {
                format_block(raw, &self.place(region, number));
            }
        }
        let at = self.layout.table_block(region, first);
        let at = at.ok_or(WriteFailure::Spare(Errno::EIO))?;
        host.write_chunk((Device::Spare, at), chunk, start, count as usize)
            .map_err(WriteFailure::Spare)
    }

    const fn place(&self, region: Region, number: u32) -> BlockPlace {
        BlockPlace {
            array: self.array,
            region,
            index: number,
        }
    }

    /// Retires the entries of block `number` that contradict those that lookups are led to:
    /// others of one block of main with as many moves, and those past the end of a main of
    /// `main` remap units. `changes` has room for those of one table block.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`]: what lies on the spare may contradict itself still.
    pub(in crate::remap_core::engine) fn settle<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        number: u32,
        main: Blocks,
        changes: &mut R::List<Change>,
    ) -> Result<(), WriteFailure> {
        changes.clear();
        for place in 0..ENTRIES {
            let Some(replacement) = self.layout.replacement_at(number, place) else {
                continue;
            };
            let entry = host.index().entry(replacement);
            let counts = host.index().get(entry.main);
            let is_rival = counts
                .is_some_and(|live| live.replacement != replacement && live.moves == entry.moves);
            if entry.is_live() && (is_rival || !entry.is_within(main)) {
                let retired = Entry {
                    state: EntryState::Retired,
                    ..entry
                };
                let _ = changes.push((replacement, retired));
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        keep(host, &self.layout, number, 1)?;
        let settled = self.update(host, number, changes);
        changes.clear();
        Ok(settled?)
    }

    /// How many table blocks are in use.
    pub(in crate::remap_core::engine) fn blocks_in_use(&self) -> u32 {
        u32::try_from(self.blocks.len()).unwrap_or(u32::MAX)
    }

    /// Lays out up to [`MOST`] blocks of a new table in one region, from block `first` on.
    /// Returns the number behind the last one.
    ///
    /// # Errors
    ///
    /// The spare's.
    pub(in crate::remap_core::engine) fn lay_out_run<H: Host<Room = R>>(
        &self,
        host: &mut H,
        chunk: &mut R::Chunk,
        region: Region,
        first: u32,
    ) -> Result<u32, Errno> {
        let most = u32::try_from(chunk.len().min(MOST)).unwrap_or(1);
        let count = self.layout.table_blocks().saturating_sub(first).min(most);
        let end = first.saturating_add(count);
        for (number, at) in (first..end).zip(0..) {
            if let Some(raw) = chunk.block_mut(at) {
                format_block(raw, &self.place(region, number));
            }
        }
        if count > 0 {
            let at = self.layout.table_block(region, first).ok_or(Errno::EIO)?;
            host.write_chunk((Device::Spare, at), chunk, 0, count as usize)?;
        }
        Ok(end)
    }

    /// Whether the table on the spare is still what memory holds, as far as it can be read: no
    /// block is newer, and none that is in use is gone from both regions.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory to read it into.
    pub(in crate::remap_core::engine) fn is_unchanged<H: Host<Room = R>>(
        &self,
        host: &mut H,
    ) -> Result<bool, Full> {
        // Somebody else's first entry may lie in the first block that was not in use.
        let used = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        let end = self.layout.table_blocks().min(used.saturating_add(1));
        let mut readings = Readings::new((end as usize).min(MOST))?;
        let mut first = 0;
        while first < end {
            readings.read(host, &self.layout, first);
            let numbers = readings.numbers();
            if numbers.is_empty() {
                break;
            }
            for number in numbers.start..numbers.end.min(end) {
                if !self.is_block_unchanged(host.index(), &readings, number) {
                    return Ok(false);
                }
            }
            first = numbers.end;
        }
        Ok(true)
    }

    fn is_block_unchanged<I: Index>(&self, index: &I, readings: &Readings<R>, number: u32) -> bool {
        let known = self.known(number);
        if known.unsettled {
            return true;
        }
        let held = Region::ALL.map(|region| self.held(index, readings, region, number));
        let gone = held.iter().all(|held| *held == Held::Damaged);
        (!gone || self.is_untouched(number)) && !held.contains(&Held::Contradicts)
    }
}

/// The outcome of a block after which the next one is to be mended all the same.
///
/// # Errors
///
/// Any other.
fn go_on(mended: Result<(), WriteFailure>) -> Result<Result<(), WriteFailure>, WriteFailure> {
    match mended {
        Err(why) if !why.is_of_blocks() => Err(why),
        outcome => Ok(outcome),
    }
}

/// Has the host keep what lies in both regions of `count` table blocks.
fn keep<H: Host>(
    host: &mut H,
    layout: &Layout,
    first: u32,
    count: u32,
) -> Result<(), WriteFailure> {
    let length = Sectors::new(u64::from(count).saturating_mul(BLOCK_4K_SECTORS));
    let at = |region| layout.table_block(region, first);
    let [a, b] = Region::ALL.map(at).map(|at| at.unwrap_or(Sector::new(0)));
    host.keep(&[(a, length), (b, length)])
        .map_err(|Full| WriteFailure::NotKept)
}
