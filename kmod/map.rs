// SPDX-License-Identifier: GPL-2.0-or-later
//! Where a bio goes.

use crate::dm::bio::{Bio, Mapped};
use crate::remap_core::units::Sector;
use crate::target::Joined;

/// Equal bios that a flush is sent as: one for each device.
pub const FLUSHES: u32 = 2;

impl Joined<'_> {
    /// Sends a bio where its blocks are served. Neither sleeps nor allocates.
    #[inline]
    pub fn send(&self, bio: Bio) -> Mapped {
        if bio.is_empty() {
            let nowhere = Sector::new(0);
            return match bio.number() {
                0 => bio.send_to(self.main(), nowhere),
                _ => bio.send_to(self.spare(), nowhere),
            };
        }
        if bio.is_write() && self.is_read_only() {
            return bio.fail();
        }
        let at = bio.offset();
        bio.send_to(self.main(), at)
    }
}
