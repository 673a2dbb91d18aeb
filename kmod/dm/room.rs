// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's memory, as an engine asks for it.

use core::ops::{Deref, DerefMut};

use kernel::alloc::flags::{__GFP_NOWARN, GFP_NOWAIT};
use kernel::alloc::Flags;
use kernel::prelude::*;

use crate::dm::device::{Buffer, Chunk};
use crate::remap_core::engine::host::{self, Full, Patience};
use crate::remap_core::remap_table::RawBlock;

/// Memory of the kernel. What may wait for more of it starts no I/O for that: whoever runs an
/// engine is in a scope without.
pub struct Memory;

/// The flags to allocate with.
pub fn flags(patience: Patience) -> Flags {
    match patience {
        Patience::Waits => GFP_KERNEL,
        Patience::None => GFP_NOWAIT | __GFP_NOWARN,
    }
}

/// A list in memory that need not be in one piece.
pub struct List<T>(KVVec<T>);

impl host::Room for Memory {
    type Page = Buffer;
    type Chunk = Chunk;
    type List<T: Copy> = List<T>;
    type Boxed<T> = KBox<T>;

    fn page() -> Result<Buffer, Full> {
        Buffer::new(GFP_KERNEL).map_err(|_| Full)
    }

    fn chunk(blocks: usize) -> Result<Chunk, Full> {
        // A single block is waited for; several in one piece are a matter of luck.
        let patience = match blocks {
            1 => Patience::Waits,
            _ => Patience::None,
        };
        Chunk::new(blocks, flags(patience)).map_err(|_| Full)
    }

    fn list<T: Copy>() -> List<T> {
        List(KVVec::new())
    }

    fn boxed<T>(value: T) -> Result<KBox<T>, Full> {
        KBox::new(value, GFP_KERNEL).map_err(|_| Full)
    }
}

impl host::Page for Buffer {
    fn raw(&self) -> &RawBlock {
        self.bytes()
    }

    fn raw_mut(&mut self) -> &mut RawBlock {
        self.bytes_mut()
    }
}

impl host::Chunk for Chunk {
    fn len(&self) -> usize {
        self.blocks()
    }

    fn block(&self, at: usize) -> Option<&RawBlock> {
        self.get(at)
    }

    fn block_mut(&mut self, at: usize) -> Option<&mut RawBlock> {
        self.get_mut(at)
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> host::List<T> for List<T> {
    fn reserve(&mut self, more: usize, patience: Patience) -> Result<(), Full> {
        self.0.reserve(more, flags(patience)).map_err(|_| Full)
    }

    fn push(&mut self, value: T) -> Result<(), Full> {
        self.0.push_within_capacity(value).map_err(|_| Full)
    }

    fn insert(&mut self, at: usize, value: T) -> Result<(), Full> {
        self.0.insert_within_capacity(at, value).map_err(|_| Full)
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        let mut keep = keep;
        self.0.retain(|value| keep(value));
    }
}
