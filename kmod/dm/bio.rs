// SPDX-License-Identifier: GPL-2.0-or-later
//! A bio on its way through a target.

use core::ptr::NonNull;

use kernel::bindings;
use kernel::ffi::c_int;

use super::device::Device;
use super::ffi;
use crate::remap_core::units::{Sector, Sectors};

/// A bio that the target has to answer for. It is answered by exactly one of the
/// methods that take it by value; each gives the [`Mapped`] that `map` must return.
///
/// # Invariants
///
/// - `bio` is a clone that device-mapper handed to the `map` callback of a target which
///   begins at sector `begin` of the mapped device; the callback has not returned.
/// - A clone that carries data begins at or behind `begin`.
pub struct Bio {
    bio: NonNull<bindings::bio>,
    begin: u64,
}

/// How a bio was answered.
#[must_use]
pub struct Mapped(c_int);

impl Mapped {
    /// What the `map` callback returns to device-mapper.
    pub(super) fn code(self) -> c_int {
        self.0
    }
}

impl Bio {
    /// Wraps what the `map` callback was handed.
    ///
    /// # Safety
    ///
    /// `bio` must be what device-mapper handed to the `map` callback of a target that
    /// begins at `begin`, and the wrapper must not outlive the callback.
    #[inline]
    pub(super) unsafe fn new(bio: NonNull<bindings::bio>, begin: u64) -> Self {
        // INVARIANT: as the caller promises; device-mapper hands a target only bios
        // within it.
        Self { bio, begin }
    }

    #[inline]
    fn iter(&self) -> &bindings::bvec_iter {
        // SAFETY: by the invariants the bio is valid and nobody else uses it now.
        unsafe { &self.bio.as_ref().bi_iter }
    }

    /// Whether it carries no data: a flush.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.iter().bi_size == 0
    }

    /// Whether it changes what the device holds.
    #[inline]
    pub fn is_write(&self) -> bool {
        // SAFETY: as in `iter`. Operations that write have odd numbers.
        unsafe { self.bio.as_ref().bi_opf & 1 != 0 }
    }

    /// Of several equal flushes to one target, which this is: 0 to one less than what
    /// the constructor asked for.
    #[inline]
    pub fn number(&self) -> u32 {
        // SAFETY: the bio is a clone of device-mapper's.
        unsafe { ffi::dm_bio_get_target_bio_nr(self.bio.as_ptr()) }
    }

    /// Where it begins, counted from the beginning of the target.
    #[inline]
    pub fn offset(&self) -> Sector {
        Sector::new(self.iter().bi_sector.wrapping_sub(self.begin))
    }

    /// How much it carries.
    #[inline]
    pub fn length(&self) -> Sectors {
        Sectors::from_bytes(u64::from(self.iter().bi_size))
    }

    /// Sends it to `at` on `device`.
    #[inline]
    pub fn send_to(mut self, device: &Device<'_>, at: Sector) -> Mapped {
        // SAFETY: the bio is ours until the callback returns, and the device is held until
        // after every bio of the target has ended.
        unsafe {
            ffi::dm_remap_bio_set_dev(self.bio.as_ptr(), device.bdev());
            self.bio.as_mut().bi_iter.bi_sector = at.get();
        }
        Mapped(ffi::DM_MAPIO_REMAPPED as c_int)
    }

    /// Ends it with an I/O error.
    #[inline]
    pub fn fail(self) -> Mapped {
        Mapped(ffi::DM_MAPIO_KILL as c_int)
    }
}
