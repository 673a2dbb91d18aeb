//! A label of main, 4 KiB.

use super::structure::structure;
use super::table::BLOCK_BYTES;
use super::{at_most, checksum_without, constant, read_exactly, write_exactly, FormatError};

/// What a label begins with, "DRML" on the disk.
pub const LABEL_MAGIC: u32 = u32::from_le_bytes(*b"DRML");

/// The version of a label.
pub const LABEL_VERSION: u16 = 1;

/// The role of a disk that is main.
pub const ROLE_MAIN: u8 = 1;

/// The forms of a main that bears labels, by their numbers on the disk, as reports spell them.
pub const FORMS: [&str; 3] = ["bare", "labelled", "covered"];

/// The longest name of a mapped device, in bytes.
const NAME_LIMIT: u8 = super::table::NAME_LIMIT;

/// The offset of the checksum in a label.
const CHECKSUM_AT: usize = 8;

structure! {
    /// A label.
    pub struct MainLabel: 4096 {
        /// [`LABEL_MAGIC`].
        magic: u32 => Hex,
        /// [`LABEL_VERSION`].
        version: u16 => Number,
        /// 0 at the first sectors of main, 1 at its last ones.
        end: u8 => End,
        /// Bytes of the name.
        name_length: u8 => Number,
        /// CRC-32C of the label with this field zero.
        checksum: u32 => Hex,
        /// Counts the times that a disk was made main of the array by labels.
        main_epoch: u32 => Number,
        /// The array whose main the disk is.
        array_uuid: [u8; 16] => Uuid,
        /// The identity of the disk when the label was written.
        identity: [u8; 16] => Bytes,
        /// The size of main, in 512-byte sectors.
        main_sectors: u64 => Number,
        /// The sector of main at which the device begins.
        data_start: u64 => Number,
        /// The size of the device, in 512-byte sectors.
        data_sectors: u64 => Number,
        /// Features that may be ignored.
        compat: u32 => Hex,
        /// Features without which nothing may be written.
        ro_compat: u32 => Hex,
        /// Features without which nothing may be touched.
        incompat: u32 => Hex,
        /// [`ROLE_MAIN`].
        role: u8 => Number,
        /// Which of the [`FORMS`].
        form: u8 => Form,
        /// 1 if everything else at the end is zeros.
        sealed: u8 => Number,
        /// Nothing.
        reserved_87: [u8; 9] => Zeros,
        /// The name of the mapped device.
        name: [u8; 128] => Text,
        /// Nothing.
        reserved_224: [u8; 288] => Zeros,
        /// Words for people who look at the bytes.
        words: [u8; 512] => Text,
        /// Nothing.
        rest: [u8; 3072] => Zeros,
    }
}

impl MainLabel {
    /// Reads the fields, whatever their values.
    pub fn fields_of(raw: &[u8; BLOCK_BYTES]) -> Self {
        read_exactly(raw)
    }

    /// Reads a label that has the form: magic, version, role and checksum fit, and every
    /// number has a meaning.
    ///
    /// # Errors
    ///
    /// The first thing that is not as it must be.
    pub fn decode(raw: &[u8; BLOCK_BYTES]) -> Result<Self, FormatError> {
        let label = Self::fields_of(raw);
        constant("magic", label.magic, LABEL_MAGIC)?;
        let (stored, computed) = (label.checksum, checksum(raw));
        if stored != computed {
            return Err(FormatError::Checksum { stored, computed });
        }
        constant("version", label.version, LABEL_VERSION)?;
        constant("role", label.role, ROLE_MAIN)?;
        at_most("end", label.end, 1u8)?;
        at_most("name_length", label.name_length, NAME_LIMIT)?;
        at_most("form", label.form, FORMS.len() as u64 - 1)?;
        at_most("sealed", label.sealed, 1u8)?;
        Ok(label)
    }

    /// The label's bytes, with the checksum that its field has.
    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        write_exactly(self)
    }

    /// The same label with the checksum that belongs to it.
    pub fn with_checksum(mut self) -> Self {
        self.checksum = checksum(&self.encode());
        self
    }
}

/// The CRC-32C over a label with its checksum field taken as zero.
pub fn checksum(raw: &[u8; BLOCK_BYTES]) -> u32 {
    checksum_without(raw, CHECKSUM_AT)
}
