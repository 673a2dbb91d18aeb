//! Sample metadata, and what reading it gives, for the tests of the rules.
#![allow(
    dead_code,
    reason = "every test binary compiles this module and uses its own part of it"
)]

use std::path::PathBuf;

use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::layout::Layout;
use dmremap::remap_core::quorum::{Reading, Survey};
use dmremap::remap_core::signature;
use dmremap::remap_core::superblock::{
    Extension, Features, RawCopy, Superblock, COPY_BYTES, ENTRY_BYTES,
};
use dmremap::remap_core::units::{
    ArrayUuid, BlockSize, Errno, IdentityDigest, PerSlot, Sectors, Sequence, Slot, Timestamp,
    BLOCK_4K_BYTES,
};

/// The size of the sample spare.
pub const SPARE: Sectors = Sectors::new(1 << 20);

/// The array that most samples are of.
pub const ARRAY: ArrayUuid = ArrayUuid::new([0xa1; 16]);

/// Another array of the same owner.
pub const OTHER_ARRAY: ArrayUuid = ArrayUuid::new([0xb2; 16]);

/// What a disk gives for a sector that it cannot read.
pub const UNREADABLE: Reading = Reading::Unreadable(Errno::EIO);

/// The 4 KiB that one slot owns.
pub type Block = [u8; BLOCK_4K_BYTES];

/// Pads with NULs, as `remap_core` does itself.
pub fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text.as_bytes()).unwrap()
}

/// Pads with spaces, as existing tools do.
pub fn spaced<const N: usize>(text: &str) -> Text<N> {
    let mut field = [b' '; N];
    field[..text.len()].copy_from_slice(text.as_bytes());
    Text::from_field(field)
}

/// A superblock with the extension.
pub fn checksummed(array_uuid: ArrayUuid, sequence: u64) -> Superblock {
    Superblock {
        sequence: Sequence::new(sequence),
        timestamp: Timestamp::new(sequence.wrapping_mul(60).wrapping_add(1_761_264_000)),
        main_uuid: text("00000000-0000-0000-0000-000000000000"),
        spare_uuid: Text::EMPTY,
        main_sectors: Sectors::new(1 << 21),
        spare_sectors: SPARE,
        sector_size: BlockSize::B512,
        entry_size: ENTRY_BYTES,
        capacity: 1 << 19,
        main_path: text("/dev/disk/by-id/wwn-0x5000c500a1b2c3d4"),
        spare_path: text("/dev/disk/by-id/wwn-0x5000c500d4c3b2a1"),
        extension: Some(Extension {
            features: Features::default(),
            array_uuid,
            main_epoch: 0,
            main_identity: IdentityDigest::new([0x11; 16]),
            spare_identity: IdentityDigest::new([0x22; 16]),
            needs_check: false,
            layout: Layout::for_spare(SPARE, BlockSize::B512).unwrap(),
        }),
    }
}

/// A plain v4 superblock of a spare found at `spare_path`.
pub fn plain(sequence: u64, spare_path: &str) -> Superblock {
    Superblock {
        sequence: Sequence::new(sequence),
        timestamp: Timestamp::new(1_761_264_000),
        main_uuid: spaced("00000000-0000-0000-0000-000000000000"),
        spare_uuid: spaced("00000000-0000-0000-0000-000000000000"),
        main_sectors: Sectors::new(1 << 21),
        spare_sectors: SPARE,
        sector_size: BlockSize::B512,
        entry_size: 512,
        capacity: 2048,
        main_path: spaced("/dev/sda"),
        spare_path: spaced(spare_path),
        extension: None,
    }
}

/// What reading a slot gives that begins with `raw` and holds zeros behind it.
pub fn read(raw: RawCopy) -> Reading {
    let mut block = [0; BLOCK_4K_BYTES];
    block[..COPY_BYTES].copy_from_slice(&raw);
    read_block(&block)
}

/// What reading a slot of these 4 KiB gives.
pub fn read_block(block: &Block) -> Reading {
    Reading::Read {
        raw: *block.first_chunk().unwrap(),
        signature: signature::detect(block),
    }
}

/// What reading a slot of zeros gives.
pub fn blank() -> Reading {
    read([0; COPY_BYTES])
}

