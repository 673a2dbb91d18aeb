// SPDX-License-Identifier: GPL-2.0-or-later
//! Bios that failed, or that must not go their way: narrowed to their blocks, and each
//! block served, moved, or given up.

use kernel::prelude::*;

use crate::dm::bio::HeldBio;
use crate::engine::Engine;
use crate::relocate::{Data, Job, AT_ONCE};
use crate::remap_core::event::Event;
use crate::remap_core::message::Device as Which;
use crate::remap_core::policy::{Failure, PassUp};
use crate::remap_core::relocation::Origin;
use crate::remap_core::units::{Blocks, Errno, MainBlock, Replacement, Sector, Sectors};
use crate::store::Spare;
use crate::target::Joined;

/// What is being done about one bio.
struct Serving<'a, 't> {
    to: &'a Joined<'t>,
    bio: &'a HeldBio<'a>,
    first: MainBlock,
    count: Blocks,
    outcome: Result<(), Errno>,
}

impl Serving<'_, '_> {
    fn fail(&mut self, errno: Errno) {
        if self.outcome.is_ok() {
            self.outcome = Err(errno);
        }
    }

    fn skip(&self, block: MainBlock) -> Sectors {
        Sectors::new((block.get() - self.first.get()) << self.to.unit().sector_shift())
    }

    fn length(&self, count: Blocks) -> Sectors {
        Sectors::new(count.get() << self.to.unit().sector_shift())
    }

    /// Reads or writes blocks where main has them.
    fn main(&self, engine: &Engine, block: MainBlock, count: Blocks) -> Result<(), Errno> {
        let at = self.to.unit().first_sector(block).ok_or(Errno::EIO)?;
        let length = self.length(count);
        engine
            .faults
            .check(Which::Main, self.bio.is_write(), at, length)?;
        self.bio
            .transfer(self.skip(block), length, self.to.main(), at, false)
    }

    /// Reads or writes a block where the spare has it.
    fn spare(&self, engine: &Engine, block: MainBlock, at: Sector) -> Result<(), Errno> {
        let spare = Spare::new(self.to.spare(), &engine.faults);
        let length = self.to.unit().sectors();
        spare.check(self.bio.is_write(), at, length)?;
        self.bio
            .transfer(self.skip(block), length, spare.device(), at, false)
    }
}

impl Engine {
    /// Does what a bio asks for, block by block where need be.
    ///
    /// # Errors
    ///
    /// The first error, if any of its blocks could not be read or written; all others
    /// were.
    pub fn serve(&mut self, to: &Joined<'_>, bio: &HeldBio<'_>) -> Result<(), Errno> {
        let unit = to.unit();
        let mut serving = Serving {
            to,
            bio,
            first: unit.block_of(to.on_main(bio.sector())),
            count: Blocks::new(bio.length().get() >> unit.sector_shift()),
            outcome: Ok(()),
        };
        if bio.is_write() {
            if self.is_read_only() {
                return Err(Errno::EIO);
            }
            if !self.settle_under(to, serving.first, serving.count) {
                return Err(Errno::EIO);
            }
        }
        let end = serving.first.get() + serving.count.get();
        let mut at = serving.first.get();
        while at < end {
            let block = MainBlock::new(at);
            let left = Blocks::new(end - at);
            let next = match to.index().first(block, left, !bio.is_write()) {
                Some(found) if found.block == block => {
                    let place = found.active.then_some(found.replacement);
                    self.serve_live(&mut serving, block, place);
                    at + 1
                }
                found => {
                    let until = found.map_or(end, |found| found.block.get());
                    let run = Blocks::new(until - at);
                    self.serve_main(&mut serving, block, run);
                    until
                }
            };
            at = next;
        }
        self.settle_accounts(&mut serving);
        serving.outcome
    }

    /// Serves a block that is on the spare, or is to be moved there.
    fn serve_live(
        &mut self,
        serving: &mut Serving<'_, '_>,
        block: MainBlock,
        place: Option<Replacement>,
    ) {
        let Some(place) = place else {
            self.add_job(serving, block, Failure::Medium, Origin::Pending);
            return;
        };
        let at = self
            .table()
            .and_then(|table| table.layout().replacement_sector(place));
        let done = match at {
            Some(at) => serving.spare(self, block, at),
            None => Err(Errno::EIO),
        };
        match done {
            Ok(()) => {}
            Err(errno) if serving.bio.is_write() => {
                self.add_job(serving, block, Failure::from_errno(errno), Origin::Spare);
            }
            Err(errno) => {
                self.counters.read_errors += 1;
                serving.fail(errno);
            }
        }
    }

