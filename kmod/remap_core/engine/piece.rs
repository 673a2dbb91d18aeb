// SPDX-License-Identifier: GPL-2.0-or-later
//! Blocks in memory, on their way from one disk to the other in as few pieces as the disks take.

use crate::remap_core::engine::host::{largest_chunk, Chunk, Full, Host, Page, Payload, Room};
use crate::remap_core::engine::readings::MOST;
use crate::remap_core::message::Device;
use crate::remap_core::units::{
    BlockSize, Blocks, Errno, MainBlock, Sector, Sectors, BLOCK_4K_BYTES, BLOCK_4K_SECTORS,
    SECTOR_BYTES,
};

/// Neighbouring blocks of main in memory.
pub(super) struct Piece<R: Room> {
    unit: BlockSize,
    first: MainBlock,
    chunk: R::Chunk,
    page: R::Page,
    /// The first block that was not moved.
    refused: Option<MainBlock>,
}

/// A part of a piece: whole 4 KiB blocks of it, or bytes within one of them.
enum Part {
    Whole {
        first: usize,
        count: usize,
    },
    Within {
        block: usize,
        from: usize,
        bytes: usize,
    },
}

impl<R: Room> Piece<R> {
    /// Room for up to 1 MiB, for less where memory is short.
    ///
    /// # Errors
    ///
    /// [`Full`]: not even for 4 KiB.
    pub(super) fn new(unit: BlockSize) -> Result<Self, Full> {
        Ok(Self {
            unit,
            first: MainBlock::new(0),
            chunk: largest_chunk::<R>(MOST)?,
            page: R::page()?,
            refused: None,
        })
    }

    /// The most blocks that it holds.
    pub(super) fn room(&self) -> Blocks {
        let sectors = (self.chunk.len().min(MOST) as u64).saturating_mul(BLOCK_4K_SECTORS);
        Blocks::new(sectors.wrapping_shr(self.unit.sector_shift()))
    }

    /// Begins with another block of main. What it held is of no use any more.
    pub(super) fn begin_at(&mut self, first: MainBlock) {
        self.first = first;
        self.refused = None;
    }

    /// The first block that was not moved, if any was not.
    pub(super) const fn refused(&self) -> Option<MainBlock> {
        self.refused
    }

