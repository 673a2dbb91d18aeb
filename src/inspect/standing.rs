//! The standing of a device: everything that is amiss with it, ranked by what is lost.
//!
//! One value for the line on top, the list's STATE and the overview, so that none of them
//! calls a device safe while another tells of damage.

use std::fmt;

use super::{name_copies, Inspection};
use crate::remap_core::policy::UsageMark;
use crate::remap_core::quorum::{Assembly, Verdict};
use crate::remap_core::status::{Mode, RepairStatus, Status};
use crate::remap_core::units::{Blocks, PerSlot, Slot};

/// How much a matter costs, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Nothing now; room for later failures runs out.
    Room,
    /// The protection itself: the next block that fails is an error.
    Protection,
    /// Sight: nothing is known of the device.
    Sight,
    /// Redundancy of the metadata; enough of it is left.
    Redundancy,
    /// All redundancy but the last: one more failure may cost the device.
    Margin,
    /// The next block that fails, although there is metadata.
    NextBlock,
    /// Blocks that cannot be read and are not on the spare.
    Blocks,
    /// Truth: others read what was there before blocks were moved, and write past them.
    Truth,
    /// The device as a whole.
    Device,
}

/// Something that is amiss with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// The spare fills up.
    SpareUse {
        /// Replacement blocks that are not free.
        used: Blocks,
        /// Replacement blocks in all.
        total: Blocks,
    },
    /// The target passes everything through, for there is no metadata.
    NoMetadata,
    /// The device could not be read.
    Unreadable,
    /// Copies or one region of the table are damaged; enough is left to repair them.
    Damaged {
        /// [`Verdict::Degraded`] or [`Verdict::Interrupted`].
        verdict: Verdict,
        /// The letter of each copy.
        copies: PerSlot<char>,
        /// Progress of the target towards a repair.
        repair: Repair,
    },
    /// One or two copies are left.
    Weak,
    /// The table contradicts itself: read-only.
    NeedsCheck,
    /// Every attempt to repair the metadata failed.
    RepairGaveUp,
    /// The spare is full.
    SpareFull,
    /// The spare fails.
    SpareFails,
    /// Blocks of main are lost: unreadable, and not on the spare.
    BlocksLost(u64),
    /// It is main of a device that is not active, and in use past it.
    MainHeld,
    /// Main fails as a whole.
    MainFails,
    /// The device cannot be assembled, or not again once it is removed.
    Unassemblable(Verdict),
}

/// Progress of an active target towards a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// No target is there to do it.
    Inactive,
    /// The target has not found the damage yet.
    NotFound,
    /// The target found the damage, and no attempt is due.
    Found,
    /// An attempt is due.
    Due {
        /// Its number, from 1 to [`MAX_ATTEMPTS`](crate::remap_core::repair::MAX_ATTEMPTS).
        attempt: u8,
        /// In how many milliseconds.
        in_millis: u64,
    },
}

/// Knowledge of the disk that carries the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Nobody looked yet.
    Unseen,
    /// It could not be opened or read.
    Unreadable,
    /// It was read.
    Seen {
        /// The verdict of the device.
        verdict: Verdict,
        /// The letter of each copy.
        copies: PerSlot<char>,
        /// Blocks of main that its table tells to be lost.
        lost: u64,
    },
}

impl Disk {
    /// The same of an inspection.
    pub fn of(seen: &Inspection) -> Self {
        Self::Seen {
            verdict: seen.verdict(),
            copies: seen.judgement.states.map(|_, state| state.letter()),
            lost: seen.lost_blocks(),
        }
    }
}

impl Matter {
    /// Cost of the matter; of two that cost blocks, the one that costs more is worse.
    pub const fn loss(&self) -> (Loss, u64) {
        match *self {
            Self::SpareUse { .. } => (Loss::Room, 0),
            Self::NoMetadata => (Loss::Protection, 0),
            Self::Unreadable => (Loss::Sight, 0),
            Self::Damaged { .. } => (Loss::Redundancy, 0),
            Self::Weak | Self::NeedsCheck | Self::RepairGaveUp => (Loss::Margin, 0),
            Self::SpareFull | Self::SpareFails => (Loss::NextBlock, 0),
            Self::BlocksLost(blocks) => (Loss::Blocks, blocks),
            Self::MainHeld => (Loss::Truth, 0),
            Self::MainFails | Self::Unassemblable(_) => (Loss::Device, 0),
        }
    }
}

impl fmt::Display for Matter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpareUse { .. } => f.write_str("the spare fills up"),
            Self::NoMetadata => f.write_str("no metadata"),
            Self::Unreadable => f.write_str("cannot be read"),
            Self::Damaged {
                verdict: Verdict::Interrupted,
                ..
            } => f.write_str("a write of the copies did not end"),
            Self::Damaged { copies, .. } => {
                let damaged = |letter: &char| !matches!(letter, 'V' | 'P');
                let slots = copies.iter().filter(|(_, letter)| damaged(letter));
                let slots: Vec<Slot> = slots.map(|(slot, _)| slot).collect();
                match name_copies(&slots) {
                    Some(copies) => write!(f, "{copies} damaged"),
                    None => f.write_str("half of the remap table damaged"),
                }
            }
            Self::Unassemblable(verdict) => verdict.fmt(f),
            Self::Weak => Verdict::Weak.fmt(f),
            Self::NeedsCheck => f.write_str("table contradicts itself"),
            Self::RepairGaveUp => f.write_str("repair gave up"),
            Self::SpareFull => f.write_str("spare full"),
            Self::SpareFails => f.write_str("spare fails"),
            Self::BlocksLost(1) => f.write_str("1 block lost"),
            Self::BlocksLost(blocks) => write!(f, "{blocks} blocks lost"),
            Self::MainHeld => f.write_str("in use past its mapped device"),
            Self::MainFails => f.write_str("main fails"),
        }
    }
}

