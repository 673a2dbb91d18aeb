//! What a run of the protocol must keep to, and what every crash of it must leave.

use std::fmt;

use dmremap::remap_core::commit::{Authority, Intent, ACKNOWLEDGE_AT};
use dmremap::remap_core::quorum::{Assembly, Verdict};
use dmremap::remap_core::units::Slot;

use crate::book::{Body, Book, Disk, Rank};
use crate::store::{run, Run, Step, Write, SOUND};

/// Checks the order of one run that began on `start` and was to bring `last` to all
/// slots: flush first, worst first, copy 0 last among equals, never the last winning
/// copy while no other is durable, told to be done at three.
pub fn check_order(book: &mut Book, start: &Disk, last: Body, run: &Run) {
    assert_eq!(run.trace.first(), Some(&Step::Flushed), "flush comes first");
    let facts = book.facts(start);
    let mut worth = facts.ranks.map(Worth::Old);
    let mut round = Vec::new();
    let mut acknowledged = false;
    let mut due = false;
    for step in &run.trace {
        match step {
            Step::Flushed => {}
            Step::Wrote(write) => {
                assert!(!due, "done at three, and was not told so");
                round.retain(|done: &Write| done.body == write.body);
                let worth_of_body = match write.body == last {
                    true if Some(last) != facts.winner => Worth::New,
                    _ => Worth::Old(Rank::Winning),
                };
                check_write(write, &worth, worth_of_body, &round);
                worth[write.slot.index() as usize] = match write.failed {
                    true => Worth::Old(Rank::Worthless),
                    false => worth_of_body,
                };
                round.push(*write);
                let holding = worth.iter().filter(|w| **w >= worth_of_body).count();
                due = write.body == last && holding >= ACKNOWLEDGE_AT && !acknowledged;
            }
            Step::Acknowledged(_) => {
                assert!(due, "told to be done, and it is not");
                (acknowledged, due) = (true, false);
            }
        }
    }
    assert!(!due, "done at three, and was not told so");
}

/// What a slot holds, seen from the write in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Old(Rank),
    New,
}

fn check_write(write: &Write, worth: &[Worth; Slot::COUNT], becomes: Worth, round: &[Write]) {
    let of = |slot: Slot| worth[slot.index() as usize];
    let this = of(write.slot);
    assert!(this < becomes, "{write:?}: the slot already held as much");
    let attempted = |slot| round.iter().any(|done| done.slot == slot);
    assert!(!attempted(write.slot), "{write:?}: twice in one round");
    for other in Slot::ALL {
        let waits = other != write.slot && !attempted(other) && of(other) < becomes;
        assert!(
            !waits || of(other) > this || (of(other) == this && other < write.slot),
            "{write:?}: slot {other} should have come first"
        );
    }
    let winning = Worth::Old(Rank::Winning);
    let others = Slot::ALL.into_iter().filter(|slot| *slot != write.slot);
    assert!(
        this < winning || others.into_iter().any(|slot| of(slot) >= winning),
        "{write:?}: the last winning copy"
    );
}

/// What crashes led to, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Starting states.
    pub starts: usize,
    /// Of these, states in which the write is refused to anyone.
    pub refused: usize,
    /// Runs of the protocol.
    pub runs: usize,
    /// States that a crash can leave.
    pub crashes: usize,
    /// Crashes after which nothing wins though something did.
    pub lost: usize,
    /// Crashes after which something older wins than before.
    pub reverted: usize,
    /// Crashes after which something wins that was neither there nor written.
    pub invented: usize,
    /// Crashes after which a write that was told to be done does not win.
    pub forgotten: usize,
    /// Crashes that left a split where there was none.
    pub split: usize,
    /// Crashes after which a device is weak, and a person is asked, that needed none.
    pub weakened: usize,
    /// Crashes after which a device is not to be assembled that needed no person.
    pub stranded: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} starts, {} refused, {} runs, {} crash states: {} lost, {} reverted, \
             {} invented, {} forgotten, {} split, {} weakened, {} stranded",
            self.starts,
            self.refused,
            self.runs,
            self.crashes,
            self.lost,
            self.reverted,
            self.invented,
            self.forgotten,
            self.split,
            self.weakened,
            self.stranded
        )
    }
}

