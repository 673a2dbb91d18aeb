//! Signatures of others on an opened device or image, found by libblkid.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::os::fd::AsRawFd as _;

use libblkid_rs::{
    BlkidErr, BlkidPartition, BlkidProbe, BlkidProbeRet, BlkidSublks, BlkidSublksFlags,
};

use super::second_superblocks;
use crate::port::block::{Partition, Signature, SignatureUse};
use crate::port::{BlockStore, IoError};
use crate::remap_core::units::{BlockSize, Errno, Sector, Sectors, SECTOR_BYTES};

/// A device has a few signatures, left by whoever used it before; a library that finds
/// more than this goes round in circles.
const MOST: usize = 64;

/// Finds what others wrote on `file` to know it again, each signature once, in the order
/// in which libblkid looks.
///
/// # Errors
///
/// [`IoError`] if the device cannot be looked over and nothing was found before.
pub(super) fn find(file: &File) -> Result<Vec<Signature>, IoError> {
    find_within(file, 0, 0)
}

/// The same on a partition of it.
///
/// # Errors
///
/// The same.
pub(super) fn find_in(file: &File, partition: &Partition) -> Result<Vec<Signature>, IoError> {
    let bytes = |sectors: u64| sectors.saturating_mul(SECTOR_BYTES as u64);
    let (start, length) = (partition.start.get(), partition.length.get());
    let offset = i64::try_from(bytes(start)).unwrap_or(i64::MAX);
    find_within(
        file,
        offset,
        i64::try_from(bytes(length)).unwrap_or(i64::MAX),
    )
}

/// What lies within so many bytes from `offset` on; within all of it for a length of 0.
fn find_within(file: &File, offset: i64, length: i64) -> Result<Vec<Signature>, IoError> {
    let mut found: Vec<Signature> = Vec::new();
    match probe(file, offset, length, &mut found) {
        Err(error) if found.is_empty() => Err(io_error(&error)),
        // What was found is there, whatever could not be read behind it.
        _ => Ok(found),
    }
}

/// The partitions in the table of `file`, in the order of their numbers, but for extended
/// ones: those hold others and no data.
///
/// # Errors
///
/// [`IoError`] if the device cannot be looked over.
pub(super) fn partitions(file: &File) -> Result<Vec<Partition>, IoError> {
    let mut probe = begin(file).map_err(|error| io_error(&error))?;
    // That there is no table is an error to the library.
    let Ok(mut list) = probe.get_partitions() else {
        return Ok(Vec::new());
    };
    let count = list.number_of_partitions().unwrap_or(0);
    let each = (0..count).filter_map(|index| list.get_partition(index).ok());
    let data = each
        .filter(|entry| !entry.is_extended())
        .filter_map(|entry| {
            let number = entry.get_partno().ok()?;
            Some(Partition {
                number,
                boots: boots(&entry),
                uuid: uuid_of(&entry, number),
                label: entry
                    .get_name()
                    .ok()
                    .flatten()
                    .filter(|label| !label.is_empty()),
                start: Sector::new(u64::try_from(*entry.get_start().as_ref()).ok()?),
                length: Sectors::new(u64::try_from(*entry.get_size().as_ref()).ok()?),
            })
        });
    let mut partitions: Vec<Partition> = data.collect();
    partitions.sort_by_key(|partition| partition.number);
    partitions.dedup_by_key(|partition| partition.number);
    Ok(partitions)
}

/// Whether firmware boots from a partition: the system partition of EFI (UEFI 2.10, 5.2.2 and
/// 5.3.3), that of a boot loader for a BIOS in a GUID partition table (GRUB's manual, 3.4), and
/// what an MBR marks as active.
fn boots(entry: &BlkidPartition<'_>) -> bool {
    const GUIDS: [&str; 2] = [
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
        "21686148-6449-6e6f-744e-656564454649",
    ];
    const MBR_TYPE: i32 = 0xef;
    const MBR_ACTIVE: u64 = 0x80;
    let table = entry.get_table().and_then(|table| table.get_type());
    match table.as_deref() {
        Ok("dos") => entry.get_type() == MBR_TYPE || entry.get_flags() == MBR_ACTIVE,
        Ok("gpt") => entry
            .get_type_string()
            .is_ok_and(|kind| GUIDS.iter().any(|guid| guid.eq_ignore_ascii_case(&kind))),
        _ => false,
    }
}

