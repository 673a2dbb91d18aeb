// SPDX-License-Identifier: GPL-2.0-or-later
//! The ground that an engine stands on: memory, two block devices, a clock.
//!
//! The kernel module is one host, the lab another. A host does what it is told and decides
//! nothing; whatever both must do alike is the engine's.

use core::ops::DerefMut;

use crate::remap_core::bytes::Text;
use crate::remap_core::event::Event;
use crate::remap_core::layout::Layout;
use crate::remap_core::message::Device;
use crate::remap_core::relocation::Live;
use crate::remap_core::remap_table::{Entry, RawBlock, NAME_LIMIT};
use crate::remap_core::units::{
    BlockSize, Blocks, Errno, MainBlock, Millis, Replacement, Sector, Sectors, Timestamp,
};

/// There is no memory, or a list has no room left. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Whether memory may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Until others give some back; that may take I/O to other devices.
    Waits,
    /// Not at all: it may be held by I/O that waits for the caller.
    None,
}

/// The time, on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// On the clock that everything due is due by.
    pub uptime: Millis,
    /// On the wall, to show.
    pub stamp: Timestamp,
}

/// 4 KiB that a device can be read into and written from.
pub trait Page {
    /// Its content.
    fn raw(&self) -> &RawBlock;

    /// Its content, to change.
    fn raw_mut(&mut self) -> &mut RawBlock;
}

/// Several 4 KiB blocks in one piece.
pub trait Chunk {
    /// How many there are; at least one.
    fn len(&self) -> usize;

    /// Whether there are none, which never holds.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Block `at`; `None` past the last one.
    fn block(&self, at: usize) -> Option<&RawBlock>;

    /// Block `at`, to change; `None` past the last one.
    fn block_mut(&mut self, at: usize) -> Option<&mut RawBlock>;
}

/// A list whose room is made before it is needed.
pub trait List<T>: DerefMut<Target = [T]> {
    /// Makes room for `more` values.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory.
    fn reserve(&mut self, more: usize, patience: Patience) -> Result<(), Full>;

    /// Puts a value at the end.
    ///
    /// # Errors
    ///
    /// [`Full`]: no room was made for it.
    fn push(&mut self, value: T) -> Result<(), Full>;

    /// Puts a value in front of the one at `at`.
    ///
    /// # Errors
    ///
    /// [`Full`]: no room was made for it, or the list is shorter than `at`.
    fn insert(&mut self, at: usize, value: T) -> Result<(), Full>;

    /// Takes the last value.
    fn pop(&mut self) -> Option<T>;

    /// Takes all values; their room stays.
    fn clear(&mut self);

    /// Keeps those values alone for which `keep` holds.
    fn retain(&mut self, keep: impl FnMut(&T) -> bool);
}

/// The kinds of memory that a host has.
pub trait Room {
    /// One block for I/O.
    type Page: Page;
    /// Several blocks for I/O.
    type Chunk: Chunk;
    /// A list.
    type List<T: Copy>: List<T>;
    /// A large value that must not lie on the stack.
    type Boxed<T>: DerefMut<Target = T>;

    /// A page of zeros.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory.
    fn page() -> Result<Self::Page, Full>;

    /// A chunk of `blocks` blocks of zeros.
    ///
    /// # Errors
    ///
    /// [`Full`]: so much in one piece may well be missing.
    fn chunk(blocks: usize) -> Result<Self::Chunk, Full>;

    /// An empty list without room.
    fn list<T: Copy>() -> Self::List<T>;

    /// Moves a value off the stack.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory.
    fn boxed<T>(value: T) -> Result<Self::Boxed<T>, Full>;
}

/// A list of room for `capacity` values.
///
/// # Errors
///
/// [`Full`]: there is no memory.
pub fn list_of<R: Room, T: Copy>(capacity: usize) -> Result<R::List<T>, Full> {
    let mut list = R::list();
    list.reserve(capacity, Patience::Waits)?;
    Ok(list)
}

/// The largest chunk of at most `blocks` blocks that there is memory for.
///
/// # Errors
///
/// [`Full`]: not even for one.
pub fn largest_chunk<R: Room>(blocks: usize) -> Result<R::Chunk, Full> {
    let mut wanted = blocks.max(1);
    loop {
        match R::chunk(wanted) {
            Ok(chunk) => return Ok(chunk),
            Err(Full) if wanted == 1 => return Err(Full),
            Err(Full) => wanted = wanted.wrapping_shr(2).max(1),
        }
    }
}

/// The first block of a range that is not simply main's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The block.
    pub block: MainBlock,
    /// The replacement that serves it, or is to.
    pub replacement: Replacement,
    /// Whether it does.
    pub active: bool,
    /// How many blocks from there on are served one behind the other; 1 unless it is
    /// active.
    pub run: Blocks,
}

/// Blocks of main that are served elsewhere, and the entry of every replacement. The kernel
/// reads it without a lock for every bio.
pub trait Index {
    /// Forgets everything.
    fn clear(&mut self);

    /// The live entry of one block.
    fn get(&self, block: MainBlock) -> Option<Live>;

    /// The first of `count` blocks from `first` on that is live; with `active`, that is
    /// served from the spare.
    fn first(&self, first: MainBlock, count: Blocks, active: bool) -> Option<Found>;

