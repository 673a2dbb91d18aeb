// SPDX-License-Identifier: GPL-2.0-or-later
//! Locks whose holders may sleep.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use kernel::error::Result;
use kernel::prelude::*;

use super::ffi;

/// Locks of a target, by the order in which they are taken. A target has one of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rank {
    /// That of whoever scrubs, repairs or writes the copies.
    Maintenance,
    /// That of the state.
    State,
    /// That of what is shown.
    Shown,
}

/// A value that one task at a time uses.
///
/// # Invariants
///
/// `lock` is a mutex of the kernel's that is freed with this; whoever holds it alone uses `value`.
pub struct Lock<T> {
    lock: NonNull<ffi::mutex>,
    value: UnsafeCell<T>,
}

// SAFETY: the value goes from one task to the next, which is what the lock is for.
unsafe impl<T: Send> Send for Lock<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A lock that nobody holds.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(rank: Rank, value: T) -> Result<Self> {
        // SAFETY: may be called wherever one may sleep.
        let lock = unsafe { ffi::dm_remap_lock_new(rank as u32) };
        // INVARIANT: it was made just now, for this.
        Ok(Self {
            lock: NonNull::new(lock).ok_or(ENOMEM)?,
            value: UnsafeCell::new(value),
        })
    }

    /// Waits until nobody else holds it. Sleeps.
    pub fn lock(&self) -> Guard<'_, T> {
        // SAFETY: by the invariants.
        unsafe { ffi::dm_remap_lock(self.lock.as_ptr()) };
        // INVARIANT: it is held from here on.
        Guard(self, PhantomData)
    }

    /// Takes it, unless somebody else holds it.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        // SAFETY: by the invariants.
        let held = unsafe { ffi::dm_remap_lock_try(self.lock.as_ptr()) } != 0;
        // INVARIANT: where it is held, it is held from here on.
        held.then_some(Guard(self, PhantomData))
    }
}

impl<T> Drop for Lock<T> {
    fn drop(&mut self) {
        // SAFETY: by the invariants; nobody can hold it any more.
        unsafe { ffi::dm_remap_lock_free(self.lock.as_ptr()) }
    }
}

/// A lock that is held. It stays with its task.
///
/// # Invariants
///
/// The lock is held until this is dropped.
pub struct Guard<'a, T>(&'a Lock<T>, PhantomData<*mut ()>);

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: by the invariants.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by the invariants.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: by the invariants, and by this task.
        unsafe { ffi::dm_remap_unlock(self.0.lock.as_ptr()) }
    }
}
