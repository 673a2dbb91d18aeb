// SPDX-License-Identifier: GPL-2.0-or-later
//! The metadata on the spare, read and written in process context.

use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::device::{Buffer, Device};
use crate::remap_core::quorum::{judge, Judgement, Reading, Survey};
use crate::remap_core::signature;
use crate::remap_core::superblock::COPY_BYTES;
use crate::remap_core::units::{Errno, PerSlot, Slot};

/// Reads all five slots and judges them. What cannot be read is part of the survey.
///
/// # Errors
///
/// `ENOMEM`, before anything was read.
pub fn survey(spare: &Device<'_>) -> Result<(KBox<Survey>, KBox<Judgement>)> {
    let mut buffer = Buffer::new(GFP_KERNEL)?;
    let mut survey = nothing_read()?;
    for slot in Slot::ALL {
        read_slot(spare, slot, &mut buffer, survey.slots.get_mut(slot));
    }
    let judgement = KBox::new(judge(&survey), GFP_KERNEL)?;
    Ok((survey, judgement))
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

fn read_slot(spare: &Device<'_>, slot: Slot, buffer: &mut Buffer, reading: &mut Reading) {
    let result = spare.read(slot.sector(), buffer);
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
