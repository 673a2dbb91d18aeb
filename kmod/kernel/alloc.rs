// SPDX-License-Identifier: GPL-2.0-or-later
//! Boxes and vectors in the kernel's memory.

use core::marker::PhantomData;
use core::mem;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

use crate::glue;

/// There is no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AllocError;

/// How memory is asked for. The bits are the glue's, which knows the kernel's own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flags(u32);

impl core::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Flags by the kernel's names. `glue/runtime.c` has the same bits.
pub mod flags {
    use super::Flags;

    /// May wait for memory.
    pub const GFP_KERNEL: Flags = Flags(1);
    /// Does not wait.
    pub const GFP_NOWAIT: Flags = Flags(1 << 1);
    /// Says nothing when there is none.
    pub const __GFP_NOWARN: Flags = Flags(1 << 2);
}

/// Memory that need not be in one piece.
const IN_PIECES: u32 = 1 << 3;

fn allocate<T>(count: usize, flags: u32) -> Result<NonNull<T>, AllocError> {
    // kmalloc aligns to 8 bytes at least, and a power of two to itself.
    const { assert!(align_of::<T>() <= 8 || size_of::<T>().is_power_of_two()) };
    let bytes = count.checked_mul(size_of::<T>()).ok_or(AllocError)?;
    if bytes == 0 {
        return Ok(NonNull::dangling());
    }
    // SAFETY: the flags are the caller's, who knows what its context allows.
    let memory = unsafe { glue::dm_remap_alloc(bytes, flags) };
    NonNull::new(memory.cast::<T>()).ok_or(AllocError)
}

/// # Safety
///
/// The memory must come from `allocate` for `count`, and not be used any more.
unsafe fn free<T>(memory: NonNull<T>, count: usize) {
    if count != 0 && size_of::<T>() != 0 {
        // SAFETY: as the caller promises.
        unsafe { glue::dm_remap_free(memory.as_ptr().cast()) }
    }
}

/// A value on the heap.
///
/// # Invariants
///
/// The value is there, and owned.
pub struct KBox<T>(NonNull<T>, PhantomData<T>);

// SAFETY: it owns the value.
unsafe impl<T: Send> Send for KBox<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for KBox<T> {}

impl<T> KBox<T> {
    /// Puts a value there.
    ///
    /// # Errors
    ///
    /// There is no memory.
    pub fn new(value: T, flags: Flags) -> Result<Self, AllocError> {
        let memory = allocate::<T>(1, flags.0)?;
        // SAFETY: there is room for one.
        unsafe { memory.write(value) };
        // INVARIANT: it was put there just now.
        Ok(Self(memory, PhantomData))
    }

    /// Its address, which keeps it.
    pub fn into_raw(this: Self) -> *mut T {
        mem::ManuallyDrop::new(this).0.as_ptr()
    }

    /// The box of an address.
    ///
    /// # Safety
    ///
    /// It must have come from `into_raw`, and not have been made a box since.
    pub unsafe fn from_raw(raw: *mut T) -> Self {
        // SAFETY: as the caller promises.
        Self(unsafe { NonNull::new_unchecked(raw) }, PhantomData)
    }
}

impl<T> Deref for KBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: by the invariants.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for KBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by the invariants.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for KBox<T> {
    fn drop(&mut self) {
        // SAFETY: by the invariants; it is not used after this.
        unsafe {
            ptr::drop_in_place(self.0.as_ptr());
            free(self.0, 1);
        }
    }
}

/// Source of the memory of a vector.
pub trait Allocator {
    #[doc(hidden)]
    const FLAGS: u32;
}

/// Memory in one piece.
pub struct Kmalloc;

/// Memory that need not be in one piece.
pub struct KVmalloc;

impl Allocator for Kmalloc {
    const FLAGS: u32 = 0;
}

impl Allocator for KVmalloc {
    const FLAGS: u32 = IN_PIECES;
}

/// A vector in one piece.
pub type KVec<T> = Vec<T, Kmalloc>;

/// A vector that need not be in one piece.
pub type KVVec<T> = Vec<T, KVmalloc>;

/// A vector.
///
/// # Invariants
///
/// The first `length` of `capacity` values are there.
pub struct Vec<T, A: Allocator> {
    memory: NonNull<T>,
    capacity: usize,
    length: usize,
    values: PhantomData<(T, A)>,
}

// SAFETY: it owns the values.
unsafe impl<T: Send, A: Allocator> Send for Vec<T, A> {}
// SAFETY: as above.
unsafe impl<T: Sync, A: Allocator> Sync for Vec<T, A> {}

impl<T, A: Allocator> Vec<T, A> {
    /// An empty one, without memory.
    pub const fn new() -> Self {
        Self {
            memory: NonNull::dangling(),
            capacity: 0,
            length: 0,
            values: PhantomData,
        }
    }

