// SPDX-License-Identifier: GPL-2.0-or-later
//! The remap table: blocks of entries in two regions, and the headers before them.
//!
//! # Invariants
//!
//! - An entry's index is its replacement block's index: two entries never share a
//!   replacement, and none points into metadata.
//! - A table block is believed only with a checksum that fits, of the right array,
//!   region and index.
//! - Of two readings of one block the higher generation wins; the same generation
//!   with different entries is a contradiction that somebody must look at.

use core::fmt;

use crate::remap_core::bytes::{Field, Text};
use crate::remap_core::checksum;
use crate::remap_core::label::MainForm;
use crate::remap_core::layout::{Region, ENTRIES_PER_BLOCK};
use crate::remap_core::superblock::{read_copy, Content, Superblock, COPY_BYTES, ENTRY_BYTES};
use crate::remap_core::units::{ArrayUuid, Blocks, Generation, MainBlock, Slot, BLOCK_4K_BYTES};

/// One 4 KiB block of a region as it lies on the disk. Too large for a kernel stack:
/// whoever needs one allocates it.
pub type RawBlock = [u8; BLOCK_4K_BYTES];

/// What a region's header block begins with: "DRTH" on the disk.
pub const HEADER_MAGIC: u32 = 0x4854_5244;

/// What a table block begins with: "DRTB" on the disk.
pub const TABLE_MAGIC: u32 = 0x4254_5244;

/// The version of both.
pub const TABLE_VERSION: u16 = 1;

/// Bytes before the first entry of a table block.
pub const TABLE_HEADER_BYTES: usize = 64;

/// The longest name of a mapped device, in bytes; device-mapper allows no more.
pub const NAME_LIMIT: usize = 127;

type Magic = Field<0, 4>;
type Version = Field<4, 2>;
type RegionIndex = Field<6, 1>;
type NameLength = Field<7, 1>;
type Checksum = Field<8, 4>;
type EntryCount = Field<12, 4>;
type Array = Field<16, 16>;

type BlockIndex = Field<32, 8>;
type GenerationField = Field<40, 8>;

type Name = Field<32, 128>;
type Copy = Field<512, COPY_BYTES>;

const _: () = assert!(
    TABLE_HEADER_BYTES + ENTRIES_PER_BLOCK as usize * ENTRY_BYTES as usize == BLOCK_4K_BYTES
);

/// What an entry says of its replacement block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryState {
    /// Nothing uses it.
    #[default]
    Free,
    /// A block of main could not be read; its next write goes here.
    Pending,
    /// It serves a block of main.
    Active,
    /// It failed itself and is used no more.
    ReplacementBad,
    /// It served a block of main that was moved elsewhere since.
    Retired,
}

impl EntryState {
    /// Every state, in the order of their numbers on the disk.
    pub const ALL: [Self; 5] = [
        Self::Free,
        Self::Pending,
        Self::Active,
        Self::ReplacementBad,
        Self::Retired,
    ];

    /// Its number on the disk.
    pub const fn number(self) -> u8 {
        match self {
            Self::Free => 0,
            Self::Pending => 1,
            Self::Active => 2,
            Self::ReplacementBad => 3,
            Self::Retired => 4,
        }
    }

    /// The state of this number, or `None` if there is none.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Free),
            1 => Some(Self::Pending),
            2 => Some(Self::Active),
            3 => Some(Self::ReplacementBad),
            4 => Some(Self::Retired),
            _ => None,
        }
    }

    /// The state's name, as reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::ReplacementBad => "replacement-bad",
            Self::Retired => "retired",
        }
    }
}

/// One entry of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What it says of its replacement block.
    pub state: EntryState,
    /// The block of main it is about; 0 where it is free.
    pub main: MainBlock,
    /// How often this block of main was moved, this time included. A crash between
    /// two table blocks can leave two entries for one block: the higher one counts.
    pub moves: u16,
}

impl Entry {
    /// Whether nothing uses it.
    pub const fn is_free(&self) -> bool {
        matches!(self.state, EntryState::Free)
    }

    /// Whether lookups see it.
    pub const fn is_live(&self) -> bool {
        matches!(self.state, EntryState::Pending | EntryState::Active)
    }

    /// Which of two live entries for the same block of main counts, or `None` if they
    /// contradict each other.
    pub fn newer(self, other: Self) -> Option<Self> {
        match self.moves.cmp(&other.moves) {
            core::cmp::Ordering::Greater => Some(self),
            core::cmp::Ordering::Less => Some(other),
            core::cmp::Ordering::Equal => None,
        }
    }

    /// Whether a live entry speaks of a block that main has.
    pub fn is_within(&self, main: Blocks) -> bool {
        !self.is_live() || self.main.get() < main.get()
    }

