// SPDX-License-Identifier: GPL-2.0-or-later
//! Where things lie on the spare: five slots, region A of the remap table, the
//! replacement area, region B.

use core::fmt;

use crate::remap_core::units::{BlockSize, Blocks, Replacement, Sector, Sectors, BLOCK_4K_SECTORS};

/// Sectors that one slot owns: a whole 4 KiB block, so that a 4Kn disk can write it.
pub const SLOT_SECTORS: Sectors = Sectors::new(BLOCK_4K_SECTORS);

/// Where the last slot ends and region A begins.
pub const SLOTS_END: Sector = Sector::new(8192 + BLOCK_4K_SECTORS);

/// Entries in one 4 KiB table block: 64 bytes of header, then 16 bytes each.
pub const ENTRIES_PER_BLOCK: u64 = 252;

/// The fewest replacement blocks that make a spare worth joining.
pub const MIN_REPLACEMENT_BLOCKS: u64 = 64;

/// One of the two places that hold the remap table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Region {
    /// Right after the last slot.
    A,
    /// At the end of the spare.
    B,
}

impl Region {
    /// Both regions, in the order of the disk.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The number that a block in it bears.
    pub const fn index(self) -> u8 {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// The one that is not this one.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// The place of everything behind the slots.
///
/// # Invariants
///
/// Whatever [`Layout::for_spare`] made or [`Layout::check`] passed satisfies:
/// slots, region A, replacement area and region B lie in that order without
/// overlap and end within the spare; every start is a multiple of 8 sectors; the
/// regions have an entry for every replacement block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The remap unit.
    pub block_size: BlockSize,
    /// 4 KiB blocks in one region, its header block included.
    pub region_blocks: u32,
    /// Where region A begins.
    pub region_a: Sector,
    /// Where region B begins.
    pub region_b: Sector,
    /// Where the replacement area begins.
    pub replacement: Sector,
    /// Remap units in the replacement area.
    pub replacement_blocks: Blocks,
}

/// Why a layout cannot be, or cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The spare is too small.
    TooSmall {
        /// What it has.
        has: Sectors,
        /// What it needs for this remap unit.
        needs: Sectors,
    },
    /// The spare is larger than the format can describe.
    TooLarge {
        /// What it has.
        has: Sectors,
    },
    /// Two parts overlap, or are out of order.
    Overlap,
    /// A part is not aligned to 4 KiB.
    Misaligned,
    /// A part ends past the end of the spare.
    PastEnd,
    /// The regions have not one entry for each replacement block.
    RegionSize,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { has, needs } => {
                write!(f, "the spare has {has} sectors and needs at least {needs}")
            }
            Self::TooLarge { has } => {
                write!(
                    f,
                    "the spare has {has} sectors, more than the format can describe"
                )
            }
            Self::Overlap => f.write_str("parts of the spare overlap"),
            Self::Misaligned => f.write_str("a part of the spare is not aligned to 4 KiB"),
            Self::PastEnd => f.write_str("a part ends past the end of the spare"),
            Self::RegionSize => f.write_str("the table regions do not fit the replacement area"),
        }
    }
}

impl Layout {
    /// The layout of a spare of so many sectors: as many replacement blocks as fit
    /// with a table entry for each in both regions.
    ///
    /// # Errors
    ///
    /// [`LayoutError::TooSmall`] with the size it needs, or [`LayoutError::TooLarge`].
    pub fn for_spare(spare: Sectors, block_size: BlockSize) -> Result<Self, LayoutError> {
        let needs = Self::smallest_spare(block_size);
        if spare < needs {
            return Err(LayoutError::TooSmall { has: spare, needs });
        }
        Self::largest_fitting(spare, block_size).ok_or(LayoutError::TooLarge { has: spare })
    }

    /// The smallest spare that can be joined with this remap unit.
    pub const fn smallest_spare(block_size: BlockSize) -> Sectors {
        // Slots, then a header block and one table block in each region.
        let fixed = SLOTS_END
            .get()
            .saturating_add(BLOCK_4K_SECTORS.saturating_mul(4));
        let data = MIN_REPLACEMENT_BLOCKS.saturating_mul(block_size.sectors().get());
        Sectors::new(fixed.saturating_add(data))
    }