    /// An empty one with room for so many.
    ///
    /// # Errors
    ///
    /// There is no memory.
    pub fn with_capacity(capacity: usize, flags: Flags) -> Result<Self, AllocError> {
        Ok(Self {
            memory: allocate(capacity, flags.0 | A::FLAGS)?,
            capacity,
            length: 0,
            values: PhantomData,
        })
    }

    /// So many times the same value.
    ///
    /// # Errors
    ///
    /// There is no memory.
    pub fn from_elem(value: T, count: usize, flags: Flags) -> Result<Self, AllocError>
    where
        T: Copy,
    {
        let mut vec = Self::with_capacity(count, flags)?;
        for at in 0..count {
            // SAFETY: there is room for `count`.
            unsafe { vec.memory.add(at).write(value) };
        }
        // INVARIANT: they are there.
        vec.length = count;
        Ok(vec)
    }

    /// Makes room for so many more.
    ///
    /// # Errors
    ///
    /// There is no memory; nothing was changed then.
    pub fn reserve(&mut self, additional: usize, flags: Flags) -> Result<(), AllocError> {
        let needed = self.length.checked_add(additional).ok_or(AllocError)?;
        if needed <= self.capacity {
            return Ok(());
        }
        let capacity = needed.max(self.capacity.saturating_mul(2));
        let memory = allocate(capacity, flags.0 | A::FLAGS)?;
        // SAFETY: both have room for `length`, and are apart; the old memory is not used any more.
        unsafe {
            ptr::copy_nonoverlapping(self.memory.as_ptr(), memory.as_ptr(), self.length);
            free(self.memory, self.capacity);
        }
        self.memory = memory;
        self.capacity = capacity;
        Ok(())
    }

    /// Puts a value at the end.
    ///
    /// # Errors
    ///
    /// There is no memory.
    pub fn push(&mut self, value: T, flags: Flags) -> Result<(), AllocError> {
        self.reserve(1, flags)?;
        self.push_within_capacity(value).map_err(|_| AllocError)
    }

    /// Puts a value at the end, where there is room.
    ///
    /// # Errors
    ///
    /// The value, where there is none.
    pub fn push_within_capacity(&mut self, value: T) -> Result<(), T> {
        self.insert_within_capacity(self.length, value)
    }

    /// Puts a value before that at `at`, where there is room.
    ///
    /// # Errors
    ///
    /// The value, where there is none, or if there are fewer than `at`.
    pub fn insert_within_capacity(&mut self, at: usize, value: T) -> Result<(), T> {
        if at > self.length || self.length == self.capacity {
            return Err(value);
        }
        // SAFETY: there is room for one more, and `at` is within.
        unsafe {
            let place = self.memory.add(at);
            ptr::copy(place.as_ptr(), place.add(1).as_ptr(), self.length - at);
            place.write(value);
        }
        self.length += 1;
        Ok(())
    }

    /// Takes the last value away.
    pub fn pop(&mut self) -> Option<T> {
        self.length = self.length.checked_sub(1)?;
        // SAFETY: it was there, and does not count any more.
        Some(unsafe { self.memory.add(self.length).read() })
    }

    /// Takes the value at `at` away.
    ///
    /// # Errors
    ///
    /// There are no more than `at`.
    pub fn remove(&mut self, at: usize) -> Result<T, AllocError> {
        if at >= self.length {
            return Err(AllocError);
        }
        // SAFETY: it is there; those behind it move up.
        unsafe {
            let place = self.memory.add(at);
            let value = place.read();
            self.length -= 1;
            ptr::copy(place.add(1).as_ptr(), place.as_ptr(), self.length - at);
            Ok(value)
        }
    }

    /// Takes those away that `keep` does not want.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut kept = 0;
        for at in 0..self.length {
            if self.get_mut(at).is_some_and(&mut keep) {
                self.swap(at, kept);
                kept += 1;
            }
        }
        while self.length > kept {
            self.pop();
        }
    }

    /// Takes all away; the memory is kept.
    pub fn clear(&mut self) {
        while self.pop().is_some() {}
    }
}

impl<T, A: Allocator> Deref for Vec<T, A> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: by the invariants.
        unsafe { core::slice::from_raw_parts(self.memory.as_ptr(), self.length) }
    }
}

impl<T, A: Allocator> DerefMut for Vec<T, A> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: by the invariants.
        unsafe { core::slice::from_raw_parts_mut(self.memory.as_ptr(), self.length) }
    }
}

impl<T, A: Allocator> Drop for Vec<T, A> {
    fn drop(&mut self) {
        self.clear();
        // SAFETY: it is not used after this.
        unsafe { free(self.memory, self.capacity) }
    }
}
