//! What a repair writes beside the copies: headers and table blocks of one region as the other
//! has them, and zeros over what others wrote.
//!
//! # Invariants
//!
//! - The region that is worth more is never written.
//! - Nothing of ours that is intact is overwritten, nor what a replacement block in use holds.

use std::collections::BTreeSet;
use std::path::Path;

use super::plan::PlannedWrite;
use crate::format::backup::{Content, SavedRange};
use crate::inspect::{Inspection, TableInspection};
use crate::port::block::Signature;
use crate::port::table::TableReader;
use crate::port::BlockStore;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::remap_table::{
    format_block, seal_block, BlockPlace, RawBlock, RegionHeader,
};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::table_update::Choice;
use crate::remap_core::units::{Sector, Sectors, Slot, BLOCK_4K_BYTES};

/// So many table blocks are mended and kept in a backup; more are a matter for the target,
/// which rewrites them while the device is up.
const MOST_BLOCKS: usize = 2048;

/// What is to be written, in the order of the disk, and what it is.
#[derive(Default)]
pub(super) struct Mends {
    pub(super) ranges: Vec<SavedRange>,
    pub(super) writes: Vec<PlannedWrite>,
    pub(super) notes: Vec<String>,
}

impl Mends {
    fn push(&mut self, path: &Path, at: Sector, raw: &RawBlock, what: String) {
        let range = SavedRange {
            at,
            content: Content::Raw(raw.to_vec()),
        };
        self.writes.push(PlannedWrite {
            device: path.to_owned(),
            at,
            sectors: range.sectors(),
            what,
        });
        self.ranges.push(range);
    }
}

/// Headers and table blocks of a spare whose copies say what `superblock` says.
pub(super) fn table(
    store: &dyn BlockStore,
    seen: &Inspection,
    superblock: &Superblock,
    table: Option<&TableInspection>,
) -> Mends {
    let mut mends = Mends::default();
    headers(seen, superblock, &mut mends);
    if let Some(table) = table {
        blocks(store, &seen.path, superblock, table, &mut mends);
    }
    mends.ranges.sort_by_key(|range| range.at);
    mends
}

/// Headers that one intact header is enough to write anew.
fn headers(seen: &Inspection, superblock: &Superblock, mends: &mut Mends) {
    let (Some(layout), Some(array)) = (superblock.layout(), superblock.array_uuid()) else {
        return;
    };
    let Some(intact) = seen.recoverable_as(array) else {
        mends.notes.push(
            "Both region headers are lost, and the name of the device with them: its target writes \
             them anew once it is up, under the name that it gets then."
                .to_owned(),
        );
        return;
    };
    let is_intact = |region| {
        let mut headers = seen.headers.iter();
        headers.any(|read| {
            let header = read.header.as_deref();
            read.region == region && header.is_ok_and(|header| header.array() == Some(array))
        })
    };
    for region in Region::ALL.into_iter().filter(|it| !is_intact(*it)) {
        let header = RegionHeader::of(region, intact.name, superblock);
        let mut raw: Box<RawBlock> = Box::new([0; BLOCK_4K_BYTES]);
        header.write(&mut raw);
        let what = format!("header of region {region}");
        mends.push(&seen.path, layout.region_start(region), &raw, what);
    }
}

/// Table blocks that are damaged or older in one region, as the other has them. Behind the
/// first untouched block both readings may be gone: nothing was ever in them.
fn blocks(
    store: &dyn BlockStore,
    path: &Path,
    superblock: &Superblock,
    table: &TableInspection,
    mends: &mut Mends,
) {
    let Some((layout, array)) = superblock.layout().zip(superblock.array_uuid()) else {
        return;
    };
    let damaged: BTreeSet<u32> = [&table.damaged_a, &table.damaged_b]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    if damaged.len() > MOST_BLOCKS {
        mends.notes.push(format!(
            "{} table blocks are damaged, more than are kept in a backup: the target rewrites them \
             once the device is up.",
            damaged.len()
        ));
        return;
    }
    let mut reader = TableReader::new(store, layout, array);
    for index in damaged {
        let place = |region| BlockPlace {
            array,
            region,
            index,
        };
        let mut put = |region: Region, raw: &RawBlock, like: &str| {
            if let Some(at) = layout.table_block(region, index) {
                let what = format!("table block {index} of region {region}, {like}");
                mends.push(path, at, raw, what);
            }
        };
        match reader.choose(index) {
            Choice::Agreed { .. } => {}
            Choice::Use {
                region, generation, ..
            } => {
                let mut raw = Box::new(*reader.block(region, index));
                seal_block(&mut raw, &place(region.other()), generation);
                put(region.other(), &raw, &format!("as region {region} has it"));
            }
            Choice::Contradiction { .. } | Choice::Lost => {
                for region in Region::ALL {
                    let mut raw = Box::new([0; BLOCK_4K_BYTES]);
                    format_block(&mut raw, &place(region));
                    put(region, &raw, "never used");
                }
            }
        }
    }
}

/// Zeros over the places by which others know a spare, as far as nothing of ours belongs
/// there: with their signatures left, others would still take it for theirs.
pub(super) fn wipes<'a>(
    signatures: impl IntoIterator<Item = &'a Signature>,
    layout: Option<&Layout>,
) -> Vec<SavedRange> {
    let belongs_to_us = |at: &Sector| {
        let in_region = |region| {
            let Some(layout) = layout else { return false };
            let start = layout.region_start(region).get();
            (start..start + layout.region_sectors().get()).contains(&at.get())
        };
        Region::ALL.into_iter().any(in_region) || Slot::ALL.iter().any(|it| it.sector() == *at)
    };
    let places = signatures.into_iter().filter_map(|signature| signature.at);
    let places: BTreeSet<Sector> = places.filter(|at| !belongs_to_us(at)).collect();
    let wipe = |at| SavedRange {
        at,
        content: Content::Zeros(Sectors::new(1)),
    };
    places.into_iter().map(wipe).collect()
}

/// The planned writes of these zeros.
pub(super) fn planned_wipes<'a>(
    path: &'a Path,
    wipes: &'a [SavedRange],
) -> impl Iterator<Item = PlannedWrite> + 'a {
    wipes.iter().map(|wipe| PlannedWrite {
        device: path.to_owned(),
        at: wipe.at,
        sectors: wipe.sectors(),
        what: "zeros, over what others know it by".to_owned(),
    })
}
