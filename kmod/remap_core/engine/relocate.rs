// SPDX-License-Identifier: GPL-2.0-or-later
//! Moving blocks to the spare: data durable, then both regions of the table, then
//! visible, then acknowledged.

use crate::remap_core::engine::host::{list_of, Full, Host, Index, List, Payload, Room};
use crate::remap_core::engine::serve::{Part, MOST_PARTS};
use crate::remap_core::engine::table::Table;
use crate::remap_core::engine::{Engine, Metadata};
use crate::remap_core::event::Event;
use crate::remap_core::message::Device;
use crate::remap_core::policy::{may_relocate, Circumstances, Failure, PassUp, UsageMark};
use crate::remap_core::relocation::{pending, Change, Origin, Placed, Search, REPLACEMENTS_TRIED};
use crate::remap_core::units::{Blocks, Errno, MainBlock, Replacement};

/// The most blocks that are moved in one go.
pub(super) const AT_ONCE: usize = 256;

/// How many table blocks are tried for one block of main before the spare counts as failing.
const TABLE_BLOCKS_TRIED: usize = 4;

/// A block to be moved.
#[derive(Clone, Copy)]
pub(super) struct Job {
    /// The block.
    pub(super) block: MainBlock,
    /// The failure.
    pub(super) failure: Failure,
    /// The place of the failure.
    pub(super) origin: Origin,
}

/// Room for what moving blocks needs, made beforehand.
pub(super) struct Moving<R: Room> {
    /// Blocks to be moved.
    pub(super) jobs: R::List<Job>,
    /// Blocks of main that could not be read, and why.
    pub(super) lost: R::List<(MainBlock, Errno)>,
    /// Parts of a request that are to be tried on main.
    pub(super) parts: R::List<Part>,
    placed: R::List<Placed>,
    bad: R::List<Change>,
    changes: R::List<Change>,
    /// Whether no event tells of each block that was moved.
    pub(super) quietly: bool,
    /// Replacements before this one were tried or are in use by what is going on.
    next: u64,
}

impl<R: Room> Moving<R> {
    /// Room for as much as is moved in one go.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory.
    pub(super) fn new() -> Result<Self, Full> {
        Self::with_room(AT_ONCE)
    }

    /// Room for `most` blocks in one go.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory.
    pub(super) fn with_room(most: usize) -> Result<Self, Full> {
        Ok(Self {
            jobs: list_of::<R, _>(most)?,
            lost: list_of::<R, _>(most)?,
            parts: list_of::<R, _>(MOST_PARTS)?,
            placed: list_of::<R, _>(most)?,
            // Each may have gone through several replacements that failed, and have had one
            // before.
            bad: list_of::<R, _>(most.saturating_mul(REPLACEMENTS_TRIED.saturating_add(1)))?,
            changes: list_of::<R, _>(most)?,
            quietly: false,
            next: 0,
        })
    }
}

impl<R: Room> Moving<R> {
    /// The changes that were noted.
    pub(super) const fn changes(&self) -> &R::List<Change> {
        &self.changes
    }

    /// Room for the changes of one table block, while nothing is moved.
    pub(super) fn changes_mut(&mut self) -> &mut R::List<Change> {
        &mut self.changes
    }
}

