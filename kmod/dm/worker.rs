// SPDX-License-Identifier: GPL-2.0-or-later
//! A target's own thread of work, and the bios it is given.

use core::ptr::{self, NonNull};

use kernel::error::to_result;
use kernel::ffi::c_void;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full, Relaxed};
use kernel::sync::rcu;
use kernel::types::Opaque;

use super::bio::{HeldBio, RawBio};
use super::ffi;
use super::gate::Gate;
use super::memory::NoIo;
use super::target::Target;

/// The longest time that a timer is set to at once, in milliseconds.
const LONGEST: u64 = 3_600_000;

/// An ordered queue on which a target does what may sleep. It has a thread kept for it,
/// so that it goes on when memory is short.
///
/// # Invariants
///
/// - From `start` to `stop` the queue is valid; outside of that nothing is queued.
/// - `held` is a list, through `bi_next`, of bios that were handed to it.
#[pin_data]
pub struct Worker {
    #[pin]
    worker: Opaque<ffi::dm_remap_worker>,
    held: Atomic<*mut RawBio>,
}

// SAFETY: the kernel's queue may be used from any context, and the list is atomic.
unsafe impl Send for Worker {}
// SAFETY: as above.
unsafe impl Sync for Worker {}

impl Worker {
    /// A worker that does not work yet: device-mapper's callbacks start and stop it.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            worker: Opaque::zeroed(),
            held: Atomic::new(ptr::null_mut()),
        })
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `data` must stay where it is until `stop` has returned, and this is its worker.
    pub(super) unsafe fn start<T: Target>(&self, name: &CStr, data: *const T::Data<'_>) -> Result {
        // SAFETY: `self` is pinned, and stays until it is stopped, like `data`.
        to_result(unsafe {
            ffi::dm_remap_worker_start(
                self.worker.get(),
                name.as_char_ptr(),
                Some(on_work::<T>),
                Some(on_timer::<T>),
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
        unsafe { ffi::dm_remap_worker_destroy(self.worker.get()) }
    }

    /// Calls the target's `timer` in about so many milliseconds, in place of whenever it
    /// was due.
    pub fn after(&self, milliseconds: u64) {
        let milliseconds = milliseconds.min(LONGEST) as u32;
        // SAFETY: by the invariants: whoever has a reference was made after the start.
        unsafe { ffi::dm_remap_worker_after(self.worker.get(), milliseconds) }
    }

    /// Calls off the timer, and waits for everything that is being done.
    pub fn rest(&self) {
        // SAFETY: as in `after`.
        unsafe { ffi::dm_remap_worker_rest(self.worker.get()) }
    }

    /// Takes a bio in, from any context.
    ///
    /// # Safety
    ///
    /// It must have been answered for, be left to the target until it ends it, and be used
    /// nowhere else.
    pub(super) unsafe fn hold(&self, bio: NonNull<RawBio>) {
        let bio = bio.as_ptr();
        // Once it is in the list it may be ended, and with the last one the target may go: the
        // queue is there as long as this is held.
        let _guard = rcu::read_lock();
        let mut head = self.held.load(Relaxed);
        loop {
            // SAFETY: as the caller promises, it is ours alone, its link included.
            unsafe { (*bio).bi_next = head };
            match self.held.cmpxchg(head, bio, Full) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        self.kick();
    }

    /// Calls the target's `work` as soon as may be. From any context.
    pub fn kick(&self) {
        // SAFETY: as in `after`.
        unsafe { ffi::dm_remap_worker_kick(self.worker.get()) }
    }

    /// Takes all bios that are waiting, in the order in which they came. The gate is that of
    /// the same target.
    pub fn take_held<'g>(&self, gate: &'g Gate) -> Held<'g> {
        let mut newest = self.held.xchg(ptr::null_mut(), Full);
        let mut oldest = ptr::null_mut();
        while !newest.is_null() {
            // SAFETY: by the invariants, and nobody else has the list any more.
            unsafe {
                let next = (*newest).bi_next;
                (*newest).bi_next = oldest;
                oldest = newest;
                newest = next;
            }
        }
        // INVARIANT: a list of held bios that nobody else has.
        Held { oldest, gate }
    }
}

/// Bios that were taken from a worker.
///
/// # Invariants
///
/// A list, through `bi_next`, of held bios that nobody else has.
pub struct Held<'g> {
    oldest: *mut RawBio,
    gate: &'g Gate,
}

impl<'g> Iterator for Held<'g> {
    type Item = HeldBio<'g>;

    fn next(&mut self) -> Option<HeldBio<'g>> {
        let bio = NonNull::new(self.oldest)?;
        // SAFETY: by the invariants; the bio leaves the list here.
        unsafe {
            self.oldest = (*bio.as_ptr()).bi_next;
            (*bio.as_ptr()).bi_next = ptr::null_mut();
            Some(HeldBio::new(bio, self.gate))
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Whoever does not want them lets them end.
        self.for_each(drop);
    }
}

/// # Safety
///
/// Called by the queue, with the data given to `start`.
unsafe extern "C" fn on_work<T: Target>(data: *mut c_void) {
    // SAFETY: the data stay until the worker was stopped.
    let target = unsafe { Pin::new_unchecked(&*data.cast::<T::Data<'_>>()) };
    NoIo::scope(|| T::work(target));
}

/// # Safety
///
/// Called by the queue, with the data given to `start`.
unsafe extern "C" fn on_timer<T: Target>(data: *mut c_void) {
    // SAFETY: the data stay until the worker was stopped.
    let target = unsafe { Pin::new_unchecked(&*data.cast::<T::Data<'_>>()) };
    NoIo::scope(|| T::timer(target));
}
