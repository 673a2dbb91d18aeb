// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting for bios that are on their way.

use kernel::bindings;
use kernel::error::to_result;
use kernel::ffi::{c_int, c_void};
use kernel::prelude::*;
use kernel::types::Opaque;

use super::ffi;

/// Bios that write enter it when they are mapped, before anything is decided about them,
/// and leave it when they end or are held. Whoever has sent new ones another way can wait,
/// with [`Gate::drain`], for those that went by.
///
/// # Invariants
///
/// `gate` is initialised and pinned.
#[pin_data(PinnedDrop)]
pub struct Gate {
    #[pin]
    gate: Opaque<ffi::dm_remap_gate>,
}

// SAFETY: the kernel's side is made for use from every context at once.
unsafe impl Send for Gate {}
// SAFETY: as above.
unsafe impl Sync for Gate {}

impl Gate {
    /// An open gate.
    pub fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            gate <- Opaque::try_ffi_init(|slot: *mut ffi::dm_remap_gate| {
                // SAFETY: `slot` is valid for writes and stays where it is.
                to_result(unsafe { ffi::dm_remap_gate_init(slot) })
            }),
        })
    }

    /// Enters, and gives the memory of so many bytes beside a bio. Does not sleep.
    ///
    /// # Safety
    ///
    /// The bio must be a clone of device-mapper's for a target that asked for so much
    /// beside each.
    #[inline]
    pub(super) unsafe fn enter(&self, bio: *mut bindings::bio, beside: usize) -> *mut c_void {
        // SAFETY: by the invariants, and as the caller promises.
        unsafe { ffi::dm_remap_gate_enter(bio, beside, self.gate.get()) }
    }

    /// Leaves again, from any context; gives what `end_io` returns to let a bio end.
    #[inline]
    pub(super) fn leave(&self) -> c_int {
        // SAFETY: by the invariants.
        unsafe { ffi::dm_remap_gate_leave(self.gate.get()) }
    }

    /// Waits until all have left who did not see what the caller wrote before this. Those
    /// who do must leave again at once, or it never ends. Sleeps.
    pub fn drain(&self) {
        // SAFETY: by the invariants.
        unsafe { ffi::dm_remap_gate_drain(self.gate.get()) }
    }
}

#[pinned_drop]
impl PinnedDrop for Gate {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: it is initialised; who is dropping it has no bio on its way.
        unsafe { ffi::dm_remap_gate_destroy(self.gate.get()) }
    }
}