/// Whether a device judged so comes up without a person.
pub fn assembles(verdict: Verdict) -> bool {
    matches!(verdict.assembly(), Assembly::Yes | Assembly::WithEvent)
}

/// Judges every state in which a crash could have left `run`.
pub fn examine_crashes(book: &mut Book, start: &Disk, new: Body, run: &Run, tally: &mut Tally) {
    tally.runs += 1;
    let mut acknowledged = false;
    for step in &run.trace {
        match step {
            Step::Flushed => {}
            Step::Acknowledged(_) => acknowledged = true,
            Step::Wrote(write) => {
                for disk in torn_disks(book, write) {
                    examine(book, start, new, acknowledged, &disk, tally);
                }
            }
        }
    }
    examine(book, start, new, acknowledged, &run.disk, tally);
}

/// The states in which a crash during `write` can leave the disk.
pub fn torn_disks(book: &mut Book, write: &Write) -> Vec<Disk> {
    let at = write.slot.index() as usize;
    let slots = match write.failed {
        true => vec![write.before[at], write.after[at]],
        false => book.torn(write.before[at], write.after[at]),
    };
    let with = |id| {
        let mut disk = write.before;
        disk[at] = id;
        disk
    };
    slots.into_iter().map(with).collect()
}

/// Judges one state that a crash left.
pub fn examine(
    book: &mut Book,
    start: &Disk,
    new: Body,
    acknowledged: bool,
    disk: &Disk,
    tally: &mut Tally,
) {
    let before = book.facts(start);
    let after = book.facts(disk);
    tally.crashes += 1;
    match after.winner {
        Some(winner) if winner == new || Some(winner) == before.winner => {}
        Some(_) if after.sequence < before.sequence => tally.reverted += 1,
        Some(_) => tally.invented += 1,
        None if before.winner.is_some() => tally.lost += 1,
        None => {}
    }
    tally.forgotten += usize::from(acknowledged && after.winner != Some(new));
    let split = |verdict| verdict == Verdict::Split;
    tally.split += usize::from(split(after.verdict) && !split(before.verdict));
    match after.verdict {
        _ if assembles(after.verdict) || !assembles(before.verdict) => {}
        Verdict::Weak => tally.weakened += 1,
        _ => tally.stranded += 1,
    }
}

/// Every state in which a crash could have left `run`.
pub fn crashed_disks(book: &mut Book, run: &Run) -> Vec<Disk> {
    let mut disks = vec![run.disk];
    for write in run.writes() {
        disks.extend(torn_disks(book, write));
    }
    disks
}

/// Repairs every state in which a crash could have left `run`, on a disk that takes
/// every write: all five copies must hold then what won after the crash.
pub fn check_repairs(book: &mut Book, run: &Run) {
    for disk in crashed_disks(book, run) {
        let crashed = book.facts(&disk);
        if crashed.winner.is_none() || !book.repaired.insert(disk) {
            continue;
        }
        let prepared = book.prepare(&disk, Intent::Heal, Authority::Typed);
        let prepared = prepared.unwrap_or_else(|refusal| panic!("{crashed:?}: {refusal}"));
        let repaired = self::run(book, disk, SOUND, &prepared, &disk);
        let healed = book.facts(&repaired.disk);
        assert_eq!(healed.verdict, Verdict::Healthy, "from {crashed:?}");
        assert_eq!(healed.winner, crashed.winner, "from {crashed:?}");
        let committed = repaired.outcome.unwrap();
        assert!(committed.is_complete() && committed.error.is_none());
    }
}
