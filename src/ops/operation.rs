//! What an operator can ask for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::port::journal::ActionId;
use crate::remap_core::label::MainForm;
use crate::remap_core::message::Message;
use crate::remap_core::params::Options;
use crate::remap_core::units::{ArrayUuid, BlockSize, Slot};

/// A mapped device or a spare, as the operator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A mapped device, up or not, by its name.
    Name(String),
    /// A spare, by its path.
    Path(PathBuf),
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Join main and a spare to a new mapped device, and bring it up where that can be.
    Create {
        /// The name of the mapped device.
        name: String,
        /// The ageing disk.
        main: PathBuf,
        /// The disk that will replace its bad blocks.
        spare: PathBuf,
        /// Remap unit, scrub interval, read-only.
        options: Options,
        /// Whether metadata or a signature on the spare may be overwritten.
        replace: bool,
        /// The form of main; none for labels where it is empty.
        form: Option<MainForm>,
    },
    /// Have the target of an active device write its copies anew.
    WriteMetadata {
        /// The mapped device.
        name: String,
    },
    /// Write the copies of a device that is not up: first ones, or anew.
    WriteInactive {
        /// The name of the mapped device.
        name: String,
        /// The ageing disk.
        main: PathBuf,
        /// The spare.
        spare: PathBuf,
        /// Remap unit, where the spare has no metadata yet.
        options: Options,
        /// Whether metadata of another device or a signature may be overwritten.
        replace: bool,
        /// Whether the two may be other disks than the metadata was written to, and are
        /// to be known by it from now on.
        adopt: bool,
    },
    /// Damage copies on purpose.
    Corrupt {
        /// The spare.
        path: PathBuf,
        /// Which copies.
        slots: Vec<Slot>,
        /// How.
        kind: CorruptionKind,
        /// What makes it repeatable.
        seed: u64,
    },
    /// Bring the winning content to the slots that do not hold it.
    Repair {
        /// An active device, or a spare that is not in use.
        target: Target,
        /// The copy that a person chose among rivals.
        from: Option<Slot>,
        /// Whether lost copies are to be rebuilt from a region header.
        rebuild: bool,
        /// The array of that header, where headers of several are left.
        array: Option<ArrayUuid>,
    },
    /// Give plain v4 checksums, identities, a name and a remap table.
    Migrate {
        /// The spare.
        path: PathBuf,
        /// The name that the mapped device is to have.
        name: Option<String>,
        /// The remap unit; where none is said, the larger of the two block sizes.
        block_size: Option<BlockSize>,
        /// Main, which is to be recorded; where none is said, it is if it can be told.
        main: Option<PathBuf>,
    },
    /// Bring up what the metadata of a spare describes.
    Reassemble {
        /// The mapped device or its spare.
        target: Target,
        /// Main, where nothing stable tells it.
        main: Option<PathBuf>,
        /// The name it is to have, where the metadata holds none.
        name: Option<String>,
        /// Whether it is to come up read-only.
        read_only: bool,
    },
    /// Take a mapped device down. Its metadata stays.
    Remove {
        /// The mapped device.
        name: String,
    },
    /// Serve the first and the last MiB of the main of an active device from its spare, and leave
    /// labels in their place.
    Cover {
        /// The mapped device.
        name: String,
    },
    /// Bring the first and the last MiB of main back to where they were.
    Uncover {
        /// The mapped device.
        name: String,
    },
    /// Send a message to the target of an active device: scrub, repair, remap, faults.
    Message {
        /// The mapped device.
        name: String,
        /// What to do.
        message: Message,
    },
    /// Write back what lay there before an action.
    Undo {
        /// Which action; none for the last one that can be taken back.
        id: Option<ActionId>,
    },
}

/// The forms of main that can be asked for, each with its option.
pub(super) const FORM_OPTIONS: [(MainForm, &str); 2] = [
    (MainForm::Labelled, "--labelled"),
    (MainForm::Bare, "--bare"),
];

