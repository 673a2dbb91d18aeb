//! One copy of the superblock: 512 bytes, plain v4 or with the extension.

use binrw::binrw;

use super::structure::{structure, OnDisk};
use super::{checksum_without, constant, read_exactly, write_exactly, zero, FormatError};

/// Bytes in one copy.
pub const COPY_BYTES: usize = 512;

/// What a copy begins with; `34 52 4d 44` on the disk.
pub const MAGIC: u32 = 0x444d_5234;

/// The format's version.
pub const VERSION: u32 = 4;

/// What the extension begins with, "DR4X" on the disk.
pub const EXTENSION_MAGIC: u32 = u32::from_le_bytes(*b"DR4X");

/// The extension's version.
pub const EXTENSION_VERSION: u16 = 1;

/// The structure size of plain v4, as its writers state it.
pub const PLAIN_STRUCTURE_SIZE: u32 = 2048;

/// The offset of the checksum in a copy.
const CHECKSUM_AT: usize = 24;

/// The offset of the extension in a copy.
pub const EXTENSION_AT: usize = Common::BYTES;

structure! {
    /// The first 400 bytes of any copy.
    pub struct Common: 400 {
        /// [`MAGIC`].
        magic: u32 => Hex,
        /// [`VERSION`].
        version: u32 => Number,
        /// Orders the copies.
        sequence: u64 => Number,
        /// When it was written, in seconds since the Unix epoch.
        timestamp: u64 => Number,
        /// CRC-32C of the copy with this field zero; 0 in plain v4.
        checksum: u32 => Hex,
        /// The number of the slot: 0 to 4.
        copy_index: u32 => Number,
        /// 2048 in plain v4, else 512.
        structure_size: u32 => Number,
        /// Counts the times that a disk was made main by labels; nothing in plain v4.
        main_epoch: u32 => Number,
        /// A UUID found on main, as text.
        main_uuid: [u8; 37] => Text,
        /// A UUID found on the spare, as text.
        spare_uuid: [u8; 37] => Text,
        /// The size of main, in 512-byte sectors.
        main_sectors: u64 => Number,
        /// The size of the spare, in 512-byte sectors.
        spare_sectors: u64 => Number,
        /// The logical block size of the spare, in bytes.
        sector_size: u32 => Number,
        /// The size of a remap entry, in bytes.
        entry_size: u32 => Number,
        /// How many remaps the table can hold.
        capacity: u32 => Number,
        /// Nothing.
        reserved_142: [u8; 2] => Zeros,
        /// Where main was found.
        main_path: [u8; 128] => Text,
        /// Where the spare was found.
        spare_path: [u8; 128] => Text,
    }
}

structure! {
    /// The last 112 bytes of a copy that is not plain v4.
    pub struct Extension: 112 {
        /// [`EXTENSION_MAGIC`]; with any other the bytes are no extension.
        extension_magic: u32 => Hex,
        /// [`EXTENSION_VERSION`].
        extension_version: u16 => Number,
        /// 112.
        extension_length: u16 => Number,
        /// Features that may be ignored.
        compat: u32 => Hex,
        /// Features without which nothing may be written.
        ro_compat: u32 => Hex,
        /// Features without which nothing may be touched.
        incompat: u32 => Hex,
        /// Names the array for good.
        array_uuid: [u8; 16] => Uuid,
        /// What main is.
        main_identity: [u8; 16] => Bytes,
        /// What the spare is.
        spare_identity: [u8; 16] => Bytes,
        /// The remap unit, in bytes.
        unit_size: u32 => Number,
        /// Not 0 if the remap table contradicted itself.
        needs_check: u32 => Number,
        /// 4 KiB blocks in one table region, its header block included.
        region_blocks: u32 => Number,
        /// The sector where region A begins.
        region_a: u64 => Number,
        /// The sector where region B begins.
        region_b: u64 => Number,
        /// The sector where the replacement area begins.
        replacement_start: u64 => Number,
        /// Remap units in the replacement area.
        replacement_blocks: u64 => Number,
    }
}

structure! {
    /// The last 112 bytes of plain v4.
    pub struct Padding: 112 {
        /// Nothing.
        padding: [u8; 112] => Zeros,
    }
}

/// What follows the first 400 bytes.
#[binrw]
#[brw(little)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The extension, told by its magic.
    #[br(assert(self_0.extension_magic == EXTENSION_MAGIC))]
    Extension(Extension),
    /// Plain v4.
    Padding(Padding),
}

/// One copy of the superblock.
#[binrw]
#[brw(little)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuperblockCopy {
    /// What every copy has.
    pub common: Common,
    /// What tells plain v4 from a copy with the extension.
    pub tail: Tail,
}

impl OnDisk for SuperblockCopy {
    const BYTES: usize = COPY_BYTES;
}

const _: () = assert!(
    Common::BYTES + Extension::BYTES == COPY_BYTES && Common::BYTES + Padding::BYTES == COPY_BYTES
);

impl SuperblockCopy {
    /// Reads the fields, whatever their values.
    pub fn fields_of(raw: &[u8; COPY_BYTES]) -> Self {
        read_exactly(raw)
    }

    /// Reads a copy that has the form: magics, versions and sizes as they must be, a
    /// checksum that fits where there is the extension, and zeros where there is
    /// none. What its numbers and texts mean, and whether they can be, is not asked.
    ///
    /// # Errors
    ///
    /// The first thing that is not as it must be.
    pub fn decode(raw: &[u8; COPY_BYTES]) -> Result<Self, FormatError> {
        let copy = Self::fields_of(raw);
        let Common {
            magic,
            version,
            checksum: stored,
            structure_size,
            ..
        } = copy.common;
        constant("magic", magic, MAGIC)?;
        match copy.tail {
            Tail::Extension(extension) => {
                let computed = checksum(raw);
                if stored != computed {
                    return Err(FormatError::Checksum { stored, computed });
                }
                constant("version", version, VERSION)?;
                let Extension {
                    extension_version,
                    extension_length,
                    ..
                } = extension;
                constant("extension_version", extension_version, EXTENSION_VERSION)?;
                constant(
                    "extension_length",
                    extension_length,
                    Extension::BYTES as u16,
                )?;
                constant("structure_size", structure_size, COPY_BYTES as u32)?;
            }
            Tail::Padding(Padding { padding }) => {
                constant("version", version, VERSION)?;
                constant("checksum", stored, 0u32)?;
                constant("structure_size", structure_size, PLAIN_STRUCTURE_SIZE)?;
                zero("padding", &padding)?;
            }
        }
        Ok(copy)
    }

    /// The copy's bytes, with the checksum that its field has.
    pub fn encode(&self) -> [u8; COPY_BYTES] {
        write_exactly(self)
    }

    /// The same copy with the checksum that belongs to it: none in plain v4.
    pub fn sealed(mut self) -> Self {
        self.common.checksum = match self.tail {
            Tail::Extension(_) => checksum(&self.encode()),
            Tail::Padding(_) => 0,
        };
        self
    }
}

/// The CRC-32C over a copy with its checksum field taken as zero.
pub fn checksum(raw: &[u8; COPY_BYTES]) -> u32 {
    checksum_without(raw, CHECKSUM_AT)
}
