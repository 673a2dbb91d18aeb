//! The power fails at every single write and flush of a workload. What was flushed is
//! still there, and the metadata may still be assembled without a person.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::rig::{arguments, disks, made_on, SEED, START};
use crate::format::backup::SavedRange;
use crate::lab::dm_target::{Disks, Now, RequestError, Target};
use crate::lab::fault::{FaultRange, Faulty};
use crate::lab::ram::{CachedDisk, Power, RamDisk, Unflushed};
use crate::port::slots::survey;
use crate::port::BlockStore;
use crate::remap_core::layout::{Layout, ENTRIES_PER_BLOCK};
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::{judge, Verdict};
use crate::remap_core::units::{BlockSize, MainBlock, Sector, Sectors, Slot};

const BLOCKS: u64 = 12;

/// Blocks that main does not take.
const BAD_TO_WRITE: [u64; 4] = [2, 3, 7, 11];

/// Blocks that main does not even read.
const BAD_TO_READ: [u64; 2] = [5, 9];

/// What may be found in a block.
#[derive(Clone, Debug, Default)]
struct Allowed {
    /// The content that was acknowledged and flushed last.
    flushed: u64,
    /// What was written since, acknowledged or not.
    since: Vec<u64>,
    /// Whether the last write was acknowledged.
    acknowledged: bool,
}

fn content(block: u64, generation: u64) -> [u8; 512] {
    let mut bytes = [0xb7; 512];
    bytes[..8].copy_from_slice(&block.to_le_bytes());
    bytes[8..16].copy_from_slice(&generation.to_le_bytes());
    bytes[504..].copy_from_slice(&(!generation).to_le_bytes());
    bytes
}

/// Two disks, joined, with known content in every block.
static FRESH: LazyLock<(RamDisk, RamDisk)> = LazyLock::new(|| prepared(64, |_| ()));

/// The same, where block 1 has the first replacement and all others of the first table
/// block are taken: what moves next has its entry in another one.
static USED: LazyLock<(RamDisk, RamDisk)> = LazyLock::new(|| {
    prepared(300, |remap| {
        remap(1);
        (100..100 + ENTRIES_PER_BLOCK - 1).for_each(remap);
    })
});

fn prepared(
    replacement_blocks: u64,
    moves: impl FnOnce(&mut dyn FnMut(u64)),
) -> (RamDisk, RamDisk) {
    let (mut main, mut spare) = disks(BlockSize::B512, replacement_blocks);
    let mut disks = Disks {
        main: &mut main,
        spare: &mut spare,
    };
    let mut target = made_on(&mut disks);
    let mut keep = |_: Vec<SavedRange>| Ok(());
    for block in 0..BLOCKS {
        target
            .write(&mut disks, START, Sector::new(block), &content(block, 0))
            .unwrap();
    }
    moves(&mut |block| {
        let message = Message::Remap(MainBlock::new(block));
        target
            .message(&mut disks, START, &message, SEED, &mut keep)
            .unwrap();
    });
    // A copy that is damaged already, for the repair to run into the power failure.
    spare.write_at(Slot::S2.sector(), &[0x11; 512]).unwrap();
    (main, spare)
}

fn bad(direction: Direction, at: u64) -> FaultRange {
    FaultRange::bad(direction, Sector::new(at), Sectors::new(1))
}

fn main_faults() -> Vec<FaultRange> {
    let to_write = BAD_TO_WRITE.map(|block| bad(Direction::Write, block));
    let to_read = BAD_TO_READ.map(|block| bad(Direction::Both, block));
    [&to_write[..], &to_read[..]].concat()
}

/// A workload in progress, and what it may leave behind.
struct Run {
    main: Faulty<CachedDisk>,
    spare: Faulty<CachedDisk>,
    target: Target,
    allowed: BTreeMap<u64, Allowed>,
    generation: u64,
    now: Now,
}

