// SPDX-License-Identifier: GPL-2.0-or-later
//! A target's own thread of work, and the bios it is given.

use core::ptr::{self, NonNull};

use kernel::error::{to_result, Result};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full, Relaxed};
use kernel::sync::rcu;

use super::bio::HeldBio;
use super::ffi;
use super::gate::Gate;

/// The longest time that a timer is set to at once, in milliseconds.
const LONGEST: u64 = 3_600_000;

/// An ordered queue on which a target does what may sleep. It has a thread kept for it,
/// so that it goes on when memory is short.
///
/// # Invariants
///
/// - `worker` is the glue's, made for this, and freed with it.
/// - From `start` to `stop` its queue is valid; outside of that nothing is queued.
/// - `held` is a list, through `next`, of what is beside the bios that were handed to it.
pub struct Worker {
    worker: NonNull<ffi::dm_remap_worker>,
    held: Atomic<*mut ffi::dm_remap_beside>,
}

// SAFETY: the kernel's queue may be used from any context, and the list is atomic.
unsafe impl Send for Worker {}
// SAFETY: as above.
unsafe impl Sync for Worker {}

impl Worker {
    /// A worker that does not work yet: device-mapper's callbacks start and stop it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: may be called wherever one may sleep.
        let worker = unsafe { ffi::dm_remap_worker_new() };
        // INVARIANT: it was made just now, for this, and nothing is held.
        Ok(Self {
            worker: NonNull::new(worker).ok_or(ENOMEM)?,
            held: Atomic::new(ptr::null_mut()),
        })
    }

    /// Starts it: from now on the glue calls the target's `work` and `timer` with `data`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `data` must stay where it is until `stop` has returned, and this is its worker.
    pub(super) unsafe fn start<T>(&self, name: &CStr, data: *const T) -> Result {
        // SAFETY: by the invariants, and as the caller promises.
        to_result(unsafe {
            ffi::dm_remap_worker_start(
                self.worker.as_ptr(),
                name.as_char_ptr(),
                data.cast_mut().cast(),
            )
        })
    }

    /// Stops it, and waits for what it is doing.
    ///
    /// # Safety
    ///
    /// It must have been started, once, and nobody may use it any more.
    pub(super) unsafe fn stop(&self) {
        self.rest();
        // The last bio has ended, but whoever put it into the list may still be on the way to
        // the queue.
        rcu::synchronize_rcu();
        self.rest();
        // SAFETY: as the caller promises; nothing is queued any more.
        unsafe { ffi::dm_remap_worker_stop(self.worker.as_ptr()) }
    }

    /// Calls the target's `timer` in about so many milliseconds, in place of whenever it
    /// was due.
    pub fn after(&self, milliseconds: u64) {
        let milliseconds = milliseconds.min(LONGEST) as u32;
        // SAFETY: by the invariants: whoever has a reference was made after the start.
        unsafe { ffi::dm_remap_worker_after(self.worker.as_ptr(), milliseconds) }
    }

    /// Calls off the timer, and waits for everything that is being done.
    pub fn rest(&self) {
        // SAFETY: as in `after`.
        unsafe { ffi::dm_remap_worker_rest(self.worker.as_ptr()) }
    }

    /// Takes a bio in, from any context.
    ///
    /// # Safety
    ///
    /// It must have been answered for, be left to the target until it ends it, and be used
    /// nowhere else; `beside` must be what is beside it.
    pub(super) unsafe fn hold(
        &self,
        bio: NonNull<ffi::bio>,
        beside: NonNull<ffi::dm_remap_beside>,
    ) {
        let beside = beside.as_ptr();
        // SAFETY: as the caller promises, it is ours alone.
        unsafe { (*beside).bio = bio.as_ptr() };
        // Once it is in the list it may be ended, and with the last one the target may go: the
        // queue is there as long as this is held.
        let _guard = rcu::read_lock();
        let mut head = self.held.load(Relaxed);
        loop {
            // SAFETY: as above, its link included.
            unsafe { (*beside).next = head };
            match self.held.cmpxchg(head, beside, Full) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        self.kick();
    }

    /// Calls the target's `work` as soon as may be. From any context.
    pub fn kick(&self) {
        // SAFETY: as in `after`.
        unsafe { ffi::dm_remap_worker_kick(self.worker.as_ptr()) }
    }

    /// Takes all bios that are waiting, in the order in which they came. The gate is that of
    /// the same target.
    pub fn take_held<'g>(&self, gate: &'g Gate) -> Held<'g> {
        let mut newest = self.held.xchg(ptr::null_mut(), Full);
        let mut oldest = ptr::null_mut();
        while !newest.is_null() {
            // SAFETY: by the invariants, and nobody else has the list any more.
            unsafe {
                let next = (*newest).next;
                (*newest).next = oldest;
                oldest = newest;
                newest = next;
            }
        }
        // INVARIANT: a list of held bios that nobody else has.
        Held { oldest, gate }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: by the invariants; it was stopped, or never started.
        unsafe { ffi::dm_remap_worker_free(self.worker.as_ptr()) }
    }
}

/// Bios that were taken from a worker.
///
/// # Invariants
///
/// A list, through `next`, of what is beside held bios that nobody else has.
pub struct Held<'g> {
    oldest: *mut ffi::dm_remap_beside,
    gate: &'g Gate,
}

impl<'g> Iterator for Held<'g> {
    type Item = HeldBio<'g>;

    fn next(&mut self) -> Option<HeldBio<'g>> {
        let beside = NonNull::new(self.oldest)?;
        // SAFETY: by the invariants; the bio leaves the list here.
        unsafe {
            self.oldest = beside.as_ref().next;
            let bio = NonNull::new_unchecked(beside.as_ref().bio);
            Some(HeldBio::new(bio, beside, self.gate))
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Whoever does not want them lets them end.
        self.for_each(drop);
    }
}
