// SPDX-License-Identifier: GPL-2.0-or-later
//! The spare as the rules see it: slots, headers, sectors; and faults for drills.

use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::device::{Buffer, Chunk, Device};
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::SlotStore;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::message::{Device as Which, Direction, Fault};
use crate::remap_core::quorum::{judge, Judgement, Reading, Survey, Verdict};
use crate::remap_core::remap_table::{RegionHeader, NAME_LIMIT};
use crate::remap_core::signature;
use crate::remap_core::superblock::{RawCopy, Superblock, COPY_BYTES};
use crate::remap_core::units::{
    ArrayUuid, BlockSize, Errno, PerSlot, Sector, Sectors, Slot, BLOCK_4K_BYTES, BLOCK_4K_SECTORS,
};

/// The most faults that can be injected at once.
pub const MOST_FAULTS: usize = 16;

/// Blocks that are made to fail.
pub struct Faults {
    faults: KVec<Fault>,
    unit: BlockSize,
}

impl Faults {
    /// None.
    pub const fn none(unit: BlockSize) -> Self {
        Self {
            faults: KVec::new(),
            unit,
        }
    }

    /// Adds one.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there are too many, or `ENOMEM`.
    pub fn add(&mut self, fault: Fault) -> Result {
        if self.faults.len() >= MOST_FAULTS {
            return Err(ENOSPC);
        }
        Ok(self.faults.push(fault, GFP_KERNEL)?)
    }

    /// Takes all of them away.
    pub fn clear(&mut self) {
        self.faults.clear();
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Lets `length` sectors from `at` on fail, if that is wanted.
    ///
    /// # Errors
    ///
    /// `EIO`, as a bad medium gives.
    pub fn check(
        &self,
        which: Which,
        write: bool,
        at: Sector,
        length: Sectors,
    ) -> Result<(), Errno> {
        let hit = self.faults.iter().any(|fault| {
            let direction = match fault.direction {
                Direction::Both => true,
                Direction::Read => !write,
                Direction::Write => write,
            };
            let shift = self.unit.sector_shift();
            let from = u128::from(fault.from.get()) << shift;
            let end = from + (u128::from(fault.count.get()) << shift);
            let (first, last) = (
                u128::from(at.get()),
                u128::from(at.get()) + u128::from(length.get()),
            );
            direction && fault.device == which && first < end && from < last
        });
        if hit {
            Err(Errno::EIO)
        } else {
            Ok(())
        }
    }
}

/// The spare, with the faults that are injected.
pub struct Spare<'a> {
    device: &'a Device<'a>,
    faults: &'a Faults,
}

impl<'a> Spare<'a> {
    /// `device`, failing as `faults` say.
    pub const fn new(device: &'a Device<'a>, faults: &'a Faults) -> Self {
        Self { device, faults }
    }

    /// Its size.
    pub fn size(&self) -> Sectors {
        self.device.size()
    }

    /// The smallest unit it can be written in, in bytes.
    pub fn logical_block_bytes(&self) -> u32 {
        self.device.logical_block_bytes()
    }

