// SPDX-License-Identifier: GPL-2.0-or-later
//! The five slots and the region headers, read and written through a host.
//!
//! Surveys and judgements are large. Each is made in a function of its own that is not
//! inlined, so that a kernel stack holds it for that call alone and not below the I/O that
//! follows.

use crate::remap_core::bytes::Text;
use crate::remap_core::commit::SlotStore;
use crate::remap_core::engine::host::{Full, Host, Page, Room};
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::message::Device;
use crate::remap_core::quorum::{judge, Judgement, Reading, Survey, Verdict};
use crate::remap_core::remap_table::{RegionHeader, NAME_LIMIT};
use crate::remap_core::signature;
use crate::remap_core::superblock::{RawCopy, Superblock, COPY_BYTES};
use crate::remap_core::units::{
    ArrayUuid, Errno, PerSlot, Sectors, Slot, BLOCK_4K_BYTES, BLOCK_4K_SECTORS,
};

/// 4 KiB, as a length of I/O.
const WHOLE: u32 = BLOCK_4K_BYTES as u32;

/// A reading of the slots and what it says.
pub struct Surveyed<R: Room> {
    /// The reading.
    pub survey: R::Boxed<Survey>,
    /// The judgement on it.
    pub judgement: R::Boxed<Judgement>,
}

impl<R: Room> Surveyed<R> {
    /// The superblock of the winning copy.
    #[inline(never)]
    pub fn superblock(&self) -> Option<Superblock> {
        self.judgement.superblock(&self.survey)
    }

    /// The verdict on all five.
    pub fn verdict(&self) -> Verdict {
        self.judgement.verdict
    }

    /// A verdict on which a device goes on with the superblock that wins.
    pub fn believed(&self) -> bool {
        matches!(
            self.verdict(),
            Verdict::Healthy | Verdict::Degraded | Verdict::Interrupted
        )
    }
}

/// Reads all five slots and judges them; where they say nothing, looks for a region's
/// header. A slot that cannot be read is part of the survey.
///
/// # Errors
///
/// [`Full`]: there is no memory; nothing was read then.
pub fn survey<H: Host>(
    host: &mut H,
    page: &mut <H::Room as Room>::Page,
) -> Result<Surveyed<H::Room>, Full> {
    let mut survey = nothing_read::<H::Room>()?;
    for slot in Slot::ALL {
        read_slot(host, slot, page, survey.slots.get_mut(slot));
    }
    let mut judgement = judged::<H::Room>(&survey)?;
    if judgement.verdict == Verdict::None && has_header(host, page) {
        survey.header = true;
        judgement = judged::<H::Room>(&survey)?;
    }
    Ok(Surveyed { survey, judgement })
}

/// A survey before anything was read.
#[inline(never)]
fn nothing_read<R: Room>() -> Result<R::Boxed<Survey>, Full> {
    let slots = PerSlot::from_fn(|_| Reading::Unreadable(Errno::EIO));
    R::boxed(Survey {
        slots,
        header: false,
    })
}

#[inline(never)]
fn judged<R: Room>(survey: &Survey) -> Result<R::Boxed<Judgement>, Full> {
    R::boxed(judge(survey))
}

fn read_slot<H: Host>(
    host: &mut H,
    slot: Slot,
    page: &mut <H::Room as Room>::Page,
    reading: &mut Reading,
) {
    // The slots of a spare that is cut short are past its end, where everything is blank.
    let end = slot.sector().checked_add(Sectors::new(BLOCK_4K_SECTORS));
    let there = end.is_some_and(|end| end.get() <= host.size(Device::Spare).get());
    let result = match there {
        true => host.read(Device::Spare, slot.sector(), page, WHOLE),
        false => Err(Errno::EIO),
    };
    let result = result.or_else(|_| {
        // One bad sector in the rest of the slot must not hide the copy.
        *page.raw_mut() = [0; BLOCK_4K_BYTES];
        let least = host.logical_block(Device::Spare);
        let end = slot.sector().checked_add(least.sectors());
        match end.is_some_and(|end| end.get() <= host.size(Device::Spare).get()) {
            true => host.read(Device::Spare, slot.sector(), page, least.bytes()),
            false => Ok(()),
        }
    });
    fill(reading, result, page);
}

