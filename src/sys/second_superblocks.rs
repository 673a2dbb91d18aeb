//! Further superblocks of file systems, by which their own drivers and tools would know a
//! device whose first one is gone. libblkid looks at the first alone.

use std::collections::BTreeSet;

use super::signature::{read_sector, Places};
use crate::port::block::{Signature, SignatureUse};
use crate::port::{BlockStore, IoError};
use crate::remap_core::units::{BlockSize, Sector, Sectors, SECTOR_BYTES};

/// A format, and what a sector of its superblock holds at a byte within it.
struct Magic {
    kind: &'static str,
    used_for: SignatureUse,
    at: usize,
    bytes: &'static [u8],
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Where the format puts its superblocks, in bytes, whatever the first one says.
const FIXED: [(Magic, &[u64]); 8] = [
    // The first mirror at 64 MiB, the second at 256 GiB.
    (
        file_system("btrfs", 64, b"_BHRfS_M"),
        &[64 * MIB, 256 * GIB],
    ),
    // f2fs: the second block; the kernel takes it where the first is damaged.
    (
        file_system("f2fs", 0, &[0x10, 0x20, 0xf5, 0xf2]),
        &[5 * KIB],
    ),
    // The kernel's jfs takes it where the first cannot be read.
    (file_system("jfs", 0, b"JFS1"), &[60 * KIB]),
    // FAT32: sector 6 of its own, of 512 to 4096 bytes.
    (
        file_system("vfat", 82, b"FAT32   "),
        &[3 * KIB, 6 * KIB, 12 * KIB, 24 * KIB],
    ),
    // exFAT: sector 12 of its own, of 512 to 4096 bytes.
    (
        file_system("exfat", 3, b"EXFAT   "),
        &[6 * KIB, 12 * KIB, 24 * KIB, 48 * KIB],
    ),
    // The labels of an object store of Ceph.
    (
        other("ceph_bluestore", 0, b"bluestore block device\n"),
        &[0, GIB, 10 * GIB, 100 * GIB, 1000 * GIB],
    ),
    // bcachefs, also by the magic number that it shared with bcache: behind the first one, and
    // one MiB before the end.
    (BCACHEFS, &[4 * KIB, 4 * KIB + MIB]),
    (BCACHE, &[4 * KIB, 4 * KIB + MIB]),
];

const BCACHEFS: Magic = file_system(
    "bcachefs",
    24,
    &[
        0xc6, 0x85, 0x73, 0xf6, 0x66, 0xce, 0x90, 0xa9, 0xd9, 0x6a, 0x60, 0xcf, 0x80, 0x3d, 0xf7,
        0xef,
    ],
);

const BCACHE: Magic = other(
    "bcache",
    24,
    &[
        0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d,
        0x81,
    ],
);

/// The boot sector of NTFS, of which the last sector of the volume is a copy; older ones
/// have it in the middle.
const NTFS: Magic = file_system("ntfs", 3, b"NTFS    ");

/// The volume headers of HFS Plus and HFSX, of which the last sector but one holds a copy.
const HFS: [Magic; 2] = [
    file_system("hfsplus", 0, b"H+\0\x04"),
    file_system("hfsplus", 0, b"HX\0\x05"),
];

/// The superblock of ext2, ext3 and ext4, and that of XFS.
const EXT: Magic = file_system("ext4", 56, &[0x53, 0xef]);
const XFS: Magic = file_system("xfs", 0, b"XFSB");

/// A file system has a few tens of them; what claims more is not followed further.
const MOST: u64 = 1024;

/// The formats keep most of theirs within so many bytes, which are read at once.
const FRONT: u64 = 64 * KIB;

const fn file_system(kind: &'static str, at: usize, bytes: &'static [u8]) -> Magic {
    Magic {
        kind,
        used_for: SignatureUse::FileSystem,
        at,
        bytes,
    }
}

const fn other(kind: &'static str, at: usize, bytes: &'static [u8]) -> Magic {
    Magic {
        used_for: SignatureUse::Other,
        ..file_system(kind, at, bytes)
    }
}

impl Magic {
    fn is_in(&self, sector: &[u8; SECTOR_BYTES]) -> bool {
        sector[self.at..].starts_with(self.bytes)
    }
}

/// A device, and what was read of its front at once.
struct Reader<'a> {
    store: &'a dyn BlockStore,
    front: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(store: &'a dyn BlockStore) -> Self {
        let mut front = vec![0; FRONT as usize];
        let is_there = store.size().get() >= Sectors::from_bytes(FRONT).get();
        if !is_there || store.read_at(Sector::new(0), &mut front).is_err() {
            front.clear();
        }
        Self { store, front }
    }

