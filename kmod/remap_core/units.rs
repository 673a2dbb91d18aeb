// SPDX-License-Identifier: GPL-2.0-or-later
//! Units: an address and a count are different types, and neither is an integer.

use core::fmt;

/// Bytes in one sector, the unit in which device-mapper counts.
pub const SECTOR_BYTES: usize = 512;

/// Sectors in one 4 KiB block, the unit in which slots and table blocks are laid out.
pub const BLOCK_4K_SECTORS: u64 = 8;

/// Bytes in one 4 KiB block.
pub const BLOCK_4K_BYTES: usize = 4096;

/// Declares a `u64` newtype with its accessors and its plain decimal form.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// Wraps a bare number at the edge where one comes in.
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// The bare number, for the edge where one goes out.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// The address of a 512-byte sector on a device.
    Sector
}
number! {
    /// A count of 512-byte sectors.
    Sectors
}
number! {
    /// The address of one remap unit on main, counted in remap units.
    MainBlock
}
number! {
    /// The address of one remap unit in the replacement area, counted in remap
    /// units; equal to the index of its table entry.
    Replacement
}
number! {
    /// A count of remap units.
    Blocks
}
number! {
    /// Orders the copies of the superblock. A clock never does.
    Sequence
}
number! {
    /// Orders the two readings of one table block.
    Generation
}
number! {
    /// Seconds since the Unix epoch, as the caller read them; shown, never compared.
    Timestamp
}
number! {
    /// Milliseconds on the caller's monotonic clock.
    Millis
}

impl Sector {
    /// The sector `count` further on, or `None` past the end of the address space.
    pub const fn checked_add(self, count: Sectors) -> Option<Self> {
        match self.0.checked_add(count.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The byte offset of the sector's first byte, or `None` if it does not fit.
    pub const fn byte_offset(self) -> Option<u64> {
        self.0.checked_mul(SECTOR_BYTES as u64)
    }
}

impl Sectors {
    /// The count in bytes, or `None` if it does not fit.
    pub const fn bytes(self) -> Option<u64> {
        self.0.checked_mul(SECTOR_BYTES as u64)
    }

    /// The whole sectors in `bytes` bytes; a partial one at the end is not counted.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes >> SECTOR_BYTES.trailing_zeros())
    }

    /// The sum, or `None` if it does not fit.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` if `other` is more.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// The largest whole number of 4 KiB blocks not above this count, in sectors.
    pub const fn align_down_4k(self) -> Self {
        Self(self.0 & !(BLOCK_4K_SECTORS - 1))
    }
}

impl Sequence {
    /// The next sequence, or `None` at the very last one.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }

    /// Whether `self` comes exactly one before `later`.
    pub const fn is_one_before(self, later: Self) -> bool {
        match self.0.checked_add(1) {
            Some(next) => next == later.0,
            None => false,
        }
    }
}

impl Generation {
    /// The next generation, or `None` at the very last one.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl Millis {
    /// The moment `wait` milliseconds later; the far end of time if that overflows.
    pub const fn after(self, wait: u64) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// The remap unit: one logical block of main, 512 to 4096 bytes, a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockSize {
    /// 512 bytes, one sector.
    B512,
    /// 1024 bytes, two sectors.
    B1024,
    /// 2048 bytes, four sectors.
    B2048,
    /// 4096 bytes, eight sectors.
    B4096,
}

impl BlockSize {
    /// Every remap unit there is, smallest first.
    pub const ALL: [Self; 4] = [Self::B512, Self::B1024, Self::B2048, Self::B4096];

    /// The remap unit of so many bytes, or `None` if there is none.
    pub const fn from_bytes(bytes: u32) -> Option<Self> {
        match bytes {
            512 => Some(Self::B512),
            1024 => Some(Self::B1024),
            2048 => Some(Self::B2048),
            4096 => Some(Self::B4096),
            _ => None,
        }
    }

    /// Its size in bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::B512 => 512,
            Self::B1024 => 1024,
            Self::B2048 => 2048,
            Self::B4096 => 4096,
        }
    }

    /// Its size in sectors.
    pub const fn sectors(self) -> Sectors {
        Sectors(1 << self.sector_shift())
    }

    /// The power of two that turns remap units into sectors: 0 to 3.
    pub const fn sector_shift(self) -> u32 {
        match self {
            Self::B512 => 0,
            Self::B1024 => 1,
            Self::B2048 => 2,
            Self::B4096 => 3,
        }
    }

    /// Whether `length` sectors from `at` on are whole blocks of this size.
    pub const fn is_aligned(self, at: Sector, length: Sectors) -> bool {
        let within = self.sectors().get().wrapping_sub(1);
        (at.get() | length.get()) & within == 0
    }

    /// The remap unit that holds `sector`.
    pub const fn block_of(self, sector: Sector) -> MainBlock {
        MainBlock(sector.0 >> self.sector_shift())
    }

    /// The first sector of remap unit `block`, or `None` if it does not fit.
    pub const fn first_sector(self, block: MainBlock) -> Option<Sector> {
        match block.0.checked_mul(1 << self.sector_shift()) {
            Some(sector) => Some(Sector(sector)),
            None => None,
        }
    }
}

