// SPDX-License-Identifier: GPL-2.0-or-later
//! Labels of main: 4 KiB near both of its ends that say which array it belongs to, and what of
//! it is data.
//!
//! Main lacks every block that was moved. So that nobody takes it past the device, nothing that
//! others know lies near its ends: the device begins behind them ([`MainForm::Labelled`]), or
//! they are served from the spare ([`MainForm::Covered`]).
//!
//! # Invariants
//!
//! - A label is believed only with a checksum that fits, at the end of a disk of the size that
//!   it says.
//! - Labels are judged by what the superblock says, never the other way round.

use core::fmt;

use crate::remap_core::bytes::{Field, Text};
use crate::remap_core::checksum;
use crate::remap_core::remap_table::{name_field, read_name, RawBlock, NAME_LIMIT};
use crate::remap_core::signature::{self, Signature};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{
    ArrayUuid, BlockSize, Blocks, Errno, IdentityDigest, MainBlock, Sector, Sectors,
    BLOCK_4K_BYTES, BLOCK_4K_SECTORS,
};

/// The magic of every label: "DRML" on the disk.
pub const LABEL_MAGIC: u32 = 0x4C4D_5244;

/// The version of a label.
pub const LABEL_VERSION: u16 = 1;

/// Sectors at each end of main that hold a label and else zeros.
pub const END_SECTORS: Sectors = Sectors::new(2048);

/// The role of a disk that is main.
const ROLE_MAIN: u8 = 1;

type Magic = Field<0, 4>;
type Version = Field<4, 2>;
type EndIndex = Field<6, 1>;
type NameLength = Field<7, 1>;
type Checksum = Field<8, 4>;
type EpochField = Field<12, 4>;
type Array = Field<16, 16>;
type Identity = Field<32, 16>;
type MainSectors = Field<48, 8>;
type DataStart = Field<56, 8>;
type DataSectors = Field<64, 8>;
type Incompat = Field<80, 4>;
type Role = Field<84, 1>;
type FormNumber = Field<85, 1>;
type Sealed = Field<86, 1>;
type Name = Field<96, 128>;

/// The offset of the words for people.
const WORDS: usize = 512;

/// One of the two ends of main.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Its first sectors.
    First,
    /// Its last sectors.
    Last,
}

impl End {
    /// Both ends, in the order of the disk.
    pub const ALL: [Self; 2] = [Self::First, Self::Last];

    /// The number that a label at it bears.
    pub const fn index(self) -> u8 {
        match self {
            Self::First => 0,
            Self::Last => 1,
        }
    }

    /// The end's name, as reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
        }
    }

    /// The sectors of a main of this size that belong to the end; `None` on a main that is
    /// too small to have any.
    pub fn range(self, main: Sectors) -> Option<(Sector, Sectors)> {
        let area = DataArea::of(MainForm::Labelled, main)?;
        let end = area.start.checked_add(area.sectors)?;
        Some(match self {
            Self::First => (Sector::new(0), END_SECTORS),
            // With what is no whole 4 KiB.
            Self::Last => (end, main.checked_sub(Sectors::new(end.get()))?),
        })
    }

    /// The remap units of a main of this size that belong to the end; `None` on a main that is
    /// too small to have any. What of main is no whole unit belongs to nothing.
    pub fn blocks(self, main: Sectors, unit: BlockSize) -> Option<(MainBlock, Blocks)> {
        let (start, sectors) = self.range(main)?;
        let count = sectors.get().wrapping_shr(unit.sector_shift());
        Some((unit.block_of(start), Blocks::new(count)))
    }

    /// The remap units beneath the label at the end of a main of this size.
    pub fn label_blocks(self, main: Sectors, unit: BlockSize) -> Option<(MainBlock, Blocks)> {
        let count = BLOCK_4K_SECTORS.wrapping_shr(unit.sector_shift());
        let at = self.label_sector(main)?;
        Some((unit.block_of(at), Blocks::new(count)))
    }

    /// The sector of the label at the end of a main of this size; `None` on a main that is
    /// smaller than a label.
    pub fn label_sector(self, main: Sectors) -> Option<Sector> {
        let last = main.align_down_4k().get().checked_sub(BLOCK_4K_SECTORS)?;
        Some(match self {
            Self::First => Sector::new(0),
            Self::Last => Sector::new(last),
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The form in which main keeps what others would know it by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MainForm {
    /// All of main is data, and shows what lies on it to everybody.
    #[default]
    Bare,
    /// The device is what lies between the ends.
    Labelled,
    /// The device is all of main, and its ends are served from the spare.
    Covered,
}

impl MainForm {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Bare, Self::Labelled, Self::Covered];

    /// The form's name, as reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Labelled => "labelled",
            Self::Covered => "covered",
        }
    }

    /// Whether main bears labels in it.
    pub const fn has_labels(self) -> bool {
        !matches!(self, Self::Bare)
    }

    const fn number(self) -> u8 {
        match self {
            Self::Bare => 0,
            Self::Labelled => 1,
            Self::Covered => 2,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Labelled),
            2 => Some(Self::Covered),
            _ => None,
        }
    }

    /// The words in a label of this form, for people who look at the bytes.
    const fn words(self) -> &'static [u8] {
        match self {
            Self::Bare => b"",
            Self::Labelled => {
                b"\nThis disk is the main of a dm-remap-v4 device. Blocks of it that failed are \
                  served from its spare,\nand what it holds of them here is old: do not use it \
                  without the device.\nIts data lie between the labels at both of its ends. To \
                  see more: dmremap-tui inspect\n"
            }
            Self::Covered => {
                b"\nThis disk is the main of a dm-remap-v4 device. Its first and its last MiB, and \
                  blocks of it that failed,\nare served from its spare, and what it holds of them \
                  here is none or old: do not use it without the device.\nTo have its ends back: \
                  dmremap-tui uncover. To see more: dmremap-tui inspect\n"
            }
        }
    }
}

