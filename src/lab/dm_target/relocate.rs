//! Moving blocks to the spare: data durable, then both regions of the table, then
//! visible, then acknowledged.

use std::collections::BTreeSet;

use super::io::{FailedBlock, RequestError};
use super::{Disks, Now, Target};
use crate::remap_core::event::Event;
use crate::remap_core::policy::{may_relocate, Circumstances, Failure, PassUp, UsageMark};
use crate::remap_core::relocation::{pending, Change, Live, Origin, Placed, Search};
use crate::remap_core::units::{Blocks, Errno, MainBlock, Replacement};

/// A block to be moved, and what is to be written there.
pub(super) struct Job<'d> {
    pub(super) block: MainBlock,
    pub(super) data: &'d [u8],
    pub(super) failure: Failure,
    pub(super) origin: Origin,
}

/// What moving some blocks has come to so far.
#[derive(Default)]
struct Moving {
    placed: Vec<Placed>,
    /// Replacements that were tried or are in use by this request.
    taken: BTreeSet<Replacement>,
    /// Entries of replacements that failed.
    bad: Vec<Change>,
    failed: Vec<FailedBlock>,
}

impl Moving {
    fn fail(&mut self, block: MainBlock) {
        self.failed.push(FailedBlock {
            block,
            errno: Errno::EIO,
        });
    }
}