    /// The device, for bios.
    pub const fn device(&self) -> &Device<'a> {
        self.device
    }

    /// Lets what touches failing blocks fail.
    ///
    /// # Errors
    ///
    /// `EIO`, where a fault is injected.
    pub fn check(&self, write: bool, at: Sector, length: Sectors) -> Result<(), Errno> {
        self.faults.check(Which::Spare, write, at, length)
    }

    /// Reads 4 KiB.
    ///
    /// # Errors
    ///
    /// What the device gave; the buffer's content is unspecified then.
    pub fn read(&self, at: Sector, buffer: &mut Buffer) -> Result<(), Errno> {
        self.read_part(at, buffer, BLOCK_4K_BYTES as u32)
    }

    /// Reads the first `length` bytes of a buffer.
    ///
    /// # Errors
    ///
    /// What the device gave; the buffer's content is unspecified then.
    pub fn read_part(&self, at: Sector, buffer: &mut Buffer, length: u32) -> Result<(), Errno> {
        self.check(false, at, Sectors::from_bytes(u64::from(length)))?;
        self.device.read_part(at, buffer, length)
    }

    /// Reads the first `blocks` blocks of a chunk.
    ///
    /// # Errors
    ///
    /// What the device gave; their content is unspecified then.
    pub fn read_chunk(&self, at: Sector, chunk: &mut Chunk, blocks: usize) -> Result<(), Errno> {
        let length = Sectors::new(blocks as u64 * BLOCK_4K_SECTORS);
        self.check(false, at, length)?;
        self.device.read_chunk(at, chunk, blocks)
    }

    /// Writes the first `length` bytes of a buffer, and returns when they are durable.
    ///
    /// # Errors
    ///
    /// What the device gave; what lies there is unknown then.
    pub fn write_durably(&self, at: Sector, buffer: &Buffer, length: u32) -> Result<(), Errno> {
        self.check(true, at, Sectors::from_bytes(u64::from(length)))?;
        self.device.write_durably(at, buffer, length)
    }

    /// Writes 4 KiB, durable after a flush.
    ///
    /// # Errors
    ///
    /// What the device gave; what lies there is unknown then.
    pub fn write(&self, at: Sector, buffer: &Buffer) -> Result<(), Errno> {
        self.check(true, at, Sectors::from_bytes(BLOCK_4K_BYTES as u64))?;
        self.device.write(at, buffer)
    }

    /// Makes every write so far durable.
    ///
    /// # Errors
    ///
    /// What the device gave; nothing may be taken for durable then.
    pub fn flush(&self) -> Result<(), Errno> {
        self.device.flush()
    }
}

/// What was read of the slots, and what it says. Both are large: they live in boxes.
pub struct Surveyed {
    /// What was read.
    pub survey: KBox<Survey>,
    /// What it says.
    pub judgement: KBox<Judgement>,
}

impl Surveyed {
    /// What the winning copy says.
    #[inline(never)]
    pub fn superblock(&self) -> Option<Superblock> {
        self.judgement.superblock(&self.survey)
    }
}

/// Reads all five slots and judges them; where they say nothing, looks for a region's
/// header. What cannot be read is part of the survey.
///
/// # Errors
///
/// `ENOMEM`, before anything was read.
pub fn survey(spare: &Spare<'_>) -> Result<Surveyed> {
    let mut buffer = Buffer::new(GFP_KERNEL)?;
    let mut survey = nothing_read()?;
    for slot in Slot::ALL {
        read_slot(spare, slot, &mut buffer, survey.slots.get_mut(slot));
    }
    let mut judgement = judged(&survey)?;
    if judgement.verdict == Verdict::None && has_header(spare, &mut buffer) {
        survey.header = true;
        judgement = judged(&survey)?;
    }
    Ok(Surveyed { survey, judgement })
}

/// A survey before anything was read.
///
/// Apart from its caller, so that the kernel stack holds one of these large values for
/// this call alone, and not below the I/O that follows.
#[inline(never)]
fn nothing_read() -> Result<KBox<Survey>> {
    let slots = PerSlot::from_fn(|_| Reading::Unreadable(Errno::EIO));
    let survey = Survey {
        slots,
        header: false,
    };
    Ok(KBox::new(survey, GFP_KERNEL)?)
}

/// Apart from its caller, like `nothing_read`.
#[inline(never)]
fn judged(survey: &Survey) -> Result<KBox<Judgement>> {
    Ok(KBox::new(judge(survey), GFP_KERNEL)?)
}

fn read_slot(spare: &Spare<'_>, slot: Slot, buffer: &mut Buffer, reading: &mut Reading) {
    let result = spare.read(slot.sector(), buffer).or_else(|_| {
        // One bad sector in the rest of the slot must not hide the copy.
        *buffer.bytes_mut() = [0; BLOCK_4K_BYTES];
        spare.read_part(slot.sector(), buffer, spare.logical_block_bytes())
    });
    fill(reading, result, buffer);
}

