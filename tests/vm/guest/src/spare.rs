//! The remap table of a spare that the target has written metadata to, by the shared rules.

use crate::block::{Buffer, Device};
use crate::remap_core::layout::{Layout, Region, ENTRIES_PER_BLOCK};
use crate::remap_core::remap_table::{
    check_block, put_entry, seal_block, BlockPlace, Entry, EntryState, RawBlock,
};
use crate::remap_core::superblock::{read_copy, Content, RawCopy};
use crate::remap_core::units::{
    ArrayUuid, Blocks, MainBlock, Replacement, Sector, Slot, BLOCK_4K_SECTORS,
};

/// Where the table of a spare lies, and whose it is.
pub struct SpareTable {
    layout: Layout,
    array: ArrayUuid,
}

impl SpareTable {
    /// As the first copy of the spare says.
    pub fn of(spare: &Device) -> Self {
        let mut buffer = Buffer::sectors(1);
        spare.read(Slot::S0.sector().get(), &mut buffer).unwrap();
        let raw: &RawCopy = buffer.bytes().try_into().unwrap();
        let Content::Checksummed(superblock) = read_copy(raw, Slot::S0) else {
            panic!("the first copy is not whole")
        };
        let layout = superblock.layout().copied();
        Self {
            layout: layout.expect("what the target writes has a layout"),
            array: superblock.array_uuid().expect("and names its array"),
        }
    }

    /// Where a replacement block lies on the spare.
    pub fn replacement_sector(&self, replacement: Replacement) -> Sector {
        let sector = self.layout.replacement_sector(replacement);
        sector.expect("the replacement area has that block")
    }

    /// Has the first replacement blocks of a spare that no target holds serve these
    /// blocks of main, in their order.
    pub fn serve(&self, spare: &Device, blocks: &[MainBlock]) {
        let room = self.layout.replacement_blocks;
        assert!(Blocks::new(blocks.len() as u64) <= room, "room for {room}");
        for (index, served) in (0..).zip(blocks.chunks(ENTRIES_PER_BLOCK as usize)) {
            for region in Region::ALL {
                let place = BlockPlace {
                    array: self.array,
                    region,
                    index,
                };
                self.put(spare, &place, served);
            }
        }
    }

    fn put(&self, spare: &Device, place: &BlockPlace, served: &[MainBlock]) {
        let at = self.layout.table_block(place.region, place.index);
        let at = at.expect("the region has that block").get();
        let mut buffer = Buffer::sectors(BLOCK_4K_SECTORS);
        spare.read(at, &mut buffer).unwrap();
        let raw: &mut RawBlock = buffer.bytes_mut().try_into().unwrap();
        let generation = check_block(raw, place).expect("the target left it whole");
        for (entry, main) in (0..).zip(served) {
            let entry_of = Entry {
                state: EntryState::Active,
                main: *main,
                moves: 1,
            };
            assert!(put_entry(raw, entry, &entry_of));
        }
        seal_block(raw, place, generation.next().expect("it is the first"));
        spare.write(at, &buffer).unwrap();
    }
}