/// Everything that is amiss with a device, the worst first: with the status of its target
/// where it is active, what is known of its spare, and whether it is a main that others hold
/// past its mapped device. Empty where it is safe.
pub fn standing(active: Option<&Status>, disk: Disk, is_held: bool) -> Vec<Matter> {
    let mut matters = Vec::new();
    if is_held {
        matters.push(Matter::MainHeld);
    }
    if let Some(status) = active {
        of_target(status, &mut matters);
    }
    if disk == Disk::Unreadable {
        matters.push(Matter::Unreadable);
    }
    let on_disk = match disk {
        Disk::Seen { lost, .. } => lost,
        Disk::Unseen | Disk::Unreadable => 0,
    };
    match on_disk.max(active.map_or(0, |status| status.pending.get())) {
        0 => {}
        lost => matters.push(Matter::BlocksLost(lost)),
    }
    matters.extend(of_verdict(active, disk));
    matters.sort_by_key(|matter| std::cmp::Reverse(matter.loss()));
    matters
}

fn of_target(status: &Status, matters: &mut Vec<Matter>) {
    let mut push = |is_so: bool, matter| {
        if is_so {
            matters.push(matter);
        }
    };
    push(status.main_suspect, Matter::MainFails);
    push(status.spare_failing, Matter::SpareFails);
    push(status.needs_check, Matter::NeedsCheck);
    push(status.repair == RepairStatus::GaveUp, Matter::RepairGaveUp);
    push(status.mode == Mode::PassThrough, Matter::NoMetadata);
    let (used, total) = (status.used, status.total);
    match UsageMark::reached(used, total) {
        Some(_) if total.get() == 0 => {}
        Some(UsageMark::Exhausted) => push(true, Matter::SpareFull),
        Some(_) => push(true, Matter::SpareUse { used, total }),
        None => {}
    }
}

/// The worse of what the target found and what lies on the disk.
fn of_verdict(active: Option<&Status>, disk: Disk) -> Option<Matter> {
    let on_disk = match disk {
        Disk::Seen {
            verdict, copies, ..
        } => Some((verdict, copies)),
        Disk::Unseen | Disk::Unreadable => None,
    };
    let Some(status) = active else {
        let (verdict, copies) = on_disk?;
        return of_copies(verdict, copies, Repair::Inactive);
    };
    if status.mode == Mode::PassThrough {
        let (verdict, _) = on_disk?;
        // A target that found no metadata may have been handed the wrong disk.
        let is_ours = verdict != Verdict::None;
        let is_hopeless = is_ours && verdict.assembly() == Assembly::No;
        return is_hopeless.then_some(Matter::Unassemblable(verdict));
    }
    let found = (status.verdict, status.copies);
    let (verdict, copies) = match on_disk {
        Some(seen) if seen.0 >= found.0 => seen,
        _ => found,
    };
    if verdict == Verdict::None {
        // Under a target that came up with copies, none at all means that they are gone.
        return Some(Matter::Unassemblable(Verdict::Lost));
    }
    let repair = match status.repair {
        RepairStatus::Waiting { attempt, in_millis } => Repair::Due { attempt, in_millis },
        _ if status.verdict == Verdict::Healthy => Repair::NotFound,
        RepairStatus::Idle | RepairStatus::GaveUp => Repair::Found,
    };
    // A repair that is due is told even where the copies are intact: half of the table is not.
    match of_copies(verdict, copies, repair) {
        None if matches!(repair, Repair::Due { .. }) => Some(Matter::Damaged {
            verdict: Verdict::Degraded,
            copies,
            repair,
        }),
        matter => matter,
    }
}

fn of_copies(verdict: Verdict, copies: PerSlot<char>, repair: Repair) -> Option<Matter> {
    match verdict {
        Verdict::Healthy | Verdict::None => None,
        Verdict::Degraded | Verdict::Interrupted => Some(Matter::Damaged {
            verdict,
            copies,
            repair,
        }),
        Verdict::Weak => Some(Matter::Weak),
        other => Some(Matter::Unassemblable(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::standing_cases::every_device;

    #[test]
    fn nothing_is_amiss_only_where_every_fact_is_well() {
        let mut safe = 0;
        let mut others = 0;
        every_device(|active, disk, is_held, is_safe| {
            let matters = standing(active, disk, is_held);
            assert_eq!(matters.is_empty(), is_safe, "{active:?} {disk:?}");
            assert_eq!(matters.contains(&Matter::MainHeld), is_held);
            let ranks: Vec<_> = matters.iter().map(Matter::loss).collect();
            assert!(ranks.is_sorted_by(|one, next| one >= next), "{matters:?}");
            let count = if is_safe { &mut safe } else { &mut others };
            *count += 1;
        });
        assert!(safe > 0 && others > 100_000, "{safe} safe, {others} others");
    }

    #[test]
    fn what_is_lost_goes_before_what_may_be() {
        let copies = PerSlot::new(['V'; 5]);
        let lost = |lost| Matter::BlocksLost(lost);
        let damaged = Matter::Damaged {
            verdict: Verdict::Degraded,
            copies,
            repair: Repair::Found,
        };
        let ladder = [
            Matter::SpareUse {
                used: Blocks::new(3),
                total: Blocks::new(4),
            },
            Matter::NoMetadata,
            Matter::Unreadable,
            damaged,
            Matter::Weak,
            Matter::SpareFull,
            lost(1),
            lost(2),
            Matter::MainHeld,
            Matter::Unassemblable(Verdict::Lost),
        ];
        assert!(ladder.is_sorted_by(|one, next| one.loss() < next.loss()));
    }
}