    fn largest_fitting(spare: Sectors, block_size: BlockSize) -> Option<Self> {
        let spare = spare.align_down_4k().get();
        let unit = block_size.sectors().get();
        let headers = BLOCK_4K_SECTORS.checked_mul(2)?;
        let room = spare.checked_sub(SLOTS_END.get())?.checked_sub(headers)?;
        // A full table block costs 4 KiB in each region and serves 252 units.
        let pair = BLOCK_4K_SECTORS.checked_mul(2)?;
        let group = ENTRIES_PER_BLOCK.checked_mul(unit)?.checked_add(pair)?;
        let groups = room.checked_div(group)?;
        let rest = room.checked_rem(group)?;
        // What is left may pay for one more pair of table blocks and some units.
        let partial = rest.saturating_sub(pair).checked_div(unit)?;
        let blocks = groups
            .checked_mul(ENTRIES_PER_BLOCK)?
            .checked_add(partial)?;
        let region_blocks = u32::try_from(Self::region_blocks_for(blocks)?).ok()?;
        let region_sectors = Self::region_sectors_of(region_blocks).get();
        Some(Self {
            block_size,
            region_blocks,
            region_a: SLOTS_END,
            region_b: Sector::new(spare.checked_sub(region_sectors)?),
            replacement: SLOTS_END.checked_add(Sectors::new(region_sectors))?,
            replacement_blocks: Blocks::new(blocks),
        })
    }

    fn region_blocks_for(replacement_blocks: u64) -> Option<u64> {
        replacement_blocks
            .div_ceil(ENTRIES_PER_BLOCK)
            .checked_add(1)
    }

    const fn region_sectors_of(region_blocks: u32) -> Sectors {
        Sectors::new((region_blocks as u64).saturating_mul(BLOCK_4K_SECTORS))
    }

    /// Checks a layout that came from a disk against the size of that disk.
    ///
    /// # Errors
    ///
    /// What is wrong with it; nothing of it may be used then.
    pub fn check(&self, spare: Sectors) -> Result<(), LayoutError> {
        let aligned =
            |sector: Sector| Sectors::new(sector.get()).align_down_4k().get() == sector.get();
        if !(aligned(self.region_a) && aligned(self.region_b) && aligned(self.replacement)) {
            return Err(LayoutError::Misaligned);
        }
        if Self::region_blocks_for(self.replacement_blocks.get())
            != Some(u64::from(self.region_blocks))
            || self.replacement_blocks.get() == 0
        {
            return Err(LayoutError::RegionSize);
        }
        let region = Self::region_sectors_of(self.region_blocks);
        let data = self
            .replacement_blocks
            .get()
            .checked_mul(self.block_size.sectors().get())
            .ok_or(LayoutError::PastEnd)?;
        let end_a = self
            .region_a
            .checked_add(region)
            .ok_or(LayoutError::PastEnd)?;
        let end_data = self
            .replacement
            .checked_add(Sectors::new(data))
            .ok_or(LayoutError::PastEnd)?;
        let end_b = self
            .region_b
            .checked_add(region)
            .ok_or(LayoutError::PastEnd)?;
        if self.region_a < SLOTS_END || end_a > self.replacement || end_data > self.region_b {
            return Err(LayoutError::Overlap);
        }
        if end_b.get() > spare.get() {
            return Err(LayoutError::PastEnd);
        }
        Ok(())
    }

    /// Where a region's header block may lie on a spare of so many sectors, whose
    /// copies tell nothing: region A's place is fixed, region B's depends on the remap
    /// unit.
    pub fn header_candidates(spare: Sectors) -> impl Iterator<Item = (Region, Sector)> {
        let b = BlockSize::ALL
            .into_iter()
            .filter_map(move |block_size| Self::for_spare(spare, block_size).ok())
            .map(|layout| (Region::B, layout.region_b));
        core::iter::once((Region::A, SLOTS_END)).chain(b)
    }

    /// Sectors in one region, its header block included.
    pub const fn region_sectors(&self) -> Sectors {
        Self::region_sectors_of(self.region_blocks)
    }

    /// Where `region` begins: its header block.
    pub const fn region_start(&self, region: Region) -> Sector {
        match region {
            Region::A => self.region_a,
            Region::B => self.region_b,
        }
    }

    /// How many table blocks a region holds behind its header block.
    pub const fn table_blocks(&self) -> u32 {
        self.region_blocks.saturating_sub(1)
    }

    /// Where table block `index` of `region` lies, or `None` past the last one.
    pub fn table_block(&self, region: Region, index: u32) -> Option<Sector> {
        if index >= self.table_blocks() {
            return None;
        }
        let blocks = u64::from(index).checked_add(1)?;
        let distance = Sectors::new(blocks.checked_mul(BLOCK_4K_SECTORS)?);
        self.region_start(region).checked_add(distance)
    }

