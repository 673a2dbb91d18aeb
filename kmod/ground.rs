// SPDX-License-Identifier: GPL-2.0-or-later
//! The ground that an engine stands on in the kernel: bios, the index that every bio asks, the
//! log.

use crate::dm::bio::HeldBio;
use crate::dm::device::{Buffer, Chunk, Device};
use crate::dm::room::{flags, Memory};
use crate::faults::Faults;
use crate::index::{Index, Minding};
use crate::remap_core::bytes::Text;
use crate::remap_core::engine::host::{self, Found, Full, Host, Now, Patience, Payload};
use crate::remap_core::event::Event;
use crate::remap_core::layout::Layout;
use crate::remap_core::message::Device as Which;
use crate::remap_core::relocation::Live;
use crate::remap_core::remap_table::{Entry, NAME_LIMIT};
use crate::remap_core::units::{
    BlockSize, Blocks, Errno, MainBlock, Replacement, Sector, Sectors, BLOCK_4K_SECTORS,
};
use crate::state::{now, Teller};
use crate::target::Joined;

/// Everything that an engine asks for, while its lock is held.
pub struct Ground<'a> {
    of: &'a Joined<'a>,
    index: &'a Index,
    faults: &'a Faults,
    teller: &'a mut Teller,
}

impl<'a> Ground<'a> {
    /// The ground of a target, which fails as `faults` say.
    pub fn new(of: &'a Joined<'a>, faults: &'a Faults, teller: &'a mut Teller) -> Self {
        Self {
            of,
            index: of.index(),
            faults,
            teller,
        }
    }

    fn device(&self, which: Which) -> &'a Device<'a> {
        match which {
            Which::Main => self.of.main(),
            Which::Spare => self.of.spare(),
        }
    }

    fn check(&self, which: Which, write: bool, at: Sector, bytes: u64) -> Result<(), Errno> {
        self.faults
            .check(which, write, at, Sectors::from_bytes(bytes))
    }
}

/// The length of so many blocks of 4 KiB.
fn bytes_of(blocks: usize) -> u64 {
    (blocks as u64 * BLOCK_4K_SECTORS) << 9
}

impl<'a> Host for Ground<'a> {
    type Room = Memory;
    type Index = &'a Index;

    fn index(&self) -> &&'a Index {
        &self.index
    }

    fn index_mut(&mut self) -> &mut &'a Index {
        &mut self.index
    }

    fn size(&self, which: Which) -> Sectors {
        self.device(which).size()
    }

    fn logical_block(&self, which: Which) -> BlockSize {
        // The constructor refuses what is no such size.
        let bytes = self.device(which).logical_block_bytes();
        BlockSize::from_bytes(bytes).unwrap_or(BlockSize::B4096)
    }

    fn physical_block_of_main(&self) -> u32 {
        self.of.main().physical_block_bytes()
    }

    fn read(
        &mut self,
        which: Which,
        at: Sector,
        page: &mut Buffer,
        bytes: u32,
    ) -> Result<(), Errno> {
        self.check(which, false, at, u64::from(bytes))?;
        self.device(which).read_part(at, page, bytes)
    }

    fn read_chunk(
        &mut self,
        (which, at): (Which, Sector),
        chunk: &mut Chunk,
        first: usize,
        blocks: usize,
    ) -> Result<(), Errno> {
        self.check(which, false, at, bytes_of(blocks))?;
        self.device(which).read_chunk(at, chunk, first, blocks)
    }

    fn write(&mut self, which: Which, at: Sector, page: &Buffer, bytes: u32) -> Result<(), Errno> {
        self.check(which, true, at, u64::from(bytes))?;
        self.device(which).write_durably(at, page, bytes)
    }

    fn write_chunk(
        &mut self,
        (which, at): (Which, Sector),
        chunk: &Chunk,
        first: usize,
        blocks: usize,
    ) -> Result<(), Errno> {
        self.check(which, true, at, bytes_of(blocks))?;
        self.device(which).write_chunk(at, chunk, first, blocks)
    }

    fn flush(&mut self) -> Result<(), Errno> {
        self.of.spare().flush()
    }

    fn now(&self) -> Now {
        now()
    }

    fn name(&self) -> Text<NAME_LIMIT> {
        self.of
            .owner()
            .with_name(|name| Text::new(name).unwrap_or_default())
    }

    fn raise(&mut self, event: Event) {
        self.teller.raise(self.of.number(), event);
    }

    fn found_table(&mut self, layout: &Layout) {
        self.of.found_table(layout);
    }

    fn data_begins(&mut self, at: Sector) {
        self.of.data_begins(at);
    }

    fn covers_ends(&mut self, on: bool) {
        self.of.covers_ends(on);
    }

    fn alone<T>(&mut self, inner: impl FnOnce(&mut Self) -> T) -> T {
        self.of.without_writes(|| inner(self))
    }
}

impl host::Index for &Index {
    fn clear(&mut self) {
        Index::clear(self);
    }

    fn get(&self, block: MainBlock) -> Option<Live> {
        Index::get(self, block)
    }

    fn first(&self, first: MainBlock, count: Blocks, active: bool) -> Option<Found> {
        Index::first(self, first, count, active)
    }

    fn entry(&self, replacement: Replacement) -> Entry {
        Index::entry(self, replacement)
    }

    fn room(&self) -> usize {
        Index::room(self)
    }

    fn reserve(&mut self, entries: usize, patience: Patience) -> Result<(), Full> {
        Index::reserve(self, entries, flags(patience)).map_err(|_| Full)
    }

    fn put(&mut self, replacement: Replacement, entry: &Entry, visible: bool) {
        Index::put(self, replacement, entry, visible);
    }

    fn hold_writes(&mut self, on: bool) {
        self.mind(Minding::HOLD_WRITES, on);
    }
}

/// A held bio as a request for an engine.
pub struct Request<'a> {
    bio: &'a HeldBio<'a>,
    unit: BlockSize,
    first: MainBlock,
    count: Blocks,
}

impl<'a> Request<'a> {
    /// The request of a bio; `None` if it is not made of whole remap units.
    pub fn new(of: &Joined<'_>, bio: &'a HeldBio<'a>) -> Option<Self> {
        let unit = of.unit();
        let (at, length) = (of.on_main(bio.sector()), bio.length());
        unit.is_aligned(at, length).then(|| Self {
            bio,
            unit,
            first: unit.block_of(at),
            count: Blocks::new(length.get() >> unit.sector_shift()),
        })
    }

    fn length(&self, count: u64) -> Sectors {
        Sectors::new(count << self.unit.sector_shift())
    }
}

impl Payload<Ground<'_>> for Request<'_> {
    fn first(&self) -> MainBlock {
        self.first
    }

    fn count(&self) -> Blocks {
        self.count
    }

    fn is_write(&self) -> bool {
        self.bio.is_write()
    }

    fn is_durable(&self) -> bool {
        self.bio.is_durable()
    }

    fn failure(&self) -> Option<Errno> {
        self.bio.failure()
    }

    fn transfer(
        &mut self,
        host: &mut Ground<'_>,
        block: MainBlock,
        count: Blocks,
        (which, at): (Which, Sector),
        durably: bool,
    ) -> Result<(), Errno> {
        let length = self.length(count.get());
        host.faults.check(which, self.bio.is_write(), at, length)?;
        let skip = self.length(block.get() - self.first.get());
        self.bio
            .transfer(skip, length, host.device(which), at, durably)
    }
}
