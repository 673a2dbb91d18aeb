// SPDX-License-Identifier: GPL-2.0-or-later
//! A value that is read without locks and replaced as a whole.

use core::ptr;

use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full};
use kernel::sync::rcu;

/// Readers see the value that was there when they looked, for as long as they hold their
/// guard; whoever replaces it waits for them.
///
/// # Invariants
///
/// The pointer is null, or came from a box and is freed only after a grace period in
/// which nobody could get it any more.
pub struct Published<T>(Atomic<*mut T>);

// SAFETY: the value is owned like a box's.
unsafe impl<T: Send> Send for Published<T> {}
// SAFETY: readers share the value, and whoever replaces it may drop it elsewhere.
unsafe impl<T: Send + Sync> Sync for Published<T> {}

impl<T> Published<T> {
    /// Nothing yet.
    pub const fn nothing() -> Self {
        Self(Atomic::new(ptr::null_mut()))
    }

    /// What is there now.
    #[inline]
    pub fn read<'g>(&'g self, _guard: &'g rcu::Guard) -> Option<&'g T> {
        // SAFETY: by the invariants it is freed only after the guard was given up.
        unsafe { self.0.load(Acquire).as_ref() }
    }

    /// Puts something else there, and frees what was there when no reader can have it any
    /// more. Sleeps.
    pub fn replace(&self, value: Option<KBox<T>>) {
        let new = value.map_or(ptr::null_mut(), KBox::into_raw);
        let old = self.0.xchg(new, Full);
        if old.is_null() {
            return;
        }
        rcu::synchronize_rcu();
        // SAFETY: it came from a box; nobody could get it since, and who had it let go.
        drop(unsafe { KBox::from_raw(old) });
    }
}

impl<T> Drop for Published<T> {
    fn drop(&mut self) {
        let old = self.0.load(Acquire);
        if !old.is_null() {
            // SAFETY: it came from a box, and nobody can read any more.
            drop(unsafe { KBox::from_raw(old) });
        }
    }
}