    /// The sector at `at`; none behind the end of the device.
    fn sector(&self, at: Sector) -> Result<Option<[u8; SECTOR_BYTES]>, IoError> {
        let start = at.byte_offset().and_then(|at| usize::try_from(at).ok());
        let in_front = start.and_then(|start| self.front.get(start..)?.first_chunk());
        if let Some(sector) = in_front {
            return Ok(Some(*sector));
        }
        let is_there = at.get() < self.store.size().get();
        is_there.then(|| read_sector(self.store, at)).transpose()
    }

    /// Adds to `places` those on the device of which the content is `wanted`.
    fn add_where(
        &self,
        magic: &Magic,
        sectors: impl Iterator<Item = Sector>,
        wanted: impl Fn(&[u8; SECTOR_BYTES]) -> bool,
        places: &mut Places,
    ) -> Result<(), IoError> {
        for at in sectors {
            if self.sector(at)?.is_some_and(|sector| wanted(&sector)) {
                let found = || Signature::at(magic.kind, magic.used_for, at);
                places.entry(at).or_insert_with(found);
            }
        }
        Ok(())
    }
}

/// Adds to `places` every further superblock that is there.
///
/// # Errors
///
/// [`IoError`] if they cannot be read.
pub(super) fn add(store: &dyn BlockStore, places: &mut Places) -> Result<(), IoError> {
    let reader = Reader::new(store);
    let mut add = |magic: &Magic, sectors: &mut dyn Iterator<Item = Sector>| {
        reader.add_where(magic, sectors, |it| magic.is_in(it), places)
    };
    for (magic, bytes) in &FIXED {
        let bytes = bytes.iter().copied();
        let mut sectors = bytes.map(|at| Sector::new(at / SECTOR_BYTES as u64));
        add(magic, &mut sectors)?;
    }
    for magic in [BCACHEFS, BCACHE] {
        add(&magic, &mut mebibyte_before_end(store))?;
    }
    add(&NTFS, &mut ends(store))?;
    for magic in HFS {
        let last_but_one = store.size().get().checked_sub(2).map(Sector::new);
        add(&magic, &mut last_but_one.into_iter())?;
    }
    add_zfs(store, places)?;
    if let Some(first) = reader.sector(Sector::new(2))?.filter(|it| EXT.is_in(it)) {
        // What is of another file system is the content of a file.
        let is_of_first =
            |it: &[u8; SECTOR_BYTES]| EXT.is_in(it) && it[104..120] == first[104..120];
        let second = reader.sector(Sector::new(3))?;
        let groups = groups_of_ext(&first, &second.unwrap_or([0; SECTOR_BYTES]));
        reader.add_where(&EXT, groups, is_of_first, places)?;
    }
    if let Some(first) = reader.sector(Sector::new(0))?.filter(|it| XFS.is_in(it)) {
        let is_of_first = |it: &[u8; SECTOR_BYTES]| XFS.is_in(it) && it[32..48] == first[32..48];
        reader.add_where(&XFS, groups_of_xfs(&first), is_of_first, places)?;
    }
    Ok(())
}

/// A label of ZFS: 256 KiB, of which the second half is a ring of uberblocks. There are two at
/// either end; libblkid wants four uberblocks, and a device of 64 MiB.
const ZFS_LABEL: u64 = 256 * KIB;

/// The least space that an uberblock takes.
const UBERBLOCK: usize = 1 << 10;

