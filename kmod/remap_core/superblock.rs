// SPDX-License-Identifier: GPL-2.0-or-later
//! The superblock: 512 bytes of format v4, with or without the extension.
//!
//! Its first 400 bytes are what existing tools wrote ("plain v4"). The extension in
//! the last 112 bytes brings a checksum over all 512, the array UUID, identities
//! and the layout. `docs/on-disk-format.md` is the byte-exact specification.

use core::fmt;

use crate::remap_core::bytes::{Field, Text};
use crate::remap_core::checksum;
use crate::remap_core::label::{DataArea, MainForm};
use crate::remap_core::layout::{Layout, LayoutError};
use crate::remap_core::units::{
    ArrayUuid, BlockSize, Blocks, IdentityDigest, Sector, Sectors, Sequence, Slot, Timestamp,
};

/// Bytes in one copy.
pub const COPY_BYTES: usize = 512;

/// One copy as it lies on the disk.
pub type RawCopy = [u8; COPY_BYTES];

/// What every copy begins with; `34 52 4d 44` on the disk.
pub const MAGIC: u32 = 0x444D_5234;

/// The format's version.
pub const VERSION: u32 = 4;

/// What the extension begins with; `44 52 34 58`, "DR4X", on the disk.
pub const EXTENSION_MAGIC: u32 = 0x5834_5244;

/// The extension's version.
pub const EXTENSION_VERSION: u16 = 1;

/// Bytes in the extension.
pub const EXTENSION_BYTES: u16 = 112;

/// The structure size that plain v4 states.
pub const PLAIN_STRUCTURE_SIZE: u32 = 2048;

/// The structure size of a copy with the extension: what it really is.
pub const STRUCTURE_SIZE: u32 = 512;

/// The structure size of the layout that an older kernel module writes under the
/// same magic and version. It shares nothing else with plain v4.
pub const FOREIGN_STRUCTURE_SIZE: u32 = 84288;

/// The size of one remap-table entry, in bytes.
pub const ENTRY_BYTES: u32 = 16;

/// The `ro_compat` bits that this code knows.
pub const KNOWN_RO_COMPAT: u32 = 0;

/// The `incompat` bit of a main whose data lie between its labels.
pub const INCOMPAT_LABELLED: u32 = 1;

/// The `incompat` bit of a main whose ends are served from the spare.
pub const INCOMPAT_COVERED: u32 = 1 << 1;

/// The `incompat` bits that this code knows.
pub const KNOWN_INCOMPAT: u32 = INCOMPAT_LABELLED | INCOMPAT_COVERED;

type Magic = Field<0, 4>;
type Version = Field<4, 4>;
type SequenceField = Field<8, 8>;
type TimestampField = Field<16, 8>;
type Checksum = Field<24, 4>;
type CopyIndex = Field<28, 4>;
type StructureSize = Field<32, 4>;
type MainEpoch = Field<36, 4>;
type MainUuid = Field<40, 37>;
type SpareUuid = Field<77, 37>;
type MainSectors = Field<114, 8>;
type SpareSectors = Field<122, 8>;
type SectorSize = Field<130, 4>;
type EntrySize = Field<134, 4>;
type Capacity = Field<138, 4>;
type MainPath = Field<144, 128>;
type SparePath = Field<272, 128>;
type Padding = Field<400, 112>;

type ExtMagic = Field<400, 4>;
type ExtVersion = Field<404, 2>;
type ExtLength = Field<406, 2>;
type Compat = Field<408, 4>;
type RoCompat = Field<412, 4>;
type Incompat = Field<416, 4>;
type Uuid = Field<420, 16>;
type MainIdentity = Field<436, 16>;
type SpareIdentity = Field<452, 16>;
type UnitSize = Field<468, 4>;
type NeedsCheck = Field<472, 4>;
type RegionBlocks = Field<476, 4>;
type RegionA = Field<480, 8>;
type RegionB = Field<488, 8>;
type ReplacementStart = Field<496, 8>;
type ReplacementBlocks = Field<504, 8>;