    fn read(raw: &RawBlock, place: u32) -> Result<Option<Self>, BlockFlaw> {
        let Some(bytes) = entry_offset(place).and_then(|at| raw.get(at..)?.first_chunk::<16>())
        else {
            return Ok(None);
        };
        let number = Field::<8, 1>::u8(bytes);
        let state = EntryState::from_number(number).ok_or(BlockFlaw::EntryState {
            place,
            stored: number,
        })?;
        let main = MainBlock::new(Field::<0, 8>::u64(bytes));
        Ok(Some(Self {
            state,
            main,
            moves: Field::<10, 2>::u16(bytes),
        }))
    }

    fn encode(&self) -> [u8; ENTRY_BYTES as usize] {
        let mut bytes = [0; ENTRY_BYTES as usize];
        Field::<0, 8>::put(&mut bytes, &self.main.get().to_le_bytes());
        Field::<8, 1>::put(&mut bytes, &[self.state.number()]);
        Field::<10, 2>::put(&mut bytes, &self.moves.to_le_bytes());
        bytes
    }
}

fn entry_offset(place: u32) -> Option<usize> {
    if u64::from(place) >= ENTRIES_PER_BLOCK {
        return None;
    }
    usize::try_from(place)
        .ok()?
        .checked_mul(ENTRY_BYTES as usize)?
        .checked_add(TABLE_HEADER_BYTES)
}

/// Why a table block is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockFlaw {
    /// The device gave an error.
    Unreadable,
    /// Nothing but zeros.
    Blank,
    /// The magic is not a table block's.
    Magic,
    /// Another version.
    Version {
        /// What it says.
        stored: u16,
    },
    /// The checksum does not fit the bytes.
    Checksum {
        /// What the block says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// It is another array's.
    Array(ArrayUuid),
    /// It belongs elsewhere.
    Place,
    /// It has another number of entries than a block has.
    EntryCount {
        /// What it says.
        stored: u32,
    },
    /// An entry's state is none.
    EntryState {
        /// Which entry of the block.
        place: u32,
        /// What it says.
        stored: u8,
    },
}

impl fmt::Display for BlockFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("unreadable"),
            Self::Blank => f.write_str("blank"),
            Self::Magic => f.write_str("not a table block"),
            Self::Version { stored } => write!(f, "table version {stored}"),
            Self::Checksum { stored, computed } => {
                write!(f, "checksum stored {stored:08x}, computed {computed:08x}")
            }
            Self::Array(array) => write!(f, "of another array, {array}"),
            Self::Place => f.write_str("belongs elsewhere"),
            Self::EntryCount { stored } => write!(f, "{stored} entries"),
            Self::EntryState { place, stored } => write!(f, "entry {place} has state {stored}"),
        }
    }
}

/// Which table block, of which array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPlace {
    /// The array.
    pub array: ArrayUuid,
    /// The region.
    pub region: Region,
    /// The block's index behind the region's header.
    pub index: u32,
}

/// Checks a table block that was read from `place`.
///
/// # Errors
///
/// [`BlockFlaw`]; nothing of it may be used then.
pub fn check_block(raw: &RawBlock, place: &BlockPlace) -> Result<Generation, BlockFlaw> {
    check_envelope(raw, TABLE_MAGIC, place)?;
    if BlockIndex::u64(raw) != u64::from(place.index) {
        return Err(BlockFlaw::Place);
    }
    let stored = EntryCount::u32(raw);
    if u64::from(stored) != ENTRIES_PER_BLOCK {
        return Err(BlockFlaw::EntryCount { stored });
    }
    (0..stored).try_for_each(|at| Entry::read(raw, at).map(drop))?;
    Ok(Generation::new(GenerationField::u64(raw)))
}

/// What header blocks and table blocks have in common.
fn check_envelope(raw: &RawBlock, magic: u32, place: &BlockPlace) -> Result<(), BlockFlaw> {
    let array = check_checksummed(raw, magic)?;
    if array != place.array {
        return Err(BlockFlaw::Array(array));
    }
    if RegionIndex::u8(raw) != place.region.index() {
        return Err(BlockFlaw::Place);
    }
    Ok(())
}

fn check_checksummed(raw: &RawBlock, magic: u32) -> Result<ArrayUuid, BlockFlaw> {
    if Magic::u32(raw) != magic {
        let blank = raw.iter().all(|byte| *byte == 0);
        return Err(if blank {
            BlockFlaw::Blank
        } else {
            BlockFlaw::Magic
        });
    }
    let (stored, computed) = (Checksum::u32(raw), block_checksum(raw));
    if stored != computed {
        return Err(BlockFlaw::Checksum { stored, computed });
    }
    if Version::u16(raw) != TABLE_VERSION {
        return Err(BlockFlaw::Version {
            stored: Version::u16(raw),
        });
    }
    Ok(ArrayUuid::new(Array::get(raw)))
}