    /// Its parts from block `block` on, `count` blocks of it, and how far each is from the first.
    fn parts(&self, block: MainBlock, count: Blocks) -> impl Iterator<Item = (Sectors, Part)> {
        let shift = self.unit.sector_shift();
        let ahead = block.get().saturating_sub(self.first.get());
        let start = ahead.wrapping_shl(shift);
        let end = start.saturating_add(count.get().wrapping_shl(shift));
        let mut at = start;
        core::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let within = at & BLOCK_4K_SECTORS.saturating_sub(1);
            let first = at.wrapping_shr(BLOCK_4K_SECTORS.trailing_zeros()) as usize;
            let whole = end
                .saturating_sub(at)
                .wrapping_shr(BLOCK_4K_SECTORS.trailing_zeros());
            let behind = Sectors::new(at.saturating_sub(start));
            if within == 0 && whole > 0 {
                at = at.saturating_add(whole.saturating_mul(BLOCK_4K_SECTORS));
                let count = whole as usize;
                return Some((behind, Part::Whole { first, count }));
            }
            let left = BLOCK_4K_SECTORS.saturating_sub(within);
            let sectors = left.min(end.saturating_sub(at));
            at = at.saturating_add(sectors);
            let part = Part::Within {
                block: first,
                from: (within as usize).saturating_mul(SECTOR_BYTES),
                bytes: (sectors as usize).saturating_mul(SECTOR_BYTES),
            };
            Some((behind, part))
        })
    }

    /// Reads `count` of its blocks, from `block` on, from `at` of a device.
    ///
    /// # Errors
    ///
    /// The device's.
    pub(super) fn read<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        block: MainBlock,
        count: Blocks,
        (device, at): (Device, Sector),
    ) -> Result<(), Errno> {
        for (behind, part) in self.parts(block, count) {
            let at = at.checked_add(behind).ok_or(Errno::EIO)?;
            match part {
                Part::Whole { first, count } => {
                    host.read_chunk((device, at), &mut self.chunk, first, count)?;
                }
                Part::Within { block, from, bytes } => {
                    let length = u32::try_from(bytes).unwrap_or(BLOCK_4K_BYTES as u32);
                    host.read(device, at, &mut self.page, length)?;
                    let to = self
                        .chunk
                        .block_mut(block)
                        .and_then(|raw| raw.get_mut(from..));
                    let from = self.page.raw().get(..bytes).unwrap_or_default();
                    for (to, from) in to.unwrap_or_default().iter_mut().zip(from) {
                        *to = *from;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes `count` of its blocks, from `block` on, at `at` of a device, durably.
    ///
    /// # Errors
    ///
    /// The device's; what lies there is unknown then.
    pub(super) fn write<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        block: MainBlock,
        count: Blocks,
        (device, at): (Device, Sector),
    ) -> Result<(), Errno> {
        for (behind, part) in self.parts(block, count) {
            let at = at.checked_add(behind).ok_or(Errno::EIO)?;
            match part {
                Part::Whole { first, count } => {
                    host.write_chunk((device, at), &self.chunk, first, count)?;
                }
                Part::Within { block, from, bytes } => {
                    let raw = self.chunk.block(block).and_then(|raw| raw.get(from..));
                    let raw = raw.unwrap_or_default().iter().take(bytes);
                    for (to, from) in self.page.raw_mut().iter_mut().zip(raw) {
                        *to = *from;
                    }
                    let length = u32::try_from(bytes).unwrap_or(BLOCK_4K_BYTES as u32);
                    host.write(device, at, &self.page, length)?;
                }
            }
        }
        Ok(())
    }

    /// Tells whether `count` of its blocks, from `block` on, are the same in another piece that begins
    /// at the same block.
    pub(super) fn is_same(&self, other: &Self, block: MainBlock, count: Blocks) -> bool {
        self.parts(block, count).all(|(_, part)| match part {
            Part::Whole { first, count } => (first..first.saturating_add(count))
                .all(|at| self.chunk.block(at) == other.chunk.block(at)),
            Part::Within { block, from, bytes } => {
                let range = from..from.saturating_add(bytes);
                let ours = self
                    .chunk
                    .block(block)
                    .and_then(|raw| raw.get(range.clone()));
                let theirs = other.chunk.block(block).and_then(|raw| raw.get(range));
                ours == theirs
            }
        })
    }

    /// Tells whether a block at this place of a device can be read and is not all zeros.
    pub(super) fn shows_something<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        (device, at): (Device, Sector),
    ) -> bool {
        let bytes = self.unit.bytes();
        let read = host.read(device, at, &mut self.page, bytes);
        let content = self.page.raw().iter().take(bytes as usize);
        read.is_ok() && content.into_iter().any(|byte| *byte != 0)
    }

    /// Makes all of it zeros.
    pub(super) fn clear(&mut self) {
        for at in 0..self.chunk.len() {
            if let Some(raw) = self.chunk.block_mut(at) {
                *raw = [0; BLOCK_4K_BYTES];
            }
        }
    }

    /// The 4 KiB in it at which `block` of main begins, to change.
    pub(super) fn at_mut(&mut self, block: MainBlock) -> Option<&mut [u8; BLOCK_4K_BYTES]> {
        let ahead = block.get().checked_sub(self.first.get())?;
        let sectors = ahead.wrapping_shl(self.unit.sector_shift());
        let at = sectors.wrapping_shr(BLOCK_4K_SECTORS.trailing_zeros());
        self.chunk.block_mut(at as usize)
    }
}

/// What is moved of a piece is copied: nobody waits for each block of it.
impl<H: Host> Payload<H> for Piece<H::Room> {
    fn first(&self) -> MainBlock {
        self.first
    }

    fn count(&self) -> Blocks {
        self.room()
    }

    fn is_write(&self) -> bool {
        true
    }

    fn transfer(
        &mut self,
        host: &mut H,
        block: MainBlock,
        count: Blocks,
        to: (Device, Sector),
        _durably: bool,
    ) -> Result<(), Errno> {
        self.write(host, block, count, to)
    }

    fn failed(&mut self, block: MainBlock, _count: Blocks, _errno: Errno) {
        self.refused = Some(self.refused.unwrap_or(block));
    }
}
