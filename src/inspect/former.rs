//! Region headers that an earlier array left, told from those of the present one.
//!
//! Where region B begins depends on the remap unit, so a spare that was set up anew may hold
//! headers of several arrays. Whoever sets a spare up writes every block of both regions: a
//! block of another array among those of a header is therefore younger than the header.
//! Sequences say nothing here; they order the copies of one array.

use super::HeaderReading;
use crate::port::BlockStore;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::remap_table::{array_of_block, RegionHeader};
use crate::remap_core::units::{ArrayUuid, Sector, BLOCK_4K_BYTES, BLOCK_4K_SECTORS};

/// Blocks at either end of a region that are looked at: regions of two arrays overlap there.
const LOOKED_AT: u32 = 64;

/// Leaves out the headers that something younger lies over, unless that is all of them.
pub(super) fn present(store: &dyn BlockStore, headers: Vec<HeaderReading>) -> Vec<HeaderReading> {
    let is_present = |read: &HeaderReading| {
        let header = read.header.as_deref();
        header.is_ok_and(|header| !is_superseded(store, header))
    };
    let kept: Vec<HeaderReading> = headers
        .iter()
        .filter(|it| is_present(it))
        .cloned()
        .collect();
    if kept.is_empty() {
        headers
    } else {
        kept
    }
}

/// Whether a block of another array lies among those that this header describes.
fn is_superseded(store: &dyn BlockStore, header: &RegionHeader) -> bool {
    let Some((layout, array)) = header.superblock.layout().zip(header.array()) else {
        return false;
    };
    let mut pieces = Region::ALL
        .into_iter()
        .flat_map(|region| pieces_of(layout, region));
    pieces.any(|(at, blocks)| holds_another(store, at, blocks, array))
}

/// Both ends of a region; all of it where it is short.
fn pieces_of(layout: &Layout, region: Region) -> impl Iterator<Item = (Sector, u32)> {
    let blocks = layout.region_blocks;
    let length = blocks.min(LOOKED_AT);
    let start = layout.region_start(region);
    [0, blocks - length].into_iter().map(move |first| {
        let distance = u64::from(first) * BLOCK_4K_SECTORS;
        (Sector::new(start.get() + distance), length)
    })
}

fn holds_another(store: &dyn BlockStore, at: Sector, blocks: u32, array: ArrayUuid) -> bool {
    let mut raw = Box::new([0; BLOCK_4K_BYTES]);
    (0..u64::from(blocks)).any(|block| {
        let at = Sector::new(at.get() + block * BLOCK_4K_SECTORS);
        let is_read = store.read_at(at, &mut *raw).is_ok();
        is_read && array_of_block(&raw).is_some_and(|of| of != array)
    })
}