/// The array whose header or table block this is, wherever it belongs; `None` for anything else.
pub fn array_of_block(raw: &RawBlock) -> Option<ArrayUuid> {
    let of = |magic| check_checksummed(raw, magic).ok();
    of(TABLE_MAGIC).or_else(|| of(HEADER_MAGIC))
}

/// The CRC-32C of a header or table block, its checksum field taken as zero.
pub fn block_checksum(raw: &RawBlock) -> u32 {
    checksum::of_structure::<8, BLOCK_4K_BYTES>(raw)
}

/// Entry number `place` of a block that was checked, or `None` past the last one.
pub fn entry(raw: &RawBlock, place: u32) -> Option<Entry> {
    Entry::read(raw, place).ok().flatten()
}

/// Puts an entry into a block, which must be sealed before it is written. Returns
/// whether there is such a place.
pub fn put_entry(raw: &mut RawBlock, place: u32, entry: &Entry) -> bool {
    let target = entry_offset(place).and_then(|at| raw.get_mut(at..)?.first_chunk_mut::<16>());
    target.map(|bytes| *bytes = entry.encode()).is_some()
}

/// Makes `raw` the block of `place` at `generation`: header and checksum are written,
/// the entries stay.
pub fn seal_block(raw: &mut RawBlock, place: &BlockPlace, generation: Generation) {
    if let Some(header) = raw.first_chunk_mut::<TABLE_HEADER_BYTES>() {
        *header = [0; TABLE_HEADER_BYTES];
    }
    seal_envelope(raw, TABLE_MAGIC, place);
    EntryCount::put(raw, &(ENTRIES_PER_BLOCK as u32).to_le_bytes());
    BlockIndex::put(raw, &u64::from(place.index).to_le_bytes());
    GenerationField::put(raw, &generation.get().to_le_bytes());
    let checksum = block_checksum(raw);
    Checksum::put(raw, &checksum.to_le_bytes());
}

fn seal_envelope(raw: &mut RawBlock, magic: u32, place: &BlockPlace) {
    Magic::put(raw, &magic.to_le_bytes());
    Version::put(raw, &TABLE_VERSION.to_le_bytes());
    RegionIndex::put(raw, &[place.region.index()]);
    Array::put(raw, place.array.bytes());
}

/// The generation of a block that was never changed since it was laid out.
pub const FIRST_GENERATION: Generation = Generation::new(1);

/// Makes `raw` a block of free entries.
pub fn format_block(raw: &mut RawBlock, place: &BlockPlace) {
    *raw = [0; BLOCK_4K_BYTES];
    seal_block(raw, place, FIRST_GENERATION);
}

/// The name in a field of this content, of which so many bytes are said to be it; `None` if
/// they cannot be.
pub(in crate::remap_core) fn read_name(field: &[u8; 128], length: u8) -> Option<Text<NAME_LIMIT>> {
    let name = field.get(..usize::from(length))?;
    Text::new(name).ok()
}

/// The field for a name, and how many bytes of it are the name.
pub(in crate::remap_core) fn name_field(name: &Text<NAME_LIMIT>) -> ([u8; 128], u8) {
    let name = name.before_nul();
    let mut field = [0; 128];
    for (to, from) in field.iter_mut().zip(name) {
        *to = *from;
    }
    // A name has 127 bytes at the most.
    (field, u8::try_from(name.len()).unwrap_or_default())
}

/// What a region's header block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionHeader {
    /// The region it heads.
    pub region: Region,
    /// The name of the mapped device; may be empty. Its bytes may be anything.
    pub name: Text<NAME_LIMIT>,
    /// The superblock when the header was written: from it a device can be rebuilt
    /// whose five copies are all lost.
    pub superblock: Superblock,
}

impl RegionHeader {
    /// The header of a region of this superblock. It never says that main is covered: it may
    /// outlive that, and the copies be made anew from it. A bare main whose ends are moved is the
    /// same device; a covered one whose ends are not would be none.
    pub fn of(region: Region, name: Text<NAME_LIMIT>, superblock: &Superblock) -> Self {
        let mut superblock = *superblock;
        if let Some(extension) = &mut superblock.extension {
            if extension.features.main_form() == MainForm::Covered {
                extension.features = extension.features.with_main(MainForm::Bare);
            }
        }
        Self {
            region,
            name,
            superblock,
        }
    }

    /// The array that the header is of.
    pub fn array(&self) -> Option<ArrayUuid> {
        self.superblock.array_uuid()
    }