impl<R: Room> Engine<R> {
    /// Moves the blocks that are waiting in `moving.jobs`; none is left there. Those that
    /// were moved are durable and served from the spare.
    ///
    /// # Errors
    ///
    /// `EIO` if any was not moved; the events say why.
    pub(super) fn relocate<H, P>(&mut self, host: &mut H, data: &mut P) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let mut outcome = Ok(());
        self.moving.next = 0;
        // What a table block does not take goes to another one.
        for tried in 1..=TABLE_BLOCKS_TRIED {
            outcome = outcome.and(self.place_all(host, data));
            let last = tried == TABLE_BLOCKS_TRIED;
            outcome = outcome.and(self.record(host, data, last));
            if self.moving.jobs.is_empty() {
                break;
            }
        }
        outcome
    }

    /// Writes the data of all jobs to replacements; none is left.
    fn place_all<H, P>(&mut self, host: &mut H, data: &mut P) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let mut outcome = Ok(());
        let (mut at, mut in_runs) = (0usize, true);
        while let Some(job) = self.moving.jobs.get(at).copied() {
            if in_runs {
                let placed = self.place_run(host, at, data);
                in_runs = placed.is_ok();
                if let Ok(count @ 1..) = placed {
                    at = at.saturating_add(count);
                    continue;
                }
            }
            at = at.saturating_add(1);
            if job.origin == Origin::Spare && !job.failure.is_of_blocks() {
                self.spare_failed(host);
            }
            let Err(why) = self.place(host, &job, data) else {
                continue;
            };
            if job.origin == Origin::Pending && self.write_to_main(host, &job, data) {
                continue;
            }
            let block = job.block;
            host.raise(Event::NotRelocated { block, why });
            data.failed(block, Blocks::new(1), Errno::EIO);
            outcome = Err(Errno::EIO);
        }
        self.moving.jobs.clear();
        outcome
    }

    /// Writes a lost block that the spare does not take where it was: reads look for it there
    /// until it is moved. Returns whether main took it.
    fn write_to_main<H, P>(&mut self, host: &mut H, job: &Job, data: &mut P) -> bool
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let durably = data.is_durable();
        let at = self.settings.unit.first_sector(job.block);
        at.is_some_and(|at| {
            let to = (Device::Main, at);
            data.transfer(host, job.block, Blocks::new(1), to, durably)
                .is_ok()
        })
    }

    /// Writes the data of neighbours among the jobs, from number `at` on, to replacements that
    /// are neighbours, in one go. Returns how many; none where each goes its own way.
    ///
    /// # Errors
    ///
    /// The spare's. Each block is to be tried on its own then.
    fn place_run<H, P>(&mut self, host: &mut H, at: usize, data: &mut P) -> Result<usize, Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let circumstances = self.circumstances();
        let next = self.moving.next;
        let Metadata::Full(joined) = &mut self.metadata else {
            return Ok(0);
        };
        let Some(free) = joined.table.free_entry(next, host.index()) else {
            return Ok(0);
        };
        let jobs = self.moving.jobs.get(at..).unwrap_or_default();
        let Some(first) = jobs.first().copied() else {
            return Ok(0);
        };
        let total = joined.table.total().get();
        let follows = |ahead: u64, job: &Job| {
            let replacement = Replacement::new(free.get().saturating_add(ahead));
            job.origin == Origin::Main
                && job.block.get() == first.block.get().saturating_add(ahead)
                && host.index().get(job.block).is_none()
                && replacement.get() < total
                && joined.table.is_free(replacement, host.index())
        };
        let run = (0u64..)
            .zip(jobs)
            .take_while(|(ahead, job)| follows(*ahead, job));
        let run = run.count();
        let place = joined.table.layout().replacement_sector(free);
        let (Some(place), true) = (place, run > 1) else {
            return Ok(0);
        };
        if may_relocate(first.failure, &circumstances).is_err() {
            return Ok(0);
        }
        let (count, to) = (Blocks::new(run as u64), (Device::Spare, place));
        data.transfer(host, first.block, count, to, true)?;
        let jobs = self.moving.jobs.get(at..).unwrap_or_default();
        for (ahead, job) in (0u64..).zip(jobs.iter().take(run)) {
            let replacement = Replacement::new(free.get().saturating_add(ahead));
            let search = Search::begin(job.block, None, job.failure, circumstances);
            let placed = search.map(|search| search.placed(replacement));
            let noted = placed.is_ok_and(|placed| self.moving.placed.push(placed).is_ok());
            if !noted {
                // It and those behind it go their own way.
                return Ok(ahead as usize);
            }
            self.moving.next = replacement.get().saturating_add(1);
        }
        Ok(run)
    }

    /// Writes a block's data to a replacement that takes it, durably.
    fn place<H, P>(&mut self, host: &mut H, job: &Job, data: &mut P) -> Result<(), PassUp>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let live = host.index().get(job.block);
        let mut search = Search::begin(job.block, live, job.failure, self.circumstances())?;
        if let Some(table) = self.table() {
            if live.is_some_and(|live| !table.takes(live.replacement)) {
                search.pass_over_kept()?;
            }
            if let Some(moves) = table.limbo_of(job.block) {
                search.count_above(moves)?;
            }
        }
        loop {
            let replacement = match search.take_kept() {
                Some(replacement) => replacement,
                None => self.take_free(host)?,
            };
            let layout = self.table().map(Table::layout);
            let at = layout
                .and_then(|layout| layout.replacement_sector(replacement))
                .ok_or(PassUp::Exhausted)?;
            let one = Blocks::new(1);
            let next = match data.transfer(host, job.block, one, (Device::Spare, at), true) {
                Ok(()) => {
                    // There is room: no more than `AT_ONCE` blocks are moved in one go.
                    let noted = self.moving.placed.push(search.placed(replacement));
                    return noted.map_err(|Full| PassUp::Exhausted);
                }
                Err(errno) if Failure::from_errno(errno).is_of_blocks() => {
                    let (bad, next) = search.refused(replacement);
                    let _ = self.moving.bad.push(bad);
                    next
                }
                Err(_) => Err(PassUp::SpareFails),
            };
            if next == Err(PassUp::SpareFails) {
                self.spare_failed(host);
            }
            next?;
        }
    }

    fn take_free<H: Host<Room = R>>(&mut self, host: &H) -> Result<Replacement, PassUp> {
        let from = self.moving.next;
        let table = self.table_mut().ok_or(PassUp::NoMetadata)?;
        let free = table.free_entry(from, host.index());
        let free = free.ok_or(match self.table_fails {
            true => PassUp::SpareFails,
            false => PassUp::Exhausted,
        })?;
        self.moving.next = free.get().saturating_add(1);
        Ok(free)
    }

    /// Records what was placed, then what failed. Blocks that their table block did not take
    /// are jobs again, unless this was the `last` try.
    ///
    /// # Errors
    ///
    /// `EIO` if any was not recorded and is no job again.
    fn record<H, P>(&mut self, host: &mut H, data: &mut P, last: bool) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let before = self.used();
        let (mut outcome, mut refused) = (Ok(()), false);
        for placed in self.moving.placed.iter() {
            let _ = self.moving.changes.push(placed.change());
        }
        let _ = self.commit(host, |moving| &moving.changes);
        let spare_works = self.circumstances().spare_works;
        for placed in self.moving.placed.iter() {
            let (block, replacement) = (placed.block, placed.replacement);
            if !placed.is_recorded(host.index().get(block)) {
                let elsewhere = match &self.metadata {
                    Metadata::Full(joined) => spare_works && !joined.table.takes(replacement),
                    _ => false,
                };
                refused |= elsewhere;
                let job = Job {
                    block,
                    failure: Failure::Medium,
                    origin: Origin::Spare,
                };
                if last || !elsewhere || self.moving.jobs.push(job).is_err() {
                    data.failed(block, Blocks::new(1), Errno::EIO);
                    outcome = Err(Errno::EIO);
                }
                continue;
            }
            if !self.moving.quietly {
                host.raise(Event::Remapped { block, replacement });
            }
            if let Some(bad) = placed.given_up() {
                let _ = self.moving.bad.push(bad);
            }
        }
        self.moving.placed.clear();
        self.moving.changes.clear();
        if refused && last {
            self.spare_failed(host);
        }
        for (replacement, _) in self.moving.bad.iter() {
            let replacement = *replacement;
            host.raise(Event::ReplacementBad { replacement });
        }
        // What cannot be recorded is found bad again when it is next tried.
        let _ = self.commit(host, |moving| &moving.bad);
        self.moving.bad.clear();
        self.tell_usage(host, before);
        outcome
    }

    /// Makes changes of the table durable and visible.
    pub(super) fn commit<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        changes: impl FnOnce(&Moving<R>) -> &R::List<Change>,
    ) -> Result<(), Errno> {
        let changes = changes(&self.moving);
        if changes.is_empty() {
            return Ok(());
        }
        let Metadata::Full(joined) = &mut self.metadata else {
            return Err(Errno::EIO);
        };
        let Err(failed) = joined.table.commit(host, changes) else {
            return Ok(());
        };
        if let Some(errno) = failed.error {
            self.table_failed(host, errno);
        }
        Err(Errno::EIO)
    }

    fn used(&self) -> Blocks {
        self.table().map(Table::used).unwrap_or_default()
    }

    fn tell_usage<H: Host<Room = R>>(&self, host: &mut H, before: Blocks) {
        let total = self.table().map(Table::total).unwrap_or_default();
        if let Some(mark) = UsageMark::passed(before, self.used(), total) {
            host.raise(Event::SpareUse { mark });
        }
    }

    fn circumstances(&self) -> Circumstances {
        let free = self.table().map_or(0, |table| {
            table.total().get().saturating_sub(table.used().get())
        });
        Circumstances {
            has_metadata: self.has_table(),
            writable: !self.is_read_only(),
            spare_works: !self.spare_fails,
            main_suspect: self.health.stands_against(true),
            free: Blocks::new(free),
        }
    }

    /// Records that the blocks in `moving.lost` could not be read, so that their next
    /// write moves them. Nothing of the data is moved: it is lost.
    pub(super) fn mark_pending<H: Host<Room = R>>(&mut self, host: &mut H) {
        let before = self.used();
        let mut told = None;
        self.moving.next = 0;
        for at in 0..self.moving.lost.len() {
            let Some((block, errno)) = self.moving.lost.get(at).copied() else {
                break;
            };
            if host.index().get(block).is_some() {
                continue;
            }
            let failure = Failure::from_errno(errno);
            let free =
                may_relocate(failure, &self.circumstances()).and_then(|()| self.take_free(host));
            match free {
                Ok(replacement) => {
                    let _ = self.moving.changes.push(pending(block, replacement));
                }
                // A device without a table has nowhere to note it, which is no news.
                Err(PassUp::NoMetadata) => {}
                // One event tells of all blocks that were lost for one reason.
                Err(why) if told == Some(why) => {}
                Err(why) => {
                    told = Some(why);
                    host.raise(Event::NotRelocated { block, why });
                }
            }
        }
        self.moving.lost.clear();
        let _ = self.commit(host, |moving| &moving.changes);
        for (_, entry) in self.moving.changes.iter() {
            if host.index().get(entry.main).is_some() {
                let block = entry.main;
                host.raise(Event::Pending { block });
            }
        }
        self.moving.changes.clear();
        self.tell_usage(host, before);
    }
}
