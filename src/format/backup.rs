//! The file that keeps what an action is about to overwrite, so that it can be
//! undone byte for byte.
//!
//! 64 bytes of front, the device's path, one record of 24 bytes for each range, then
//! the bytes of those ranges that are not all zeros. Numbers are little-endian.
//! Ranges are whole sectors, in ascending order, apart from each other and within the
//! device. A file that breaks any of this, or whose checksum does not fit, restores
//! nothing.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::structure::structure;
use super::{checksum_without, constant, read_exactly, write_exactly, zero, FormatError};
use crate::remap_core::units::{IdentityDigest, Sector, Sectors, SECTOR_BYTES};

/// What a backup begins with, "DRBK" in the file.
pub const MAGIC: u32 = u32::from_le_bytes(*b"DRBK");

/// The version of the file's format.
pub const VERSION: u16 = 1;

/// The longest path that a backup keeps, in bytes: the longest that can be opened.
pub const MAX_PATH_BYTES: usize = 4096;

/// The largest backup, in bytes. Whoever reads one looks at its size first.
pub const MAX_FILE_BYTES: usize = 1 << 28;

/// The offset of the checksum in the file.
const CHECKSUM_AT: usize = 16;

structure! {
    /// What a backup begins with.
    pub struct Front: 64 {
        /// [`MAGIC`].
        magic: u32 => Hex,
        /// [`VERSION`].
        version: u16 => Number,
        /// Nothing.
        reserved_6: [u8; 2] => Zeros,
        /// The length of the whole file, in bytes.
        file_length: u64 => Number,
        /// CRC-32C of the whole file with this field zero.
        checksum: u32 => Hex,
        /// Records of ranges behind the path.
        range_count: u32 => Number,
        /// What the device is, from what is stable about it.
        identity: [u8; 16] => Bytes,
        /// The size of the device, in 512-byte sectors.
        device_sectors: u64 => Number,
        /// Bytes of the path.
        path_length: u32 => Number,
        /// Nothing.
        reserved_52: [u8; 12] => Zeros,
    }
}

structure! {
    /// What a backup says of one range.
    pub struct RangeRecord: 24 {
        /// Its first byte on the device.
        offset: u64 => Number,
        /// Its length, in bytes.
        length: u64 => Number,
        /// [`KIND_RAW`] or [`KIND_ZEROS`].
        kind: u32 => Number,
        /// Nothing.
        reserved_20: [u8; 4] => Zeros,
    }
}

/// A range whose bytes are in the file.
pub const KIND_RAW: u32 = 0;

/// A range of zeros, which the file does not hold.
pub const KIND_ZEROS: u32 = 1;

/// What lay in a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes: whole sectors.
    Raw(Vec<u8>),
    /// So many sectors of zeros.
    Zeros(Sectors),
}

impl Content {
    /// What these bytes are: zeros, if there is nothing else in them.
    pub fn of(bytes: Vec<u8>) -> Self {
        let blank = !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0);
        if blank && bytes.len().is_multiple_of(SECTOR_BYTES) {
            return Self::Zeros(Sectors::from_bytes(bytes.len() as u64));
        }
        Self::Raw(bytes)
    }

    /// Its length in bytes, or `None` if it does not fit.
    fn bytes(&self) -> Option<u64> {
        match self {
            Self::Raw(bytes) => u64::try_from(bytes.len()).ok(),
            Self::Zeros(sectors) => sectors.bytes(),
        }
    }
}

/// Sectors of a device and what lay there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedRange {
    /// Where the range begins.
    pub at: Sector,
    /// What lay there.
    pub content: Content,
}

impl SavedRange {
    /// Its size; bytes that are no whole sector do not count.
    pub fn sectors(&self) -> Sectors {
        match &self.content {
            Content::Raw(bytes) => Sectors::from_bytes(bytes.len() as u64),
            Content::Zeros(sectors) => *sectors,
        }
    }
}

/// What lay on a device before an action.
///
/// # Invariants
///
/// The path is short enough, and the ranges are whole sectors, ascending, apart from
/// each other and within the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    path: PathBuf,
    identity: IdentityDigest,
    size: Sectors,
    ranges: Vec<SavedRange>,
}

