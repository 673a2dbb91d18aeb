//! The on-disk structures as userspace declares them: a second reading.
//!
//! `remap_core` reads and writes the same bytes by named offsets, without
//! allocation, for the kernel and for every decision. Here they are declared field
//! by field with `binrw`, for whoever shows bytes to a person, and with a checksum
//! from another source. Nothing here decides what a copy is worth: `decode` says
//! whether bytes have the form, the rules say whether to believe them. Tests hold
//! the two readings, and `docs/on-disk-format.md`, to the same bytes.

pub mod backup;
pub mod field_map;
pub mod label;
pub mod structure;
pub mod superblock;
pub mod table;

use std::fmt;

use binrw::io::Cursor;
use binrw::meta::{ReadEndian, WriteEndian};
use binrw::{BinRead, BinWrite};

use structure::OnDisk;

/// Why bytes do not have the form of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// A field with only one possible value has another.
    Constant {
        /// Its name, as in the field map.
        field: &'static str,
        /// Its value.
        stored: u64,
        /// The only one possible.
        expected: u64,
    },
    /// Bytes that are zero in this structure are not.
    NotZero {
        /// The field they are in.
        field: &'static str,
    },
    /// A field is above the largest value it can have.
    TooLarge {
        /// Its name, as in the field map.
        field: &'static str,
        /// Its value.
        stored: u64,
        /// The largest possible.
        limit: u64,
    },
    /// The checksum does not fit the bytes.
    Checksum {
        /// What the structure says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant {
                field,
                stored,
                expected,
            } => write!(f, "{field} is {stored:#x}, not {expected:#x}"),
            Self::NotZero { field } => write!(f, "{field} is not zero"),
            Self::TooLarge {
                field,
                stored,
                limit,
            } => write!(f, "{field} is {stored}, more than {limit}"),
            Self::Checksum { stored, computed } => {
                write!(f, "checksum stored {stored:08x}, computed {computed:08x}")
            }
        }
    }
}

impl std::error::Error for FormatError {}

/// The error unless a field has its only possible value.
fn constant(
    field: &'static str,
    stored: impl Into<u64>,
    expected: impl Into<u64>,
) -> Result<(), FormatError> {
    let (stored, expected) = (stored.into(), expected.into());
    if stored == expected {
        return Ok(());
    }
    Err(FormatError::Constant {
        field,
        stored,
        expected,
    })
}

/// The error if a field is above its largest possible value.
fn at_most(
    field: &'static str,
    stored: impl Into<u64>,
    limit: impl Into<u64>,
) -> Result<(), FormatError> {
    let (stored, limit) = (stored.into(), limit.into());
    if stored <= limit {
        return Ok(());
    }
    Err(FormatError::TooLarge {
        field,
        stored,
        limit,
    })
}

/// The error unless every byte of a field is zero.
fn zero(field: &'static str, bytes: &[u8]) -> Result<(), FormatError> {
    match bytes.iter().all(|byte| *byte == 0) {
        true => Ok(()),
        false => Err(FormatError::NotZero { field }),
    }
}

/// The CRC-32C of a structure whose own checksum field, four bytes at `field`,
/// counts as zero.
fn checksum_without(structure: &[u8], field: usize) -> u32 {
    let (before, rest) = structure.split_at(field);
    let crc = crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]);
    crc32c::crc32c_append(crc, &rest[4..])
}

/// Reads a structure of exactly these bytes, whatever their values.
fn read_exactly<T, const N: usize>(bytes: &[u8; N]) -> T
where
    T: OnDisk + ReadEndian + for<'a> BinRead<Args<'a> = ()>,
{
    const { assert!(T::BYTES == N) };
    let read = T::read(&mut Cursor::new(bytes));
    read.expect("a declaration without conditions reads any bytes of its size")
}

/// Writes a structure of `N` bytes.
fn write_exactly<T, const N: usize>(structure: &T) -> [u8; N]
where
    T: OnDisk + WriteEndian + for<'a> BinWrite<Args<'a> = ()>,
{
    const { assert!(T::BYTES == N) };
    let mut bytes = [0; N];
    let written = structure.write(&mut Cursor::new(&mut bytes[..]));
    written.expect("a buffer of the structure's size takes it");
    bytes
}