impl Target {
    /// Moves blocks to the spare. Returns those that could not be moved; all others are
    /// durable and served from there.
    pub(super) fn relocate(
        &mut self,
        disks: &mut Disks<'_>,
        now: Now,
        jobs: &[Job<'_>],
    ) -> Vec<FailedBlock> {
        let mut moving = Moving::default();
        for job in jobs {
            if job.origin == Origin::Spare && !job.failure.is_of_blocks() {
                self.spare_failed(now);
            }
            if let Err(why) = self.place(disks, now, job, &mut moving) {
                self.raise(Event::NotRelocated {
                    block: job.block,
                    why,
                });
                moving.fail(job.block);
            }
        }
        if !moving.placed.is_empty() && disks.spare.flush().is_err() {
            self.spare_failed(now);
            for placed in moving.placed.drain(..) {
                moving.failed.push(FailedBlock {
                    block: placed.block,
                    errno: Errno::EIO,
                });
            }
        }
        self.record(disks, now, &mut moving);
        moving.failed
    }

    /// Writes a block's data to a replacement that takes it. It is not durable yet.
    fn place(
        &mut self,
        disks: &mut Disks<'_>,
        now: Now,
        job: &Job<'_>,
        moving: &mut Moving,
    ) -> Result<(), PassUp> {
        let live = self.live(job.block);
        let mut search = Search::begin(job.block, live, job.failure, self.circumstances())?;
        loop {
            let free = |target: &mut Self, taken: &BTreeSet<Replacement>| {
                target.joined_mut()?.map.free_entry(taken)
            };
            let replacement = search.take_kept().or_else(|| free(self, &moving.taken));
            let replacement = replacement.ok_or(PassUp::Exhausted)?;
            moving.taken.insert(replacement);
            let at = self
                .map()
                .and_then(|map| map.layout().replacement_sector(replacement))
                .ok_or(PassUp::Exhausted)?;
            let next = match disks.spare.write_at(at, job.data) {
                Ok(()) => {
                    moving.placed.push(search.placed(replacement));
                    return Ok(());
                }
                Err(error) if Failure::from_errno(error.errno).is_of_blocks() => {
                    let (bad, next) = search.refused(replacement);
                    moving.bad.push(bad);
                    next
                }
                Err(_) => Err(PassUp::SpareFails),
            };
            if next == Err(PassUp::SpareFails) {
                self.spare_failed(now);
            }
            next?;
        }
    }

    /// What is known of a block that has an entry in the table.
    fn live(&self, block: MainBlock) -> Option<Live> {
        self.map()?.get(block)
    }

    /// Records what was placed, then what failed.
    fn record(&mut self, disks: &mut Disks<'_>, now: Now, moving: &mut Moving) {
        let used_before = self.used();
        let changes: Vec<Change> = moving.placed.iter().map(Placed::change).collect();
        if !self.commit(disks, now, &changes) {
            let (kept, failed): (Vec<Placed>, Vec<Placed>) = std::mem::take(&mut moving.placed)
                .into_iter()
                .partition(|placed| placed.is_recorded(self.live(placed.block)));
            for placed in failed {
                moving.fail(placed.block);
            }
            moving.placed = kept;
        }
        for placed in &moving.placed {
            self.raise(Event::Remapped {
                block: placed.block,
                replacement: placed.replacement,
            });
            moving.bad.extend(placed.given_up());
        }
        for (replacement, _) in &moving.bad {
            self.raise(Event::ReplacementBad {
                replacement: *replacement,
            });
        }
        let bad = std::mem::take(&mut moving.bad);
        self.commit(disks, now, &bad);
        self.tell_usage(used_before);
    }

    /// Makes changes of the table durable and visible; returns whether all were.
    fn commit(&mut self, disks: &mut Disks<'_>, now: Now, changes: &[Change]) -> bool {
        let Some(joined) = self.joined_mut() else {
            return false;
        };
        let committed = joined.map.commit(disks.spare, changes);
        if committed.is_err_and(|failed| failed.error.is_some()) {
            self.spare_failed(now);
        }
        committed.is_ok()
    }

    fn used(&self) -> Blocks {
        self.map().map(super::map::Map::used).unwrap_or_default()
    }

    fn tell_usage(&mut self, before: Blocks) {
        let total = self.map().map(super::map::Map::total).unwrap_or_default();
        if let Some(mark) = UsageMark::passed(before, self.used(), total) {
            self.raise(Event::SpareUse { mark });
        }
    }

    fn circumstances(&self) -> Circumstances {
        let free = self
            .map()
            .map_or(0, |map| map.total().get().saturating_sub(map.used().get()));
        Circumstances {
            has_metadata: self.map().is_some(),
            writable: !self.is_read_only(),
            spare_works: !self.spare_fails,
            main_suspect: self.health.is_suspect(),
            free: Blocks::new(free),
        }
    }

    /// Records that blocks of main could not be read, so that their next write moves
    /// them. Nothing of the data is moved: it is lost.
    pub(super) fn mark_pending(&mut self, disks: &mut Disks<'_>, now: Now, lost: &[FailedBlock]) {
        let used_before = self.used();
        let (mut changes, mut taken) = (Vec::new(), BTreeSet::new());
        let mut told = None;
        for FailedBlock { block, errno } in lost {
            if self.live(*block).is_some() {
                continue;
            }
            let failure = Failure::from_errno(*errno);
            let free = may_relocate(failure, &self.circumstances()).and_then(|()| {
                self.joined_mut()
                    .and_then(|joined| joined.map.free_entry(&taken))
                    .ok_or(PassUp::Exhausted)
            });
            match free {
                Ok(replacement) => {
                    taken.insert(replacement);
                    changes.push(pending(*block, replacement));
                }
                // A device without a table has nowhere to note it, which is no news.
                Err(PassUp::NoMetadata) => {}
                // One event tells of all blocks that a request lost for one reason.
                Err(why) if told == Some(why) => {}
                Err(why) => {
                    told = Some(why);
                    self.raise(Event::NotRelocated { block: *block, why });
                }
            }
        }
        if changes.is_empty() {
            return;
        }
        self.commit(disks, now, &changes);
        for (_, entry) in changes {
            if self.live(entry.main).is_some() {
                self.raise(Event::Pending { block: entry.main });
            }
        }
        self.tell_usage(used_before);
    }

    /// Settles what an earlier update may have left on the spare about the blocks of a
    /// request: before that, an acknowledged write to them could be lost to an older
    /// one at the next start.
    ///
    /// # Errors
    ///
    /// Every block of the request, if that cannot be done.
    pub(super) fn settle_under(
        &mut self,
        disks: &mut Disks<'_>,
        now: Now,
        first: MainBlock,
        count: u64,
    ) -> Result<(), RequestError> {
        let blocks = || (first.get()..first.get().saturating_add(count)).map(MainBlock::new);
        let Some(joined) = self.joined_mut() else {
            return Ok(());
        };
        let fenced = joined.map.fence(disks.spare);
        let unsettled: BTreeSet<u32> = joined.map.limbo_within(first, count).collect();
        let settled = unsettled
            .into_iter()
            .all(|index| joined.map.settle(disks.spare, index).is_ok());
        if fenced.is_err() || !settled {
            self.spare_failed(now);
        }
        if settled {
            return Ok(());
        }
        let failed = |block| FailedBlock {
            block,
            errno: Errno::EIO,
        };
        Err(RequestError::Blocks(blocks().map(failed).collect()))
    }
}