const _: () = assert!(Padding::END == COPY_BYTES && ReplacementBlocks::END == COPY_BYTES);

/// What one copy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Orders the copies.
    pub sequence: Sequence,
    /// When it was written, as its writer's clock had it; shown, never compared.
    pub timestamp: Timestamp,
    /// A file-system UUID or the like of main, as text; all zeros where none was known.
    pub main_uuid: Text<37>,
    /// The same of the spare.
    pub spare_uuid: Text<37>,
    /// The size of main.
    pub main_sectors: Sectors,
    /// The size of the spare.
    pub spare_sectors: Sectors,
    /// The logical block size of the spare when it was joined.
    pub sector_size: BlockSize,
    /// The size of a remap entry, in bytes: 512 in plain v4, else 16.
    pub entry_size: u32,
    /// How many remaps the table can hold; the largest number where it is more.
    pub capacity: u32,
    /// Where main was found: a hint to show, never a way to find it.
    pub main_path: Text<128>,
    /// Where the spare was found: a hint to show, never a way to find it.
    pub spare_path: Text<128>,
    /// The extension; plain v4 has none.
    pub extension: Option<Extension>,
}

/// What the last 112 bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// What an older reader must know of it.
    pub features: Features,
    /// Names the array for good.
    pub array_uuid: ArrayUuid,
    /// Counts the times that a disk was made main by labels; 0 if none ever was.
    pub main_epoch: u32,
    /// What main is, from what is stable about it.
    pub main_identity: IdentityDigest,
    /// What the spare is, from what is stable about it.
    pub spare_identity: IdentityDigest,
    /// Whether the remap table contradicted itself, so that the device is to come up
    /// read-only until somebody looked.
    pub needs_check: bool,
    /// Where the remap table and the replacement area lie.
    pub layout: Layout,
}

/// Three words of feature bits, as file systems use them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// May be ignored by whoever does not know them.
    pub compat: u32,
    /// Whoever does not know them must not write.
    pub ro_compat: u32,
    /// Whoever does not know them must not touch the device.
    pub incompat: u32,
}

impl Features {
    /// The `ro_compat` bits this code does not know: if any, nothing is written.
    pub const fn unknown_ro_compat(&self) -> u32 {
        self.ro_compat & !KNOWN_RO_COMPAT
    }

    /// The `incompat` bits this code does not know: if any, nothing is touched.
    pub const fn unknown_incompat(&self) -> u32 {
        self.incompat & !KNOWN_INCOMPAT
    }

    /// The form that main has.
    pub const fn main_form(&self) -> MainForm {
        match self.incompat & (INCOMPAT_LABELLED | INCOMPAT_COVERED) {
            0 => MainForm::Bare,
            INCOMPAT_LABELLED => MainForm::Labelled,
            _ => MainForm::Covered,
        }
    }

    /// The same with a main of this form.
    #[must_use]
    pub const fn with_main(self, form: MainForm) -> Self {
        let bit = match form {
            MainForm::Bare => 0,
            MainForm::Labelled => INCOMPAT_LABELLED,
            MainForm::Covered => INCOMPAT_COVERED,
        };
        let others = self.incompat & !(INCOMPAT_LABELLED | INCOMPAT_COVERED);
        Self {
            incompat: others | bit,
            ..self
        }
    }
}

/// Why a copy that may be ours is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The magic is not ours, and no known signature is there either.
    Magic {
        /// What is there.
        stored: u32,
    },
    /// The checksum does not fit the bytes.
    Checksum {
        /// What the copy says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// The copy bears another slot's number.
    CopyIndex {
        /// What it bears.
        stored: u32,
    },
    /// The structure size fits no known form.
    StructureSize {
        /// What it says.
        stored: u32,
    },
    /// A text field holds what no tool writes there.
    Text(TextField),
    /// Bytes that are zero in this form are not: most likely fields shifted by an
    /// over-long path.
    Padding,
    /// The path of main fills its field and goes on in that of the spare.
    Overrun,
    /// Main or the spare is said to have no sectors.
    NoSectors,
    /// The logical block size is none.
    SectorSize {
        /// What it says, in bytes.
        stored: u32,
    },
    /// The remap unit is none.
    UnitSize {
        /// What it says, in bytes.
        stored: u32,
    },
    /// The extension has another length than its version says.
    ExtensionLength {
        /// What it says, in bytes.
        stored: u16,
    },
    /// The layout cannot be.
    Layout(LayoutError),
    /// Main is too small for its form, or has two forms.
    MainForm,
    /// Plain v4: other copies agree with each other, and not with this one.
    Outvoted,
}

