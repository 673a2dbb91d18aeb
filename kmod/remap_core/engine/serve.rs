// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests that failed, or that must not go their way: narrowed to the blocks that are bad,
//! and each block served, moved, or given up.

use crate::remap_core::engine::host::{Found, Host, Index, List, Payload, Room};
use crate::remap_core::engine::relocate::{Job, AT_ONCE};
use crate::remap_core::engine::table::Table;
use crate::remap_core::engine::{Engine, Metadata};
use crate::remap_core::event::Event;
use crate::remap_core::message::Device;
use crate::remap_core::policy::{Failure, PassUp};
use crate::remap_core::relocation::Origin;
use crate::remap_core::units::{Blocks, Errno, MainBlock, Replacement};

/// How long one request is narrowed, in milliseconds. A disk takes up to 30 s for each command
/// that fails, and whoever waits for the request waits for all of them.
pub(super) const NARROWING_MILLIS: u64 = 30_000;

/// Part of a request to main.
#[derive(Clone, Copy)]
pub(super) struct Part {
    first: MainBlock,
    count: Blocks,
    /// The error that it gave, where it was tried.
    failed: Option<Errno>,
}

/// Parts that wait to be tried: narrowing halves, so there are few.
pub(super) const MOST_PARTS: usize = 128;