/// Why something is no backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupError {
    /// The file ends before its front does.
    NoFront {
        /// How many bytes it has.
        has: usize,
    },
    /// A part of the file is not as it must be.
    Form(FormatError),
    /// The file has fewer or more bytes than it says.
    Length {
        /// How many bytes it has.
        has: usize,
        /// How many it says.
        states: u64,
    },
    /// The file, or what would become one, is larger than any backup.
    TooLarge,
    /// The device's path is longer than any that can be opened.
    PathTooLong {
        /// Its length, in bytes.
        length: u64,
    },
    /// The path, the records and the bytes of the ranges do not make up the file.
    Parts,
    /// A range is of no known kind.
    Kind {
        /// Which, counted from 0.
        range: usize,
        /// What it says.
        stored: u32,
    },
    /// A range is not made of whole sectors, or of none.
    NotSectors {
        /// Which, counted from 0.
        range: usize,
    },
    /// A range begins before the one before it ends.
    Order {
        /// Which, counted from 0.
        range: usize,
    },
    /// A range ends past the end of the device.
    PastEnd {
        /// Which, counted from 0.
        range: usize,
    },
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFront { has } => {
                write!(f, "not a backup: {has} bytes, fewer than {}", Front::BYTES)
            }
            Self::Form(error) => write!(f, "not an intact backup: {error}"),
            Self::Length { has, states } if (*has as u64) < *states => {
                write!(f, "the backup is cut short: {has} bytes of {states}")
            }
            Self::Length { has, states } => {
                write!(f, "the backup has {has} bytes where it says {states}")
            }
            Self::TooLarge => write!(f, "a backup holds at most {MAX_FILE_BYTES} bytes"),
            Self::PathTooLong { length } => {
                write!(f, "a path of {length} bytes, more than {MAX_PATH_BYTES}")
            }
            Self::Parts => f.write_str("the backup's parts do not make up the file"),
            Self::Kind { range, stored } => write!(f, "range {range} is of kind {stored}"),
            Self::NotSectors { range } => write!(f, "range {range} is not whole sectors"),
            Self::Order { range } => write!(f, "range {range} begins before the last one ends"),
            Self::PastEnd { range } => write!(f, "range {range} ends past the device's end"),
        }
    }
}

impl std::error::Error for BackupError {}

impl From<FormatError> for BackupError {
    fn from(error: FormatError) -> Self {
        Self::Form(error)
    }
}

impl Backup {
    /// What lies in `ranges` of the device that was found at `path`.
    ///
    /// # Errors
    ///
    /// [`BackupError`] if the ranges are out of order, overlap, are no whole sectors
    /// or end past `size`, or if the path is too long.
    pub fn new(
        path: &Path,
        identity: IdentityDigest,
        size: Sectors,
        ranges: Vec<SavedRange>,
    ) -> Result<Self, BackupError> {
        let length = path.as_os_str().len();
        if length > MAX_PATH_BYTES {
            return Err(BackupError::PathTooLong {
                length: length as u64,
            });
        }
        let device_end = size.bytes().unwrap_or(u64::MAX);
        let mut next = 0;
        for (range, saved) in ranges.iter().enumerate() {
            let past_end = BackupError::PastEnd { range };
            let (Some(start), Some(length)) = (saved.at.byte_offset(), saved.content.bytes())
            else {
                return Err(past_end);
            };
            if length == 0 || !length.is_multiple_of(SECTOR_BYTES as u64) {
                return Err(BackupError::NotSectors { range });
            }
            if start < next {
                return Err(BackupError::Order { range });
            }
            next = match start.checked_add(length) {
                Some(end) if end <= device_end => end,
                _ => return Err(past_end),
            };
        }
        Ok(Self {
            path: path.to_owned(),
            identity,
            size,
            ranges,
        })
    }

    /// Where the device was found: a hint to show, never a way to find it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the device is, from what is stable about it.
    pub const fn identity(&self) -> IdentityDigest {
        self.identity
    }

    /// The size of the device.
    pub const fn size(&self) -> Sectors {
        self.size
    }

    /// What lay where, in the order of the disk.
    pub fn ranges(&self) -> &[SavedRange] {
        &self.ranges
    }

