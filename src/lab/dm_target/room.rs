//! Memory of an engine in userspace, and its index of moved blocks.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use crate::remap_core::engine::host::{self, Found, Full, Patience};
use crate::remap_core::relocation::Live;
use crate::remap_core::remap_table::{Entry, EntryState, RawBlock};
use crate::remap_core::units::{Blocks, MainBlock, Replacement, BLOCK_4K_BYTES};

/// Memory of the heap, which is not short.
pub(super) struct Heap;

/// One block.
pub(super) struct Page(Box<RawBlock>);

/// Several blocks.
pub(super) struct Chunk(Vec<u8>);

/// A list that grows by itself only when it is told to: what the kernel would refuse fails
/// here, too.
pub(super) struct List<T> {
    values: Vec<T>,
    room: usize,
}

impl host::Room for Heap {
    type Page = Page;
    type Chunk = Chunk;
    type List<T: Copy> = List<T>;
    type Boxed<T> = Box<T>;

    fn page() -> Result<Page, Full> {
        Ok(Page(Box::new([0; BLOCK_4K_BYTES])))
    }

    fn chunk(blocks: usize) -> Result<Chunk, Full> {
        Ok(Chunk(vec![0; blocks.max(1) * BLOCK_4K_BYTES]))
    }

    fn list<T: Copy>() -> List<T> {
        List {
            values: Vec::new(),
            room: 0,
        }
    }

    fn boxed<T>(value: T) -> Result<Box<T>, Full> {
        Ok(Box::new(value))
    }
}

impl host::Page for Page {
    fn raw(&self) -> &RawBlock {
        &self.0
    }

    fn raw_mut(&mut self) -> &mut RawBlock {
        &mut self.0
    }
}

impl Chunk {
    /// The bytes of `blocks` blocks from `first` on.
    pub(super) fn bytes(&self, first: usize, blocks: usize) -> &[u8] {
        &self.0[first * BLOCK_4K_BYTES..(first + blocks) * BLOCK_4K_BYTES]
    }

    /// The bytes of `blocks` blocks from `first` on, to change.
    pub(super) fn bytes_mut(&mut self, first: usize, blocks: usize) -> &mut [u8] {
        &mut self.0[first * BLOCK_4K_BYTES..(first + blocks) * BLOCK_4K_BYTES]
    }
}

impl host::Chunk for Chunk {
    fn len(&self) -> usize {
        self.0.len() / BLOCK_4K_BYTES
    }

    fn block(&self, at: usize) -> Option<&RawBlock> {
        self.0.get(at * BLOCK_4K_BYTES..)?.first_chunk()
    }

    fn block_mut(&mut self, at: usize) -> Option<&mut RawBlock> {
        self.0.get_mut(at * BLOCK_4K_BYTES..)?.first_chunk_mut()
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values
    }
}

impl<T> host::List<T> for List<T> {
    fn reserve(&mut self, more: usize, _patience: Patience) -> Result<(), Full> {
        self.room = self.room.max(self.values.len() + more);
        Ok(())
    }

    fn push(&mut self, value: T) -> Result<(), Full> {
        let end = self.values.len();
        self.insert(end, value)
    }

    fn insert(&mut self, at: usize, value: T) -> Result<(), Full> {
        if self.values.len() >= self.room || at > self.values.len() {
            return Err(Full);
        }
        self.values.insert(at, value);
        Ok(())
    }

    fn pop(&mut self) -> Option<T> {
        self.values.pop()
    }

    fn clear(&mut self) {
        self.values.clear();
    }

    fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.values.retain(keep);
    }
}

/// The entries of all replacements, and the live ones by block of main.
#[derive(Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
    live: BTreeMap<MainBlock, Replacement>,
    /// How many entries were looked at.
    #[cfg(test)]
    looked: std::sync::atomic::AtomicU64,
    /// Whether every write is held.
    #[cfg(test)]
    pub(super) holds_writes: bool,
}

impl Index {
    /// Whether no block was ever moved or lost.
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// The memory that its entries take.
    #[cfg(test)]
    pub(super) fn room_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// How many entries were looked at since this was last asked.
    #[cfg(test)]
    pub(super) fn take_looked(&self) -> u64 {
        self.looked.swap(0, std::sync::atomic::Ordering::Relaxed)
    }

    fn live(&self, replacement: Replacement) -> Live {
        let entry = host::Index::entry(self, replacement);
        Live {
            replacement,
            active: entry.state == EntryState::Active,
            moves: entry.moves,
        }
    }
}

impl host::Index for Index {
    fn clear(&mut self) {
        *self = Self::default();
    }

    fn get(&self, block: MainBlock) -> Option<Live> {
        self.live.get(&block).map(|at| self.live(*at))
    }

    fn first(&self, first: MainBlock, count: Blocks, active: bool) -> Option<Found> {
        let end = MainBlock::new(first.get().saturating_add(count.get()));
        let live = self.live.range(first..end);
        let mut live = live.map(|(block, at)| (*block, self.live(*at)));
        let (block, found) = live.find(|(_, live)| live.active || !active)?;
        let follows = |(ahead, (next, live)): &(u64, (MainBlock, Live))| {
            live.active
                && next.get() == block.get() + ahead
                && live.replacement.get() == found.replacement.get() + ahead
        };
        let run = match found.active {
            true => 1 + (1u64..).zip(live).take_while(follows).count() as u64,
            false => 1,
        };
        Some(Found {
            block,
            replacement: found.replacement,
            active: found.active,
            run: Blocks::new(run),
        })
    }

    fn entry(&self, replacement: Replacement) -> Entry {
        #[cfg(test)]
        self.looked
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let entry = self.entries.get(replacement.get() as usize);
        entry.copied().unwrap_or_default()
    }

    fn room(&self) -> usize {
        self.entries.len()
    }

    fn reserve(&mut self, entries: usize, _patience: Patience) -> Result<(), Full> {
        let wanted = entries.max(self.entries.len());
        self.entries.resize(wanted, Entry::default());
        Ok(())
    }

    fn put(&mut self, replacement: Replacement, entry: &Entry, visible: bool) {
        let Some(place) = self.entries.get_mut(replacement.get() as usize) else {
            return;
        };
        let before = std::mem::replace(place, *entry);
        if self.live.get(&before.main) == Some(&replacement) {
            self.live.remove(&before.main);
        }
        if visible && entry.is_live() {
            self.live.insert(entry.main, replacement);
        }
    }

    fn hold_writes(&mut self, on: bool) {
        // Every request goes through the engine here.
        #[cfg(test)]
        {
            self.holds_writes = on;
        }
        let _ = on;
    }
}
