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
//!   taken away, only led elsewhere.

use kernel::error::Result;
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Relaxed, Release};
use kernel::sync::rcu;

use crate::dm::published::Published;
use crate::remap_core::remap_table::{Entry, EntryState};
use crate::remap_core::units::{Blocks, MainBlock, Replacement};

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
    /// Writes to one block go through the worker.
    pub const FENCE: Self = Self(1 << 4);

    /// Whether the straight way to main is the only one.
    #[inline]
    pub fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `what` is to be minded.
    #[inline]
    pub fn has(self, what: Self) -> bool {
        self.0 & what.0 == what.0
    }
}

/// The bitmap has no more bits than this, so that it stays small beside the disk.
const MOST_GROUPS: u64 = 1 << 24;

/// Blocks in the smallest group, as a power of two.
const SMALLEST_GROUP: u32 = 3;

/// Entries that are made room for at once; also what is kept free, so that a bad block
/// can be recorded when memory is short.
const HEADROOM: usize = 256;

/// Where blocks of main are served.
pub struct Index {
    minding: Atomic<u32>,
    fenced: Atomic<u64>,
    groups: KVVec<Atomic<u64>>,
    /// Blocks in a group, as a power of two.
    group_shift: u32,
    places: Published<Places>,
}

/// The entries by their index, and the way to them by block.
struct Places {
    /// The block of main that an entry is about.
    blocks: KVVec<Atomic<u64>>,
    /// An entry's state and its count of moves.
    states: KVVec<Atomic<u32>>,
    /// Open-addressed: one more than the index of the live entry of a block; 0 where
    /// there is none.
    slots: KVVec<Atomic<u32>>,
    /// How many bits of a hash make a slot's number.
    bits: u32,
}

/// What the index knows of a block.
#[derive(Clone, Copy)]
pub struct Live {
    /// Which replacement serves it, or is to.
    pub replacement: Replacement,
    /// Whether it does.
    pub active: bool,
    /// How often the block was moved.
    pub moves: u16,
}

/// The first block of a range that is not simply main's.
#[derive(Clone, Copy)]
pub struct Found {
    /// The block.
    pub block: MainBlock,
    /// Where it is served.
    pub live: Live,
    /// How many blocks from there on are served one behind the other; 1 unless it is
    /// active.
    pub run: Blocks,
}

fn atomics<T: kernel::sync::atomic::AtomicType + Copy>(
    count: usize,
    value: T,
) -> Result<KVVec<Atomic<T>>> {
    let mut atomics = KVVec::with_capacity(count, GFP_KERNEL)?;
    for _ in 0..count {
        atomics.push(Atomic::new(value), GFP_KERNEL)?;
    }
    Ok(atomics)
}

