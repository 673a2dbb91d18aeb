//! The five slots of a spare and the labels of a main, through a [`BlockStore`].

use crate::port::{BlockStore, IoError};
use crate::remap_core::commit::SlotStore;
use crate::remap_core::label::{End, LabelReading};
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::quorum::{judge, Judgement, Reading, Survey, Verdict};
use crate::remap_core::remap_table::{BlockFlaw, RawBlock, RegionHeader};
use crate::remap_core::signature;
use crate::remap_core::superblock::{RawCopy, COPY_BYTES};
use crate::remap_core::units::{PerSlot, Sector, Slot, BLOCK_4K_BYTES, SECTOR_BYTES};

/// Reads all five slots and, where none of them says that the spare is ours, looks for
/// a header of a table region. Never fails: what cannot be read is part of the survey.
pub fn survey(store: &dyn BlockStore) -> Survey {
    judged_survey(store).0
}

/// What [`survey`] reads, and what it says: judging is part of surveying, and need not
/// be done twice.
pub fn judged_survey(store: &dyn BlockStore) -> (Survey, Judgement) {
    let mut survey = Survey {
        slots: PerSlot::from_fn(|slot| read_slot(store, slot)),
        header: false,
    };
    let judgement = judge(&survey);
    if judgement.verdict != Verdict::None || find_headers(store).next().is_none() {
        return (survey, judgement);
    }
    survey.header = true;
    (survey, judge(&survey))
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

/// Reads both ends of a device where a main bears labels. Never fails: what cannot be read is
/// part of the reading.
pub fn read_labels(store: &dyn BlockStore) -> [LabelReading; 2] {
    let size = store.size();
    End::ALL.map(|end| {
        let Some(at) = end.label_sector(size) else {
            return LabelReading::Blank;
        };
        let mut bytes = [0; BLOCK_4K_BYTES];
        match read_within(store, at, &mut bytes) {
            Ok(()) => LabelReading::of(&bytes, end, size),
            Err(error) => LabelReading::Unreadable(error.errno),
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fault::{FaultRange, Faulty};
    use crate::lab::ram::RamDisk;
    use crate::port::table;
    use crate::remap_core::bytes::Text;
    use crate::remap_core::commit::{self, Authority, Intent};
    use crate::remap_core::message::Direction;
    use crate::remap_core::quorum::CopyState;
    use crate::remap_core::signature::Signature;
    use crate::remap_core::superblock::{Extension, Features, Superblock, ENTRY_BYTES};
    use crate::remap_core::units::{
        ArrayUuid, BlockSize, IdentityDigest, Sectors, Sequence, Timestamp,
    };

    const SIZE: Sectors = Sectors::new(10_000);

    fn superblock(block_size: BlockSize) -> Superblock {
        Superblock {
            sequence: Sequence::new(1),
            timestamp: Timestamp::new(0),
            main_uuid: Text::EMPTY,
            spare_uuid: Text::EMPTY,
            main_sectors: SIZE,
            spare_sectors: SIZE,
            sector_size: block_size,
            entry_size: ENTRY_BYTES,
            capacity: 64,
            main_path: Text::EMPTY,
            spare_path: Text::EMPTY,
            extension: Some(Extension {
                features: Features::default(),
                array_uuid: ArrayUuid::new([7; 16]),
                main_epoch: 0,
                main_identity: IdentityDigest::NONE,
                spare_identity: IdentityDigest::NONE,
                needs_check: false,
                layout: Layout::for_spare(SIZE, block_size).unwrap(),
            }),
        }
    }

    fn create(disk: &mut impl BlockStore, superblock: &Superblock) {
        let found = survey(disk);
        let prepared = commit::prepare(
            &judge(&found),
            &found,
            Intent::Create(superblock),
            Authority::Operator,
        );
        let mut slots = SpareSlots::new(disk);
        let committed = commit::execute(&mut slots, &prepared.unwrap(), &found).unwrap();
        assert!(committed.is_complete());
    }

    #[test]
    fn copies_are_written_and_read_back_on_every_logical_block_size() {
        for block_size in BlockSize::ALL {
            let mut disk = RamDisk::new(SIZE).with_logical_block(block_size);
            create(&mut disk, &superblock(block_size));
            assert_eq!(judge(&survey(&disk)).verdict, Verdict::Healthy);
        }
    }

    #[test]
    fn a_larger_block_keeps_what_lies_behind_the_copy() {
        let mut disk = RamDisk::new(SIZE).with_logical_block(BlockSize::B4096);
        let mut behind = [0; BLOCK_4K_BYTES];
        behind[COPY_BYTES..].fill(0xa5);
        disk.write_at(Slot::S2.sector(), &behind).unwrap();
        create(&mut disk, &superblock(BlockSize::B4096));
        let mut block = [0; BLOCK_4K_BYTES];
        disk.read_at(Slot::S2.sector(), &mut block).unwrap();
        assert!(block[COPY_BYTES..].iter().all(|byte| *byte == 0xa5));
        assert_eq!(judge(&survey(&disk)).verdict, Verdict::Healthy);
    }

    #[test]
    fn a_bad_sector_behind_a_copy_does_not_hide_it() {
        let mut disk = Faulty::new(RamDisk::new(SIZE), Vec::new());
        create(&mut disk, &superblock(BlockSize::B512));
        let bad = |from| FaultRange::bad(Direction::Read, Sector::new(from), Sectors::new(1));
        disk.faults().push(bad(1024 + 3));
        assert_eq!(judge(&survey(&disk)).verdict, Verdict::Healthy);
        disk.faults().push(bad(1024));
        let judgement = judge(&survey(&disk));
        assert_eq!(judgement.verdict, Verdict::Degraded);
        assert!(matches!(
            judgement.states.get(Slot::S1),
            CopyState::Unreadable(_)
        ));
    }

    #[test]
    fn headers_are_found_where_no_copy_is_left() {
        for block_size in BlockSize::ALL {
            let superblock = superblock(block_size);
            let blocks: Vec<_> =
                table::new_blocks(superblock, Text::new(b"vault").unwrap()).collect();
            let both = [Region::A, Region::B].map(|region| {
                let mut disk = RamDisk::new(SIZE);
                for (at, raw) in &blocks {
                    disk.write_at(*at, &**raw).unwrap();
                }
                let other = superblock.layout().unwrap().region_start(region);
                disk.write_at(other, &[0; BLOCK_4K_BYTES]).unwrap();
                disk
            });
            for disk in both {
                let found = survey(&disk);
                assert!(found.header);
                assert_eq!(judge(&found).verdict, Verdict::Lost);
                let header = find_headers(&disk).next().unwrap();
                assert_eq!(header.superblock, superblock);
                assert_eq!(header.name.trimmed(), b"vault");
            }
        }
    }

    #[test]
    fn a_header_that_was_moved_is_not_believed() {
        let superblock = superblock(BlockSize::B512);
        let (_, header) = table::new_blocks(superblock, Text::EMPTY).next().unwrap();
        let mut disk = RamDisk::new(Sectors::new(20_000));
        let elsewhere = Layout::for_spare(disk.size(), BlockSize::B512).unwrap();
        disk.write_at(elsewhere.region_b, &*header).unwrap();
        assert!(!survey(&disk).header);
    }

    #[test]
    fn what_lies_past_the_end_of_a_short_device_counts_as_blank() {
        let mut disk = RamDisk::new(Sectors::new(1025));
        let mut luks = [0; SECTOR_BYTES];
        luks[..6].copy_from_slice(b"LUKS\xba\xbe");
        disk.write_at(Slot::S1.sector(), &luks).unwrap();
        let found = survey(&disk);
        assert!(matches!(
            found.slots.get(Slot::S1),
            Reading::Read {
                signature: Some(Signature::Luks),
                ..
            }
        ));
        for slot in [Slot::S2, Slot::S3, Slot::S4] {
            assert_eq!(*judge(&found).states.get(slot), CopyState::Missing);
        }
    }
}
