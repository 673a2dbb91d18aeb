//! The remap table's structures: a region's header block and its table blocks, 4 KiB
//! each.

use binrw::binrw;

use super::structure::{structure, OnDisk};
use super::superblock::{SuperblockCopy, COPY_BYTES};
use super::{at_most, checksum_without, constant, read_exactly, write_exactly, FormatError};

/// Bytes in a header block and in a table block.
pub const BLOCK_BYTES: usize = 4096;

/// What a region's header block begins with, "DRTH" on the disk.
pub const HEADER_MAGIC: u32 = u32::from_le_bytes(*b"DRTH");

/// What a table block begins with, "DRTB" on the disk.
pub const BLOCK_MAGIC: u32 = u32::from_le_bytes(*b"DRTB");

/// The version of both.
pub const TABLE_VERSION: u16 = 1;

/// Entries in a table block.
pub const ENTRIES: usize = 252;

/// The longest name of a mapped device, in bytes.
pub const NAME_LIMIT: u8 = 127;

/// The offset of the checksum in both.
const CHECKSUM_AT: usize = 8;

structure! {
    /// The first 512 bytes of a region's header block.
    pub struct HeaderFront: 512 {
        /// [`HEADER_MAGIC`].
        magic: u32 => Hex,
        /// [`TABLE_VERSION`].
        version: u16 => Number,
        /// 0 in region A, 1 in region B.
        region: u8 => Region,
        /// Bytes of the name.
        name_length: u8 => Number,
        /// CRC-32C of the block with this field zero.
        checksum: u32 => Hex,
        /// Nothing.
        reserved_12: [u8; 4] => Zeros,
        /// The array that the region belongs to.
        array_uuid: [u8; 16] => Uuid,
        /// The name of the mapped device.
        name: [u8; 128] => Text,
        /// Nothing.
        reserved_160: [u8; 352] => Zeros,
    }
}

/// A region's header block.
#[binrw]
#[brw(little)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionHeader {
    /// What it says of the region.
    pub front: HeaderFront,
    /// A copy of the superblock, as for slot 0.
    pub superblock: SuperblockCopy,
    /// Nothing.
    pub rest: [u8; BLOCK_BYTES - SUPERBLOCK_AT - COPY_BYTES],
}

/// The offset of the superblock's copy in a header block.
pub const SUPERBLOCK_AT: usize = HeaderFront::BYTES;

impl OnDisk for RegionHeader {
    const BYTES: usize = BLOCK_BYTES;
}

impl RegionHeader {
    /// Reads the fields, whatever their values.
    pub fn fields_of(raw: &[u8; BLOCK_BYTES]) -> Self {
        read_exactly(raw)
    }

    /// Reads a header block that has the form: magic, version and checksum fit, and so
    /// do those of the superblock in it.
    ///
    /// # Errors
    ///
    /// The first thing that is not as it must be.
    pub fn decode(raw: &[u8; BLOCK_BYTES]) -> Result<Self, FormatError> {
        let header = Self::fields_of(raw);
        constant("magic", header.front.magic, HEADER_MAGIC)?;
        checksum_fits(header.front.checksum, raw)?;
        constant("version", header.front.version, TABLE_VERSION)?;
        at_most("region", header.front.region, 1u8)?;
        at_most("name_length", header.front.name_length, NAME_LIMIT)?;
        SuperblockCopy::decode(&header.superblock.encode())?;
        Ok(header)
    }

    /// The block's bytes, with the checksum that its field has.
    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        write_exactly(self)
    }

    /// The same block with the checksum that belongs to it.
    pub fn sealed(mut self) -> Self {
        self.front.checksum = checksum(&self.encode());
        self
    }
}

structure! {
    /// The first 64 bytes of a table block.
    pub struct BlockFront: 64 {
        /// [`BLOCK_MAGIC`].
        magic: u32 => Hex,
        /// [`TABLE_VERSION`].
        version: u16 => Number,
        /// 0 in region A, 1 in region B.
        region: u8 => Region,
        /// Nothing.
        reserved_7: [u8; 1] => Zeros,
        /// CRC-32C of the block with this field zero.
        checksum: u32 => Hex,
        /// [`ENTRIES`].
        entry_count: u32 => Number,
        /// The array that the block belongs to.
        array_uuid: [u8; 16] => Uuid,
        /// Its place in the region, from 0 on behind the header block.
        block_index: u64 => Number,
        /// Orders the two readings of the block.
        generation: u64 => Number,
        /// Nothing.
        reserved_48: [u8; 16] => Zeros,
    }
}

structure! {
    /// What a table block says of one replacement block.
    pub struct Entry: 16 {
        /// The block of main that it replaces.
        main_block: u64 => Number,
        /// Which of the [`STATES`].
        state: u8 => State,
        /// Nothing.
        reserved_9: [u8; 1] => Zeros,
        /// How often the block of main was moved.
        moves: u16 => Number,
        /// Nothing.
        reserved_12: [u8; 4] => Zeros,
    }
}

/// A table block.
#[binrw]
#[brw(little)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableBlock {
    /// What it says of itself.
    pub front: BlockFront,
    /// What it says of its replacement blocks.
    pub entries: [Entry; ENTRIES],
}

const _: () = assert!(BlockFront::BYTES + ENTRIES * Entry::BYTES == BLOCK_BYTES);

impl OnDisk for TableBlock {
    const BYTES: usize = BLOCK_BYTES;
}

/// The states of an entry by their numbers on the disk, as reports spell them.
pub const STATES: [&str; 5] = ["free", "pending", "active", "replacement-bad", "retired"];

impl TableBlock {
    /// Reads the fields, whatever their values.
    pub fn fields_of(raw: &[u8; BLOCK_BYTES]) -> Self {
        read_exactly(raw)
    }

    /// Reads a table block that has the form: magic, version and checksum fit, the
    /// count of entries is the only one possible, and every state has a name.
    ///
    /// # Errors
    ///
    /// The first thing that is not as it must be.
    pub fn decode(raw: &[u8; BLOCK_BYTES]) -> Result<Self, FormatError> {
        let block = Self::fields_of(raw);
        constant("magic", block.front.magic, BLOCK_MAGIC)?;
        checksum_fits(block.front.checksum, raw)?;
        constant("version", block.front.version, TABLE_VERSION)?;
        at_most("region", block.front.region, 1u8)?;
        constant("entry_count", block.front.entry_count, ENTRIES as u32)?;
        for entry in &block.entries {
            at_most("state", entry.state, STATES.len() as u64 - 1)?;
        }
        Ok(block)
    }

    /// The block's bytes, with the checksum that its field has.
    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        write_exactly(self)
    }

    /// The same block with the checksum that belongs to it.
    pub fn sealed(mut self) -> Self {
        self.front.checksum = checksum(&self.encode());
        self
    }
}

/// The CRC-32C over a block with its checksum field taken as zero.
pub fn checksum(raw: &[u8; BLOCK_BYTES]) -> u32 {
    checksum_without(raw, CHECKSUM_AT)
}

fn checksum_fits(stored: u32, raw: &[u8; BLOCK_BYTES]) -> Result<(), FormatError> {
    let computed = checksum(raw);
    match stored == computed {
        true => Ok(()),
        false => Err(FormatError::Checksum { stored, computed }),
    }
}