/// The first 4 KiB of an ext4 file system: 1 KiB of zeros, then its superblock.
pub fn ext4_block() -> Block {
    let mut block = [0; BLOCK_4K_BYTES];
    block[1024..1028].copy_from_slice(&65_536u32.to_le_bytes());
    block[1048..1052].copy_from_slice(&2u32.to_le_bytes());
    block[1080..1082].copy_from_slice(&[0x53, 0xef]);
    block[1100..1104].copy_from_slice(&1u32.to_le_bytes());
    block
}

/// Five readings, and whether a table header says that the spare is ours.
pub fn survey(slots: [Reading; Slot::COUNT], header: bool) -> Survey {
    Survey {
        slots: PerSlot::new(slots),
        header,
    }
}

/// The newest sequence of the samples.
pub const NEWEST: u64 = 9;

/// The sequence of the other array's copies: higher, and no reason to win.
pub const OTHERS: u64 = 12;

/// What can lie in one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A copy at the newest sequence.
    Newest,
    /// A copy one sequence older.
    OneOlder,
    /// A copy three sequences older.
    MoreOlder,
    /// A copy with one bit flipped.
    Corrupt,
    /// Zeros.
    Blank,
    /// The beginning of an ext4 file system.
    ForeignSignature,
    /// A valid copy of another array.
    OtherArray,
    /// An I/O error.
    Unreadable,
}

/// All of them.
pub const KINDS: [Kind; 8] = [
    Kind::Newest,
    Kind::OneOlder,
    Kind::MoreOlder,
    Kind::Corrupt,
    Kind::Blank,
    Kind::ForeignSignature,
    Kind::OtherArray,
    Kind::Unreadable,
];

impl Kind {
    /// The sequence of the copy, where there is one to be believed.
    pub fn sequence(self) -> Option<u64> {
        match self {
            Self::Newest => Some(NEWEST),
            Self::OneOlder => Some(NEWEST - 1),
            Self::MoreOlder => Some(NEWEST - 3),
            Self::OtherArray => Some(OTHERS),
            Self::Corrupt | Self::Blank | Self::ForeignSignature | Self::Unreadable => None,
        }
    }

    /// Whether it is a believable copy of this array.
    pub fn is_own(self) -> bool {
        matches!(self, Self::Newest | Self::OneOlder | Self::MoreOlder)
    }

    /// What reading `slot` gives where it lies there.
    pub fn reading(self, slot: Slot) -> Reading {
        match self {
            Self::Newest | Self::OneOlder | Self::MoreOlder => {
                let sequence = self.sequence().unwrap();
                read(checksummed(ARRAY, sequence).encode(slot))
            }
            Self::Corrupt => {
                let mut raw = checksummed(ARRAY, NEWEST).encode(slot);
                raw[200] ^= 0x10;
                read(raw)
            }
            Self::Blank => blank(),
            Self::ForeignSignature => read_block(&ext4_block()),
            Self::OtherArray => read(checksummed(OTHER_ARRAY, OTHERS).encode(slot)),
            Self::Unreadable => UNREADABLE,
        }
    }
}

/// Every way to choose one of `choices` for each of the five slots.
pub fn assignments<T: Copy>(choices: &[T]) -> impl Iterator<Item = [T; Slot::COUNT]> + '_ {
    let count = choices.len();
    (0..count.pow(Slot::COUNT as u32)).map(move |mut number| {
        [(); Slot::COUNT].map(|()| {
            let choice = choices[number % count];
            number /= count;
            choice
        })
    })
}

/// Bytes that look random and are the same in every run.
pub struct Noise(u64);

impl Noise {
    /// Noise that another seed does not repeat.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// The next eight bytes (splitmix64).
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for eight in bytes.chunks_mut(8) {
            let noise = self.word().to_le_bytes();
            eight.copy_from_slice(&noise[..eight.len()]);
        }
    }
}

/// A file under `tests/fixtures`.
pub fn fixture(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The five copies of one set under `tests/fixtures/plain-v4`.
pub fn plain_fixture(set: &str) -> [RawCopy; Slot::COUNT] {
    Slot::ALL.map(|slot| {
        fixture(&format!("plain-v4/{set}-copy{slot}.bin"))
            .try_into()
            .unwrap()
    })
}
