// SPDX-License-Identifier: GPL-2.0-or-later
//! Table blocks read in large pieces, from both regions side by side.

use crate::remap_core::engine::host::{largest_chunk, Chunk, Full, Host, Room};
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::message::Device;
use crate::remap_core::policy::Failure;
use crate::remap_core::remap_table::{check_block, BlockFlaw, BlockPlace, RawBlock};
use crate::remap_core::units::{ArrayUuid, Generation};

/// The most table blocks that are read at once: 1 MiB.
pub(super) const MOST: usize = 256;

/// A bit for each of [`MOST`] blocks that could not be read.
type Unreadable = [u64; MOST / 64];

/// One region's part of a reading.
struct Side<R: Room> {
    chunk: R::Chunk,
    unreadable: Unreadable,
}

/// Table blocks of both regions as they lie on the spare.
pub(super) struct Readings<R: Room> {
    sides: [Side<R>; 2],
    first: u32,
    count: u32,
}

impl<R: Room> Readings<R> {
    /// Room for up to `blocks` blocks of each region, for less where memory is short.
    ///
    /// # Errors
    ///
    /// [`Full`]: not even for one.
    pub(super) fn new(blocks: usize) -> Result<Self, Full> {
        let side = || {
            Ok(Side {
                chunk: largest_chunk::<R>(blocks.min(MOST))?,
                unreadable: [0; MOST / 64],
            })
        };
        Ok(Self {
            sides: [side()?, side()?],
            first: 0,
            count: 0,
        })
    }

    /// How many blocks of each region it holds at the most.
    pub(super) fn room(&self) -> usize {
        let [a, b] = &self.sides;
        a.chunk.len().min(b.chunk.len()).min(MOST)
    }

    /// Reads table blocks from `first` on, as many as there is room for, from both regions.
    pub(super) fn read<H: Host<Room = R>>(&mut self, host: &mut H, layout: &Layout, first: u32) {
        let room = u32::try_from(self.room()).unwrap_or(1);
        self.first = first;
        self.count = layout.table_blocks().saturating_sub(first).min(room);
        let count = self.count as usize;
        for (side, region) in self.sides.iter_mut().zip(Region::ALL) {
            side.read(host, layout, region, first, count);
        }
    }

    /// The numbers of the blocks that were read.
    pub(super) fn numbers(&self) -> core::ops::Range<u32> {
        self.first..self.first.saturating_add(self.count)
    }

    fn side(&self, region: Region) -> &Side<R> {
        let [a, b] = &self.sides;
        match region {
            Region::A => a,
            Region::B => b,
        }
    }

    /// The content of block `number` in a region; `None` where it could not be read.
    pub(super) fn raw(&self, region: Region, number: u32) -> Option<&RawBlock> {
        let at = number.checked_sub(self.first)?;
        let side = self.side(region);
        match at < self.count && !side.is_unreadable(at as usize) {
            true => side.chunk.block(at as usize),
            false => None,
        }
    }

    /// The blocks of a region, to compose others in their place.
    pub(super) fn chunk_mut(&mut self, region: Region) -> &mut R::Chunk {
        let [a, b] = &mut self.sides;
        match region {
            Region::A => &mut a.chunk,
            Region::B => &mut b.chunk,
        }
    }

    /// The generation of a region's block, if it can be believed.
    ///
    /// # Errors
    ///
    /// [`BlockFlaw`]; nothing of it may be used then.
    pub(super) fn check(
        &self,
        array: ArrayUuid,
        region: Region,
        number: u32,
    ) -> Result<Generation, BlockFlaw> {
        let place = BlockPlace {
            array,
            region,
            index: number,
        };
        let raw = self.raw(region, number).ok_or(BlockFlaw::Unreadable)?;
        check_block(raw, &place)
    }
}

impl<R: Room> Side<R> {
    fn is_unreadable(&self, at: usize) -> bool {
        let word = self.unreadable.get(at.wrapping_shr(6));
        word.is_none_or(|word| word.wrapping_shr(at as u32 & 63) & 1 != 0)
    }

    fn mark_unreadable(&mut self, at: usize) {
        if let Some(word) = self.unreadable.get_mut(at.wrapping_shr(6)) {
            *word |= 1u64.wrapping_shl(at as u32 & 63);
        }
    }

    fn read<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        layout: &Layout,
        region: Region,
        first: u32,
        count: usize,
    ) {
        self.unreadable = [0; MOST / 64];
        let Some(at) = layout.table_block(region, first).filter(|_| count > 0) else {
            return;
        };
        let Err(errno) = host.read_chunk((Device::Spare, at), &mut self.chunk, 0, count) else {
            return;
        };
        // A device that is gone is not asked once for each block.
        let alone = Failure::from_errno(errno).is_of_blocks() && count > 1;
        for (block, number) in (0..count).zip(first..) {
            let read = alone && {
                let at = layout.table_block(region, number);
                at.is_some_and(|at| {
                    host.read_chunk((Device::Spare, at), &mut self.chunk, block, 1)
                        .is_ok()
                })
            };
            if !read {
                self.mark_unreadable(block);
            }
        }
    }
}
