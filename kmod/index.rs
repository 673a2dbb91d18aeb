// SPDX-License-Identifier: GPL-2.0-or-later
//! What every bio asks: which blocks are served elsewhere.
//!
//! Looking takes no lock and allocates nothing. One word says whether anything but the
//! straight way to main is to be thought of; a bitmap over groups of blocks says where;
//! and only there the blocks are looked up, in an open-addressed hash table of indices
//! into the entries.
//!
//! # Invariants
//!
//! - Whoever changes anything holds the lock of the target's engine: there is one writer.
//! - A live entry is written before anything leads to it, and what leads to it is never
//!   taken away, only led elsewhere. An entry that is given back keeps its block here, hidden: a
//!   slot leads to it still, and must not be taken for that of another block.

use kernel::alloc::Flags;
use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Relaxed, Release};
use kernel::sync::rcu;

use crate::dm::published::{read_once, Published};
use crate::remap_core::engine::host::Found;
use crate::remap_core::relocation::Live;
use crate::remap_core::remap_table::{Entry, EntryState};
use crate::remap_core::units::{BlockSize, Blocks, MainBlock, Replacement, Sector, Sectors};

/// What a bio has to mind, as bits of one word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Minding(u32);

impl Minding {
    /// Blocks may be served from the spare, or wait for their next write.
    pub const REMAPS: Self = Self(1);
    /// Nothing is written.
    pub const READ_ONLY: Self = Self(1 << 1);
    /// Every write goes through the worker.
    pub const HOLD_WRITES: Self = Self(1 << 2);
    /// Everything goes through the worker.
    pub const HOLD_ALL: Self = Self(1 << 3);
    /// Every write goes through the worker, while a block is copied.
    pub const FENCE: Self = Self(1 << 4);

    /// Whether the straight way to main is the only one.
    #[inline]
    pub fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Whether remaps are all that is to be minded.
    #[inline]
    pub fn is_remaps(self) -> bool {
        self == Self::REMAPS
    }

    /// Whether all of `what` is to be minded.
    #[inline]
    pub fn has(self, what: Self) -> bool {
        self.0 & what.0 == what.0
    }
}

/// The bitmap has no more bits than this, so that it stays small beside the disk.
const MOST_GROUPS: u64 = 1 << 24;

/// Sectors in the smallest group, as a power of two: 4 KiB, what most bios are made of.
const SMALLEST_GROUP: u32 = 3;

/// Entries that are made room for at once; also what is kept free, so that bad blocks can be
/// recorded when memory is short: those of two table blocks.
/// A model checker gets by with few.
const HEADROOM: usize = if cfg!(test) { 1 } else { 512 };

/// Set beside the block of an entry that serves it, and to which lookups lead.
const ACTIVE: u64 = 1 << 63;
/// Set beside the block of an entry that is to serve it, and to which lookups lead.
const PENDING: u64 = 1 << 62;
/// The block itself: no disk has as many.
const BLOCK: u64 = PENDING - 1;

/// Where blocks of main are served.
pub struct Index {
    minding: Atomic<u32>,
    /// Which groups of blocks have remaps.
    groups: KVVec<Atomic<u64>>,
    /// Sectors in a group, as a power of two.
    group_shift: u32,
    unit: BlockSize,
    places: Published<Places>,
}

/// The entries by their index, and the way to them by block.
struct Places {
    /// The block of main that an entry is about, and what lookups see of it.
    blocks: KVVec<Atomic<u64>>,
    /// An entry's state and its count of moves.
    states: KVVec<Atomic<u32>>,
    /// Open-addressed: one more than the index of the live entry of a block; 0 where
    /// there is none.
    slots: KVVec<Atomic<u32>>,
    /// How many bits of a hash make a slot's number.
    bits: u32,
}

