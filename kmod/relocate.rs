// SPDX-License-Identifier: GPL-2.0-or-later
//! Moving blocks to the spare: data durable, then both regions of the table, then
//! visible, then acknowledged.

use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::bio::HeldBio;
use crate::dm::device::Buffer;
use crate::engine::Engine;
use crate::remap_core::event::Event;
use crate::remap_core::message::Device as Which;
use crate::remap_core::policy::{may_relocate, Circumstances, Failure, PassUp, UsageMark};
use crate::remap_core::relocation::{pending, Change, Origin, Placed, Search, REPLACEMENTS_TRIED};
use crate::remap_core::units::{Blocks, Errno, MainBlock, Replacement, Sectors};
use crate::store::Spare;
use crate::table::Table;
use crate::target::Joined;

/// The most blocks that are moved in one go.
pub const AT_ONCE: usize = 256;

/// A block to be moved.
#[derive(Clone, Copy)]
pub struct Job {
    /// Which.
    pub block: MainBlock,
    /// What failed.
    pub failure: Failure,
    /// Where.
    pub origin: Origin,
}

/// Where the data of blocks to be moved are.
pub enum Data<'a> {
    /// In a bio, which begins at this block.
    Bio(&'a HeldBio<'a>, MainBlock),
    /// In a page.
    Page(&'a Buffer),
}

/// What moving blocks needs, allocated beforehand.
pub struct Moving {
    /// Blocks to be moved.
    pub jobs: KVec<Job>,
    /// Blocks of main that could not be read, and why.
    pub lost: KVec<(MainBlock, Errno)>,
    placed: KVec<Placed>,
    bad: KVec<Change>,
    changes: KVec<Change>,
    /// Replacements before this one were tried or are in use by what is going on.
    next: u64,
}

impl Moving {
    /// Room for as much as is moved in one go.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        Ok(Self {
            jobs: KVec::with_capacity(AT_ONCE, GFP_KERNEL)?,
            lost: KVec::with_capacity(AT_ONCE, GFP_KERNEL)?,
            placed: KVec::with_capacity(AT_ONCE, GFP_KERNEL)?,
            // Each may have gone through several replacements that failed.
            bad: KVec::with_capacity(AT_ONCE * REPLACEMENTS_TRIED, GFP_KERNEL)?,
            changes: KVec::with_capacity(AT_ONCE, GFP_KERNEL)?,
            next: 0,
        })
    }
}

impl Engine {
    /// Moves the blocks that are waiting in `moving.jobs`; none is left there. Those that
    /// were moved are durable and served from the spare.
    ///
    /// # Errors
    ///
    /// `EIO` if any was not moved; the events say why.
    pub fn relocate(&mut self, to: &Joined<'_>, data: &Data<'_>) -> Result<(), Errno> {
        let mut jobs = core::mem::replace(&mut self.moving.jobs, KVec::new());
        let mut outcome = Ok(());
        self.moving.next = 0;
        for job in jobs.iter() {
            if job.origin == Origin::Spare && !job.failure.is_of_blocks() {
                self.spare_failed(to.number());
            }
            if let Err(why) = self.place(to, job, data) {
                let block = job.block;
                self.raise(to.number(), Event::NotRelocated { block, why });
                outcome = Err(Errno::EIO);
            }
        }
        jobs.clear();
        self.moving.jobs = jobs;
        let recorded = self.record(to);
        outcome.and(recorded)
    }

    /// Writes a block's data to a replacement that takes it, durably.
    fn place(&mut self, to: &Joined<'_>, job: &Job, data: &Data<'_>) -> Result<(), PassUp> {
        let live = to.index().get(job.block);
        let mut search = Search::begin(job.block, live, job.failure, self.circumstances())?;
        loop {
            let replacement = match search.take_kept() {
                Some(replacement) => replacement,
                None => self.take_free(to)?,
            };
            let at = self
                .table()
                .and_then(|table| table.layout().replacement_sector(replacement))
                .ok_or(PassUp::Exhausted)?;
            let spare = Spare::new(to.spare(), &self.faults);
            let next = match write(to, &spare, job.block, data, at) {
                Ok(()) => {
                    // There is room: no more than `AT_ONCE` blocks are moved in one go.
                    let placed = search.placed(replacement);
                    let _ = self.moving.placed.push_within_capacity(placed);
                    return Ok(());
                }
                Err(errno) if Failure::from_errno(errno).is_of_blocks() => {
                    let (bad, next) = search.refused(replacement);
                    let _ = self.moving.bad.push_within_capacity(bad);
                    next
                }
                Err(_) => Err(PassUp::SpareFails),
            };
            if next == Err(PassUp::SpareFails) {
                self.spare_failed(to.number());
            }
            next?;
        }
    }

    fn take_free(&mut self, to: &Joined<'_>) -> Result<Replacement, PassUp> {
        let from = self.moving.next;
        let table = self.table_mut().ok_or(PassUp::NoMetadata)?;
        let free = table.free_entry(from, to.index());
        let free = free.ok_or(PassUp::Exhausted)?;
        self.moving.next = free.get().saturating_add(1);
        Ok(free)
    }

    /// Records what was placed, then what failed.
    fn record(&mut self, to: &Joined<'_>) -> Result<(), Errno> {
        let before = self.used();
        let mut placed = core::mem::replace(&mut self.moving.placed, KVec::new());
        let mut changes = core::mem::replace(&mut self.moving.changes, KVec::new());
        for placed in placed.iter() {
            let _ = changes.push_within_capacity(placed.change());
        }
        let outcome = self.commit(to, &changes);
        for placed in placed.iter() {
            if !placed.is_recorded(to.index().get(placed.block)) {
                continue;
            }
            let (block, replacement) = (placed.block, placed.replacement);
            self.raise(to.number(), Event::Remapped { block, replacement });
            if let Some(bad) = placed.given_up() {
                let _ = self.moving.bad.push_within_capacity(bad);
            }
        }
        placed.clear();
        changes.clear();
        self.moving.placed = placed;
        self.moving.changes = changes;
        self.give_up_bad(to);
        self.tell_usage(to, before);
        outcome
    }