/// The UUID of a partition: its own, or in a table without such the table's with its number.
fn uuid_of(entry: &BlkidPartition<'_>, number: u32) -> Option<String> {
    let own = entry.get_uuid().ok().flatten();
    own.map(|uuid| uuid.to_string()).or_else(|| {
        let table = entry.get_table().ok()?.get_id().ok()?;
        (!table.is_empty()).then(|| format!("{table}-{number:02x}"))
    })
}

/// Every place where a magic number lies by which others know `file`, found as if each had
/// been zeros before the next was looked for. Partition tables are not among them: see
/// [`with_the_rest`].
///
/// # Errors
///
/// [`IoError`] if the device cannot be looked over.
pub(super) fn places(file: &File) -> Result<Found, IoError> {
    hide_each(file).map_err(|error| io_error(&error))
}

/// Signatures by the sectors in which they lie.
pub(super) type Places = BTreeMap<Sector, Signature>;

/// What [`places`] found.
#[derive(Debug, Default)]
pub(super) struct Found {
    places: Places,
    /// Partition tables, by the names that libblkid has for them.
    tables: BTreeSet<String>,
}

/// A device has a few of these for each format that was ever on it, but for ZFS, which has
/// some hundred and twenty in each of four labels.
const MOST_PLACES: usize = 1024;

fn hide_each(file: &File) -> Result<Found, BlkidErr> {
    let mut probe = begin(file)?;
    let mut found = Found::default();
    for _ in 0..MOST_PLACES {
        if probe.do_probe()? == BlkidProbeRet::Done {
            break;
        }
        if let Ok(table) = probe.lookup_value("PTTYPE") {
            found.tables.insert(table);
        }
        let offset = probe.lookup_value("SBMAGIC_OFFSET").ok();
        let Some(offset) = offset.and_then(|text| text.parse::<u64>().ok()) else {
            continue;
        };
        let sector = Sector::new(offset / SECTOR_BYTES as u64);
        let is_new = !found.places.contains_key(&sector);
        if let (true, Some(signature)) = (is_new, read(&probe)) {
            found.places.insert(sector, signature);
        }
        // What cannot be hidden would be found again and again: then the next format is
        // looked for.
        if is_new && hide(&mut probe, offset) {
            probe.step_back()?;
        }
    }
    Ok(found)
}

/// Has the probe see zeros in the sector of a magic number. The probe hides what one of its
/// buffers holds as a whole, and a buffer may hold less than a sector.
fn hide(probe: &mut BlkidProbe, offset: u64) -> bool {
    let sector = SECTOR_BYTES as u64;
    let whole = (offset / sector * sector, sector);
    let parts = [256, 64, 16, 8, 4, 1].map(|length| (offset, length));
    let mut ranges = std::iter::once(whole).chain(parts);
    ranges.any(|(from, length)| probe.hide_range(from, length).is_ok())
}

/// What both headers of a GUID partition table begin with.
const GPT: &[u8; 8] = b"EFI PART";

/// Behind the first so many sectors no other partition table begins.
const TABLES_END: u64 = 64;

/// Adds the places of partition tables, of which libblkid tells only the kind, and of further
/// superblocks, which it does not look for. The headers of a GUID partition table are told by
/// what they begin with; where there is a table of another kind, it is every sector in front
/// that holds anything.
///
/// # Errors
///
/// [`IoError`] if they cannot be read.
pub(super) fn with_the_rest(
    store: &dyn BlockStore,
    found: Found,
) -> Result<Vec<Signature>, IoError> {
    let Found { mut places, tables } = found;
    let table = |kind: &str, at| Signature::at(kind, SignatureUse::PartitionTable, at);
    // A disk may have been written where its blocks had another size.
    for unit in [BlockSize::B512, BlockSize::B4096] {
        let unit = unit.sectors().get();
        let last = (store.size().get() / unit).checked_sub(1);
        for at in [Some(unit), last.map(|last| last * unit)] {
            let at = at.filter(|at| *at < store.size().get()).map(Sector::new);
            if let Some(at) = at {
                if read_sector(store, at)?.starts_with(GPT) {
                    places.entry(at).or_insert_with(|| table("gpt", at));
                }
            }
        }
    }
    second_superblocks::add(store, &mut places)?;
    if let Some(kind) = tables.iter().find(|table| *table != "gpt") {
        for at in (0..TABLES_END.min(store.size().get())).map(Sector::new) {
            if read_sector(store, at)?.iter().any(|byte| *byte != 0) {
                places.entry(at).or_insert_with(|| table(kind, at));
            }
        }
    }
    Ok(places.into_values().collect())
}

