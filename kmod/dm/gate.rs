// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting for writes in flight.

use core::ptr::NonNull;

use kernel::error::Result;
use kernel::ffi::c_int;
use kernel::prelude::*;

use super::ffi;

/// Counts writes in flight; [`Gate::drain`] waits for them. A write enters when it is mapped,
/// before anything is decided about it, and leaves when it ends or is held. The glue lets it in
/// before it hands it over, and lets out what ended well.
///
/// Writes are counted in two generations. They enter the open one, and a drain closes that and
/// waits for it, so that nothing that enters meanwhile can hold the drain up: flushes and discards
/// go on entering while writes are kept out.
///
/// # Invariants
///
/// `gate` is the glue's, made for this, and freed with it.
pub struct Gate {
    gate: NonNull<ffi::dm_remap_gate>,
}

// SAFETY: the kernel's side is made for use from every context at once.
unsafe impl Send for Gate {}
// SAFETY: as above.
unsafe impl Sync for Gate {}

impl Gate {
    /// An open gate.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: may be called wherever one may sleep.
        let gate = unsafe { ffi::dm_remap_gate_new() };
        // INVARIANT: it was made just now, for this.
        Ok(Self {
            gate: NonNull::new(gate).ok_or(ENOMEM)?,
        })
    }

    /// The glue's handle.
    pub(super) fn raw(&self) -> *mut ffi::dm_remap_gate {
        self.gate.as_ptr()
    }

    /// Enters. Does not sleep.
    ///
    /// # Safety
    ///
    /// The bio must be a clone of device-mapper's for a target of ours.
    #[inline]
    pub(super) unsafe fn enter(&self, bio: *mut ffi::bio) {
        // SAFETY: by the invariants, and as the caller promises.
        unsafe { ffi::dm_remap_gate_enter(self.raw(), bio) }
    }

    /// Leaves again, from any context; gives what `end_io` returns to let a bio end.
    ///
    /// # Safety
    ///
    /// The bio must have entered a gate that still is, and not have left since.
    #[inline]
    pub(super) unsafe fn leave(bio: *mut ffi::bio) -> c_int {
        // SAFETY: as the caller promises.
        unsafe { ffi::dm_remap_gate_leave(bio) }
    }

    /// Waits for every write that entered before the caller's stores could be seen by it, such
    /// as that of a fence. One caller at a time. Sleeps, for no longer than the writes take that
    /// are in flight when it is called.
    ///
    /// Worked example. Write W reads the flags before the fence is stored, and F is a flush that
    /// comes after it:
    ///
    /// 1. W loads the open generation, A. Here it may be interrupted, for as long as one likes.
    /// 2. The caller stores the fence. The grace period takes each CPU through a full barrier.
    ///    If W loads the flags before its CPU's, it has entered before it as well, and is seen
    ///    below; if after it, it sees the fence.
    /// 3. The closed generation, B, is waited for: W may belong to it, if it loaded the open
    ///    generation before an earlier drain closed that. Nothing new enters B.
    /// 4. B is opened and A is closed. F enters B.
    /// 5. A is waited for. Nothing enters it but what was between steps 1 and 2.
    ///
    /// With one generation F, and the flush that comes before F has ended, and so on, would be
    /// waited for as well. Without step 3 the drain would return while W is in flight.
    pub fn drain(&self) {
        // SAFETY: may be called wherever one may sleep.
        unsafe { ffi::dm_remap_synchronize_rcu_expedited() };
        self.wait_for_closed();
        // SAFETY: by the invariants; the caller is alone.
        unsafe { ffi::dm_remap_gate_turn(self.raw()) };
        self.wait_for_closed();
    }

    fn wait_for_closed(&self) {
        while !self.closed_is_empty() {
            // SAFETY: may be called wherever one may sleep.
            unsafe { ffi::dm_remap_gate_wait() };
        }
    }

    /// Whether every write of the closed generation has left. A write enters on one CPU and may
    /// leave on another: counting first who left, and after a barrier who entered, never counts
    /// the former without the latter.
    fn closed_is_empty(&self) -> bool {
        let gate = self.raw();
        // SAFETY: by the invariants; the caller of `drain` is alone.
        let (entered, left) = unsafe {
            let left = ffi::dm_remap_gate_closed_left(gate);
            ffi::dm_remap_smp_mb();
            (ffi::dm_remap_gate_closed_entered(gate), left)
        };
        entered == left
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // SAFETY: by the invariants; who is dropping it has no bio on its way.
        unsafe { ffi::dm_remap_gate_free(self.raw()) }
    }
}
