// SPDX-License-Identifier: GPL-2.0-or-later
//! Where a bio goes.

use crate::dm::bio::{Bio, Ended, EndedBio, Mapped};
use crate::index::Minding;
use crate::remap_core::label::End;
use crate::remap_core::units::{Blocks, Sector, Sectors};
use crate::target::Joined;

/// Equal bios that a flush is sent as: one for each device.
pub const FLUSHES: u32 = 2;

/// The number of the one that goes to the spare.
const FLUSH_OF_SPARE: u32 = 1;

impl Joined<'_> {
    /// Sends a bio where its blocks are served. Neither sleeps nor allocates.
    #[inline]
    pub fn send(&self, bio: Bio) -> Mapped {
        if bio.is_empty() {
            return self.send_flush(bio);
        }
        let at = self.on_main(bio.sector());
        let minding = self.index().minding();
        if minding.is_nothing() {
            return bio.send_to(self.main(), at);
        }
        self.send_minding(bio, minding)
    }

    #[inline(never)]
    fn send_flush(&self, bio: Bio) -> Mapped {
        let nowhere = Sector::new(0);
        match bio.number() {
            // Nothing of main's is on the spare, and what the engine writes there is durable.
            FLUSH_OF_SPARE if !self.index().minding().has(Minding::REMAPS) => bio.done(),
            FLUSH_OF_SPARE => bio.send_to(self.spare(), nowhere),
            _ => bio.send_to(self.main(), nowhere),
        }
    }

    #[inline(never)]
    fn send_minding(&self, bio: Bio, minding: Minding) -> Mapped {
        let at = self.on_main(bio.sector());
        // Labels lie there, and nothing that anybody discards.
        let spares_ends = bio.is_discard() && self.has_covered_ends();
        if minding.is_remaps() && !spares_ends {
            return match self.index().may_have(at, bio.length()) && !bio.is_discard() {
                false => bio.send_to(self.main(), at),
                true => self.send_around(bio, at),
            };
        }
        let write = bio.is_write();
        if write && minding.has(Minding::READ_ONLY) {
            return bio.fail();
        }
        // Blocks that were moved keep their data: what is discarded need not be gone.
        if spares_ends {
            return self.send_between(bio, at);
        }
        if bio.is_discard() {
            return bio.send_to(self.main(), at);
        }
        let held = minding.has(Minding::HOLD_ALL)
            || write && (minding.has(Minding::HOLD_WRITES) || minding.has(Minding::FENCE));
        if held {
            return bio.hold(self.worker());
        }
        self.send_around(bio, at)
    }

    /// Sends to main as much of a discard as goes one way, unless it is about an end of main.
    #[inline(never)]
    fn send_between(&self, mut bio: Bio, at: Sector) -> Mapped {
        let size = self.main().size();
        let first = End::First.range(size).map_or(0, |(_, length)| length.get());
        let last = End::Last
            .range(size)
            .map_or(u64::MAX, |(start, _)| start.get());
        if at.get() < first {
            bio.accept(Sectors::new(first - at.get()));
            return bio.done();
        }
        if at.get() >= last {
            return bio.done();
        }
        bio.accept(Sectors::new(last - at.get()));
        bio.send_to(self.main(), at)
    }

    /// Sends a bio among blocks some of which may be remapped: as much of it as goes one
    /// way.
    #[inline(never)]
    fn send_around(&self, mut bio: Bio, at: Sector) -> Mapped {
        let shift = self.unit().sector_shift();
        // Rounded, it would reach blocks that nobody asked for.
        if !self.unit().is_aligned(at, bio.length()) {
            return bio.fail();
        }
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
        if !found.active {
            return bio.hold(self.worker());
        }
        let there = self.replacement_area().get() + (found.replacement.get() << shift);
        bio.send_to(self.spare(), Sector::new(there))
    }

    /// Calls `inner` while no write is in flight. Those that come from now on wait for the worker,
    /// and those that came before have reached main when the gate is drained; they enter it before
    /// they look for the fence, so none is missed by both. One caller at a time. Sleeps.
    pub fn without_writes<T>(&self, inner: impl FnOnce() -> T) -> T {
        self.index().mind(Minding::FENCE, true);
        self.gate().drain();
        let done = inner();
        self.index().mind(Minding::FENCE, false);
        done
    }

    /// Looks at what came back with an error: it is the engine's to count, to tell of, and to do
    /// something about.
    pub fn receive(&self, bio: EndedBio) -> Ended {
        match bio.error() {
            Some(errno) => return bio.hold(errno, self.worker()),
            None if bio.failed_flush() == Some(FLUSH_OF_SPARE) => self.note_failed_flush(),
            None => {}
        }
        bio.finish()
    }
}