impl fmt::Display for MainForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The part of main that the device is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataArea {
    /// The sector of main at which the device begins.
    pub start: Sector,
    /// The length of the device.
    pub sectors: Sectors,
}

impl DataArea {
    /// The data of a main of this form and size; `None` if it is too small for its form.
    pub fn of(form: MainForm, main: Sectors) -> Option<Self> {
        let whole = Self {
            start: Sector::new(0),
            sectors: main,
        };
        let between = || {
            let ends = END_SECTORS.checked_add(END_SECTORS)?;
            let sectors = main.align_down_4k().checked_sub(ends)?;
            Some(Self {
                start: Sector::new(END_SECTORS.get()),
                sectors,
            })
        };
        let between = || between().filter(|area| area.sectors.get() >= BLOCK_4K_SECTORS);
        match form {
            MainForm::Bare => Some(whole),
            MainForm::Labelled => between(),
            MainForm::Covered => between().map(|_| whole),
        }
    }
}

/// One label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The end that it belongs to.
    pub end: End,
    /// The array whose main the disk is.
    pub array: ArrayUuid,
    /// Counts the times that a disk was made main of the array by labels: the highest is main.
    pub epoch: u32,
    /// The identity of the disk when the label was written.
    pub identity: IdentityDigest,
    /// The size of the disk.
    pub main_sectors: Sectors,
    /// The form of main.
    pub form: MainForm,
    /// Whether everything else at the end is zeros.
    pub sealed: bool,
    /// The name of the mapped device.
    pub name: Text<NAME_LIMIT>,
}

/// Why bytes are no label to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelFlaw {
    /// They are neither zeros nor begin as a label does.
    Magic {
        /// The beginning.
        stored: u32,
    },
    /// The checksum does not fit.
    Checksum {
        /// The checksum in the label.
        stored: u32,
        /// The checksum that its bytes give.
        computed: u32,
    },
    /// The label belongs to the other end.
    End {
        /// The number of the end that it bears.
        stored: u8,
    },
    /// The label was written to a disk of another size.
    Size {
        /// The size that it says.
        says: Sectors,
    },
    /// A field holds what no writer puts there.
    Field,
}

impl fmt::Display for LabelFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic { stored } => write!(f, "magic is {stored:08x}, not {LABEL_MAGIC:08x}"),
            Self::Checksum { stored, computed } => {
                write!(f, "checksum stored {stored:08x}, computed {computed:08x}")
            }
            Self::End { stored } => write!(f, "bears number {stored} of an end"),
            Self::Size { says } => write!(f, "written to a disk of {says} sectors"),
            Self::Field => f.write_str("a field that no label has"),
        }
    }
}

/// Everything that one end of a disk can show where a label may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelReading {
    /// A label.
    Label(Label),
    /// Nothing but zeros.
    Blank,
    /// The signature of others.
    Foreign(Signature),
    /// Bytes that are no label to be believed.
    Flawed(LabelFlaw),
    /// A label of another version, or with features that are not known here.
    Unsupported,
    /// The disk gave an error.
    Unreadable(Errno),
}