impl Run {
    fn new(disks: &(RamDisk, RamDisk), power: &Power) -> Self {
        let (main, spare) = disks.clone();
        let mut main = Faulty::new(CachedDisk::new(main, power), main_faults());
        let mut spare = Faulty::new(CachedDisk::new(spare, power), Vec::new());
        let mut disks = Disks {
            main: &mut main,
            spare: &mut spare,
        };
        let target = Target::activate(arguments(Options::default()), &mut disks, START).unwrap();
        Self {
            main,
            spare,
            target,
            allowed: (0..BLOCKS)
                .map(|block| (block, Allowed::default()))
                .collect(),
            generation: 0,
            now: START,
        }
    }

    fn disks<'a>(main: &'a mut Faulty<CachedDisk>, spare: &'a mut Faulty<CachedDisk>) -> Disks<'a> {
        Disks { main, spare }
    }

    fn write(&mut self, first: u64, count: u64) {
        self.generation += 1;
        let data: Vec<u8> = (first..first + count)
            .flat_map(|block| content(block, self.generation))
            .collect();
        let mut disks = Self::disks(&mut self.main, &mut self.spare);
        let outcome = self
            .target
            .write(&mut disks, self.now, Sector::new(first), &data);
        let failed: Vec<u64> = match &outcome {
            Ok(()) => Vec::new(),
            Err(RequestError::Blocks(failed)) => {
                failed.iter().map(|failed| failed.block.get()).collect()
            }
            Err(other) => panic!("{other}"),
        };
        for block in first..first + count {
            let allowed = self.allowed.get_mut(&block).unwrap();
            allowed.since.push(self.generation);
            allowed.acknowledged = !failed.contains(&block);
        }
    }

    fn flush(&mut self) {
        let mut disks = Self::disks(&mut self.main, &mut self.spare);
        if self.target.flush(&mut disks, self.now).is_err() {
            return;
        }
        for allowed in self.allowed.values_mut().filter(|a| a.acknowledged) {
            if let Some(last) = allowed.since.last() {
                allowed.flushed = *last;
                allowed.since.clear();
            }
        }
    }

    fn read(&mut self, first: u64, count: usize) {
        let mut disks = Self::disks(&mut self.main, &mut self.spare);
        let mut buffer = vec![0; count * 512];
        // What is lost becomes pending; that is what is wanted here.
        let _ = self
            .target
            .read(&mut disks, self.now, Sector::new(first), &mut buffer);
    }

    fn pass(&mut self, millis: u64) {
        self.now.uptime = self.now.uptime.after(millis);
        let mut disks = Self::disks(&mut self.main, &mut self.spare);
        let mut keep = |_: Vec<SavedRange>| Ok(());
        self.target.run_due(&mut disks, self.now, &mut keep);
    }

    fn message(&mut self, message: &Message) {
        let mut disks = Self::disks(&mut self.main, &mut self.spare);
        let mut keep = |_: Vec<SavedRange>| Ok(());
        let _ = self
            .target
            .message(&mut disks, self.now, message, SEED, &mut keep);
    }

    fn break_replacement(&mut self, index: u64) {
        let layout = Layout::for_spare(self.spare.size(), BlockSize::B512).unwrap();
        let at = layout.replacement.get() + index;
        self.spare.faults().push(bad(Direction::Write, at));
    }

    /// Writes, flushes, reads of lost blocks, a repair, a write of the copies.
    fn workload(&mut self, power: &Power) {
        let steps: [fn(&mut Self); 26] = [
            |run| run.break_replacement(2),
            |run| run.write(0, 2),
            |run| run.write(2, 1),
            Self::flush,
            |run| run.pass(100),
            |run| run.write(1, 4),
            |run| run.pass(1000),
            |run| run.read(4, 3),
            |run| run.write(2, 2),
            Self::flush,
            |run| run.write(5, 1),
            |run| run.write(6, 6),
            |run| run.break_replacement(0),
            |run| run.message(&Message::WriteMetadata),
            |run| run.write(1, 2),
            |run| run.write(0, 3),
            Self::flush,
            |run| run.read(8, 4),
            |run| run.write(0, 12),
            |run| run.message(&Message::Remap(MainBlock::new(8))),
            |run| run.write(8, 2),
            Self::flush,
            |run| run.write(9, 3),
            |run| run.message(&Message::WriteMetadata),
            |run| run.write(0, 12),
            Self::flush,
        ];
        for step in steps {
            step(self);
            if power.has_failed() {
                return;
            }
        }
    }
}