fn atomics<T: kernel::sync::atomic::AtomicType + Copy>(
    count: usize,
    value: T,
    flags: Flags,
) -> Result<KVVec<Atomic<T>>> {
    let mut atomics = KVVec::with_capacity(count, flags)?;
    for _ in 0..count {
        atomics.push(Atomic::new(value), flags)?;
    }
    Ok(atomics)
}

impl Index {
    /// An index in which nothing is remapped, for a main of this size.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(main: Sectors, unit: BlockSize) -> Result<Self> {
        let mut group_shift = SMALLEST_GROUP;
        while (main.get() >> group_shift) >= MOST_GROUPS {
            group_shift += 1;
        }
        let words = (main.get() >> group_shift) / 64 + 1;
        Ok(Self {
            minding: Atomic::new(0),
            groups: atomics(words as usize, 0u64, GFP_KERNEL)?,
            group_shift,
            unit,
            places: Published::nothing(),
        })
    }

    /// Forgets every remap, before the first bio is admitted.
    pub fn clear(&self) {
        for word in self.groups.iter() {
            word.store(0, Relaxed);
        }
        self.places.replace(None);
        self.mind(Minding::REMAPS, false);
        self.mind(Minding::HOLD_WRITES, false);
    }

    /// What a bio has to mind now.
    #[inline]
    pub fn minding(&self) -> Minding {
        Minding(read_once(&self.minding))
    }

    /// Changes what bios have to mind from now on.
    pub fn mind(&self, what: Minding, on: bool) {
        let now = self.minding.load(Relaxed);
        let then = if on { now | what.0 } else { now & !what.0 };
        // Every CPU reads the word for every bio: nothing is written to it for nothing.
        if then != now {
            self.minding.store(then, Release);
        }
    }

    /// The group that a sector is in.
    #[inline]
    fn group(&self, sector: Sector) -> u64 {
        sector.get() >> self.group_shift
    }

    /// Whether any block of these sectors may be remapped; if not, none is.
    #[inline(always)]
    pub fn may_have(&self, at: Sector, length: Sectors) -> bool {
        let first = self.group(at);
        let last = self.group(Sector::new(at.get() + length.get() - 1));
        let bits = (u64::MAX << (first % 64)) & (u64::MAX >> (63 - last % 64));
        let word = self.groups.get((first / 64) as usize);
        if first / 64 == last / 64 {
            return word.is_some_and(|word| read_once(word) & bits != 0);
        }
        (first..=last).any(|group| self.has_group(group))
    }

    /// The group that a block is in: no group is smaller than a block.
    fn group_of(&self, block: MainBlock) -> u64 {
        block.get() >> self.group_shift.saturating_sub(self.unit.sector_shift())
    }

    fn has_group(&self, group: u64) -> bool {
        let word = self.groups.get((group / 64) as usize);
        word.is_some_and(|word| read_once(word) & (1 << (group % 64)) != 0)
    }

    /// The first group from `group` to `last` that has remaps; the one behind `last` if none
    /// has. Goes by words: a list of remaps may ask about a whole disk.
    #[inline]
    fn next_group(&self, group: u64, last: u64) -> u64 {
        let mut mask = u64::MAX << (group % 64);
        for number in group / 64..=last / 64 {
            let word = self.groups.get(number as usize).map_or(0, read_once) & mask;
            if word != 0 {
                return number * 64 + u64::from(word.trailing_zeros());
            }
            mask = u64::MAX;
        }
        last + 1
    }

    /// The first of `count` blocks from `first` on that is live; with `active`, that is
    /// served from the spare.
    #[inline]
    pub fn first(&self, first: MainBlock, count: Blocks, active: bool) -> Option<Found> {
        let guard = rcu::read_lock();
        let places = self.places.read(&guard)?;
        // Most bios are asked about because their first block is one.
        if let Some(found) = places.look(first, count.get(), active) {
            return Some(found);
        }
        let end = first.get().saturating_add(count.get());
        let last = self.group_of(MainBlock::new(end.saturating_sub(1)));
        let mut at = first.get().saturating_add(1);
        while at < end {
            let block = MainBlock::new(at);
            let group = self.group_of(block);
            let next = self.next_group(group, last);
            if next != group {
                // To the beginning of that group.
                let next = Sector::new(next << self.group_shift);
                at = self.unit.block_of(next).get();
                continue;
            }
            let found = places.look(block, end - at, active);
            if found.is_some() {
                return found;
            }
            at += 1;
        }
        None
    }

    /// What is known of one block.
    pub fn get(&self, block: MainBlock) -> Option<Live> {
        let guard = rcu::read_lock();
        let places = self.places.read(&guard)?;
        let (index, word) = places.find(block)?;
        let replacement = Replacement::new(index as u64);
        Some(Live {
            replacement,
            active: word & ACTIVE != 0,
            moves: places.entry(replacement)?.moves,
        })
    }

    /// The entry of `replacement`; free where none was ever put.
    pub fn entry(&self, replacement: Replacement) -> Entry {
        let guard = rcu::read_lock();
        let places = self.places.read(&guard);
        places
            .and_then(|places| places.entry(replacement))
            .unwrap_or_default()
    }

    /// How many entries there is room for.
    pub fn room(&self) -> usize {
        let guard = rcu::read_lock();
        self.places
            .read(&guard)
            .map_or(0, |places| places.blocks.len())
    }

    /// Makes room for entries up to `needed` and some more. `flags` say whether that may
    /// wait for memory.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, if there is not even room for those.
    pub fn reserve(&self, needed: usize, flags: Flags) -> Result {
        if needed.saturating_add(HEADROOM) <= self.room() {
            return Ok(());
        }
        let wanted = needed + needed / 4 + 2 * HEADROOM;
        match self.grown(wanted, flags) {
            Ok(places) => {
                self.places.replace(Some(places));
                Ok(())
            }
            Err(_) if needed <= self.room() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn grown(&self, capacity: usize, flags: Flags) -> Result<KBox<Places>> {
        let slots = (capacity + capacity / 4).next_power_of_two();
        let places = KBox::new(
            Places {
                blocks: atomics(capacity, 0u64, flags)?,
                states: atomics(capacity, 0u32, flags)?,
                slots: atomics(slots, 0u32, flags)?,
                bits: slots.ilog2(),
            },
            flags,
        )?;
        for index in 0..self.room() as u64 {
            let replacement = Replacement::new(index);
            let entry = self.entry(replacement);
            let is_the_one = entry.is_live()
                && self.get(entry.main).map(|live| live.replacement) == Some(replacement);
            places.put(replacement, &entry, is_the_one);
        }
        Ok(places)
    }

    /// Puts an entry. With `visible`, lookups of its block lead to it from now on. There
    /// must be room for it.
    pub fn put(&self, replacement: Replacement, entry: &Entry, visible: bool) {
        let guard = rcu::read_lock();
        let Some(places) = self.places.read(&guard) else {
            return;
        };
        places.put(replacement, entry, visible);
        if visible {
            let group = self.group_of(entry.main);
            if let Some(word) = self.groups.get((group / 64) as usize) {
                word.store(word.load(Relaxed) | (1 << (group % 64)), Relaxed);
            }
            self.mind(Minding::REMAPS, true);
        }
    }
}

impl Places {
    #[inline]
    fn slot(&self, block: MainBlock) -> usize {
        // Neighbouring blocks go far apart. One multiplication alone would crowd runs that
        // come at regular distances, as a disk's bad blocks may, into a few places.
        let spread = block.get().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (spread ^ spread >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed >> (64 - self.bits)) as usize
    }

    /// Follows the slots of `block`: to the one that leads to it, or to the empty one where
    /// its would be.
    #[inline]
    fn probe(&self, block: MainBlock) -> Option<(&Atomic<u32>, usize)> {
        let mask = self.slots.len() - 1;
        let first = self.slot(block);
        // There is always an empty slot: there are more slots than entries.
        for at in first..first + self.slots.len() {
            let slot = self.slots.get(at & mask)?;
            let leads = read_once(slot) as usize;
            if leads == 0 || read_once(self.blocks.get(leads - 1)?) & BLOCK == block.get() {
                return Some((slot, leads));
            }
        }
        None
    }

    /// The live entry of a block: its index, and its word as it was seen.
    #[inline]
    fn find(&self, block: MainBlock) -> Option<(usize, u64)> {
        loop {
            let (slot, leads) = self.probe(block)?;
            let index = leads.checked_sub(1)?;
            let entry = self.blocks.get(index)?;
            let word = read_once(entry);
            if word & !BLOCK != 0 {
                return Some((index, word));
            }
            // It is hidden: if it was superseded between the two looks, the slot leads elsewhere
            // by now. No address leads from one to the other, so a CPU may look at the slot
            // before it looks at the entry; an acquiring load keeps it from that.
            let _ = entry.load(Acquire);
            if read_once(slot) as usize == leads {
                return None;
            }
        }
    }

    /// What is live about `block`; with `active`, if it is served from the spare. A run goes
    /// on for `most` blocks at the most.
    #[inline(always)]
    fn look(&self, block: MainBlock, most: u64, active: bool) -> Option<Found> {
        let (index, word) = self.find(block)?;
        let serves = word & ACTIVE != 0;
        if active && !serves {
            return None;
        }
        let run = if serves {
            self.run(index, word, most)
        } else {
            1
        };
        Some(Found {
            block,
            replacement: Replacement::new(index as u64),
            active: serves,
            run: Blocks::new(run),
        })
    }

    /// How many blocks from that of entry `index` on, at most `most`, are served one behind
    /// the other. `word` is that entry's as it was found: looked at again it might be hidden
    /// meanwhile, and so be followed by others that were hidden long ago.
    #[inline]
    fn run(&self, index: usize, word: u64, most: u64) -> u64 {
        let end = index.saturating_add(most as usize).min(self.blocks.len());
        let others = self.blocks.get(index + 1..end).unwrap_or_default();
        let mut expected = word;
        let breaks = others.iter().position(|other| {
            expected = expected.wrapping_add(1);
            read_once(other) != expected
        });
        breaks.unwrap_or(others.len()) as u64 + 1
    }

    fn entry(&self, replacement: Replacement) -> Option<Entry> {
        let index = replacement.get() as usize;
        let word = self.states.get(index)?.load(Relaxed);
        let state = EntryState::from_number(word as u8)?;
        let main = match state {
            EntryState::Free => 0,
            _ => self.blocks.get(index)?.load(Relaxed) & BLOCK,
        };
        Some(Entry {
            state,
            main: MainBlock::new(main),
            moves: (word >> 16) as u16,
        })
    }

    fn put(&self, replacement: Replacement, entry: &Entry, visible: bool) {
        let index = replacement.get() as usize;
        let (Some(block), Some(state)) = (self.blocks.get(index), self.states.get(index)) else {
            return;
        };
        let word = u32::from(entry.state.number()) | u32::from(entry.moves) << 16;
        state.store(word, Relaxed);
        let seen = match entry.state {
            EntryState::Active if visible => ACTIVE,
            EntryState::Pending if visible => PENDING,
            _ => 0,
        };
        let main = match entry.state {
            EntryState::Free => block.load(Relaxed) & BLOCK,
            _ => entry.main.get() & BLOCK,
        };
        block.store(main | seen, Release);
        if seen == 0 {
            return;
        }
        let Some((slot, before)) = self.probe(entry.main) else {
            return;
        };
        slot.store(index as u32 + 1, Release);
        let superseded = before.checked_sub(1).filter(|before| *before != index);
        if let Some(block) = superseded.and_then(|before| self.blocks.get(before)) {
            block.store(block.load(Relaxed) & BLOCK, Release);
        }
    }
}