    /// The table block that holds the entry of `replacement`, and its place in it.
    pub fn entry_place(&self, replacement: Replacement) -> Option<(u32, u32)> {
        if replacement.get() >= self.replacement_blocks.get() {
            return None;
        }
        let block = u32::try_from(replacement.get() / ENTRIES_PER_BLOCK).ok()?;
        let place = u32::try_from(replacement.get() % ENTRIES_PER_BLOCK).ok()?;
        Some((block, place))
    }

    /// The replacement block whose entry is number `place` in table block `block`,
    /// or `None` past the end of the replacement area.
    pub fn replacement_at(&self, block: u32, place: u32) -> Option<Replacement> {
        if u64::from(place) >= ENTRIES_PER_BLOCK {
            return None;
        }
        let index = u64::from(block)
            .checked_mul(ENTRIES_PER_BLOCK)?
            .checked_add(u64::from(place))?;
        (index < self.replacement_blocks.get()).then_some(Replacement::new(index))
    }

    /// Where the bytes of `replacement` lie, or `None` past the end of the area.
    pub fn replacement_sector(&self, replacement: Replacement) -> Option<Sector> {
        if replacement.get() >= self.replacement_blocks.get() {
            return None;
        }
        let distance = replacement
            .get()
            .checked_mul(self.block_size.sectors().get())?;
        self.replacement.checked_add(Sectors::new(distance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_from_the_smallest_up_gives_a_layout_that_checks() {
        for block_size in BlockSize::ALL {
            let smallest = Layout::smallest_spare(block_size).get();
            for spare in (smallest..smallest + 9000).chain([1 << 21, (1 << 27) + 7, 1 << 36]) {
                let spare = Sectors::new(spare);
                let layout = Layout::for_spare(spare, block_size).unwrap();
                assert_eq!(
                    layout.check(spare),
                    Ok(()),
                    "{block_size} {spare} {layout:?}"
                );
                assert!(layout.replacement_blocks.get() >= MIN_REPLACEMENT_BLOCKS);
                let used = layout.replacement.get()
                    + layout.replacement_blocks.get() * block_size.sectors().get();
                let waste = layout.region_b.get() - used;
                assert!(
                    waste < 16 + 8,
                    "{block_size} {spare}: {waste} sectors wasted"
                );
            }
        }
    }

    #[test]
    fn one_sector_too_few_is_refused_with_the_size_needed() {
        for block_size in BlockSize::ALL {
            let needs = Layout::smallest_spare(block_size);
            let has = Sectors::new(needs.get() - 1);
            assert_eq!(
                Layout::for_spare(has, block_size),
                Err(LayoutError::TooSmall { has, needs })
            );
        }
    }

    #[test]
    fn no_replacement_block_lies_in_metadata() {
        let spare = Sectors::new(20_000);
        let layout = Layout::for_spare(spare, BlockSize::B1024).unwrap();
        for index in 0..layout.replacement_blocks.get() {
            let replacement = Replacement::new(index);
            let at = layout.replacement_sector(replacement).unwrap().get();
            assert!(at >= layout.region_a.get() + layout.region_sectors().get());
            assert!(at + 2 <= layout.region_b.get());
            let (block, place) = layout.entry_place(replacement).unwrap();
            assert_eq!(layout.replacement_at(block, place), Some(replacement));
            assert!(layout.table_block(Region::A, block).unwrap().get() < layout.replacement.get());
        }
        let past = Replacement::new(layout.replacement_blocks.get());
        assert_eq!(layout.replacement_sector(past), None);
        assert_eq!(layout.entry_place(past), None);
    }

    #[test]
    fn hostile_layouts_are_refused() {
        let spare = Sectors::new(1 << 20);
        let good = Layout::for_spare(spare, BlockSize::B512).unwrap();
        type Mutation = fn(&mut Layout);
        let mutations: [(&str, Mutation); 9] = [
            ("A over the slots", |l| l.region_a = Sector::new(8192)),
            ("B past the end", |l| l.region_b = Sector::new(1 << 20)),
            ("B at the end of addresses", |l| {
                l.region_b = Sector::new(!7)
            }),
            ("data over A", |l| l.replacement = l.region_a),
            ("data misaligned", |l| {
                l.replacement = Sector::new(l.replacement.get() + 1)
            }),
            ("no data", |l| l.replacement_blocks = Blocks::new(0)),
            ("endless data", |l| {
                l.replacement_blocks = Blocks::new(u64::MAX)
            }),
            ("small regions", |l| l.region_blocks = 1),
            ("endless regions", |l| l.region_blocks = u32::MAX),
        ];
        for (what, mutate) in mutations {
            let mut layout = good;
            mutate(&mut layout);
            assert!(layout.check(spare).is_err(), "{what}");
        }
    }
}