/// A text field of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    /// UUID of main.
    MainUuid,
    /// UUID of the spare.
    SpareUuid,
    /// Path of main.
    MainPath,
    /// Path of the spare.
    SparePath,
}

impl fmt::Display for TextField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MainUuid => "main UUID",
            Self::SpareUuid => "spare UUID",
            Self::MainPath => "main path",
            Self::SparePath => "spare path",
        })
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic { stored } => {
                write!(f, "magic is {stored:08x}, not {MAGIC:08x}")
            }
            Self::Checksum { stored, computed } => {
                write!(f, "checksum stored {stored:08x}, computed {computed:08x}")
            }
            Self::CopyIndex { stored } => write!(f, "bears copy index {stored}"),
            Self::StructureSize { stored } => {
                write!(f, "structure size {stored} fits no known form")
            }
            Self::Text(field) => write!(f, "{field} is not text"),
            Self::Padding => f.write_str("padding is not zero: fields may be shifted"),
            Self::Overrun => f.write_str("main path runs on into the spare path"),
            Self::NoSectors => f.write_str("a device of no sectors"),
            Self::SectorSize { stored } => write!(f, "sector size of {stored} bytes"),
            Self::UnitSize { stored } => write!(f, "remap unit of {stored} bytes"),
            Self::ExtensionLength { stored } => {
                write!(f, "extension of {stored} bytes, not {EXTENSION_BYTES}")
            }
            Self::Layout(error) => write!(f, "layout: {error}"),
            Self::MainForm => f.write_str(
                "main is too small for labels at both ends, or said to be labelled and covered",
            ),
            Self::Outvoted => f.write_str("differs from the copies that agree"),
        }
    }
}

/// Why a copy that is intact is not for this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// Another format version.
    Version {
        /// What it says.
        stored: u32,
    },
    /// Another version of the extension.
    ExtensionVersion {
        /// What it says.
        stored: u16,
    },
    /// Incompatible features that are not known here.
    Features {
        /// The unknown bits.
        incompat: u32,
    },
    /// The layout of an older kernel module under our magic; a spare that carries it
    /// may hold remapped user data from sector 0 on.
    OtherLayout {
        /// The structure size it states, in bytes.
        structure_size: u32,
    },
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { stored } => write!(f, "format version {stored}"),
            Self::ExtensionVersion { stored } => write!(f, "extension version {stored}"),
            Self::Features { incompat } => {
                write!(f, "unknown incompatible features {incompat:08x}")
            }
            Self::OtherLayout { structure_size } => {
                write!(
                    f,
                    "another layout under our magic (structure size {structure_size})"
                )
            }
        }
    }
}

/// What one copy's bytes are, seen on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing but zeros.
    Blank,
    /// Neither our magic nor our extension's.
    NotOurs,
    /// Ours, and not to be believed.
    Flawed(Flaw),
    /// Ours and not for this code.
    Unsupported {
        /// Why.
        why: Unsupported,
        /// Whether that is no damage: a checksum covers it, or it is another layout,
        /// which states a size that no flipped bits would give.
        proven: bool,
    },
    /// Ours, with the extension and a checksum that fits.
    Checksummed(Superblock),
    /// Plain v4 without a flaw that shows; only agreement can vouch for it.
    Plain(Superblock),
}

