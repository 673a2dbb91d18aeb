// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting for bios that are on their way.

use kernel::error::to_result;
use kernel::prelude::*;
use kernel::types::Opaque;

use super::ffi;

/// Bios enter it when they are mapped and leave it when they end; [`Gate::drain`] waits
/// for all that entered before.
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

/// What entering gave, to be given back when leaving.
#[derive(Clone, Copy)]
pub(super) struct Ticket(pub(super) usize);

impl Ticket {
    /// Of who did not enter. The kernel's tickets are offsets into memory of each CPU, or
    /// 0 and 1.
    pub(super) const NONE: Self = Self(usize::MAX);
}

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

    /// Enters. Does not sleep.
    #[inline]
    pub(super) fn enter(&self) -> Ticket {
        // SAFETY: by the invariants.
        Ticket(unsafe { ffi::dm_remap_gate_enter(self.gate.get()) } as usize)
    }

    /// Leaves again, from any context.
    ///
    /// # Safety
    ///
    /// The ticket must be one of this gate that was not given back.
    #[inline]
    pub(super) unsafe fn leave(&self, ticket: Ticket) {
        // SAFETY: as the caller promises.
        unsafe { ffi::dm_remap_gate_leave(self.gate.get(), ticket.0 as _) }
    }

    /// Waits until everybody has left who entered before. Sleeps.
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
