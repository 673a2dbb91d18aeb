//! The remap table of a spare, read and written through a [`BlockStore`].

use crate::port::BlockStore;
use crate::remap_core::bytes::Text;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::remap_table::{
    check_block, format_block, BlockFlaw, BlockPlace, RawBlock, RegionHeader, NAME_LIMIT,
};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::table_update::{choose, same_entries, Choice};
use crate::remap_core::units::{ArrayUuid, Generation, Sector, BLOCK_4K_BYTES};

/// Reads and checks table block `index` of `region` into `raw`.
///
/// # Errors
///
/// [`BlockFlaw`]; nothing of `raw` may be used then.
pub fn read_block(
    store: &dyn BlockStore,
    layout: &Layout,
    array: ArrayUuid,
    region: Region,
    index: u32,
    raw: &mut RawBlock,
) -> Result<Generation, BlockFlaw> {
    let at = layout.table_block(region, index).ok_or(BlockFlaw::Place)?;
    store.read_at(at, raw).map_err(|_| BlockFlaw::Unreadable)?;
    let place = BlockPlace {
        array,
        region,
        index,
    };
    check_block(raw, &place)
}

/// Table blocks that are read at once. Most tables are not longer in use, and reading so much
/// takes no longer than reading one block where a disk has to move for it.
const PIECE_BLOCKS: u32 = 64;

/// Reads table blocks of both regions in the order of the table, a piece of each at once.
pub struct TableReader<'a> {
    store: &'a dyn BlockStore,
    layout: Layout,
    array: ArrayUuid,
    /// The first block of the piece.
    first: u32,
    /// What was read of regions A and B from that block on.
    pieces: [Vec<u8>; 2],
}

/// Stands for a block that is not in the piece.
static NO_BLOCK: RawBlock = [0; BLOCK_4K_BYTES];

impl<'a> TableReader<'a> {
    /// The table of `array`, which lies on `store` as `layout` says.
    pub fn new(store: &'a dyn BlockStore, layout: &Layout, array: ArrayUuid) -> Self {
        Self {
            store,
            layout: *layout,
            array,
            first: 0,
            pieces: [Vec::new(), Vec::new()],
        }
    }

    /// Whether block `index` was read already, with one before it.
    pub fn has(&self, index: u32) -> bool {
        let [piece, _] = &self.pieces;
        let blocks = (piece.len() / BLOCK_4K_BYTES) as u64;
        let place = u64::from(index).checked_sub(u64::from(self.first));
        place.is_some_and(|place| place < blocks)
    }

    /// What the two readings of block `index` say together. Where they differ both are read
    /// once more: a target that is up may be writing them at this very moment.
    pub fn choose(&mut self, index: u32) -> Choice {
        if !self.has(index) {
            self.fill(index);
        }
        let first = self.compare(index);
        if matches!(first, Choice::Agreed { .. }) {
            return first;
        }
        for region in Region::ALL {
            // What cannot be read again is as it was.
            let _ = self.read(region, index);
        }
        self.compare(index)
    }

    /// What was read of block `index` in `region`, believed or not.
    pub fn block(&self, region: Region, index: u32) -> &RawBlock {
        let piece = self.pieces.get(usize::from(region.index()));
        let start = index.saturating_sub(self.first) as usize * BLOCK_4K_BYTES;
        let bytes = piece.and_then(|piece| piece.get(start..)?.first_chunk());
        bytes.unwrap_or(&NO_BLOCK)
    }

    /// Reads block `index` of `region` alone.
    ///
    /// # Errors
    ///
    /// [`BlockFlaw`]; nothing of it may be used then.
    pub fn read(&mut self, region: Region, index: u32) -> Result<Generation, BlockFlaw> {
        if !self.has(index) {
            self.first = index;
            self.pieces = [vec![0; BLOCK_4K_BYTES], vec![0; BLOCK_4K_BYTES]];
        }
        let start = (index - self.first) as usize * BLOCK_4K_BYTES;
        let [a, b] = &mut self.pieces;
        let piece = if region == Region::A { a } else { b };
        let raw = piece
            .get_mut(start..)
            .and_then(<[u8]>::first_chunk_mut)
            .ok_or(BlockFlaw::Place)?;
        let read = read_block(self.store, &self.layout, self.array, region, index, raw);
        if read == Err(BlockFlaw::Unreadable) {
            raw.fill(0);
        }
        read
    }

    fn compare(&self, index: u32) -> Choice {
        let [a, b] = Region::ALL.map(|region| {
            let place = BlockPlace {
                array: self.array,
                region,
                index,
            };
            check_block(self.block(region, index), &place)
        });
        let (raw_a, raw_b) = (self.block(Region::A, index), self.block(Region::B, index));
        choose(a, b, same_entries(raw_a, raw_b))
    }

    /// Reads the piece that begins with block `first`.
    fn fill(&mut self, first: u32) {
        let blocks = self.layout.table_blocks().saturating_sub(first);
        let blocks = blocks.min(PIECE_BLOCKS);
        self.first = first;
        self.pieces = Region::ALL.map(|region| {
            let mut piece = vec![0; blocks as usize * BLOCK_4K_BYTES];
            let at = self.layout.table_block(region, first);
            let whole = at.is_some_and(|at| self.store.read_at(at, &mut piece).is_ok());
            if !whole {
                // One bad sector must not hide the blocks beside it.
                for (index, raw) in (first..).zip(piece.chunks_exact_mut(BLOCK_4K_BYTES)) {
                    let at = self.layout.table_block(region, index);
                    if at.is_none_or(|at| self.store.read_at(at, raw).is_err()) {
                        raw.fill(0);
                    }
                }
            }
            piece
        });
    }
}

/// Everything that a new device has behind its slots: for each region its header block,
/// then its table blocks, all free. They must be durable before the first copy is
/// written. Empty for a superblock without a layout.
pub fn new_blocks(
    superblock: Superblock,
    name: Text<NAME_LIMIT>,
) -> impl Iterator<Item = (Sector, Box<RawBlock>)> {
    let blocks = move |region| {
        let (layout, array) = (superblock.layout().copied(), superblock.array_uuid());
        layout.zip(array).into_iter().flat_map(move |found| {
            let (layout, array) = found;
            let header = core::iter::once_with(move || {
                let mut raw = Box::new([0; BLOCK_4K_BYTES]);
                RegionHeader::of(region, name, &superblock).write(&mut raw);
                (layout.region_start(region), raw)
            });
            header.chain((0..layout.table_blocks()).filter_map(move |index| {
                let mut raw = Box::new([0; BLOCK_4K_BYTES]);
                let place = BlockPlace {
                    array,
                    region,
                    index,
                };
                format_block(&mut raw, &place);
                Some((layout.table_block(region, index)?, raw))
            }))
        })
    };
    Region::ALL.into_iter().flat_map(blocks)
}
