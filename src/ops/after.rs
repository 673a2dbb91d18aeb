//! What an action leaves where it writes.
//!
//! A new table is most of what a new device gets written, and can be made again from
//! its superblock at any time. So the journal keeps what an action leaves without the
//! table blocks, however large the spare.

use super::bytes;
use super::region;
use super::repair::copy_ranges;
use super::step::{Puts, WriteStep};
use crate::format::backup::{Backup, SavedRange};
use crate::port::table::new_blocks;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::remap_table::{format_block, BlockPlace};
use crate::remap_core::superblock::{read_copy, Content, Superblock, COPY_BYTES};
use crate::remap_core::units::{
    ArrayUuid, Sector, Sectors, Slot, BLOCK_4K_BYTES, BLOCK_4K_SECTORS, SECTOR_BYTES,
};

/// What an action leaves, or was to leave.
#[derive(Clone, Debug)]
pub struct After {
    /// Everything but the blocks of a new table, in the order of the disk.
    kept: Vec<SavedRange>,
    /// The new table, where there is one.
    table: Option<Table>,
}

/// A table none of whose blocks was ever changed.
#[derive(Clone, Copy, Debug)]
struct Table {
    layout: Layout,
    array: ArrayUuid,
}

impl Table {
    fn of(superblock: &Superblock) -> Option<Self> {
        Some(Self {
            layout: *superblock.layout()?,
            array: superblock.array_uuid()?,
        })
    }

    /// Puts what lies in the table into a buffer of what lies from `at` on.
    fn fill(&self, at: Sector, buffer: &mut [u8]) {
        let end = at.get() + Sectors::from_bytes(buffer.len() as u64).get();
        for region in Region::ALL {
            let Some(first) = self.layout.table_block(region, 0) else {
                continue;
            };
            let blocks = u64::from(self.layout.table_blocks());
            let behind = first.get() + blocks * BLOCK_4K_SECTORS;
            let from = at.get().clamp(first.get(), behind);
            let to = end.clamp(first.get(), behind);
            let indices = (from - first.get()) / BLOCK_4K_SECTORS
                ..(to - first.get()).div_ceil(BLOCK_4K_SECTORS);
            for index in indices {
                let mut raw = Box::new([0; BLOCK_4K_BYTES]);
                let place = BlockPlace {
                    array: self.array,
                    region,
                    // The layout counts its blocks in 32 bits.
                    index: index as u32,
                };
                format_block(&mut raw, &place);
                let start = first.get() + index * BLOCK_4K_SECTORS;
                let block = SavedRange {
                    at: Sector::new(start),
                    content: crate::format::backup::Content::Raw(raw.to_vec()),
                };
                bytes::overlay(&[block], at, buffer);
            }
        }
    }
}

impl After {
    /// What a step leaves.
    pub fn of(step: &WriteStep) -> Self {
        let mut after = Self::before_wipes(step);
        after.kept.extend(step.wipes.iter().cloned());
        after.kept.sort_by_key(|range| range.at);
        after
    }

    /// What it leaves before it wipes anything, which comes last.
    pub fn before_wipes(step: &WriteStep) -> Self {
        let (mut kept, table) = match &step.puts {
            Puts::Ranges(ranges) | Puts::Mends(ranges) => (ranges.clone(), None),
            Puts::NewTable {
                superblock, name, ..
            } => {
                let table = Table::of(superblock);
                let starts = Region::ALL.map(|region| {
                    let layout = superblock.layout()?;
                    Some(layout.region_start(region))
                });
                let mut headers = Vec::new();
                for (at, raw) in new_blocks(**superblock, *name) {
                    if starts.contains(&Some(at)) {
                        bytes::keep(at, &*raw, &mut headers);
                    }
                }
                (headers, table)
            }
        };
        kept.extend(step.copies.iter().flat_map(copy_ranges));
        kept.sort_by_key(|range| range.at);
        Self { kept, table }
    }

    /// What an action left, as the journal kept it: where it laid out regions, the
    /// copies that it wrote say where they are.
    pub fn from_backup(backup: &Backup) -> Self {
        let kept = backup.ranges().to_vec();
        let is_kept = |at: Sector| bytes::covers(&kept, at);
        let tables = Slot::ALL.into_iter().filter_map(|slot| {
            let mut raw = [0; COPY_BYTES];
            bytes::overlay(&kept, slot.sector(), &mut raw);
            match read_copy(&raw, slot) {
                Content::Checksummed(superblock) => Table::of(&superblock),
                _ => None,
            }
        });
        let is_laid_out = |table: &Table| {
            let header = table.layout.region_start(Region::A);
            let first = table.layout.table_block(Region::A, 0);
            is_kept(header) && !first.is_some_and(is_kept)
        };
        let table = tables.into_iter().find(is_laid_out);
        Self { kept, table }
    }

    /// What the journal is to keep of it.
    pub fn kept(&self) -> &[SavedRange] {
        &self.kept
    }

    /// Leaves out what begins at these sectors.
    pub fn retain(&mut self, is_wanted: impl FnMut(&SavedRange) -> bool) {
        self.kept.retain(is_wanted);
    }

    /// Everywhere that is written, in the order of the disk.
    pub fn extents(&self) -> Vec<(Sector, Sectors)> {
        let mut extents = bytes::extents(&self.kept);
        if let Some(table) = &self.table {
            let blocks = u64::from(table.layout.table_blocks()) * BLOCK_4K_SECTORS;
            let regions = Region::ALL.into_iter().filter_map(|region| {
                let first = table.layout.table_block(region, 0)?;
                Some((first, Sectors::new(blocks)))
            });
            extents.extend(regions);
            extents.sort_by_key(|(at, _)| *at);
        }
        extents
    }

    /// Whether it lays out a table so large that no backup could hold it.
    pub fn lays_out_more_than_can_be_kept(&self) -> bool {
        let table = self.table.as_ref();
        table.is_some_and(|table| !region::fits_backup(&table.layout))
    }

    /// What lies in `length` bytes from `at` on, where something is written.
    pub fn bytes(&self, at: Sector, length: usize) -> Vec<u8> {
        debug_assert!(length.is_multiple_of(SECTOR_BYTES));
        let mut buffer = vec![0; length];
        if let Some(table) = &self.table {
            table.fill(at, &mut buffer);
        }
        bytes::overlay(&self.kept, at, &mut buffer);
        buffer
    }
}