/// Reads the bytes of one copy that lay in `slot`.
pub fn read_copy(raw: &RawCopy, slot: Slot) -> Content {
    if raw.iter().all(|byte| *byte == 0) {
        return Content::Blank;
    }
    let extended = ExtMagic::u32(raw) == EXTENSION_MAGIC;
    if Magic::u32(raw) != MAGIC {
        return if extended {
            Content::Flawed(Flaw::Magic {
                stored: Magic::u32(raw),
            })
        } else {
            Content::NotOurs
        };
    }
    let read = if extended {
        read_checksummed(raw, slot)
    } else {
        read_plain(raw, slot)
    };
    match read {
        Ok(superblock) if extended => Content::Checksummed(superblock),
        Ok(superblock) => Content::Plain(superblock),
        Err(Rejection::Flaw(flaw)) => Content::Flawed(flaw),
        Err(Rejection::Unsupported(why)) => Content::Unsupported {
            why,
            proven: extended || matches!(why, Unsupported::OtherLayout { .. }),
        },
    }
}

enum Rejection {
    Flaw(Flaw),
    Unsupported(Unsupported),
}

impl From<Flaw> for Rejection {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

fn read_checksummed(raw: &RawCopy, slot: Slot) -> Result<Superblock, Rejection> {
    let (stored, computed) = (stored_checksum(raw), computed_checksum(raw));
    if stored != computed {
        return Err(Flaw::Checksum { stored, computed }.into());
    }
    if Version::u32(raw) != VERSION {
        return Err(Rejection::Unsupported(Unsupported::Version {
            stored: Version::u32(raw),
        }));
    }
    if ExtVersion::u16(raw) != EXTENSION_VERSION {
        let stored = ExtVersion::u16(raw);
        return Err(Rejection::Unsupported(Unsupported::ExtensionVersion {
            stored,
        }));
    }
    let features = read_features(raw);
    if features.unknown_incompat() != 0 {
        let incompat = features.unknown_incompat();
        return Err(Rejection::Unsupported(Unsupported::Features { incompat }));
    }
    if ExtLength::u16(raw) != EXTENSION_BYTES {
        return Err(Flaw::ExtensionLength {
            stored: ExtLength::u16(raw),
        }
        .into());
    }
    check_place(raw, slot, STRUCTURE_SIZE)?;
    let mut superblock = read_common(raw)?;
    let fits = DataArea::of(features.main_form(), superblock.main_sectors).is_some();
    if !fits || features.incompat & KNOWN_INCOMPAT == KNOWN_INCOMPAT {
        return Err(Flaw::MainForm.into());
    }
    superblock.extension = Some(read_extension(raw, features, superblock.spare_sectors)?);
    Ok(superblock)
}

fn read_plain(raw: &RawCopy, slot: Slot) -> Result<Superblock, Rejection> {
    let structure_size = StructureSize::u32(raw);
    if structure_size == FOREIGN_STRUCTURE_SIZE {
        return Err(Rejection::Unsupported(Unsupported::OtherLayout {
            structure_size,
        }));
    }
    if Version::u32(raw) != VERSION {
        return Err(Rejection::Unsupported(Unsupported::Version {
            stored: Version::u32(raw),
        }));
    }
    let stored = stored_checksum(raw);
    if stored != 0 {
        return Err(Flaw::Checksum {
            stored,
            computed: computed_checksum(raw),
        }
        .into());
    }
    check_place(raw, slot, PLAIN_STRUCTURE_SIZE)?;
    if !Padding::is_zero(raw) {
        return Err(Flaw::Padding.into());
    }
    let superblock = read_common(raw)?;
    // A tool that pads texts and never cuts one moves whatever comes after a long one.
    // Where it padded with NULs, no other field shows it.
    let unended = !matches!(superblock.main_path.field().last(), Some(0 | b' '));
    if unended && !superblock.spare_path.field().starts_with(b"/") {
        return Err(Flaw::Overrun.into());
    }
    let texts = [
        (superblock.main_uuid.is_plain(), TextField::MainUuid),
        (superblock.spare_uuid.is_plain(), TextField::SpareUuid),
        (superblock.main_path.is_plain(), TextField::MainPath),
        (superblock.spare_path.is_plain(), TextField::SparePath),
    ];
    match texts.into_iter().find(|(plain, _)| !plain) {
        Some((_, field)) => Err(Flaw::Text(field).into()),
        None => Ok(superblock),
    }
}

fn check_place(raw: &RawCopy, slot: Slot, structure_size: u32) -> Result<(), Flaw> {
    if CopyIndex::u32(raw) != slot.index() {
        return Err(Flaw::CopyIndex {
            stored: CopyIndex::u32(raw),
        });
    }
    if StructureSize::u32(raw) != structure_size {
        return Err(Flaw::StructureSize {
            stored: StructureSize::u32(raw),
        });
    }
    Ok(())
}

fn read_common(raw: &RawCopy) -> Result<Superblock, Flaw> {
    let stored = SectorSize::u32(raw);
    let superblock = Superblock {
        sequence: Sequence::new(SequenceField::u64(raw)),
        timestamp: Timestamp::new(TimestampField::u64(raw)),
        main_uuid: Text::from_field(MainUuid::get(raw)),
        spare_uuid: Text::from_field(SpareUuid::get(raw)),
        main_sectors: Sectors::new(MainSectors::u64(raw)),
        spare_sectors: Sectors::new(SpareSectors::u64(raw)),
        sector_size: BlockSize::from_bytes(stored).ok_or(Flaw::SectorSize { stored })?,
        entry_size: EntrySize::u32(raw),
        capacity: Capacity::u32(raw),
        main_path: Text::from_field(MainPath::get(raw)),
        spare_path: Text::from_field(SparePath::get(raw)),
        extension: None,
    };
    if superblock.main_sectors.get() == 0 || superblock.spare_sectors.get() == 0 {
        return Err(Flaw::NoSectors);
    }
    Ok(superblock)
}

fn read_features(raw: &RawCopy) -> Features {
    Features {
        compat: Compat::u32(raw),
        ro_compat: RoCompat::u32(raw),
        incompat: Incompat::u32(raw),
    }
}

fn read_extension(
    raw: &RawCopy,
    features: Features,
    spare_sectors: Sectors,
) -> Result<Extension, Flaw> {
    let stored = UnitSize::u32(raw);
    let layout = Layout {
        block_size: BlockSize::from_bytes(stored).ok_or(Flaw::UnitSize { stored })?,
        region_blocks: RegionBlocks::u32(raw),
        region_a: Sector::new(RegionA::u64(raw)),
        region_b: Sector::new(RegionB::u64(raw)),
        replacement: Sector::new(ReplacementStart::u64(raw)),
        replacement_blocks: Blocks::new(ReplacementBlocks::u64(raw)),
    };
    layout.check(spare_sectors).map_err(Flaw::Layout)?;
    Ok(Extension {
        features,
        array_uuid: ArrayUuid::new(Uuid::get(raw)),
        main_epoch: MainEpoch::u32(raw),
        main_identity: IdentityDigest::new(MainIdentity::get(raw)),
        spare_identity: IdentityDigest::new(SpareIdentity::get(raw)),
        needs_check: NeedsCheck::u32(raw) != 0,
        layout,
    })
}

impl Superblock {
    /// The copy of this superblock that belongs into `slot`, byte for byte.
    pub fn encode(&self, slot: Slot) -> RawCopy {
        let mut raw = [0; COPY_BYTES];
        Magic::put(&mut raw, &MAGIC.to_le_bytes());
        Version::put(&mut raw, &VERSION.to_le_bytes());
        SequenceField::put(&mut raw, &self.sequence.get().to_le_bytes());
        TimestampField::put(&mut raw, &self.timestamp.get().to_le_bytes());
        MainUuid::put(&mut raw, self.main_uuid.field());
        SpareUuid::put(&mut raw, self.spare_uuid.field());
        MainSectors::put(&mut raw, &self.main_sectors.get().to_le_bytes());
        SpareSectors::put(&mut raw, &self.spare_sectors.get().to_le_bytes());
        SectorSize::put(&mut raw, &self.sector_size.bytes().to_le_bytes());
        EntrySize::put(&mut raw, &self.entry_size.to_le_bytes());
        Capacity::put(&mut raw, &self.capacity.to_le_bytes());
        MainPath::put(&mut raw, self.main_path.field());
        SparePath::put(&mut raw, self.spare_path.field());
        let structure_size = match &self.extension {
            Some(extension) => {
                extension.put(&mut raw);
                STRUCTURE_SIZE
            }
            None => PLAIN_STRUCTURE_SIZE,
        };
        StructureSize::put(&mut raw, &structure_size.to_le_bytes());
        readdress(&raw, slot)
    }