impl Operation {
    /// The kind of operation, as the command is called.
    pub const fn command_name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::WriteMetadata { .. } | Self::WriteInactive { .. } => "write-metadata",
            Self::Corrupt { .. } => "corrupt",
            Self::Repair { .. } => "repair",
            Self::Migrate { .. } => "migrate",
            Self::Reassemble { .. } => "reassemble",
            Self::Remove { .. } => "remove",
            Self::Cover { .. } => "cover",
            Self::Uncover { .. } => "uncover",
            Self::Message {
                message: Message::Scrub,
                ..
            } => "scrub",
            Self::Message {
                message: Message::Repair,
                ..
            } => "repair",
            Self::Message {
                message: Message::WriteMetadata,
                ..
            } => "write-metadata",
            Self::Message {
                message: Message::Fault(_) | Message::ClearFaults,
                ..
            } => "fault",
            Self::Message { .. } => "message",
            Self::Undo { .. } => "undo",
        }
    }
}

/// How a copy is damaged on purpose. Every kind changes the 512 bytes of the copy alone,
/// depends on nothing but the seed, the slot and what lies there, and never makes two
/// damaged copies of plain v4 agree with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CorruptionKind {
    /// One bit changes.
    BitFlip,
    /// Every byte becomes random.
    Random,
    /// Every byte becomes zero.
    Zero,
    /// The end of the copy becomes zeros, as if a write had been cut off.
    Torn,
    /// The copy missed the last write.
    Stale,
    /// The checksum does not fit.
    Checksum,
    /// The copy bears the next slot's number.
    Swapped,
    /// Somebody else's signature.
    Foreign,
    /// A path is cut short, and what stood behind the cut stays.
    TruncatedText,
    /// A valid copy five writes ahead.
    Ahead,
    /// A valid copy of the same sequence that says something else.
    Rival,
    /// A valid copy of another array.
    Alien,
}

impl CorruptionKind {
    /// Every kind there is.
    pub const ALL: [Self; 12] = [
        Self::BitFlip,
        Self::Random,
        Self::Zero,
        Self::Torn,
        Self::Stale,
        Self::Checksum,
        Self::Swapped,
        Self::Foreign,
        Self::TruncatedText,
        Self::Ahead,
        Self::Rival,
        Self::Alien,
    ];

    /// Its name, as the command line spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BitFlip => "bit-flip",
            Self::Random => "random",
            Self::Zero => "zero",
            Self::Torn => "torn",
            Self::Stale => "stale",
            Self::Checksum => "checksum",
            Self::Swapped => "swapped",
            Self::Foreign => "foreign",
            Self::TruncatedText => "truncated-text",
            Self::Ahead => "ahead",
            Self::Rival => "rival",
            Self::Alien => "alien",
        }
    }

    /// What it does to a copy, in a few words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::BitFlip => "one bit of each copy changes",
            Self::Random => "every byte of each copy becomes random",
            Self::Zero => "every byte of each copy becomes zero",
            Self::Torn => "the end of each copy becomes zeros",
            Self::Stale => "each copy becomes what it was one write ago",
            Self::Checksum => "the checksum of each copy no longer fits",
            Self::Swapped => "each copy bears another slot's number",
            Self::Foreign => "somebody else's signature replaces each copy",
            Self::TruncatedText => "a path in each copy is cut short",
            Self::Ahead => "each copy is valid and five writes ahead",
            Self::Rival => "each copy is valid, of the same sequence, and says something else",
            Self::Alien => "each copy is a valid one of another array",
        }
    }
}

impl fmt::Display for CorruptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that is no kind of corruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKind(String);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = CorruptionKind::ALL.map(CorruptionKind::name);
        write!(
            f,
            "{} is no kind of corruption; the kinds are {}",
            crate::text::escape_str(&self.0),
            kinds.join(", ")
        )
    }
}

impl std::error::Error for UnknownKind {}

impl FromStr for CorruptionKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == word);
        known.ok_or_else(|| UnknownKind(word.to_owned()))
    }
}