    /// Serves blocks from main, narrowing a failure to the blocks that are bad.
    fn serve_main(&mut self, serving: &mut Serving<'_, '_>, first: MainBlock, count: Blocks) {
        // A bio that failed on main as a whole need not fail so once more.
        let known = serving.bio.failure().filter(|_| count == serving.count);
        let errno = match known.map_or_else(|| serving.main(self, first, count), Err) {
            Ok(()) => {
                self.health.succeeded();
                return;
            }
            Err(errno) => errno,
        };
        let failure = Failure::from_errno(errno);
        if !failure.is_of_blocks() {
            self.count_errors(serving, count.get());
            let why = PassUp::NotOfBlocks(failure);
            self.raise(
                serving.to.number(),
                Event::NotRelocated { block: first, why },
            );
            serving.fail(errno);
            return;
        }
        for block in first.get()..first.get() + count.get() {
            let block = MainBlock::new(block);
            let again = match count.get() {
                1 => Err(errno),
                _ => serving.main(self, block, Blocks::new(1)),
            };
            match again {
                Ok(()) => self.health.succeeded(),
                Err(errno) if serving.bio.is_write() => {
                    self.count_errors(serving, 1);
                    self.add_job(serving, block, Failure::from_errno(errno), Origin::Main);
                }
                Err(errno) => {
                    self.count_errors(serving, 1);
                    serving.fail(errno);
                    self.add_lost(serving, block, errno);
                }
            }
        }
    }

    fn count_errors(&mut self, serving: &Serving<'_, '_>, count: u64) {
        match serving.bio.is_write() {
            true => self.counters.write_errors += count,
            false => self.counters.read_errors += count,
        }
    }

    fn add_job(
        &mut self,
        serving: &mut Serving<'_, '_>,
        block: MainBlock,
        failure: Failure,
        origin: Origin,
    ) {
        let job = Job {
            block,
            failure,
            origin,
        };
        // There is room: it is emptied when it is full.
        let _ = self.moving.jobs.push_within_capacity(job);
        if self.moving.jobs.len() >= AT_ONCE {
            self.settle_accounts(serving);
        }
    }

    fn add_lost(&mut self, serving: &mut Serving<'_, '_>, block: MainBlock, errno: Errno) {
        let _ = self.moving.lost.push_within_capacity((block, errno));
        if self.moving.lost.len() >= AT_ONCE {
            self.settle_accounts(serving);
        }
    }

    /// Moves what is to be moved so far, and records what was lost.
    fn settle_accounts(&mut self, serving: &mut Serving<'_, '_>) {
        let (to, first, count) = (serving.to, serving.first, serving.count);
        let of_main = |job: &&Job| job.origin == Origin::Main;
        let of_blocks = |lost: &&(MainBlock, Errno)| Failure::from_errno(lost.1).is_of_blocks();
        let failures = self.moving.jobs.iter().filter(of_main).count()
            + self.moving.lost.iter().filter(of_blocks).count();
        self.test_main(to, first, count, failures);
        if !self.moving.jobs.is_empty() {
            let data = Data::Bio(serving.bio, first);
            if let Err(errno) = self.relocate(to, &data) {
                serving.fail(errno);
            }
        }
        if !self.moving.lost.is_empty() {
            self.mark_pending(to);
        }
    }

    /// Settles what an earlier update of the table may have left on the spare about these
    /// blocks. Returns whether a write to them may go on.
    pub fn settle_under(&mut self, to: &Joined<'_>, first: MainBlock, count: Blocks) -> bool {
        let Self {
            metadata, faults, ..
        } = self;
        let crate::engine::Metadata::Full(full) = metadata else {
            return true;
        };
        let spare = Spare::new(to.spare(), faults);
        let (well, may_go_on) = full.table.settle_under(&spare, to.index(), first, count);
        if !well {
            self.spare_failed(to.number());
        }
        may_go_on
    }
}