/// Adds every uberblock of ZFS in any of the four labels.
fn add_zfs(store: &dyn BlockStore, places: &mut Places) -> Result<(), IoError> {
    let end = store.size().bytes().unwrap_or(u64::MAX) / ZFS_LABEL * ZFS_LABEL;
    if end < 4 * ZFS_LABEL {
        return Ok(());
    }
    let mut ring = vec![0; ZFS_LABEL as usize / 2];
    for label in [0, ZFS_LABEL, end - 2 * ZFS_LABEL, end - ZFS_LABEL] {
        let start = (label + ZFS_LABEL / 2) / SECTOR_BYTES as u64;
        store.read_at(Sector::new(start), &mut ring)?;
        for (place, uberblock) in ring.chunks_exact(UBERBLOCK).enumerate() {
            if is_uberblock(uberblock) {
                let at = Sector::new(start + (place * UBERBLOCK / SECTOR_BYTES) as u64);
                let found = || Signature::at("zfs_member", SignatureUse::Raid, at);
                places.entry(at).or_insert_with(found);
            }
        }
    }
    Ok(())
}

/// Whether these bytes begin as an uberblock does, in either order of bytes: a magic number,
/// then a version, which is 1 to 28 or 5000.
fn is_uberblock(bytes: &[u8]) -> bool {
    const MAGIC: u64 = 0x00ba_b10c;
    let word = |at: usize| bytes.get(at..)?.first_chunk::<8>();
    let (Some(magic), Some(version)) = (word(0), word(8)) else {
        return false;
    };
    let version = match () {
        () if u64::from_le_bytes(*magic) == MAGIC => u64::from_le_bytes(*version),
        () if u64::from_be_bytes(*magic) == MAGIC => u64::from_be_bytes(*version),
        () => return false,
    };
    matches!(version, 1..=28 | 5000)
}

/// Where the last superblock of bcachefs may begin: one MiB before an end that is rounded down
/// to its buckets, of which the size is not known.
fn mebibyte_before_end(store: &dyn BlockStore) -> impl Iterator<Item = Sector> {
    let size = store.size().get();
    let buckets = (7..=13).map(|shift| 1u64 << shift);
    let ends = std::iter::once(size).chain(buckets.map(move |bucket| size / bucket * bucket));
    let ends: BTreeSet<u64> = ends.collect();
    let mebibyte = MIB / SECTOR_BYTES as u64;
    let places = ends
        .into_iter()
        .filter_map(move |end| end.checked_sub(mebibyte));
    places.map(Sector::new)
}

/// Where a boot sector of NTFS may lie again: in the middle, or in the last block, of a size
/// that may have been another one when it was written.
fn ends(store: &dyn BlockStore) -> impl Iterator<Item = Sector> {
    let size = store.size().get();
    let units = [BlockSize::B512, BlockSize::B4096].map(|unit| unit.sectors().get());
    let last = units
        .into_iter()
        .filter_map(move |unit| Some((size / unit).checked_sub(1)? * unit));
    last.chain([size / 2]).map(Sector::new)
}

/// Where groups begin that may hold a superblock again: the first, and the powers of 3, 5
/// and 7, and the two that the superblock's second sector names. A file system from before
/// that rule has one in each group.
fn groups_of_ext(
    first: &[u8; SECTOR_BYTES],
    second: &[u8; SECTOR_BYTES],
) -> impl Iterator<Item = Sector> {
    let block_sectors = 2u64 << u32::from_le_bytes(four(first, 24)).min(6);
    let first_block = u64::from(u32::from_le_bytes(four(first, 20)));
    let group_blocks = u64::from(u32::from_le_bytes(four(first, 32)));
    let sparse = u32::from_le_bytes(four(first, 100)) & 1 != 0;
    let powers = [3, 5, 7].into_iter().flat_map(|base: u64| {
        std::iter::successors(Some(base), move |group| group.checked_mul(base))
            .take_while(|group| *group <= u64::from(u32::MAX))
    });
    let each = 2..if sparse { 2 } else { MOST };
    let named = [76, 80].map(|at| u64::from(u32::from_le_bytes(four(second, at))));
    let groups = std::iter::once(1).chain(powers).chain(each).chain(named);
    groups.filter(|group| *group != 0).filter_map(move |group| {
        let block = group.checked_mul(group_blocks)?.checked_add(first_block)?;
        block.checked_mul(block_sectors).map(Sector::new)
    })
}