    /// The file, byte for byte.
    ///
    /// # Errors
    ///
    /// [`BackupError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, BackupError> {
        let path = self.path.as_os_str().as_bytes();
        let raw_bytes = |saved: &SavedRange| match &saved.content {
            Content::Raw(bytes) => bytes.len(),
            Content::Zeros(_) => 0,
        };
        let size = Front::BYTES
            + path.len()
            + self.ranges.len().saturating_mul(RangeRecord::BYTES)
            + self.ranges.iter().map(raw_bytes).sum::<usize>();
        if size > MAX_FILE_BYTES {
            return Err(BackupError::TooLarge);
        }
        let front = Front {
            magic: MAGIC,
            version: VERSION,
            reserved_6: [0; 2],
            file_length: size as u64,
            checksum: 0,
            range_count: u32::try_from(self.ranges.len()).map_err(|_| BackupError::TooLarge)?,
            identity: *self.identity.bytes(),
            device_sectors: self.size.get(),
            path_length: path.len() as u32,
            reserved_52: [0; 12],
        };
        let mut file = Vec::with_capacity(size);
        file.extend(write_exactly::<_, { Front::BYTES }>(&front));
        file.extend(path);
        for (range, saved) in self.ranges.iter().enumerate() {
            let past_end = BackupError::PastEnd { range };
            let record = RangeRecord {
                offset: saved.at.byte_offset().ok_or(past_end.clone())?,
                length: saved.content.bytes().ok_or(past_end)?,
                kind: match saved.content {
                    Content::Raw(_) => KIND_RAW,
                    Content::Zeros(_) => KIND_ZEROS,
                },
                reserved_20: [0; 4],
            };
            file.extend(write_exactly::<_, { RangeRecord::BYTES }>(&record));
        }
        for saved in &self.ranges {
            if let Content::Raw(bytes) = &saved.content {
                file.extend(bytes);
            }
        }
        let checksum = checksum_without(&file, CHECKSUM_AT);
        file[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
        Ok(file)
    }

    /// Reads a backup. The file may be cut short, damaged or made to deceive.
    ///
    /// # Errors
    ///
    /// [`BackupError`] says what is wrong; nothing of the file is to be used then.
    pub fn decode(file: &[u8]) -> Result<Self, BackupError> {
        let (front, behind) = file
            .split_first_chunk::<{ Front::BYTES }>()
            .ok_or(BackupError::NoFront { has: file.len() })?;
        let front: Front = read_exactly(front);
        constant("magic", front.magic, MAGIC)?;
        constant("version", front.version, VERSION)?;
        if front.file_length != file.len() as u64 {
            return Err(BackupError::Length {
                has: file.len(),
                states: front.file_length,
            });
        }
        if file.len() > MAX_FILE_BYTES {
            return Err(BackupError::TooLarge);
        }
        let (stored, computed) = (front.checksum, checksum_without(file, CHECKSUM_AT));
        if stored != computed {
            return Err(FormatError::Checksum { stored, computed }.into());
        }
        zero("reserved_6", &front.reserved_6)?;
        zero("reserved_52", &front.reserved_52)?;
        let mut parts = Parts(behind);
        let path = parts.take(front.path_length.into())?;
        let records = parts.take(u64::from(front.range_count) * RangeRecord::BYTES as u64)?;
        let (records, _) = records.as_chunks::<{ RangeRecord::BYTES }>();
        let mut ranges = Vec::with_capacity(records.len());
        for (range, record) in records.iter().enumerate() {
            ranges.push(read_range(range, read_exactly(record), &mut parts)?);
        }
        if !parts.0.is_empty() {
            return Err(BackupError::Parts);
        }
        Self::new(
            Path::new(OsStr::from_bytes(path)),
            IdentityDigest::new(front.identity),
            Sectors::new(front.device_sectors),
            ranges,
        )
    }
}

/// What of the file is not used up yet.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], BackupError> {
        let length = usize::try_from(length).map_err(|_| BackupError::Parts)?;
        let (part, rest) = self.0.split_at_checked(length).ok_or(BackupError::Parts)?;
        self.0 = rest;
        Ok(part)
    }
}