/// One sector, read with the block that it is in. What is no whole block at the end of a
/// device holds nothing.
pub(super) fn read_sector(
    store: &dyn BlockStore,
    at: Sector,
) -> Result<[u8; SECTOR_BYTES], IoError> {
    let unit = store.logical_block().sectors().get();
    let start = at.get() / unit * unit;
    let mut sector = [0; SECTOR_BYTES];
    if start + unit > store.size().get() {
        return Ok(sector);
    }
    let mut block = vec![0; store.logical_block().bytes() as usize];
    store.read_at(Sector::new(start), &mut block)?;
    let within = (at.get() - start) as usize * SECTOR_BYTES;
    sector.copy_from_slice(&block[within..within + SECTOR_BYTES]);
    Ok(sector)
}

fn probe(
    file: &File,
    offset: i64,
    length: i64,
    found: &mut Vec<Signature>,
) -> Result<(), BlkidErr> {
    let mut probe = begin_within(file, offset, length)?;
    let mut seen = HashSet::new();
    for _ in 0..MOST {
        if probe.do_probe()? == BlkidProbeRet::Done {
            break;
        }
        if let Some(signature) = read(&probe) {
            let uuid = signature.uuid.clone();
            if seen.insert((signature.kind.clone(), uuid)) {
                found.push(signature);
            }
        }
    }
    Ok(())
}

/// A probe of superblocks and partition tables.
fn begin(file: &File) -> Result<BlkidProbe, BlkidErr> {
    begin_within(file, 0, 0)
}

/// The same within so many bytes from `offset` on; within all of it for a length of 0.
fn begin_within(file: &File, offset: i64, length: i64) -> Result<BlkidProbe, BlkidErr> {
    let mut probe = BlkidProbe::new()?;
    // The descriptor outlives the probe, which does not close it; its offset is nobody's:
    // every other read says where.
    probe.set_device(file.as_raw_fd(), offset, length)?;
    probe.enable_superblocks(true)?;
    probe.set_superblock_flags(BlkidSublksFlags::new(vec![
        BlkidSublks::Type,
        BlkidSublks::Usage,
        BlkidSublks::Uuid,
        BlkidSublks::Label,
        BlkidSublks::Magic,
        // What is damaged there may still be somebody's.
        BlkidSublks::Badcsum,
    ]))?;
    probe.enable_partitions(true)?;
    Ok(probe)
}

/// The signature that the probe stopped at.
fn read(probe: &BlkidProbe) -> Option<Signature> {
    // A value that is not UTF-8 is told as if it were not there.
    let value = |name| {
        let value: String = probe.lookup_value(name).ok()?;
        (!value.is_empty()).then_some(value)
    };
    let sector = |name| {
        let offset: u64 = value(name)?.parse().ok()?;
        Some(Sector::new(offset / SECTOR_BYTES as u64))
    };
    if let Some(kind) = value("TYPE") {
        return Some(Signature {
            kind,
            used_for: match value("USAGE").as_deref() {
                Some("filesystem") => SignatureUse::FileSystem,
                Some("raid") => SignatureUse::Raid,
                Some("crypto") => SignatureUse::Crypto,
                _ => SignatureUse::Other,
            },
            uuid: value("UUID"),
            label: value("LABEL"),
            at: sector("SBMAGIC_OFFSET"),
        });
    }
    Some(Signature {
        kind: value("PTTYPE")?,
        used_for: SignatureUse::PartitionTable,
        uuid: value("PTUUID"),
        label: None,
        at: None,
    })
}

