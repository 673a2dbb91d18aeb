// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether the spare holds the table as it is known, and writing it anew where it does not.

use super::{NotUpdated, Table, TableBlock};
use crate::dm::device::Chunk;
use crate::index::Index;
use crate::remap_core::layout::{Region, ENTRIES_PER_BLOCK};
use crate::remap_core::remap_table::{check_block, entry, BlockFlaw, BlockPlace, RawBlock};
use crate::remap_core::table_update::Choice;
use crate::remap_core::units::Generation;
use crate::store::Spare;

/// What a region holds of a table block, held against the index.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OnDisk {
    /// What it should.
    Intact,
    /// Damaged, older, or unsettled: to be written anew.
    Damaged,
    /// Valid, and not what this target wrote.
    Contradicts,
}

impl Table {
    /// Compares what the spare holds of block `number` in both regions with the index.
    fn compare(&mut self, spare: &Spare<'_>, index: &Index, number: u32) -> [OnDisk; 2] {
        let found = Region::ALL.map(|region| self.read(spare, region, number));
        let mut held = [OnDisk::Damaged; 2];
        for ((held, found), buffer) in held.iter_mut().zip(found).zip(&self.buffers) {
            *held = self.hold_against(index, number, found, buffer.bytes());
        }
        held
    }

    /// Compares as many blocks of a region, from `from` on, as fit in `chunk` with the
    /// index, and tells of each.
    pub fn compare_run(
        &mut self,
        spare: &Spare<'_>,
        index: &Index,
        (region, from): (Region, u32),
        chunk: &mut Chunk,
        mut tell: impl FnMut(u32, OnDisk),
    ) {
        let count = (self.layout.table_blocks() - from).min(chunk.len() as u32);
        let at = self.layout.table_block(region, from);
        let read = at.map(|at| spare.read_chunk(at, chunk, count as usize));
        if matches!(read, Some(Ok(()))) {
            for (number, raw) in (from..from + count).zip(chunk.blocks()) {
                let place = BlockPlace {
                    array: self.array,
                    region,
                    index: number,
                };
                let found = check_block(raw, &place);
                tell(number, self.hold_against(index, number, found, raw));
            }
            return;
        }
        // One bad block must not hide the others.
        for number in from..from + count {
            let found = self.read(spare, region, number);
            let [a, b] = &self.buffers;
            let raw = if region == Region::A { a } else { b };
            tell(number, self.hold_against(index, number, found, raw.bytes()));
        }
    }

    fn hold_against(
        &self,
        index: &Index,
        number: u32,
        found: Result<Generation, BlockFlaw>,
        raw: &RawBlock,
    ) -> OnDisk {
        let known = self.blocks.get(number as usize).copied();
        let block = known.unwrap_or(TableBlock::UNTOUCHED);
        match found {
            _ if block.unsettled => OnDisk::Damaged,
            Err(_) => OnDisk::Damaged,
            Ok(generation) if generation < block.generation => OnDisk::Damaged,
            Ok(generation)
                if generation == block.generation && self.has_entries(raw, number, index) =>
            {
                OnDisk::Intact
            }
            // What could not be read when the table was put together is no stranger's.
            Ok(_) if block.unrepaired.is_some() => OnDisk::Damaged,
            Ok(_) => OnDisk::Contradicts,
        }
    }

    /// Whether the entries of a block are those of the index.
    fn has_entries(&self, raw: &RawBlock, number: u32, index: &Index) -> bool {
        (0..ENTRIES_PER_BLOCK as u32).all(|place| {
            let known = self.layout.replacement_at(number, place);
            let known = known.map(|replacement| index.entry(replacement));
            entry(raw, place) == Some(known.unwrap_or_default())
        })
    }

    /// Writes table block `number` as the index has it to the regions that do not hold
    /// it. Where both do it is written anew, which puts the spare to the test.
    ///
    /// # Errors
    ///
    /// [`NotUpdated`]; a region that holds it was not touched.
    pub fn mend(
        &mut self,
        spare: &Spare<'_>,
        index: &Index,
        number: u32,
    ) -> Result<(), NotUpdated> {
        let held = self.compare(spare, index, number);
        let known = self.blocks.get(number as usize).copied();
        let block = known.unwrap_or(TableBlock::UNTOUCHED);
        let intact = |region: Region| {
            let [a, b] = held;
            OnDisk::Intact == if region == Region::A { a } else { b }
        };
        if block.unsettled || held == [OnDisk::Intact; 2] {
            return self.update(spare, index, number, &[]);
        }
        // Where both are damaged, the one that was worth less goes first: if it cannot be
        // written, the other keeps what may still come back from it.
        for region in block.order.into_iter().filter(|region| !intact(*region)) {
            let choice = Choice::Use {
                region: region.other(),
                generation: block.generation,
                other: Some(BlockFlaw::Magic),
            };
            self.repair_region(spare, index, number, &choice)
                .map_err(|error| NotUpdated { error: Some(error) })?;
        }
        if let Some(block) = self.blocks.get_mut(number as usize) {
            block.unrepaired = None;
        }
        Ok(())
    }

    /// Whether the table on the spare is still at the generations that are known here.
    pub fn is_unchanged(&mut self, spare: &Spare<'_>) -> bool {
        // Somebody else's first entry may lie in the first block that was not in use.
        let blocks = self.layout.table_blocks().min(self.blocks.len() as u32 + 1);
        (0..blocks).all(|number| {
            let known = self.blocks.get(number as usize).copied();
            let known = known.unwrap_or(TableBlock::UNTOUCHED);
            Region::ALL.into_iter().all(|region| {
                // What cannot be read or believed changed nothing that could be known.
                let found = self.read(spare, region, number);
                found.is_err()
                    || known.unsettled
                    || found.is_ok_and(|found| found <= known.generation)
            })
        })
    }
}