fn read_range(
    range: usize,
    record: RangeRecord,
    parts: &mut Parts<'_>,
) -> Result<SavedRange, BackupError> {
    zero("reserved_20", &record.reserved_20)?;
    let sector = SECTOR_BYTES as u64;
    if !record.offset.is_multiple_of(sector) || !record.length.is_multiple_of(sector) {
        return Err(BackupError::NotSectors { range });
    }
    Ok(SavedRange {
        at: Sector::new(record.offset / sector),
        content: match record.kind {
            KIND_RAW => Content::Raw(parts.take(record.length)?.to_vec()),
            KIND_ZEROS => Content::Zeros(Sectors::from_bytes(record.length)),
            stored => return Err(BackupError::Kind { range, stored }),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> Backup {
        let saved = |at, content| SavedRange {
            at: Sector::new(at),
            content,
        };
        Backup::new(
            Path::new(OsStr::from_bytes(b"/dev/disk/by-id/\xff")),
            IdentityDigest::new([7; 16]),
            Sectors::new(1 << 20),
            vec![
                saved(0, Content::Raw((0..=255).cycle().take(512).collect())),
                saved(1, Content::Zeros(Sectors::new(8))),
                saved(1024, Content::Raw(vec![9; 4096])),
                saved((1 << 20) - 1, Content::of(vec![0; 512])),
            ],
        )
        .unwrap()
    }

    fn resealed(mut file: Vec<u8>) -> Vec<u8> {
        let length = file.len() as u64;
        file[8..16].copy_from_slice(&length.to_le_bytes());
        let checksum = checksum_without(&file, CHECKSUM_AT);
        file[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
        file
    }

    #[test]
    fn what_was_written_is_read_back() {
        let backup = backup();
        let file = backup.encode().unwrap();
        assert_eq!(file.len(), 64 + 17 + 4 * 24 + 512 + 4096);
        assert_eq!(Backup::decode(&file), Ok(backup));
        let empty = Backup::new(Path::new(""), IdentityDigest::NONE, Sectors::new(0), vec![]);
        let empty = empty.unwrap();
        assert_eq!(Backup::decode(&empty.encode().unwrap()), Ok(empty));
    }

    #[test]
    fn every_cut_and_every_changed_bit_is_noticed() {
        let file = backup().encode().unwrap();
        for length in 0..file.len() {
            let error = Backup::decode(&file[..length]).unwrap_err();
            let told = matches!(
                error,
                BackupError::NoFront { .. } | BackupError::Length { .. }
            );
            assert!(told, "cut at {length}: {error}");
        }
        for bit in 0..file.len() * 8 {
            let mut file = file.clone();
            file[bit / 8] ^= 1 << (bit % 8);
            assert!(Backup::decode(&file).is_err(), "bit {bit}");
        }
        let mut longer = file;
        longer.push(0);
        assert!(Backup::decode(&longer).is_err());
    }

    /// A change to a file, at an offset, and what is said to it when the checksum fits.
    #[test]
    fn deceit_under_a_fitting_checksum_is_named() {
        let record = |index: usize| 64 + 17 + 24 * index;
        let cases: [(&str, usize, &[u8], BackupError); 11] = [
            ("path past the end", 48, &[0xff; 4], BackupError::Parts),
            (
                "path eats a record",
                48,
                &[18, 0, 0, 0],
                BackupError::NotSectors { range: 0 },
            ),
            ("endless ranges", 20, &[0xff; 4], BackupError::Parts),
            ("one range fewer", 20, &[3, 0, 0, 0], BackupError::Parts),
            (
                "reserved",
                63,
                &[1],
                FormatError::NotZero {
                    field: "reserved_52",
                }
                .into(),
            ),
            (
                "unknown kind",
                record(1) + 16,
                &[2],
                BackupError::Kind {
                    range: 1,
                    stored: 2,
                },
            ),
            (
                "half a sector",
                record(2),
                &[0, 1],
                BackupError::NotSectors { range: 2 },
            ),
            (
                "over the range before",
                record(1),
                &[0, 0],
                BackupError::Order { range: 1 },
            ),
            (
                "endless zeros",
                record(1) + 8,
                &[0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                BackupError::PastEnd { range: 1 },
            ),
            (
                "endless bytes",
                record(2) + 8,
                &[0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                BackupError::Parts,
            ),
            (
                "smaller device",
                40,
                &[0, 0, 0],
                BackupError::PastEnd { range: 0 },
            ),
        ];
        for (what, at, bytes, expected) in cases {
            let mut file = backup().encode().unwrap();
            file[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(Backup::decode(&resealed(file)), Err(expected), "{what}");
        }
    }

    #[test]
    fn what_cannot_be_restored_is_not_saved() {
        let new = |path: &str, ranges| {
            Backup::new(
                Path::new(path),
                IdentityDigest::NONE,
                Sectors::new(16),
                ranges,
            )
        };
        let zeros = |at, sectors| SavedRange {
            at: Sector::new(at),
            content: Content::Zeros(Sectors::new(sectors)),
        };
        let raw = |at, bytes| SavedRange {
            at: Sector::new(at),
            content: Content::of(vec![0; bytes]),
        };
        let long = "x".repeat(MAX_PATH_BYTES + 1);
        assert_eq!(
            new(&long, vec![]),
            Err(BackupError::PathTooLong { length: 4097 })
        );
        assert_eq!(
            new("", vec![zeros(16, 1)]),
            Err(BackupError::PastEnd { range: 0 })
        );
        assert_eq!(
            new("", vec![zeros(u64::MAX, 1)]),
            Err(BackupError::PastEnd { range: 0 })
        );
        assert_eq!(
            new("", vec![zeros(0, 2), zeros(1, 1)]),
            Err(BackupError::Order { range: 1 })
        );
        assert_eq!(
            new("", vec![zeros(0, 0)]),
            Err(BackupError::NotSectors { range: 0 })
        );
        assert_eq!(
            new("", vec![raw(0, 100)]),
            Err(BackupError::NotSectors { range: 0 })
        );
        assert!(new("", vec![raw(0, 512), zeros(1, 15)]).is_ok());
    }
}