impl fmt::Display for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.bytes(), f)
    }
}

/// One of the five places on the spare where a copy of the superblock lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Sector 0.
    S0,
    /// Sector 1024.
    S1,
    /// Sector 2048.
    S2,
    /// Sector 4096.
    S3,
    /// Sector 8192.
    S4,
}

impl Slot {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// Every slot, in the order of the disk.
    pub const ALL: [Self; Self::COUNT] = [Self::S0, Self::S1, Self::S2, Self::S3, Self::S4];

    /// The slot of this number, or `None` from 5 on.
    pub const fn from_index(index: u32) -> Option<Self> {
        match index {
            0 => Some(Self::S0),
            1 => Some(Self::S1),
            2 => Some(Self::S2),
            3 => Some(Self::S3),
            4 => Some(Self::S4),
            _ => None,
        }
    }

    /// Its number, which a copy in it must bear.
    pub const fn index(self) -> u32 {
        match self {
            Self::S0 => 0,
            Self::S1 => 1,
            Self::S2 => 2,
            Self::S3 => 3,
            Self::S4 => 4,
        }
    }

    /// Where it begins on the spare. It owns the 4 KiB from there.
    pub const fn sector(self) -> Sector {
        match self {
            Self::S0 => Sector(0),
            Self::S1 => Sector(1024),
            Self::S2 => Sector(2048),
            Self::S3 => Sector(4096),
            Self::S4 => Sector(8192),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.index(), f)
    }
}

/// One value for each slot; looking one up cannot fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerSlot<T>([T; Slot::COUNT]);

impl<T> PerSlot<T> {
    /// Takes the five values in the order of the disk.
    pub const fn new(values: [T; Slot::COUNT]) -> Self {
        Self(values)
    }

    /// Makes each value from its slot.
    pub fn from_fn(mut make: impl FnMut(Slot) -> T) -> Self {
        Self(Slot::ALL.map(&mut make))
    }

    /// The value of `slot`.
    pub const fn get(&self, slot: Slot) -> &T {
        let [s0, s1, s2, s3, s4] = &self.0;
        match slot {
            Slot::S0 => s0,
            Slot::S1 => s1,
            Slot::S2 => s2,
            Slot::S3 => s3,
            Slot::S4 => s4,
        }
    }

    /// The value of `slot`, to change.
    pub fn get_mut(&mut self, slot: Slot) -> &mut T {
        let [s0, s1, s2, s3, s4] = &mut self.0;
        match slot {
            Slot::S0 => s0,
            Slot::S1 => s1,
            Slot::S2 => s2,
            Slot::S3 => s3,
            Slot::S4 => s4,
        }
    }

    /// Each slot with its value, in the order of the disk.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Slot, &T)> {
        Slot::ALL.into_iter().zip(self.0.iter())
    }

    /// How many values satisfy `test`: 0 to 5.
    pub fn count(&self, test: impl Fn(&T) -> bool) -> usize {
        self.0.iter().filter(|value| test(value)).count()
    }

    /// Makes another value from each.
    pub fn map<U>(&self, mut make: impl FnMut(Slot, &T) -> U) -> PerSlot<U> {
        PerSlot::from_fn(|slot| make(slot, self.get(slot)))
    }
}

/// Sixteen bytes that name one array for good. Shown in the hyphenated form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrayUuid([u8; 16]);

impl ArrayUuid {
    /// Wraps sixteen bytes in the order in which they are printed.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The sixteen bytes in the order in which they are printed.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ArrayUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Sixteen bytes made from what is stable about a disk (WWID, serial, partition
/// UUID); all zero where the disk offers nothing stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityDigest([u8; 16]);

impl IdentityDigest {
    /// The digest of a disk that offers nothing stable.
    pub const NONE: Self = Self([0; 16]);

    /// Wraps sixteen bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The sixteen bytes.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether the disk offered nothing stable.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

impl fmt::Display for IdentityDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A positive operating-system error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(i32);

impl Errno {
    /// `EIO`, the number of a plain I/O error.
    pub const EIO: Self = Self(5);

    /// Wraps a positive error number.
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The positive error number.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "errno {}", self.0)
    }
}
