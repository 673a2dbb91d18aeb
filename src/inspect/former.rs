//! Region headers that an earlier array left, told from those of the present one.
//!
//! The start of region B depends on the remap unit, so a spare that was set up anew may hold
//! headers of several arrays. Whoever sets a spare up writes every block of both regions: a
//! block of another array among those of a header is therefore younger than the header.
//! Sequences say nothing here; they order the copies of one array.

use super::HeaderReading;
use crate::port::BlockStore;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::remap_table::{array_of_block, RegionHeader};
use crate::remap_core::units::{ArrayUuid, Sector, BLOCK_4K_BYTES, BLOCK_4K_SECTORS};

/// Blocks at either end of a region that are looked at: regions of two arrays overlap there.
const LOOKED_AT: u32 = 64;

/// Leaves out the headers that something younger lies over, unless that is all of them.
pub(super) fn present(store: &dyn BlockStore, headers: Vec<HeaderReading>) -> Vec<HeaderReading> {
    let is_present = |read: &HeaderReading| {
        let header = read.header.as_deref();
        header.is_ok_and(|header| !is_superseded(store, header))
    };
    let kept: Vec<HeaderReading> = headers
        .iter()
        .filter(|it| is_present(it))
        .cloned()
        .collect();
    if kept.is_empty() {
        headers
    } else {
        kept
    }
}

/// Tells whether a block of another array lies among those that this header describes.
fn is_superseded(store: &dyn BlockStore, header: &RegionHeader) -> bool {
    let Some((layout, array)) = header.superblock.layout().zip(header.array()) else {
        return false;
    };
    let mut pieces = Region::ALL
        .into_iter()
        .flat_map(|region| pieces_of(layout, region));
    pieces.any(|(at, blocks)| holds_another(store, at, blocks, array))
}

/// Both ends of a region; all of it where it is short.
fn pieces_of(layout: &Layout, region: Region) -> impl Iterator<Item = (Sector, u32)> {
    let blocks = layout.region_blocks;
    let length = blocks.min(LOOKED_AT);
    let start = layout.region_start(region);
    [0, blocks - length].into_iter().map(move |first| {
        let distance = u64::from(first) * BLOCK_4K_SECTORS;
        (Sector::new(start.get() + distance), length)
    })
}

fn holds_another(store: &dyn BlockStore, at: Sector, blocks: u32, array: ArrayUuid) -> bool {
    let mut raw = Box::new([0; BLOCK_4K_BYTES]);
    (0..u64::from(blocks)).any(|block| {
        let at = Sector::new(at.get() + block * BLOCK_4K_SECTORS);
        let is_read = store.read_at(at, &mut *raw).is_ok();
        is_read && array_of_block(&raw).is_some_and(|of| of != array)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{inspect, Inspection};
    use crate::lab::ram::RamDisk;
    use crate::remap_core::quorum::Verdict;
    use crate::remap_core::superblock::Superblock;
    use crate::remap_core::units::{BlockSize, Sequence, Slot};
    use crate::tui::sample;

    /// The superblock of an array with this remap unit, on which the place of region B depends.
    fn superblock(array: u8, unit: BlockSize, sequence: u64) -> Superblock {
        let mut made = sample::superblock(array, "disk-a", "disk-b");
        made.sequence = Sequence::new(sequence);
        if let Some(extension) = &mut made.extension {
            extension.layout = Layout::for_spare(made.spare_sectors, unit).unwrap();
        }
        made
    }

    /// A spare that was set up for one array after another, and whose copies are all lost.
    fn lost(arrays: &[Superblock]) -> RamDisk {
        let mut disk = RamDisk::new(arrays[0].spare_sectors);
        for array in arrays {
            for (at, raw) in sample::spare(*array, "vault").written() {
                disk.write_at(at, raw).unwrap();
            }
        }
        for slot in Slot::ALL {
            disk.write_at(slot.sector(), &[0; 512]).unwrap();
        }
        disk
    }

    fn look(disk: &RamDisk) -> Inspection {
        inspect(disk, &sample::path("disk-b"))
    }

    fn of(array: u8) -> ArrayUuid {
        ArrayUuid::new([array; 16])
    }

    /// Writes over the header of a region.
    fn destroy(disk: &mut RamDisk, array: &Superblock, region: Region) {
        let at = array.layout().unwrap().region_start(region);
        disk.write_at(at, &[0x5a; BLOCK_4K_BYTES]).unwrap();
    }

    #[test]
    fn an_earlier_array_is_never_taken_for_the_present_one() {
        let units = [BlockSize::B512, BlockSize::B1024, BlockSize::B4096];
        for (one, other) in units.iter().flat_map(|one| units.map(|it| (*one, it))) {
            // The sequence of the earlier one is the higher: it says nothing here.
            let (former, present) = (superblock(1, one, 900), superblock(2, other, 3));
            let disk = lost(&[former, present]);
            for gone in [None, Some(Region::A), Some(Region::B)] {
                let mut disk = disk.clone();
                if let Some(region) = gone {
                    destroy(&mut disk, &present, region);
                }
                let seen = look(&disk);
                let told = format!("{one} then {other}, without {gone:?}");
                assert_eq!(seen.verdict(), Verdict::Lost, "{told}");
                assert_eq!(seen.recoverable_arrays(), [of(2)], "{told}");
                assert_eq!(seen.array_uuid(), Some(of(2)), "{told}");
                assert!(seen.recoverable_as(of(1)).is_none(), "{told}");
            }
        }
    }

    /// Without any header of the present array what is left is told, and not hidden.
    #[test]
    fn where_an_earlier_header_is_all_that_is_left_it_is_told() {
        let former = superblock(1, BlockSize::B512, 9);
        let present = superblock(2, BlockSize::B4096, 3);
        let mut disk = lost(&[former, present]);
        let alone = look(&disk);
        assert_eq!(alone.recoverable_arrays(), [of(2)]);
        for region in Region::ALL {
            destroy(&mut disk, &present, region);
        }
        assert_eq!(look(&disk).recoverable_arrays(), [of(1)]);
    }

    #[test]
    fn two_arrays_that_nothing_tells_apart_are_both_told_and_neither_is_chosen() {
        // Each has blocks of the other within its regions.
        let arrays = [(1, BlockSize::B512), (2, BlockSize::B4096)];
        let arrays = arrays.map(|(array, unit)| superblock(array, unit, 5));
        let layouts = arrays.map(|array| *array.layout().unwrap());
        let disks = arrays.map(|array| sample::spare(array, "vault"));
        let mut disk = RamDisk::new(arrays[0].spare_sectors);
        let is_region_b = |(at, _): &(Sector, &[u8])| *at >= layouts[0].region_b;
        for (at, raw) in disks[0].written().filter(is_region_b) {
            disk.write_at(at, raw).unwrap();
        }
        let mut header = [0; BLOCK_4K_BYTES];
        let at = layouts[1].region_a;
        disks[1].read_at(at, &mut header).unwrap();
        disk.write_at(at, &header).unwrap();
        let seen = look(&disk);
        let headers = seen.headers.len();
        assert_eq!(
            (headers, seen.recoverable_arrays()),
            (2, vec![of(1), of(2)])
        );
        assert!(seen.recoverable().is_none() && seen.array_uuid().is_none());
        for array in [1, 2] {
            let chosen = seen.recoverable_as(of(array)).unwrap();
            assert_eq!(chosen.array(), Some(of(array)));
        }
    }
}