    /// Reads a region's header block.
    ///
    /// # Errors
    ///
    /// [`BlockFlaw`]; nothing of it may be used then.
    pub fn read(raw: &RawBlock, region: Region) -> Result<Self, BlockFlaw> {
        let array = check_checksummed(raw, HEADER_MAGIC)?;
        if RegionIndex::u8(raw) != region.index() {
            return Err(BlockFlaw::Place);
        }
        let superblock = match read_copy(&Copy::get(raw), Slot::S0) {
            Content::Checksummed(superblock) => superblock,
            _ => return Err(BlockFlaw::Magic),
        };
        match superblock.array_uuid() {
            Some(of) if of == array => {}
            _ => return Err(BlockFlaw::Array(array)),
        }
        let name = read_name(&Name::get(raw), NameLength::u8(raw));
        Ok(Self {
            region,
            name: name.ok_or(BlockFlaw::Place)?,
            superblock,
        })
    }

    /// Makes `raw` this header block.
    pub fn write(&self, raw: &mut RawBlock) {
        *raw = [0; BLOCK_4K_BYTES];
        let array = self.array().unwrap_or_default();
        seal_envelope(
            raw,
            HEADER_MAGIC,
            &BlockPlace {
                array,
                region: self.region,
                index: 0,
            },
        );
        let (field, length) = name_field(&self.name);
        NameLength::put(raw, &[length]);
        Name::put(raw, &field);
        Copy::put(raw, &self.superblock.encode(Slot::S0));
        let checksum = block_checksum(raw);
        Checksum::put(raw, &checksum.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRAY: ArrayUuid = ArrayUuid::new(*b"sixteen bytes it");
    const PLACE: BlockPlace = BlockPlace {
        array: ARRAY,
        region: Region::A,
        index: 3,
    };

    fn sample() -> RawBlock {
        let mut raw = [0; BLOCK_4K_BYTES];
        format_block(&mut raw, &PLACE);
        raw
    }

    #[test]
    fn a_fresh_block_checks_and_is_all_free() {
        let raw = sample();
        assert_eq!(check_block(&raw, &PLACE), Ok(FIRST_GENERATION));
        assert!((0..252).all(|at| entry(&raw, at) == Some(Entry::default())));
        assert_eq!(entry(&raw, 252), None);
        assert_eq!(entry(&raw, u32::MAX), None);
    }

    #[test]
    fn every_place_holds_its_own_entry() {
        let mut raw = sample();
        for at in 0..252u32 {
            let state = EntryState::ALL[at as usize % 5];
            let main = MainBlock::new(u64::MAX - u64::from(at));
            assert!(put_entry(
                &mut raw,
                at,
                &Entry {
                    state,
                    main,
                    moves: at as u16
                }
            ));
        }
        assert!(!put_entry(&mut raw, 252, &Entry::default()));
        seal_block(&mut raw, &PLACE, Generation::new(7));
        assert_eq!(check_block(&raw, &PLACE), Ok(Generation::new(7)));
        for at in 0..252u32 {
            let read = entry(&raw, at).unwrap();
            assert_eq!(read.main.get(), u64::MAX - u64::from(at));
            assert_eq!(
                (read.state, read.moves),
                (EntryState::ALL[at as usize % 5], at as u16)
            );
        }
    }

    #[test]
    fn a_block_is_believed_only_where_it_belongs() {
        let raw = sample();
        let elsewhere = [
            (
                BlockPlace {
                    region: Region::B,
                    ..PLACE
                },
                BlockFlaw::Place,
            ),
            (BlockPlace { index: 4, ..PLACE }, BlockFlaw::Place),
            (
                BlockPlace {
                    array: ArrayUuid::default(),
                    ..PLACE
                },
                BlockFlaw::Array(ARRAY),
            ),
        ];
        for (place, flaw) in elsewhere {
            assert_eq!(check_block(&raw, &place), Err(flaw));
        }
        assert_eq!(
            check_block(&[0; BLOCK_4K_BYTES], &PLACE),
            Err(BlockFlaw::Blank)
        );
        assert_eq!(
            check_block(&[9; BLOCK_4K_BYTES], &PLACE),
            Err(BlockFlaw::Magic)
        );
    }

    #[test]
    fn any_changed_byte_is_found() {
        let good = sample();
        for at in 0..BLOCK_4K_BYTES {
            let mut raw = good;
            raw[at] ^= 0x10;
            assert!(check_block(&raw, &PLACE).is_err(), "byte {at}");
        }
    }

    #[test]
    fn an_unknown_entry_state_spoils_the_block_even_with_a_fitting_checksum() {
        let mut raw = sample();
        raw[TABLE_HEADER_BYTES + 5 * 16 + 8] = 5;
        seal_block(&mut raw, &PLACE, FIRST_GENERATION);
        assert_eq!(
            check_block(&raw, &PLACE),
            Err(BlockFlaw::EntryState {
                place: 5,
                stored: 5
            })
        );
    }
}
