// SPDX-License-Identifier: GPL-2.0-or-later
//! RCU.

use core::marker::PhantomData;

use crate::glue;

/// A section that reads. It stays with its task.
pub struct Guard(PhantomData<*mut ()>);

/// Begins to read, in any context.
#[inline]
pub fn read_lock() -> Guard {
    // SAFETY: may be called in any context; the guard ends it.
    unsafe { glue::dm_remap_rcu_read_lock() };
    Guard(PhantomData)
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the section began when this was made.
        unsafe { glue::dm_remap_rcu_read_unlock() }
    }
}

/// Waits for everybody who reads now. Sleeps.
pub fn synchronize_rcu() {
    // SAFETY: may be called wherever one may sleep.
    unsafe { glue::dm_remap_synchronize_rcu() }
}
