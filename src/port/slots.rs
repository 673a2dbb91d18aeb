//! The five slots of a spare, read and written through a [`BlockStore`].

use crate::port::{BlockStore, IoError};
use crate::remap_core::commit::SlotStore;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::quorum::{judge, Reading, Survey, Verdict};
use crate::remap_core::remap_table::{BlockFlaw, RawBlock, RegionHeader};
use crate::remap_core::signature;
use crate::remap_core::superblock::{RawCopy, COPY_BYTES};
use crate::remap_core::units::{PerSlot, Sector, Slot, BLOCK_4K_BYTES, SECTOR_BYTES};

/// Reads all five slots and, where none of them says that the spare is ours, looks for
/// a header of a table region. Never fails: what cannot be read is part of the survey.
pub fn survey(store: &dyn BlockStore) -> Survey {
    let mut survey = Survey {
        slots: PerSlot::from_fn(|slot| read_slot(store, slot)),
        header: false,
    };
    if judge(&survey).verdict == Verdict::None {
        survey.header = find_headers(store).next().is_some();
    }
    survey
}

/// Reads one slot: its first 512 bytes, and whose signature lies in its 4 KiB. What
/// lies past the end of a short device counts as blank.
pub fn read_slot(store: &dyn BlockStore, slot: Slot) -> Reading {
    let mut bytes = [0; BLOCK_4K_BYTES];
    let result = read_within(store, slot.sector(), &mut bytes).or_else(|_| {
        // One bad sector in the rest of the slot must not hide the copy.
        bytes = [0; BLOCK_4K_BYTES];
        let block = store.logical_block().bytes() as usize;
        read_within(store, slot.sector(), &mut bytes[..block])
    });
    match result {
        Ok(()) => Reading::Read {
            raw: *bytes
                .first_chunk::<COPY_BYTES>()
                .unwrap_or(&[0; COPY_BYTES]),
            signature: signature::detect(&bytes),
        },
        Err(error) => Reading::Unreadable(error.errno),
    }
}

/// Reads what there is of `bytes`; the rest stays as it is.
fn read_within(store: &dyn BlockStore, at: Sector, bytes: &mut [u8]) -> Result<(), IoError> {
    let there = store.size().get().saturating_sub(at.get());
    let there = usize::try_from(there)
        .unwrap_or(usize::MAX)
        .saturating_mul(SECTOR_BYTES);
    match bytes.len().min(there) {
        0 => Ok(()),
        length => store.read_at(at, &mut bytes[..length]),
    }
}

/// Reads the header block of a region at `at`.
///
/// # Errors
///
/// [`BlockFlaw`]; nothing of it may be used then.
pub fn read_header(
    store: &dyn BlockStore,
    region: Region,
    at: Sector,
) -> Result<RegionHeader, BlockFlaw> {
    let mut raw: RawBlock = [0; BLOCK_4K_BYTES];
    read_within(store, at, &mut raw).map_err(|_| BlockFlaw::Unreadable)?;
    RegionHeader::read(&raw, region)
}

/// Looks for region headers where the size of the spare alone says that they may lie,
/// without the help of any copy. A header that does not belong where it was found is
/// passed over.
pub fn find_headers(store: &dyn BlockStore) -> impl Iterator<Item = RegionHeader> + '_ {
    Layout::header_candidates(store.size()).filter_map(|(region, at)| {
        read_header(store, region, at).ok().filter(|header| {
            let layout = header.superblock.layout();
            layout.is_some_and(|layout| layout.region_start(region) == at)
        })
    })
}

/// The five slots of a spare that is held for writing.
pub struct SpareSlots<'a> {
    store: &'a mut dyn BlockStore,
}

impl<'a> SpareSlots<'a> {
    /// The slots of `store`.
    pub fn new(store: &'a mut dyn BlockStore) -> Self {
        Self { store }
    }

    fn put(&mut self, slot: Slot, raw: &RawCopy) -> Result<(), IoError> {
        let block = self.store.logical_block().bytes() as usize;
        if block == COPY_BYTES {
            return self.store.write_at(slot.sector(), raw);
        }
        // A larger block is written whole; what others keep behind the copy stays, as
        // far as it can be read.
        let mut bytes = [0; BLOCK_4K_BYTES];
        let bytes = &mut bytes[..block];
        if self.store.read_at(slot.sector(), bytes).is_err() {
            bytes.fill(0);
        }
        bytes[..COPY_BYTES].copy_from_slice(raw);
        self.store.write_at(slot.sector(), bytes)
    }
}

impl SlotStore for SpareSlots<'_> {
    type Error = IoError;

    fn read_slot(&mut self, slot: Slot) -> Reading {
        read_slot(self.store, slot)
    }

    fn write_slot(&mut self, slot: Slot, raw: &RawCopy) -> Result<(), IoError> {
        self.put(slot, raw)?;
        self.store.flush()
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.store.flush()
    }
}
