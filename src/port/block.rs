//! What a machine tells of a block device beside what lies on it.

use std::fmt;
use std::sync::Arc;

use crate::port::layers::Extent;
use crate::remap_core::units::{IdentityDigest, Sector, Sectors};

/// The number by which the kernel knows a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// Of its driver.
    pub major: u64,
    /// Of the device among its driver's.
    pub minor: u64,
}

impl DeviceNumber {
    /// Reads `MAJOR:MINOR`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once(':')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// Which device or file was opened. Unlike a path it never comes to mean another one, and
/// unlike an identity there always is one; after a restart it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instance {
    /// A block device.
    Device {
        /// Its number, which another device may get when this one is gone.
        number: DeviceNumber,
        /// The kernel's count of the devices that it was given so far, so that none has
        /// that of another; nothing where the kernel does not count them.
        sequence: Option<u64>,
    },
    /// An image file.
    File {
        /// The file system that it lies on.
        on: DeviceNumber,
        /// Its number there.
        inode: u64,
    },
}

/// What a device is, in the words of `lsblk`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A whole disk, or what passes for one.
    #[default]
    Disk,
    /// A part of a disk.
    Partition,
    /// An optical drive.
    Rom,
    /// A file that is served as a disk.
    Loop,
    /// A device of device-mapper: `lvm`, `crypt`, `mpath` or plainly `dm`.
    Mapped(String),
    /// An array of disks: `raid1`, `linear` and so on, or plainly `md`.
    Array(String),
}

impl Kind {
    /// Its name, one word.
    pub fn name(&self) -> &str {
        match self {
            Self::Disk => "disk",
            Self::Partition => "part",
            Self::Rom => "rom",
            Self::Loop => "loop",
            Self::Mapped(kind) | Self::Array(kind) => kind,
        }
    }
}

/// What a signature says that a device is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureUse {
    /// A file system.
    FileSystem,
    /// A member of an array or of a volume group.
    Raid,
    /// An encrypted volume.
    Crypto,
    /// A table of partitions.
    PartitionTable,
    /// Swap space, a journal, anything else.
    Other,
}

impl SignatureUse {
    /// Its name, in kebab case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FileSystem => "filesystem",
            Self::Raid => "raid",
            Self::Crypto => "crypto",
            Self::PartitionTable => "partition-table",
            Self::Other => "other",
        }
    }
}

/// What somebody else wrote on a device to know it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What it is, as libblkid calls it: `ext4`, `crypto_LUKS`, `LVM2_member`, `gpt`.
    pub kind: String,
    /// What that is used for.
    pub used_for: SignatureUse,
    /// The UUID in it, in whatever form it has.
    pub uuid: Option<String>,
    /// The label in it.
    pub label: Option<String>,
    /// The sector by which it is known, where that was told: without it, it is none.
    pub at: Option<Sector>,
}

impl Signature {
    /// A signature of which the place is all that is known besides its kind.
    pub fn at(kind: &str, used_for: SignatureUse, at: Sector) -> Self {
        Self {
            kind: kind.to_owned(),
            used_for,
            uuid: None,
            label: None,
            at: Some(at),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = crate::text::escape_str(&self.kind);
        match self.used_for {
            SignatureUse::PartitionTable => write!(f, "{kind} partition table"),
            _ => f.write_str(&kind),
        }
    }
}

/// A partition in the table of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number in the table.
    pub number: u32,
    /// Its first sector on the device.
    pub start: Sector,
    /// Its size.
    pub length: Sectors,
    /// The UUID that it has in the table, where that is told.
    pub uuid: Option<String>,
    /// The label that it has in the table.
    pub label: Option<String>,
    /// Whether firmware boots from it: the system partition of EFI, that of a BIOS, or one that an
    /// MBR marks as active.
    pub boots: bool,
}

/// Signatures in words, in the order in which they were found.
pub fn describe_signatures(signatures: &[Signature]) -> String {
    let words: Vec<String> = signatures.iter().map(Signature::to_string).collect();
    words.join(", ")
}

/// What the machine knows of a block device. Texts may hold anything that is UTF-8:
/// a disk's maker chose them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The number by which the kernel knows it.
    pub number: DeviceNumber,
    /// What it is.
    pub kind: Kind,
    /// The names of the devices that it lies on, sorted.
    pub parents: Vec<String>,
    /// Where its bytes lie, if it is a stretch of another device or of a file.
    pub extents: Vec<Extent>,
    /// The names of the devices that hold it, sorted.
    pub holders: Vec<String>,
    /// The name that device-mapper or an array has for it, or the file behind a loop.
    pub label: Option<String>,
    /// The model of the disk.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The worldwide identifier.
    pub wwid: Option<String>,
    /// The UUID of a partition in its table.
    pub partition_uuid: Option<String>,
    /// Bytes of a logical block, where they are more than a target takes.
    pub large_block_bytes: Option<u32>,
    /// The unit in bytes that the medium writes at once.
    pub physical_block_bytes: Option<u32>,
    /// Whether it turns.
    pub rotational: Option<bool>,
    /// Where it is mounted.
    pub mounts: Vec<String>,
    /// Whether the machine swaps to it.
    pub is_swap: bool,
    /// What lies on it, where the machine looked already.
    pub signatures: Option<Vec<Signature>>,
    /// What is stable about the device itself, not about what lies on it.
    pub identity: IdentityDigest,
    /// What should be there and could not be read: attributes of the device by their names,
    /// tables of who uses it by their paths.
    pub unread: Vec<String>,
}

/// Properties, shared between the lists that carry them.
pub type SharedProperties = Option<Arc<Properties>>;