impl LabelReading {
    /// Reads what lies at the label's place at one end of a disk of `size`.
    pub fn of(raw: &RawBlock, end: End, size: Sectors) -> Self {
        if raw.iter().all(|byte| *byte == 0) {
            return Self::Blank;
        }
        let stored = Magic::u32(raw);
        if stored != LABEL_MAGIC {
            return match signature::detect(raw) {
                Some(signature) => Self::Foreign(signature),
                None => Self::Flawed(LabelFlaw::Magic { stored }),
            };
        }
        let (stored, computed) = (Checksum::u32(raw), checksum_of(raw));
        if stored != computed {
            return Self::Flawed(LabelFlaw::Checksum { stored, computed });
        }
        let known = Version::u16(raw) == LABEL_VERSION
            && Incompat::u32(raw) == 0
            && Role::u8(raw) == ROLE_MAIN;
        if !known {
            return Self::Unsupported;
        }
        match Label::read(raw, end, size) {
            Ok(label) => Self::Label(label),
            Err(flaw) => Self::Flawed(flaw),
        }
    }

    /// The reading by itself, as reports spell it: a label is valid here whatever it says.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Label(_) => "valid",
            Self::Blank => "missing",
            Self::Foreign(_) => "foreign",
            Self::Flawed(_) => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// The label, if there is one to be believed.
    pub const fn label(&self) -> Option<&Label> {
        match self {
            Self::Label(label) => Some(label),
            _ => None,
        }
    }
}

impl Label {
    /// The label that a main of this superblock bears at `end`; `None` where it bears none.
    pub fn of(
        superblock: &Superblock,
        end: End,
        identity: IdentityDigest,
        name: Text<NAME_LIMIT>,
        sealed: bool,
    ) -> Option<Self> {
        let extension = superblock.extension.as_ref()?;
        let form = extension.features.main_form();
        form.has_labels().then_some(Self {
            end,
            array: extension.array_uuid,
            epoch: extension.main_epoch,
            identity,
            main_sectors: superblock.main_sectors,
            form,
            sealed,
            name,
        })
    }

    fn read(raw: &RawBlock, end: End, size: Sectors) -> Result<Self, LabelFlaw> {
        let stored = EndIndex::u8(raw);
        if stored != end.index() {
            return Err(LabelFlaw::End { stored });
        }
        let says = Sectors::new(MainSectors::u64(raw));
        if says != size {
            return Err(LabelFlaw::Size { says });
        }
        let form = MainForm::from_number(FormNumber::u8(raw)).ok_or(LabelFlaw::Field)?;
        let area = DataArea {
            start: Sector::new(DataStart::u64(raw)),
            sectors: Sectors::new(DataSectors::u64(raw)),
        };
        let name = read_name(&Name::get(raw), NameLength::u8(raw));
        if DataArea::of(form, size) != Some(area) || Sealed::u8(raw) > 1 {
            return Err(LabelFlaw::Field);
        }
        Ok(Self {
            end,
            array: ArrayUuid::new(Array::get(raw)),
            epoch: EpochField::u32(raw),
            identity: IdentityDigest::new(Identity::get(raw)),
            main_sectors: size,
            form,
            sealed: Sealed::u8(raw) == 1,
            name: name.ok_or(LabelFlaw::Field)?,
        })
    }

    /// Writes the label, byte for byte, over all of `raw`.
    pub fn write(&self, raw: &mut RawBlock) {
        raw.fill(0);
        Magic::put(raw, &LABEL_MAGIC.to_le_bytes());
        Version::put(raw, &LABEL_VERSION.to_le_bytes());
        EndIndex::put(raw, &[self.end.index()]);
        let (name, length) = name_field(&self.name);
        NameLength::put(raw, &[length]);
        Name::put(raw, &name);
        EpochField::put(raw, &self.epoch.to_le_bytes());
        Array::put(raw, self.array.bytes());
        Identity::put(raw, self.identity.bytes());
        MainSectors::put(raw, &self.main_sectors.get().to_le_bytes());
        if let Some(area) = DataArea::of(self.form, self.main_sectors) {
            DataStart::put(raw, &area.start.get().to_le_bytes());
            DataSectors::put(raw, &area.sectors.get().to_le_bytes());
        }
        Role::put(raw, &[ROLE_MAIN]);
        FormNumber::put(raw, &[self.form.number()]);
        Sealed::put(raw, &[u8::from(self.sealed)]);
        for (to, from) in raw.iter_mut().skip(WORDS).zip(self.form.words()) {
            *to = *from;
        }
        let checksum = checksum_of(raw);
        Checksum::put(raw, &checksum.to_le_bytes());
    }
}

/// The CRC-32C that a label's bytes give, its checksum field taken as zero.
pub fn checksum_of(raw: &RawBlock) -> u32 {
    checksum::of_structure::<8, BLOCK_4K_BYTES>(raw)
}