impl Index {
    /// An index in which nothing is remapped, for a device of so many blocks.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(blocks: Blocks) -> Result<Self> {
        let mut group_shift = SMALLEST_GROUP;
        while (blocks.get() >> group_shift) >= MOST_GROUPS {
            group_shift += 1;
        }
        let words = (blocks.get() >> group_shift) / 64 + 1;
        Ok(Self {
            minding: Atomic::new(0),
            fenced: Atomic::new(u64::MAX),
            groups: atomics(words as usize, 0u64)?,
            group_shift,
            places: Published::nothing(),
        })
    }

    /// Forgets every remap, before the first bio is admitted.
    pub fn clear(&self) {
        for word in self.groups.iter() {
            word.store(0, Relaxed);
        }
        self.places.replace(None);
        self.minding.store(0, Relaxed);
    }

    /// What a bio has to mind now.
    #[inline]
    pub fn minding(&self) -> Minding {
        Minding(self.minding.load(Relaxed))
    }

    /// Changes what bios have to mind from now on.
    pub fn mind(&self, what: Minding, on: bool) {
        let now = self.minding.load(Relaxed);
        let then = if on { now | what.0 } else { now & !what.0 };
        self.minding.store(then, Release);
    }

    /// Sends writes to `block` through the worker, or to none.
    pub fn fence(&self, block: Option<MainBlock>) {
        self.fenced
            .store(block.map_or(u64::MAX, MainBlock::get), Relaxed);
        self.mind(Minding::FENCE, block.is_some());
    }

    /// Whether the fenced block is among `count` from `first` on.
    pub fn is_fenced(&self, first: MainBlock, count: Blocks) -> bool {
        let distance = self.fenced.load(Relaxed).wrapping_sub(first.get());
        distance < count.get()
    }

    #[inline]
    fn group(&self, block: MainBlock) -> bool {
        let group = block.get() >> self.group_shift;
        let word = self.groups.get((group / 64) as usize);
        word.is_some_and(|word| word.load(Relaxed) & (1 << (group % 64)) != 0)
    }

    /// Whether any of `count` blocks from `first` on may be remapped; if not, none is.
    #[inline]
    pub fn may_have(&self, first: MainBlock, count: Blocks) -> bool {
        let last = first.get() + count.get().saturating_sub(1);
        let mut group = first.get() >> self.group_shift;
        let end = last >> self.group_shift;
        loop {
            if self.group(MainBlock::new(group << self.group_shift)) {
                return true;
            }
            if group >= end {
                return false;
            }
            group += 1;
        }
    }

    /// The first of `count` blocks from `first` on that is live; with `active`, that is
    /// served from the spare.
    pub fn first(&self, first: MainBlock, count: Blocks, active: bool) -> Option<Found> {
        let guard = rcu::read_lock();
        let places = self.places.read(&guard)?;
        let end = first.get().saturating_add(count.get());
        let mut at = first.get();
        while at < end {
            let block = MainBlock::new(at);
            if !self.group(block) {
                // To the beginning of the next group.
                at = ((at >> self.group_shift) + 1) << self.group_shift;
                continue;
            }
            match places.find(block) {
                Some(live) if live.active || !active => {
                    return Some(Found {
                        block,
                        live,
                        run: places.run(block, live, end - at),
                    })
                }
                _ => at += 1,
            }
        }
        None
    }

    /// What is known of one block.
    pub fn get(&self, block: MainBlock) -> Option<Live> {
        let guard = rcu::read_lock();
        self.places.read(&guard)?.find(block)
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

    /// Makes room for entries up to `needed` and some more.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, if there is not even room for those.
    pub fn reserve(&self, needed: usize) -> Result {
        if needed.saturating_add(HEADROOM) <= self.room() {
            return Ok(());
        }
        let wanted = needed + needed / 4 + 2 * HEADROOM;
        match self.grown(wanted) {
            Ok(places) => {
                self.places.replace(Some(places));
                Ok(())
            }
            Err(_) if needed <= self.room() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn grown(&self, capacity: usize) -> Result<KBox<Places>> {
        let slots = (capacity + capacity / 4).next_power_of_two();
        let places = KBox::new(
            Places {
                blocks: atomics(capacity, 0u64)?,
                states: atomics(capacity, 0u32)?,
                slots: atomics(slots, 0u32)?,
                bits: slots.ilog2(),
            },
            GFP_KERNEL,
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
            let group = entry.main.get() >> self.group_shift;
            if let Some(word) = self.groups.get((group / 64) as usize) {
                word.store(word.load(Relaxed) | (1 << (group % 64)), Relaxed);
            }
            self.mind(Minding::REMAPS, true);
        }
    }

    /// How much memory all of it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let guard = rcu::read_lock();
        let places = self.places.read(&guard).map_or(0, |places| {
            places.blocks.len() * 8 + places.states.len() * 4 + places.slots.len() * 4
        });
        places + self.groups.len() * 8
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
        let mut at = self.slot(block);
        // There is always an empty slot: there are more slots than entries.
        for _ in 0..self.slots.len() {
            let slot = self.slots.get(at & mask)?;
            let leads = slot.load(Acquire) as usize;
            if leads == 0 || self.blocks.get(leads - 1)?.load(Relaxed) == block.get() {
                return Some((slot, leads));
            }
            at += 1;
        }
        None
    }

    #[inline]
    fn find(&self, block: MainBlock) -> Option<Live> {
        let (_, leads) = self.probe(block)?;
        let index = leads.checked_sub(1)?;
        self.live(index)
    }

    #[inline]
    fn live(&self, index: usize) -> Option<Live> {
        let word = self.states.get(index)?.load(Relaxed);
        let state = EntryState::from_number(word as u8)?;
        matches!(state, EntryState::Active | EntryState::Pending).then_some(Live {
            replacement: Replacement::new(index as u64),
            active: state == EntryState::Active,
            moves: (word >> 16) as u16,
        })
    }

    /// How many blocks from `block` on, at most `most`, lie one behind the other.
    #[inline]
    fn run(&self, block: MainBlock, live: Live, most: u64) -> Blocks {
        let mut run = 1;
        while live.active && run < most {
            let next = live.replacement.get() + run;
            let follows = self
                .blocks
                .get(next as usize)
                .is_some_and(|of| of.load(Relaxed) == block.get() + run)
                && self
                    .find(MainBlock::new(block.get() + run))
                    .is_some_and(|of| of.active && of.replacement.get() == next);
            if !follows {
                break;
            }
            run += 1;
        }
        Blocks::new(run)
    }

    fn entry(&self, replacement: Replacement) -> Option<Entry> {
        let index = replacement.get() as usize;
        let word = self.states.get(index)?.load(Relaxed);
        Some(Entry {
            state: EntryState::from_number(word as u8)?,
            main: MainBlock::new(self.blocks.get(index)?.load(Relaxed)),
            moves: (word >> 16) as u16,
        })
    }

    fn put(&self, replacement: Replacement, entry: &Entry, visible: bool) {
        let index = replacement.get() as usize;
        let (Some(block), Some(state)) = (self.blocks.get(index), self.states.get(index)) else {
            return;
        };
        block.store(entry.main.get(), Relaxed);
        let word = u32::from(entry.state.number()) | u32::from(entry.moves) << 16;
        state.store(word, Release);
        if visible {
            if let Some((slot, _)) = self.probe(entry.main) {
                slot.store(index as u32 + 1, Release);
            }
        }
    }
}