impl<R: Room> Engine<R> {
    /// Does what a request asks for, block by block where need be. Main must hold all of its
    /// blocks.
    ///
    /// # Errors
    ///
    /// The first error, if any of its blocks could not be read or written; all others
    /// were. The payload is told of each that failed.
    pub fn serve<H, P>(&mut self, host: &mut H, request: &mut P) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let (first, count, write) = (request.first(), request.count(), request.is_write());
        if write && self.is_read_only() {
            request.failed(first, count, Errno::EIO);
            return Err(Errno::EIO);
        }
        if write && !self.settle_under(host, first, count) {
            request.failed(first, count, Errno::EIO);
            return Err(Errno::EIO);
        }
        let mut outcome = Ok(());
        let end = first.get().saturating_add(count.get());
        let mut at = first.get();
        while at < end {
            let block = MainBlock::new(at);
            let left = Blocks::new(end.saturating_sub(at));
            let served = match host.index().first(block, left, !write) {
                Some(found) if found.block == block => {
                    let (served, result) = self.serve_live(host, request, found, left);
                    outcome = outcome.and(result);
                    served
                }
                found => {
                    let until = found.map_or(end, |found| found.block.get());
                    let run = Blocks::new(until.saturating_sub(at));
                    outcome = outcome.and(self.serve_main(host, request, block, run));
                    run
                }
            };
            at = at.saturating_add(served.get().max(1));
        }
        outcome.and(self.settle_accounts(host, request))
    }

    /// Serves blocks that are on the spare, or are to be moved there. Returns how many.
    fn serve_live<H, P>(
        &mut self,
        host: &mut H,
        request: &mut P,
        found: Found,
        left: Blocks,
    ) -> (Blocks, Result<(), Errno>)
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let one = Blocks::new(1);
        // Neither main nor the old replacement would be looked at after a restart.
        let unsure = request.is_write() && self.is_in_limbo(found.block);
        if unsure || !found.active {
            let origin = match unsure {
                true => Origin::Spare,
                false => Origin::Pending,
            };
            let added = self.add_job(
                host,
                request,
                Job {
                    block: found.block,
                    failure: Failure::Medium,
                    origin,
                },
            );
            return (one, added);
        }
        let run = match self.table().is_none_or(Table::has_no_limbo) {
            true => found.run.min(left),
            false => one,
        };
        let served = self.serve_spare(host, request, found.block, run, found.replacement);
        if served.is_ok() || run == one {
            return (
                run,
                self.give_up_on_spare(host, request, found.block, served),
            );
        }
        let mut outcome = Ok(());
        for ahead in 0..run.get() {
            let block = MainBlock::new(found.block.get().saturating_add(ahead));
            let replacement = Replacement::new(found.replacement.get().saturating_add(ahead));
            let served = self.serve_spare(host, request, block, one, replacement);
            outcome = outcome.and(self.give_up_on_spare(host, request, block, served));
        }
        (run, outcome)
    }

    /// Reads or writes blocks where the spare has them.
    fn serve_spare<H, P>(
        &self,
        host: &mut H,
        request: &mut P,
        block: MainBlock,
        count: Blocks,
        place: Replacement,
    ) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let layout = self.table().map(Table::layout);
        let at = layout.and_then(|layout| layout.replacement_sector(place));
        let at = at.ok_or(Errno::EIO)?;
        let durably = request.is_durable();
        request.transfer(host, block, count, (Device::Spare, at), durably)
    }

    /// Sends a write that the spare did not take elsewhere; counts a read that failed.
    fn give_up_on_spare<H, P>(
        &mut self,
        host: &mut H,
        request: &mut P,
        block: MainBlock,
        served: Result<(), Errno>,
    ) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let Err(errno) = served else { return Ok(()) };
        if request.is_write() {
            let failure = Failure::from_errno(errno);
            let origin = Origin::Spare;
            return self.add_job(
                host,
                request,
                Job {
                    block,
                    failure,
                    origin,
                },
            );
        }
        self.counters.read_errors = self.counters.read_errors.saturating_add(1);
        request.failed(block, Blocks::new(1), errno);
        Err(errno)
    }

    fn try_main<H, P>(
        &mut self,
        host: &mut H,
        request: &mut P,
        first: MainBlock,
        count: Blocks,
    ) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let at = self.settings.unit.first_sector(first).ok_or(Errno::EIO)?;
        let durably = request.is_durable();
        request.transfer(host, first, count, (Device::Main, at), durably)?;
        self.health.succeeded(request.is_write());
        Ok(())
    }

    /// Serves blocks from main, narrowing a failure to the blocks that are bad.
    fn serve_main<H, P>(
        &mut self,
        host: &mut H,
        request: &mut P,
        first: MainBlock,
        count: Blocks,
    ) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        // A request that failed on main as a whole need not fail so once more.
        let known = request.failure().filter(|_| count == request.count());
        let tried = known.map_or_else(|| self.try_main(host, request, first, count), Err);
        let Err(errno) = tried else { return Ok(()) };
        let part = Part {
            first,
            count,
            failed: Some(errno),
        };
        let of_blocks = Failure::from_errno(errno).is_of_blocks();
        if of_blocks && !self.main_lives(host, (first, count), request.is_write()) {
            return self.fail_part(host, request, part, errno, PassUp::MainSuspect);
        }
        self.narrow(host, request, part)
    }

    /// Halves a part that failed until its bad blocks are known, by the sectors that the disk
    /// itself has: one that is dead fails for each block in it.
    fn narrow<H, P>(&mut self, host: &mut H, request: &mut P, whole: Part) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let until = host.now().uptime.after(NARROWING_MILLIS);
        let sector = self.blocks_of_sector(host);
        let mut outcome = Ok(());
        self.moving.parts.clear();
        let _ = self.moving.parts.push(whole);
        while let Some(part) = self.moving.parts.pop() {
            let tried = match part.failed {
                Some(errno) => Err(errno),
                None => self.try_main(host, request, part.first, part.count),
            };
            let Err(errno) = tried else { continue };
            let failure = Failure::from_errno(errno);
            let enough = host.now().uptime > until;
            let result = match part.halves(sector) {
                _ if !failure.is_of_blocks() => {
                    let why = PassUp::NotOfBlocks(failure);
                    self.fail_part(host, request, part, errno, why)
                }
                Some((left, right)) if !enough && self.has_room_for_parts() => {
                    let _ = self.moving.parts.push(right);
                    let _ = self.moving.parts.push(left);
                    continue;
                }
                // What would be lost is not known block by block, and is not recorded so.
                Some(_) if !request.is_write() => {
                    self.count_errors(false, part.count.get());
                    request.failed(part.first, part.count, errno);
                    Err(errno)
                }
                _ => self.give_up_on_main(host, request, part, errno),
            };
            outcome = outcome.and(result);
        }
        outcome
    }

    /// Whether another two parts find room. They do: each is half of one before it.
    fn has_room_for_parts(&self) -> bool {
        self.moving.parts.len().saturating_add(2) <= MOST_PARTS
    }

    /// The blocks in one physical sector of main; at least one.
    fn blocks_of_sector<H: Host<Room = R>>(&self, host: &H) -> u64 {
        let bytes = u64::from(host.physical_block_of_main());
        let unit = u64::from(self.settings.unit.bytes());
        bytes.checked_div(unit).unwrap_or(1).max(1)
    }

    /// A part all of which failed, and not as bad blocks do.
    fn fail_part<H, P>(
        &mut self,
        host: &mut H,
        request: &mut P,
        part: Part,
        errno: Errno,
        why: PassUp,
    ) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        self.count_errors(request.is_write(), part.count.get());
        let block = part.first;
        host.raise(Event::NotRelocated { block, why });
        request.failed(part.first, part.count, errno);
        Err(errno)
    }

    /// Notes blocks that main did not take to be moved, and those that it could not read as
    /// lost.
    fn give_up_on_main<H, P>(
        &mut self,
        host: &mut H,
        request: &mut P,
        part: Part,
        errno: Errno,
    ) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let (first, count, write) = (part.first.get(), part.count.get(), request.is_write());
        self.count_errors(write, count);
        let mut outcome = Ok(());
        for block in first..first.saturating_add(count) {
            let block = MainBlock::new(block);
            let added = match write {
                true => self.add_job(
                    host,
                    request,
                    Job {
                        block,
                        failure: Failure::from_errno(errno),
                        origin: Origin::Main,
                    },
                ),
                false => {
                    request.failed(block, Blocks::new(1), errno);
                    self.add_lost(host, request, block, errno).and(Err(errno))
                }
            };
            outcome = outcome.and(added);
        }
        outcome
    }

    fn count_errors(&mut self, write: bool, count: u64) {
        let errors = match write {
            true => &mut self.counters.write_errors,
            false => &mut self.counters.read_errors,
        };
        *errors = errors.saturating_add(count);
    }

    /// Notes a block to be moved; where the list is full, moves those that are in it.
    fn add_job<H, P>(&mut self, host: &mut H, request: &mut P, job: Job) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let mut outcome = Ok(());
        if self.moving.jobs.len() >= AT_ONCE {
            outcome = self.settle_accounts(host, request);
        }
        // There is room: it was emptied when it was full.
        if self.moving.jobs.push(job).is_err() {
            request.failed(job.block, Blocks::new(1), Errno::EIO);
            return Err(Errno::EIO);
        }
        outcome
    }

    fn add_lost<H, P>(
        &mut self,
        host: &mut H,
        request: &mut P,
        block: MainBlock,
        errno: Errno,
    ) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let mut outcome = Ok(());
        if self.moving.lost.len() >= AT_ONCE {
            outcome = self.settle_accounts(host, request);
        }
        let _ = self.moving.lost.push((block, errno));
        outcome
    }

    /// Moves what is to be moved so far, and records what was lost.
    fn settle_accounts<H, P>(&mut self, host: &mut H, request: &mut P) -> Result<(), Errno>
    where
        H: Host<Room = R>,
        P: Payload<H>,
    {
        let outcome = match self.moving.jobs.is_empty() {
            true => Ok(()),
            false => self.relocate(host, request),
        };
        if !self.moving.lost.is_empty() {
            self.mark_pending(host);
        }
        outcome
    }

    /// Settles what an earlier update of the table may have left on the spare about these
    /// blocks, if the spare takes it. A block about which it does not can only be moved.
    ///
    /// Returns whether the write may go on: otherwise a restart could take any block back to
    /// what it was before.
    pub(super) fn settle_under<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        first: MainBlock,
        count: Blocks,
    ) -> bool {
        let Metadata::Full(joined) = &mut self.metadata else {
            return true;
        };
        let settled = joined.table.settle_under(host, first, count);
        let fenced = joined.table.is_fenced();
        if let Err(errno) = settled {
            self.table_failed(host, errno);
        }
        fenced
    }

    /// Whether the spare may relocate a block after a restart as nothing here knows of.
    pub(super) fn is_in_limbo(&self, block: MainBlock) -> bool {
        let limbo = self.table().and_then(|table| table.limbo_of(block));
        limbo.is_some()
    }

    /// Counts a failure of main and, where it may be failing as a whole, puts it to the test
    /// outside of the blocks that failed. Returns whether it lives.
    fn main_lives<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        failed: (MainBlock, Blocks),
        write: bool,
    ) -> bool {
        let Some(probing) = self.health.failed(1) else {
            return !self.health.stands_against(write);
        };
        let (first, count) = failed;
        let (mut tried, mut readable) = (0u64, false);
        for block in probing.places(self.settings.size) {
            let in_request = block.get().wrapping_sub(first.get()) < count.get();
            if in_request || host.index().get(block).is_some() {
                continue;
            }
            let (reads, writes) = self.probe(host, block, write);
            readable |= reads;
            if reads && (writes || !write) {
                self.health.succeeded(write);
                return true;
            }
            tried = tried.saturating_add(1);
            if tried == probing.most {
                break;
            }
        }
        if tried > 0 && self.health.failed_test(readable) {
            host.raise(Event::MainSuspect);
        }
        !self.health.stands_against(write)
    }

    /// Reads a block of main, and with `write` writes it back as it is. Returns whether either
    /// succeeded.
    fn probe<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        block: MainBlock,
        write: bool,
    ) -> (bool, bool) {
        let Some(at) = self.settings.unit.first_sector(block) else {
            return (false, false);
        };
        let bytes = self.settings.unit.bytes();
        let page = &mut self.scratch;
        if !write {
            return (host.read(Device::Main, at, page, bytes).is_ok(), false);
        }
        // Whatever else is written to it meanwhile must not be undone.
        host.alone(|host| {
            if host.read(Device::Main, at, page, bytes).is_err() {
                return (false, false);
            }
            (true, host.write(Device::Main, at, page, bytes).is_ok())
        })
    }

    /// Puts a main that failed as a whole to the test once more: it may have come back.
    pub(super) fn ask_main_again<H: Host<Room = R>>(&mut self, host: &mut H) {
        if self.health.is_suspect() {
            let nothing = (MainBlock::new(0), Blocks::new(0));
            let write = !self.is_read_only();
            let _ = self.main_lives(host, nothing, write);
        }
    }
}

impl Part {
    /// Both halves of a part that spans more than one sector of so many blocks.
    fn halves(&self, sector: u64) -> Option<(Self, Self)> {
        let (first, count) = (self.first.get(), self.count.get());
        let end = first.saturating_add(count);
        let last = end.saturating_sub(1);
        if first.checked_div(sector) == last.checked_div(sector) {
            return None;
        }
        let middle = first.saturating_add(count.wrapping_shr(1));
        // The sector boundary next to the middle; there is one within.
        let below = middle.saturating_sub(middle.checked_rem(sector).unwrap_or(0));
        let middle = match below > first {
            true => below,
            false => below.saturating_add(sector),
        };
        let part = |first: u64, end: u64| Self {
            first: MainBlock::new(first),
            count: Blocks::new(end.saturating_sub(first)),
            failed: None,
        };
        Some((part(first, middle), part(middle, end)))
    }
}