    /// The entry of `replacement`; free where none was ever put.
    fn entry(&self, replacement: Replacement) -> Entry;

    /// How many entries there is room for.
    fn room(&self) -> usize;

    /// Makes room for `entries` entries in all.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory.
    fn reserve(&mut self, entries: usize, patience: Patience) -> Result<(), Full>;

    /// Puts an entry, for which there must be room. With `visible`, lookups of its block
    /// lead to it from now on.
    fn put(&mut self, replacement: Replacement, entry: &Entry, visible: bool);

    /// Sends every write through [`Engine::serve`](super::Engine::serve), or no longer.
    fn hold_writes(&mut self, on: bool);
}

/// Everything that an engine asks of the world. Reads and writes are in whole logical
/// blocks of the device.
pub trait Host {
    /// Its memory.
    type Room: Room;
    /// Its index.
    type Index: Index;

    /// The index.
    fn index(&self) -> &Self::Index;

    /// The index, to change.
    fn index_mut(&mut self) -> &mut Self::Index;

    /// The size of a device.
    fn size(&self, device: Device) -> Sectors;

    /// The smallest unit that a device can be written in.
    fn logical_block(&self, device: Device) -> BlockSize;

    /// The unit in which main keeps its data, in bytes; its logical block where it tells none.
    fn physical_block_of_main(&self) -> u32 {
        self.logical_block(Device::Main).bytes()
    }

    /// Reads `bytes` bytes into the beginning of a page.
    ///
    /// # Errors
    ///
    /// The device's; the page's content is unspecified then.
    fn read(
        &mut self,
        device: Device,
        at: Sector,
        page: &mut <Self::Room as Room>::Page,
        bytes: u32,
    ) -> Result<(), Errno>;

    /// Reads a device into `blocks` blocks of a chunk, from its block `first` on.
    ///
    /// # Errors
    ///
    /// The device's; what is in those blocks is unspecified then.
    fn read_chunk(
        &mut self,
        from: (Device, Sector),
        chunk: &mut <Self::Room as Room>::Chunk,
        first: usize,
        blocks: usize,
    ) -> Result<(), Errno>;

    /// Writes the first `bytes` bytes of a page to a device, and returns when they are on the
    /// medium.
    ///
    /// # Errors
    ///
    /// The device's; what lies there is unknown then.
    fn write(
        &mut self,
        device: Device,
        at: Sector,
        page: &<Self::Room as Room>::Page,
        bytes: u32,
    ) -> Result<(), Errno>;

    /// Writes `blocks` blocks of a chunk, from its block `first` on, to a device, and returns
    /// when they are on the medium.
    ///
    /// # Errors
    ///
    /// The device's; what lies there is unknown then.
    fn write_chunk(
        &mut self,
        to: (Device, Sector),
        chunk: &<Self::Room as Room>::Chunk,
        first: usize,
        blocks: usize,
    ) -> Result<(), Errno>;

    /// Brings everything that was written to the spare to its medium.
    ///
    /// # Errors
    ///
    /// The device's; nothing may be taken for durable then.
    fn flush(&mut self) -> Result<(), Errno>;

    /// The time.
    fn now(&self) -> Now;

    /// The name of the mapped device.
    fn name(&self) -> Text<NAME_LIMIT>;

    /// Tells of something.
    fn raise(&mut self, event: Event);

    /// Called when a table was found or made, before anything is served from it.
    fn found_table(&mut self, layout: &Layout);

    /// Called when it is known which sector of main the device begins at, before anything is
    /// served.
    fn data_begins(&mut self, at: Sector);

    /// Called when labels lie under the first and the last MiB of main, which the spare serves,
    /// or no longer: discards must not reach them there.
    fn covers_ends(&mut self, on: bool);

    /// Keeps all other writes to main out until `inner` has ended.
    fn alone<T>(&mut self, inner: impl FnOnce(&mut Self) -> T) -> T;

    /// Keeps what a repair is about to overwrite on the spare, where the host keeps such.
    ///
    /// # Errors
    ///
    /// [`Full`]: it could not be kept, and nothing is written.
    fn keep(&mut self, ranges: &[(Sector, Sectors)]) -> Result<(), Full> {
        let _ = ranges;
        Ok(())
    }
}

/// The data of one request: pages of a bio, or a slice of bytes.
pub trait Payload<H: Host> {
    /// Its first block.
    fn first(&self) -> MainBlock;

    /// How many blocks it is about.
    fn count(&self) -> Blocks;

    /// Whether it changes what the device holds.
    fn is_write(&self) -> bool;

    /// Whether it must be on the medium when it ends.
    fn is_durable(&self) -> bool {
        false
    }

    /// The error with which main has answered the whole request already.
    fn failure(&self) -> Option<Errno> {
        None
    }

    /// Reads or writes `count` of its blocks, from `block` on, at `at` of a device.
    ///
    /// # Errors
    ///
    /// The device's.
    fn transfer(
        &mut self,
        host: &mut H,
        block: MainBlock,
        count: Blocks,
        to: (Device, Sector),
        durably: bool,
    ) -> Result<(), Errno>;

    /// Told of blocks that failed.
    fn failed(&mut self, block: MainBlock, count: Blocks, errno: Errno) {
        let _ = (block, count, errno);
    }
}
