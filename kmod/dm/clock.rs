// SPDX-License-Identifier: GPL-2.0-or-later
//! What time it is.

use super::ffi;
use crate::remap_core::units::{Millis, Timestamp};

/// Milliseconds of a clock that only goes forward; for everything that is due.
pub fn uptime() -> Millis {
    // SAFETY: may be called outside of an NMI.
    let nanoseconds = unsafe { ffi::dm_remap_uptime() };
    Millis::new(u64::try_from(nanoseconds).unwrap_or(0) / 1_000_000)
}

/// Seconds on the wall, to be shown.
pub fn now() -> Timestamp {
    // SAFETY: may be called outside of an NMI.
    let nanoseconds = unsafe { ffi::dm_remap_now() };
    Timestamp::new(u64::try_from(nanoseconds).unwrap_or(0) / 1_000_000_000)
}

/// Sixteen bytes by chance.
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: writes as many bytes as there are.
    unsafe { ffi::dm_remap_random(bytes.as_mut_ptr().cast(), bytes.len()) };
    bytes
}