    fn give_up_bad(&mut self, to: &Joined<'_>) {
        let mut bad = core::mem::replace(&mut self.moving.bad, KVec::new());
        for (replacement, _) in bad.iter() {
            let replacement = *replacement;
            self.raise(to.number(), Event::ReplacementBad { replacement });
        }
        // What cannot be recorded is found bad again when it is next tried.
        let _ = self.commit(to, &bad);
        bad.clear();
        self.moving.bad = bad;
    }

    /// Makes changes of the table durable and visible.
    fn commit(&mut self, to: &Joined<'_>, changes: &[Change]) -> Result<(), Errno> {
        if changes.is_empty() {
            return Ok(());
        }
        let Self {
            metadata, faults, ..
        } = self;
        let crate::engine::Metadata::Full(full) = metadata else {
            return Err(Errno::EIO);
        };
        let spare = Spare::new(to.spare(), faults);
        match full.table.commit(&spare, to.index(), changes) {
            Ok(()) => Ok(()),
            Err(failed) => {
                if failed.error.is_some() {
                    self.spare_failed(to.number());
                }
                Err(Errno::EIO)
            }
        }
    }

    fn used(&self) -> Blocks {
        self.table().map(Table::used).unwrap_or_default()
    }

    fn tell_usage(&mut self, to: &Joined<'_>, before: Blocks) {
        let total = self.table().map(Table::total).unwrap_or_default();
        if let Some(mark) = UsageMark::passed(before, self.used(), total) {
            self.raise(to.number(), Event::SpareUse { mark });
        }
    }

    fn circumstances(&self) -> Circumstances {
        let free = self.table().map_or(0, |table| {
            table.total().get().saturating_sub(table.used().get())
        });
        Circumstances {
            has_metadata: self.table().is_some(),
            writable: !self.is_read_only(),
            spare_works: !self.spare_fails,
            main_suspect: self.health.is_suspect(),
            free: Blocks::new(free),
        }
    }

    /// Records that the blocks in `moving.lost` could not be read, so that their next
    /// write moves them. Nothing of the data is moved: it is lost.
    pub fn mark_pending(&mut self, to: &Joined<'_>) {
        let before = self.used();
        let mut lost = core::mem::replace(&mut self.moving.lost, KVec::new());
        let mut changes = core::mem::replace(&mut self.moving.changes, KVec::new());
        let mut told = None;
        self.moving.next = 0;
        for (block, errno) in lost.iter() {
            if to.index().get(*block).is_some() {
                continue;
            }
            let failure = Failure::from_errno(*errno);
            let free =
                may_relocate(failure, &self.circumstances()).and_then(|()| self.take_free(to));
            match free {
                Ok(replacement) => {
                    let _ = changes.push_within_capacity(pending(*block, replacement));
                }
                // A device without a table has nowhere to note it, which is no news.
                Err(PassUp::NoMetadata) => {}
                // One event tells of all blocks that were lost for one reason.
                Err(why) if told == Some(why) => {}
                Err(why) => {
                    told = Some(why);
                    let block = *block;
                    self.raise(to.number(), Event::NotRelocated { block, why });
                }
            }
        }
        lost.clear();
        self.moving.lost = lost;
        // An error that is not recorded is met again.
        let _ = self.commit(to, &changes);
        for (_, entry) in changes.iter() {
            let block = entry.main;
            if to.index().get(block).is_some() {
                self.raise(to.number(), Event::Pending { block });
            }
        }
        changes.clear();
        self.moving.changes = changes;
        self.tell_usage(to, before);
    }

    /// Counts so many failures of main and, where it may be failing as a whole, puts it to
    /// the test: blocks outside of the `count` from `first` on are read.
    pub fn test_main(&mut self, to: &Joined<'_>, first: MainBlock, count: Blocks, failures: usize) {
        let Some(probing) = self.health.failed(failures) else {
            return;
        };
        let mut tried = 0;
        for block in probing.places(to.blocks()) {
            let in_request = block.get().wrapping_sub(first.get()) < count.get();
            let Some(at) = to.unit().first_sector(block) else {
                continue;
            };
            if in_request || to.index().get(block).is_some() {
                continue;
            }
            let read = self
                .faults
                .check(Which::Main, false, at, to.unit().sectors())
                .and_then(|()| {
                    to.main()
                        .read_part(at, &mut self.scratch, to.unit().bytes())
                });
            if read.is_ok() {
                self.health.succeeded();
                return;
            }
            tried += 1;
            if tried == probing.most {
                break;
            }
        }
        if tried > 0 && self.health.failed_test() {
            self.raise(to.number(), Event::MainSuspect);
        }
    }
}

fn write(
    to: &Joined<'_>,
    spare: &Spare<'_>,
    block: MainBlock,
    data: &Data<'_>,
    at: crate::remap_core::units::Sector,
) -> Result<(), Errno> {
    let length = to.unit().sectors();
    match data {
        Data::Bio(bio, first) => {
            spare.check(true, at, length)?;
            let skip = (block.get() - first.get()) << to.unit().sector_shift();
            bio.transfer(Sectors::new(skip), length, spare.device(), at, true)
        }
        Data::Page(page) => spare.write_durably(at, page, to.unit().bytes()),
    }
}