/// Apart from `read_slot` for the sake of the kernel stack, like `nothing_read`.
#[inline(never)]
fn fill(reading: &mut Reading, result: Result<(), Errno>, buffer: &Buffer) {
    *reading = match result {
        Ok(()) => Reading::Read {
            raw: *buffer.bytes().first_chunk().unwrap_or(&[0; COPY_BYTES]),
            signature: signature::detect(buffer.bytes()),
        },
        Err(errno) => Reading::Unreadable(errno),
    };
}

/// Whether a region's header says that the spare is ours.
fn has_header(spare: &Spare<'_>, buffer: &mut Buffer) -> bool {
    Layout::header_candidates(spare.size())
        .any(|(region, at)| spare.read(at, buffer).is_ok() && is_header_at(buffer, region, at))
}

/// Apart from its caller, like `nothing_read`.
#[inline(never)]
fn is_header_at(buffer: &Buffer, region: Region, at: Sector) -> bool {
    RegionHeader::read(buffer.bytes(), region).is_ok_and(|header| {
        let layout = header.superblock.layout();
        layout.is_some_and(|layout| layout.region_start(region) == at)
    })
}

/// The name that a region's header bears, if the header is intact and of this array.
pub fn header_name(
    spare: &Spare<'_>,
    layout: &Layout,
    array: ArrayUuid,
    region: Region,
    buffer: &mut Buffer,
) -> Option<Text<NAME_LIMIT>> {
    spare.read(layout.region_start(region), buffer).ok()?;
    name_in(buffer, layout, array, region)
}

/// Apart from its caller, like `nothing_read`.
#[inline(never)]
fn name_in(
    buffer: &Buffer,
    layout: &Layout,
    array: ArrayUuid,
    region: Region,
) -> Option<Text<NAME_LIMIT>> {
    let header = RegionHeader::read(buffer.bytes(), region).ok()?;
    let same = header.array() == Some(array) && header.superblock.layout() == Some(layout);
    same.then_some(header.name)
}

/// Writes a region's header, durably.
///
/// # Errors
///
/// What the spare gave; what lies there is unknown then.
pub fn write_header(
    spare: &Spare<'_>,
    region: Region,
    name: Text<NAME_LIMIT>,
    superblock: &Superblock,
    buffer: &mut Buffer,
) -> Result<(), Errno> {
    compose_header(region, name, superblock, buffer);
    let layout = superblock.layout().ok_or(Errno::EIO)?;
    spare.write_durably(layout.region_start(region), buffer, BLOCK_4K_BYTES as u32)
}

/// Apart from its caller, like `nothing_read`.
#[inline(never)]
fn compose_header(
    region: Region,
    name: Text<NAME_LIMIT>,
    superblock: &Superblock,
    buffer: &mut Buffer,
) {
    let header = RegionHeader {
        region,
        name,
        superblock: *superblock,
    };
    header.write(buffer.bytes_mut());
}

/// The five slots, as the shared rules write to them.
pub struct Slots<'a> {
    spare: &'a Spare<'a>,
    buffer: Buffer,
}

impl<'a> Slots<'a> {
    /// The slots of `spare`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(spare: &'a Spare<'a>) -> Result<Self> {
        Ok(Self {
            spare,
            buffer: Buffer::new(GFP_KERNEL)?,
        })
    }
}

impl SlotStore for Slots<'_> {
    type Error = Errno;

    fn read_slot(&mut self, slot: Slot) -> Reading {
        let mut reading = Reading::Unreadable(Errno::EIO);
        read_slot(self.spare, slot, &mut self.buffer, &mut reading);
        reading
    }

    fn write_slot(&mut self, slot: Slot, raw: &RawCopy) -> Result<(), Errno> {
        let block = self.spare.logical_block_bytes();
        let (at, buffer) = (slot.sector(), &mut self.buffer);
        // A larger block is written whole; what others keep behind the copy stays, as far
        // as it can be read.
        if block > COPY_BYTES as u32 && self.spare.read_part(at, buffer, block).is_err() {
            *buffer.bytes_mut() = [0; BLOCK_4K_BYTES];
        }
        if let Some(copy) = buffer.bytes_mut().first_chunk_mut() {
            *copy = *raw;
        }
        self.spare.write_durably(at, buffer, block)
    }

    fn flush(&mut self) -> Result<(), Errno> {
        self.spare.flush()
    }
}
