// SPDX-License-Identifier: GPL-2.0-or-later
//! Where a bio goes.

use crate::dm::bio::{Bio, Ended, EndedBio, Mapped};
use crate::index::Minding;
use crate::remap_core::policy::Failure;
use crate::remap_core::units::{Blocks, Errno, Sector, Sectors};
use crate::target::Joined;

/// Equal bios that a flush is sent as: one for each device.
pub const FLUSHES: u32 = 2;

/// The number of the one that goes to the spare.
const FLUSH_OF_SPARE: u32 = 1;

impl Joined<'_> {
    /// Sends a bio where its blocks are served. Neither sleeps nor allocates.
    #[inline]
    pub fn send(&self, mut bio: Bio) -> Mapped {
        if bio.is_write() {
            if bio.is_empty() {
                return self.send_flush(bio);
            }
            // Before anything is looked up: whoever copies a block fences it first and
            // then waits for those that entered.
            bio.enter(self.gate());
        }
        let minding = self.index().minding();
        if minding.is_nothing() {
            let at = bio.offset();
            return bio.send_to(self.main(), at);
        }
        self.send_minding(bio, minding)
    }

    fn send_flush(&self, bio: Bio) -> Mapped {
        let nowhere = Sector::new(0);
        match bio.number() {
            FLUSH_OF_SPARE => bio.send_to(self.spare(), nowhere),
            _ => bio.send_to(self.main(), nowhere),
        }
    }

    fn send_minding(&self, bio: Bio, minding: Minding) -> Mapped {
        let write = bio.is_write();
        let (at, length) = (bio.offset(), bio.length());
        let first = self.unit().block_of(at);
        let count = Blocks::new(length.get() >> self.unit().sector_shift());
        if write && minding.has(Minding::READ_ONLY) {
            return bio.fail(self.gate());
        }
        let held = minding.has(Minding::HOLD_ALL)
            || (write && minding.has(Minding::HOLD_WRITES))
            || (write && minding.has(Minding::FENCE) && self.index().is_fenced(first, count));
        if held {
            return bio.hold(self.gate(), self.worker());
        }
        if !minding.has(Minding::REMAPS) || !self.index().may_have(first, count) {
            return bio.send_to(self.main(), at);
        }
        self.send_around(bio, at)
    }

    /// Sends a bio among blocks some of which may be remapped: as much of it as goes one
    /// way.
    #[inline(never)]
    fn send_around(&self, mut bio: Bio, at: Sector) -> Mapped {
        let shift = self.unit().sector_shift();
        let first = self.unit().block_of(at);
        let count = Blocks::new(bio.length().get() >> shift);
        // A block that is only waiting for its next write is read where it was.
        let found = self.index().first(first, count, !bio.is_write());
        let Some(found) = found else {
            return bio.send_to(self.main(), at);
        };
        let before = found.block.get() - first.get();
        if before > 0 {
            bio.accept(Sectors::new(before << shift));
            return bio.send_to(self.main(), at);
        }
        if found.run.get() < count.get() {
            bio.accept(Sectors::new(found.run.get() << shift));
        }
        if !found.live.active {
            return bio.hold(self.gate(), self.worker());
        }
        let there = self.replacement_area().get() + (found.live.replacement.get() << shift);
        bio.send_to(self.spare(), Sector::new(there))
    }

    /// Looks at what came back. An error that may be one of single blocks goes to the
    /// worker, if there is anything to be done about it.
    #[inline]
    pub fn receive(&self, bio: EndedBio) -> Ended {
        match bio.error() {
            Some(errno) if self.can_help(errno) => return bio.hold(errno, self.worker()),
            Some(_) => {}
            None => {
                if bio.failed_flush() == Some(FLUSH_OF_SPARE) && self.has_table() {
                    self.note_failed_flush();
                }
            }
        }
        bio.finish()
    }

    fn can_help(&self, errno: Errno) -> bool {
        self.has_table() && Failure::from_errno(errno).is_of_blocks()
    }
}