/// Where the allocation groups of XFS begin, each with a superblock.
fn groups_of_xfs(first: &[u8; SECTOR_BYTES]) -> impl Iterator<Item = Sector> {
    let block_sectors = u64::from(u32::from_be_bytes(four(first, 4))) / SECTOR_BYTES as u64;
    let group_blocks = u64::from(u32::from_be_bytes(four(first, 84)));
    let groups = u64::from(u32::from_be_bytes(four(first, 88)));
    (1..groups.min(MOST)).filter_map(move |group| {
        let block = group.checked_mul(group_blocks)?;
        block.checked_mul(block_sectors).map(Sector::new)
    })
}

fn four(sector: &[u8; SECTOR_BYTES], at: usize) -> [u8; 4] {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&sector[at..at + 4]);
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::port::Access;
    use crate::sys::file::BlockFile;
    use crate::sys::Roots;

    /// A sector that holds `parts`, each at its byte.
    fn sector(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut sector = vec![0; SECTOR_BYTES];
        for (at, part) in parts {
            sector[*at..*at + part.len()].copy_from_slice(part);
        }
        sector
    }

    /// The further superblocks on an image that holds `sectors`.
    fn places(bytes: u64, sectors: &[(u64, Vec<u8>)]) -> Vec<u64> {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(bytes).unwrap();
        for (at, sector) in sectors {
            let at = at * SECTOR_BYTES as u64;
            file.as_file().write_all_at(sector, at).unwrap();
        }
        let store = BlockFile::open(file.path(), Access::Read, &Roots::default()).unwrap();
        let mut found = Places::new();
        add(&store, &mut found).unwrap();
        found.into_keys().map(Sector::get).collect()
    }

    #[test]
    fn formats_with_fixed_places_are_found_without_their_first_superblock() {
        let btrfs = sector(&[(64, b"_BHRfS_M")]);
        let f2fs = sector(&[(0, &[0x10, 0x20, 0xf5, 0xf2])]);
        let jfs = sector(&[(0, b"JFS1")]);
        let fat = sector(&[(82, b"FAT32   ")]);
        let exfat = sector(&[(3, b"EXFAT   ")]);
        let ntfs = sector(&[(3, b"NTFS    ")]);
        let size = 96 * MIB + 3 * 512;
        let last = size / 512 - 1;
        let cases: [(&str, &[u8], &[u64]); 6] = [
            ("btrfs", &btrfs, &[131_072]),
            ("f2fs", &f2fs, &[10]),
            ("jfs", &jfs, &[120]),
            ("fat", &fat, &[6, 12, 24, 48]),
            ("exfat", &exfat, &[12, 24, 48, 96]),
            ("ntfs", &ntfs, &[last.div_ceil(2), last - 10, last]),
        ];
        for (what, superblock, expected) in cases {
            let written: Vec<_> = expected
                .iter()
                .map(|at| (*at, superblock.to_vec()))
                .collect();
            assert_eq!(places(size, &written), expected, "{what}");
            let beside: Vec<_> = expected
                .iter()
                .map(|at| (at - 2, superblock.to_vec()))
                .collect();
            assert_eq!(places(size, &beside), [0; 0], "beside {what}");
        }
    }

    #[test]
    fn labels_at_far_ends_and_single_uberblocks_are_found() {
        let mut uberblock = vec![0; SECTOR_BYTES];
        uberblock[..8].copy_from_slice(&0x00ba_b10cu64.to_be_bytes());
        uberblock[8..16].copy_from_slice(&5000u64.to_be_bytes());
        // 16 MiB and a bit: each label alone is enough.
        let end = 16 * MIB / 512;
        for at in [256 + 14, 768 + 2, end - 1024 + 256, end - 256] {
            assert_eq!(places(16 * MIB + 4096, &[(at, uberblock.clone())]), [at]);
            let beside = [(at + 1, uberblock.clone())];
            assert_eq!(places(16 * MIB + 4096, &beside), [0; 0]);
        }
        uberblock[15] = 1;
        assert_eq!(
            places(16 * MIB, &[(256, uberblock)]),
            [0; 0],
            "no such version"
        );
        let label = sector(&[(0, b"bluestore block device\n")]);
        for at in [0, GIB, 10 * GIB, 100 * GIB, 1000 * GIB].map(|at| at / 512) {
            assert_eq!(places(1001 * GIB, &[(at, label.clone())]), [at]);
        }
        for magic in [BCACHEFS, BCACHE] {
            let superblock = sector(&[(24, magic.bytes)]);
            for at in [8, 8 + 2048, 65 * 2048, 65 * 2048 + 100] {
                let size = 66 * MIB + 100 * 512;
                assert_eq!(places(size, &[(at, superblock.clone())]), [at], "{at}");
            }
        }
    }

    /// A superblock of ext4 with blocks of `1024 << shift` bytes, 8192 to a group.
    fn ext(shift: u32, features: u32, uuid: u8) -> Vec<u8> {
        let first_block = u32::from(shift == 0);
        sector(&[
            (20, &first_block.to_le_bytes()),
            (24, &shift.to_le_bytes()),
            (32, &8192u32.to_le_bytes()),
            (56, &[0x53, 0xef]),
            (100, &features.to_le_bytes()),
            (104, &[uuid; 16]),
        ])
    }

    #[test]
    fn groups_of_ext_are_looked_through_for_what_is_of_the_same_file_system() {
        let group = |number: u64| number * 16384;
        for (what, shift, features, groups) in [
            ("1 KiB blocks", 0, 1, vec![1, 3, 5, 7, 9]),
            ("4 KiB blocks", 2, 1, vec![1, 3]),
            ("one in each group", 0, 0, vec![1, 2, 3, 4, 5, 6]),
        ] {
            let at = |number: &u64| (group(*number) << shift) + if shift == 0 { 2 } else { 0 };
            let expected: Vec<u64> = groups.iter().map(at).collect();
            let superblock = ext(shift, features, 7);
            let mut written = vec![(2, superblock.clone())];
            written.extend(expected.iter().map(|at| (*at, superblock.clone())));
            assert_eq!(places(200 * MIB, &written), expected, "{what}");
            // Without the first one nothing says where they would be, nor whose they are.
            assert_eq!(places(200 * MIB, &written[1..]), [0; 0], "{what}");
            written[0].1 = ext(shift, features, 8);
            assert_eq!(places(200 * MIB, &written), [0; 0], "another's: {what}");
        }
        let named = sector(&[(76, &1u32.to_le_bytes()), (80, &11u32.to_le_bytes())]);
        let last = group(11) + 2;
        let written = [(2, ext(0, 1, 7)), (3, named), (last, ext(0, 1, 7))];
        assert_eq!(places(200 * MIB, &written), [last]);
    }

    /// A superblock of XFS with so many groups of so many blocks of 4 KiB.
    fn xfs(group_blocks: u32, groups: u32) -> Vec<u8> {
        sector(&[
            (0, b"XFSB"),
            (4, &4096u32.to_be_bytes()),
            (32, &[9; 16]),
            (84, &group_blocks.to_be_bytes()),
            (88, &groups.to_be_bytes()),
        ])
    }

    #[test]
    fn every_allocation_group_of_xfs_is_looked_at() {
        let superblock = xfs(4096, 4);
        let written = [0, 32768, 65536, 98304].map(|at| (at, superblock.clone()));
        assert_eq!(places(96 * MIB, &written), [32768, 65536, 98304]);
    }

    #[test]
    fn what_makes_no_sense_leads_nowhere() {
        let all = vec![0xff; SECTOR_BYTES];
        let nonsense = |mut first: Vec<u8>, from: usize, to: usize| {
            first[from..to].copy_from_slice(&all[from..to]);
            first
        };
        for first in [
            xfs(0, u32::MAX),
            xfs(u32::MAX, u32::MAX),
            nonsense(xfs(1, 1), 4, 8),
        ] {
            let found = places(MIB, &[(0, first)]);
            assert!(found.iter().all(|at| *at == 0), "{found:?}");
        }
        assert_eq!(places(MIB, &[(2, nonsense(ext(0, 0, 7), 20, 36))]), [0; 0]);
        assert_eq!(places(512, &[]), [0; 0]);
        assert_eq!(places(0, &[]), [0; 0]);
    }
}