fn io_error(error: &BlkidErr) -> IoError {
    let system = match error {
        BlkidErr::IO(error) => error.raw_os_error(),
        BlkidErr::LibErr(_) => std::io::Error::last_os_error().raw_os_error(),
        _ => None,
    };
    IoError {
        errno: system
            .filter(|number| *number > 0)
            .map_or(Errno::EIO, Errno::new),
        at: Sector::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;

    fn image(bytes: u64, parts: &[(u64, &[u8])]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(bytes).unwrap();
        for (at, part) in parts {
            file.write_all_at(part, *at).unwrap();
        }
        file
    }

    /// Swap space of one version, with a UUID.
    fn swap() -> Vec<u8> {
        let mut page = vec![0; 4096];
        page[1024..1028].copy_from_slice(&1u32.to_le_bytes());
        page[1028..1032].copy_from_slice(&255u32.to_le_bytes());
        page[1036..1052].copy_from_slice(&[0x11; 16]);
        page[4086..].copy_from_slice(b"SWAPSPACE2");
        page
    }

    /// A partition table with one partition from sector 2048 on.
    fn table() -> Vec<u8> {
        let mut sector = vec![0; 512];
        sector[440..444].copy_from_slice(&[1, 2, 3, 4]);
        sector[446..462].copy_from_slice(&[0, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    fn words(file: &File) -> Vec<String> {
        find(file)
            .unwrap()
            .iter()
            .map(Signature::to_string)
            .collect()
    }

    #[test]
    fn what_others_wrote_is_named() {
        let file = image(1 << 20, &[(0, &swap())]);
        let found = find(&file).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].kind, "swap");
        assert_eq!(
            found[0].uuid.as_deref(),
            Some("11111111-1111-1111-1111-111111111111")
        );
        assert_eq!(found[0].at, Some(Sector::new(7)));
        let file = image(4 << 20, &[(0, &table())]);
        assert_eq!(words(&file), ["dos partition table"]);
    }

    /// A GUID partition table: the header of one kind, with its entries elsewhere.
    fn gpt(own: u64, other: u64, entries: u64) -> Vec<u8> {
        let mut sector = vec![0; 512];
        sector[..8].copy_from_slice(GPT);
        sector[8..12].copy_from_slice(&0x0001_0000u32.to_le_bytes());
        sector[12..16].copy_from_slice(&92u32.to_le_bytes());
        sector[24..32].copy_from_slice(&own.to_le_bytes());
        sector[32..40].copy_from_slice(&other.to_le_bytes());
        sector[56..72].copy_from_slice(&[0x22; 16]);
        sector[72..80].copy_from_slice(&entries.to_le_bytes());
        sector
    }

    /// A superblock of btrfs, as it lies at this place. Its checksum is wrong, which is
    /// looked past.
    fn btrfs(at: u64) -> Vec<u8> {
        let mut block = vec![0; 4096];
        block[32..48].copy_from_slice(&[0x33; 16]);
        block[48..56].copy_from_slice(&at.to_le_bytes());
        block[64..72].copy_from_slice(b"_BHRfS_M");
        block
    }

    /// A superblock of an array, format 1, of which it lies at this sector.
    fn array(at: u64) -> Vec<u8> {
        let mut block = vec![0; 512];
        block[..4].copy_from_slice(&0xa92b_4efcu32.to_le_bytes());
        block[4..8].copy_from_slice(&1u32.to_le_bytes());
        block[16..32].copy_from_slice(&[0x44; 16]);
        block[144..152].copy_from_slice(&at.to_le_bytes());
        block
    }

    /// A label of a physical volume.
    fn volume(sector: u64) -> Vec<u8> {
        let mut label = vec![0; 512];
        label[..8].copy_from_slice(b"LABELONE");
        label[8..16].copy_from_slice(&sector.to_le_bytes());
        label[20..24].copy_from_slice(&32u32.to_le_bytes());
        label[24..32].copy_from_slice(b"LVM2 001");
        label[32..64].copy_from_slice(&[b'5'; 32]);
        label
    }

    /// Bytes, each with where they lie.
    type Parts = Vec<(u64, Vec<u8>)>;

    /// An image with these parts, as a device.
    fn device(bytes: u64, parts: &[(u64, Vec<u8>)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(bytes).unwrap();
        for (at, part) in parts {
            file.as_file().write_all_at(part, *at).unwrap();
        }
        file
    }

    fn places(file: &tempfile::NamedTempFile) -> Vec<u64> {
        let roots = crate::sys::Roots::default();
        let store =
            crate::sys::file::BlockFile::open(file.path(), crate::port::Access::Read, &roots);
        let places = store.unwrap().signature_places().unwrap();
        let sectors = places.iter().filter_map(|place| place.at);
        sectors.map(Sector::get).collect()
    }

    #[test]
    fn whatever_a_format_has_more_of_is_found_before_anything_is_wiped() {
        const MIB: u64 = 1 << 20;
        let sectors = 96 * MIB / 512;
        let last = sectors - 1;
        let end_of_array = (sectors - 16) & !7;
        let cases: [(&str, Parts, Vec<u64>); 7] = [
            (
                "btrfs",
                vec![(64 << 10, btrfs(64 << 10)), (64 * MIB, btrfs(64 * MIB))],
                vec![128, 131_072],
            ),
            (
                "array",
                vec![(end_of_array * 512, array(end_of_array)), (4096, array(8))],
                vec![8, end_of_array],
            ),
            (
                "volumes",
                vec![(512, volume(1)), (1536, volume(3))],
                vec![1, 3],
            ),
            ("swap", vec![(0, swap())], vec![7]),
            (
                "gpt",
                vec![
                    (0, table()),
                    (512, gpt(1, last, 2)),
                    (last * 512, gpt(last, 1, last - 32)),
                ],
                vec![0, 1, last],
            ),
            (
                "only the header at the end",
                vec![(last * 512, gpt(last, 1, last - 32))],
                vec![last],
            ),
            (
                "several formats",
                vec![
                    (0, swap()),
                    (64 << 10, btrfs(64 << 10)),
                    (64 * MIB, btrfs(64 * MIB)),
                    (512, volume(1)),
                ],
                vec![1, 7, 128, 131_072],
            ),
        ];
        for (what, parts, expected) in cases {
            let file = device(96 * MIB, &parts);
            let found = places(&file);
            assert_eq!(found, expected, "{what}");
            for at in found {
                file.as_file().write_all_at(&[0; 512], at * 512).unwrap();
            }
            assert_eq!(find(file.as_file()).unwrap(), [], "{what}");
        }
        assert_eq!(places(&device(MIB, &[])), [0; 0]);
        assert_eq!(places(&device(512, &[])), [0; 0]);
    }

    #[test]
    fn a_pool_is_known_by_none_of_its_labels_afterwards() {
        const LABEL: u64 = 256 << 10;
        let end = 96 << 20;
        let mut uberblock = vec![0; 1024];
        uberblock[..8].copy_from_slice(&0x00ba_b10cu64.to_le_bytes());
        uberblock[8..16].copy_from_slice(&5000u64.to_le_bytes());
        let labels = [0, LABEL, end - 2 * LABEL, end - LABEL];
        let each = labels
            .iter()
            .flat_map(|label| (0..20).map(move |at| label + (128 << 10) + at * 1024));
        let parts: Parts = each.map(|at| (at, uberblock.clone())).collect();
        let file = device(end, &parts);
        assert_eq!(words(file.as_file()), ["zfs_member"]);
        for at in places(&file) {
            file.as_file().write_all_at(&[0; 512], at * 512).unwrap();
        }
        assert_eq!(words(file.as_file()), [""; 0]);
    }

    /// A table as `fdisk` makes it: two primary partitions, and an extended one with two
    /// logical ones in it.
    fn nested() -> Vec<(u64, Vec<u8>)> {
        let table = |entries: &[(u8, u32, u32)]| {
            let mut sector = vec![0; 512];
            for (at, (kind, start, length)) in entries.iter().enumerate() {
                let entry = &mut sector[446 + at * 16..][..16];
                entry[4] = *kind;
                entry[8..12].copy_from_slice(&start.to_le_bytes());
                entry[12..].copy_from_slice(&length.to_le_bytes());
            }
            sector[510..].copy_from_slice(&[0x55, 0xaa]);
            sector
        };
        vec![
            (
                0,
                table(&[(0x83, 64, 100), (0x82, 200, 50), (0x05, 1000, 1000)]),
            ),
            (1000 * 512, table(&[(0x83, 8, 200), (0x05, 500, 300)])),
            (1500 * 512, table(&[(0x83, 8, 100)])),
        ]
    }

    #[test]
    fn partitions_are_told_with_their_numbers_and_what_only_holds_others_is_not() {
        let told = |parts: &[(u64, Vec<u8>)]| {
            let file = device(4 << 20, parts);
            let partitions = partitions(file.as_file()).unwrap();
            let each = partitions.iter();
            each.map(|it| (it.number, it.start.get(), it.length.get()))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&[(0, table())]), [(1, 2048, 2048)]);
        let all = [(1, 64, 100), (2, 200, 50), (5, 1008, 200), (6, 1508, 100)];
        assert_eq!(told(&nested()), all);
        for nothing in [vec![], vec![(0, swap())], vec![(0, vec![0x55; 4096])]] {
            assert_eq!(told(&nothing), []);
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert_eq!(find(&image(1 << 20, &[])).unwrap(), []);
        assert_eq!(find(&image(512, &[])).unwrap(), []);
        let ours = include_bytes!("../../tests/fixtures/plain-v4/sda-sdb-copy0.bin");
        assert_eq!(find(&image(1 << 20, &[(0, ours)])).unwrap(), []);
    }
}
