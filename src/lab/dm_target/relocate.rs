//! Moving blocks to the spare: data durable, then both regions of the table, then
//! visible, then acknowledged.

use std::collections::BTreeSet;

use super::io::{FailedBlock, RequestError};
use super::map::{Change, Live};
use super::{Disks, Now, Target};
use crate::remap_core::event::Event;
use crate::remap_core::policy::{may_relocate, Circumstances, Failure, PassUp, UsageMark};
use crate::remap_core::remap_table::{Entry, EntryState};
use crate::remap_core::units::{Blocks, Errno, MainBlock, Replacement};

/// How many replacement blocks are tried for one block before the spare counts as
/// failing.
const REPLACEMENTS_TRIED: usize = 4;

/// What made a block one to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Main did not take it.
    Main,
    /// Main could not read it before.
    Pending,
    /// Its replacement did not take it.
    Spare,
    /// Somebody asked.
    Request,
}

/// A block to be moved, and what is to be written there.
pub(super) struct Job<'d> {
    pub(super) block: MainBlock,
    pub(super) data: &'d [u8],
    pub(super) failure: Failure,
    pub(super) origin: Origin,
}

/// A block whose data lies on its new replacement and is not recorded yet.
struct Placed {
    block: MainBlock,
    replacement: Replacement,
    moves: u16,
    /// The replacement that it had before, where that one failed.
    old: Option<Live>,
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
        let live = self.map().and_then(|map| map.get(job.block));
        let waiting = live.filter(|live| !live.active);
        may_relocate(job.failure, &self.circumstances(waiting.is_some()))?;
        let mut moves = match live {
            Some(live) if live.active => next_move(live.moves)?,
            Some(live) => live.moves,
            None => 1,
        };
        let mut candidate = waiting.map(|live| live.replacement);
        for _ in 0..REPLACEMENTS_TRIED {
            let free = |target: &mut Self, taken: &BTreeSet<Replacement>| {
                target.joined_mut()?.map.free_entry(taken)
            };
            let Some(replacement) = candidate.take().or_else(|| free(self, &moving.taken)) else {
                return Err(PassUp::Exhausted);
            };
            moving.taken.insert(replacement);
            let at = self
                .map()
                .and_then(|map| map.layout().replacement_sector(replacement))
                .ok_or(PassUp::Exhausted)?;
            match disks.spare.write_at(at, job.data) {
                Ok(()) => {
                    moving.placed.push(Placed {
                        block: job.block,
                        replacement,
                        moves,
                        old: live.filter(|live| live.active),
                    });
                    return Ok(());
                }
                Err(error) if Failure::from_errno(error.errno).is_of_blocks() => {
                    moving.bad.push((replacement, bad_entry(job.block, moves)));
                    // The entry that goes bad may have been this block's own: the next
                    // one must count for more than it.
                    moves = next_move(moves)?;
                }
                Err(_) => break,
            }
        }
        self.spare_failed(now);
        Err(PassUp::SpareFails)
    }

    /// Records what was placed, then what failed: a block's new entry must be durable
    /// before its old one is given up, or a crash in between would serve main again.
    fn record(&mut self, disks: &mut Disks<'_>, now: Now, moving: &mut Moving) {
        let used_before = self.used();
        let changes: Vec<Change> = moving
            .placed
            .iter()
            .map(|placed| {
                let entry = Entry {
                    state: EntryState::Active,
                    main: placed.block,
                    moves: placed.moves,
                };
                (placed.replacement, entry)
            })
            .collect();
        if !self.commit(disks, now, &changes) {
            let unrecorded = |placed: &Placed| {
                self.map()
                    .and_then(|map| map.get(placed.block))
                    .is_none_or(|live| live.replacement != placed.replacement || !live.active)
            };
            let (failed, kept): (Vec<Placed>, Vec<Placed>) = std::mem::take(&mut moving.placed)
                .into_iter()
                .partition(unrecorded);
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
            if let Some(old) = placed.old {
                moving
                    .bad
                    .push((old.replacement, bad_entry(placed.block, old.moves)));
            }
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

    fn circumstances(&self, has_replacement: bool) -> Circumstances {
        let free = self
            .map()
            .map_or(0, |map| map.total().get().saturating_sub(map.used().get()));
        Circumstances {
            has_metadata: self.map().is_some(),
            writable: !self.is_read_only(),
            spare_works: !self.spare_fails,
            main_suspect: self.health.is_suspect(),
            free: Blocks::new(free.max(u64::from(has_replacement))),
        }
    }

    /// Records that blocks of main could not be read, so that their next write moves
    /// them. Nothing of the data is moved: it is lost.
    pub(super) fn mark_pending(&mut self, disks: &mut Disks<'_>, now: Now, lost: &[FailedBlock]) {
        let used_before = self.used();
        let (mut changes, mut taken) = (Vec::new(), BTreeSet::new());
        let mut told = None;
        for FailedBlock { block, errno } in lost {
            if self.map().is_some_and(|map| map.get(*block).is_some()) {
                continue;
            }
            let failure = Failure::from_errno(*errno);
            let free = may_relocate(failure, &self.circumstances(false)).and_then(|()| {
                self.joined_mut()
                    .and_then(|joined| joined.map.free_entry(&taken))
                    .ok_or(PassUp::Exhausted)
            });
            match free {
                Ok(replacement) => {
                    taken.insert(replacement);
                    let entry = Entry {
                        state: EntryState::Pending,
                        main: *block,
                        moves: 1,
                    };
                    changes.push((replacement, entry));
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
            if self.map().is_some_and(|map| map.get(entry.main).is_some()) {
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

const fn bad_entry(block: MainBlock, moves: u16) -> Entry {
    Entry {
        state: EntryState::ReplacementBad,
        main: block,
        moves,
    }
}

/// The count of moves after this one. A block that was moved as often as an entry can
/// count is not moved again: which of two entries is newer could not be told.
fn next_move(moves: u16) -> Result<u16, PassUp> {
    moves.checked_add(1).ok_or(PassUp::Exhausted)
}