#[inline(never)]
fn fill<P: Page>(reading: &mut Reading, result: Result<(), Errno>, page: &P) {
    *reading = match result {
        Ok(()) => Reading::Read {
            raw: *page.raw().first_chunk().unwrap_or(&[0; COPY_BYTES]),
            signature: signature::detect(page.raw()),
        },
        Err(errno) => Reading::Unreadable(errno),
    };
}

/// Whether a region's header says that the spare is ours.
fn has_header<H: Host>(host: &mut H, page: &mut <H::Room as Room>::Page) -> bool {
    Layout::header_candidates(host.size(Device::Spare)).any(|(region, at)| {
        host.read(Device::Spare, at, page, WHOLE).is_ok()
            && header_layout(page, region).is_some_and(|layout| layout.region_start(region) == at)
    })
}

#[inline(never)]
fn header_layout<P: Page>(page: &P, region: Region) -> Option<Layout> {
    let header = RegionHeader::read(page.raw(), region).ok()?;
    header.superblock.layout().copied()
}

/// The name that a region's header bears, if the header is intact and of this array.
pub(super) fn header_name<H: Host>(
    host: &mut H,
    layout: &Layout,
    array: ArrayUuid,
    region: Region,
    page: &mut <H::Room as Room>::Page,
) -> Option<Text<NAME_LIMIT>> {
    let at = layout.region_start(region);
    host.read(Device::Spare, at, page, WHOLE).ok()?;
    name_in(page, layout, array, region)
}

#[inline(never)]
fn name_in<P: Page>(
    page: &P,
    layout: &Layout,
    array: ArrayUuid,
    region: Region,
) -> Option<Text<NAME_LIMIT>> {
    let header = RegionHeader::read(page.raw(), region).ok()?;
    let same = header.array() == Some(array) && header.superblock.layout() == Some(layout);
    same.then_some(header.name)
}

/// Writes a region's header, durably.
///
/// # Errors
///
/// The spare's; what lies there is unknown then.
pub(super) fn write_header<H: Host>(
    host: &mut H,
    region: Region,
    name: Text<NAME_LIMIT>,
    superblock: &Superblock,
    page: &mut <H::Room as Room>::Page,
) -> Result<(), Errno> {
    compose_header(region, name, superblock, page);
    let layout = superblock.layout().ok_or(Errno::EIO)?;
    host.write(Device::Spare, layout.region_start(region), page, WHOLE)
}

#[inline(never)]
fn compose_header<P: Page>(
    region: Region,
    name: Text<NAME_LIMIT>,
    superblock: &Superblock,
    page: &mut P,
) {
    RegionHeader::of(region, name, superblock).write(page.raw_mut());
}

/// The five slots, as the rules write to them.
pub(super) struct Slots<'a, H: Host> {
    pub(super) host: &'a mut H,
    pub(super) page: &'a mut <H::Room as Room>::Page,
    /// Whether any slot was written to.
    pub(super) written: bool,
}

impl<H: Host> SlotStore for Slots<'_, H> {
    type Error = Errno;

    fn read_slot(&mut self, slot: Slot) -> Reading {
        let mut reading = Reading::Unreadable(Errno::EIO);
        read_slot(self.host, slot, self.page, &mut reading);
        reading
    }

    fn write_slot(&mut self, slot: Slot, raw: &RawCopy) -> Result<(), Errno> {
        let block = self.host.logical_block(Device::Spare).bytes();
        let at = slot.sector();
        // A larger block is written whole; what others keep behind the copy stays, as far
        // as it can be read.
        if block > COPY_BYTES as u32 && self.host.read(Device::Spare, at, self.page, block).is_err()
        {
            *self.page.raw_mut() = [0; BLOCK_4K_BYTES];
        }
        if let Some(copy) = self.page.raw_mut().first_chunk_mut() {
            *copy = *raw;
        }
        self.written = true;
        self.host.write(Device::Spare, at, self.page, block)
    }

    fn flush(&mut self) -> Result<(), Errno> {
        self.host.flush()
    }
}
