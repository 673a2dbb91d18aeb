//! The remap table of a spare, read and written through a [`BlockStore`].

use crate::port::{BlockStore, IoError};
use crate::remap_core::bytes::Text;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::remap_table::{
    check_block, format_block, BlockFlaw, BlockPlace, RawBlock, RegionHeader, NAME_LIMIT,
};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::table_update::TableStore;
use crate::remap_core::units::{ArrayUuid, Errno, Generation, Sector, BLOCK_4K_BYTES};

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
                let header = RegionHeader {
                    region,
                    name,
                    superblock,
                };
                header.write(&mut raw);
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

/// The table blocks of a spare that is held for writing.
pub struct SpareTable<'a> {
    store: &'a mut dyn BlockStore,
    layout: Layout,
}

impl<'a> SpareTable<'a> {
    /// The table of `store`, which lies as `layout` says.
    pub fn new(store: &'a mut dyn BlockStore, layout: Layout) -> Self {
        Self { store, layout }
    }
}

impl TableStore for SpareTable<'_> {
    type Error = IoError;

    fn write_block(&mut self, region: Region, index: u32, raw: &RawBlock) -> Result<(), IoError> {
        let Some(at) = self.layout.table_block(region, index) else {
            return Err(IoError {
                errno: Errno::EIO,
                at: self.layout.region_start(region),
            });
        };
        self.store.write_at(at, raw)?;
        self.store.flush()
    }
}