/// Brings the device up on what the power failure left, and looks at everything.
fn check(run: Run, unflushed: Unflushed, case: &str) {
    let Run {
        main,
        spare,
        allowed,
        ..
    } = run;
    let recover = |disk: Faulty<CachedDisk>| {
        let (disk, faults) = disk.into_parts();
        Faulty::new(disk.after_power_failure(unflushed), faults)
    };
    let (mut main, mut spare) = (recover(main), recover(spare));
    let verdict = judge(&survey(&spare)).verdict;
    assert!(
        matches!(
            verdict,
            Verdict::Healthy | Verdict::Degraded | Verdict::Interrupted
        ),
        "{case}: {verdict}"
    );
    let mut disks = Disks {
        main: &mut main,
        spare: &mut spare,
    };
    let mut target = Target::activate(arguments(Options::default()), &mut disks, START)
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    assert!(!target.status(START).needs_check, "{case}");
    for (block, allowed) in &allowed {
        let mut found = [0; 512];
        let outcome = target.read(&mut disks, START, Sector::new(*block), &mut found);
        if outcome.is_err() {
            let never_moved = BAD_TO_READ.contains(block) && allowed.flushed == 0;
            assert!(never_moved, "{case}: block {block} is lost, {allowed:?}");
            continue;
        }
        let generations = std::iter::once(&allowed.flushed).chain(&allowed.since);
        let known = generations
            .map(|generation| content(*block, *generation))
            .any(|content| content == found);
        assert!(
            known,
            "{case}: block {block} holds {:x?}, {allowed:?}",
            &found[..16]
        );
    }
    // It goes on working, and heals.
    for block in 0..BLOCKS {
        target
            .write(&mut disks, START, Sector::new(block), &content(block, 99))
            .unwrap_or_else(|error| panic!("{case}: block {block}: {error}"));
    }
    let mut now = START;
    let mut keep = |_: Vec<SavedRange>| Ok(());
    for millis in [100, 1000] {
        now.uptime = now.uptime.after(millis);
        target.run_due(&mut disks, now, &mut keep);
    }
    assert_eq!(
        judge(&survey(disks.spare)).verdict,
        Verdict::Healthy,
        "{case}"
    );
    let mut target = Target::activate(arguments(Options::default()), &mut disks, now).unwrap();
    for block in 0..BLOCKS {
        let mut found = [0; 512];
        target
            .read(&mut disks, now, Sector::new(block), &mut found)
            .unwrap();
        assert_eq!(found, content(block, 99), "{case}: block {block}");
    }
}

fn fail_at_every_write(disks: &(RamDisk, RamDisk)) {
    let whole = Power::failing_after(u64::MAX);
    Run::new(disks, &whole).workload(&whole);
    let steps = whole.done();
    assert!(
        steps > 100,
        "the workload has only {steps} writes and flushes"
    );
    for after in 0..=steps {
        let fates = (0..3).map(|seed| Unflushed::Mixed(after * 31 + seed));
        for unflushed in [Unflushed::Lost, Unflushed::Kept].into_iter().chain(fates) {
            let power = Power::failing_after(after);
            let mut run = Run::new(disks, &power);
            run.workload(&power);
            check(run, unflushed, &format!("write {after}, {unflushed:?}"));
        }
    }
}

#[test]
fn a_power_failure_at_every_write_loses_nothing_that_was_flushed() {
    fail_at_every_write(&FRESH);
}

#[test]
fn a_power_failure_while_a_replacement_is_replaced_loses_nothing_that_was_flushed() {
    fail_at_every_write(&USED);
}