    /// The array's UUID; plain v4 has none.
    pub fn array_uuid(&self) -> Option<ArrayUuid> {
        self.extension
            .as_ref()
            .map(|extension| extension.array_uuid)
    }

    /// The form of main; bare in plain v4.
    pub fn main_form(&self) -> MainForm {
        let features = self.extension.as_ref().map(|extension| extension.features);
        features.unwrap_or_default().main_form()
    }

    /// The part of main that the device is made of.
    pub fn data_area(&self) -> DataArea {
        let whole = DataArea {
            start: Sector::new(0),
            sectors: self.main_sectors,
        };
        // A copy whose main is too small for its form is not believed.
        DataArea::of(self.main_form(), self.main_sectors).unwrap_or(whole)
    }

    /// The layout behind the slots; plain v4 has none.
    pub fn layout(&self) -> Option<&Layout> {
        self.extension.as_ref().map(|extension| &extension.layout)
    }
}

impl Extension {
    fn put(&self, raw: &mut RawCopy) {
        ExtMagic::put(raw, &EXTENSION_MAGIC.to_le_bytes());
        ExtVersion::put(raw, &EXTENSION_VERSION.to_le_bytes());
        ExtLength::put(raw, &EXTENSION_BYTES.to_le_bytes());
        Compat::put(raw, &self.features.compat.to_le_bytes());
        RoCompat::put(raw, &self.features.ro_compat.to_le_bytes());
        Incompat::put(raw, &self.features.incompat.to_le_bytes());
        MainEpoch::put(raw, &self.main_epoch.to_le_bytes());
        Uuid::put(raw, self.array_uuid.bytes());
        MainIdentity::put(raw, self.main_identity.bytes());
        SpareIdentity::put(raw, self.spare_identity.bytes());
        UnitSize::put(raw, &self.layout.block_size.bytes().to_le_bytes());
        NeedsCheck::put(raw, &u32::from(self.needs_check).to_le_bytes());
        RegionBlocks::put(raw, &self.layout.region_blocks.to_le_bytes());
        RegionA::put(raw, &self.layout.region_a.get().to_le_bytes());
        RegionB::put(raw, &self.layout.region_b.get().to_le_bytes());
        ReplacementStart::put(raw, &self.layout.replacement.get().to_le_bytes());
        ReplacementBlocks::put(raw, &self.layout.replacement_blocks.get().to_le_bytes());
    }
}

/// The checksum that a copy states.
pub fn stored_checksum(raw: &RawCopy) -> u32 {
    Checksum::u32(raw)
}

/// The CRC-32C that a copy's bytes give, its checksum field taken as zero.
pub fn computed_checksum(raw: &RawCopy) -> u32 {
    checksum::of_structure::<24, COPY_BYTES>(raw)
}

/// The same copy for another slot: its index changed and, if it has the extension,
/// its checksum renewed. Every other byte stays, known to this code or not.
pub fn readdress(raw: &RawCopy, slot: Slot) -> RawCopy {
    let mut raw = *raw;
    CopyIndex::put(&mut raw, &slot.index().to_le_bytes());
    if ExtMagic::u32(&raw) == EXTENSION_MAGIC {
        let checksum = computed_checksum(&raw);
        Checksum::put(&mut raw, &checksum.to_le_bytes());
    }
    raw
}

/// Whether two copies say the same: equal but for checksum and copy index, which make
/// each its slot's own.
pub fn same_body(one: &RawCopy, other: &RawCopy) -> bool {
    one.get(..Checksum::START) == other.get(..Checksum::START)
        && one.get(CopyIndex::END..) == other.get(CopyIndex::END..)
}
