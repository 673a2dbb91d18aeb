//! Every state of a device that its standing can be asked for.

use super::Disk;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::status::{Mode, RepairStatus, Status};
use crate::remap_core::units::Blocks;

/// Calls `see` with every combination of what a target can tell of itself, of what can be known
/// of the disk and of whether others hold it as a main past its device, and with whether the
/// device may be called safe.
pub(crate) fn every_device(mut see: impl FnMut(Option<&Status>, Disk, bool, bool)) {
    let mut see = |active: Option<&Status>, disk, is_safe| {
        see(active, disk, false, is_safe);
        see(active, disk, true, false);
    };
    let line = "1 rw healthy VVVVV 18 10 0 10/100 0 0 1 0 0 0 idle 41 3559 - -";
    let well: Status = line.parse().unwrap();
    let copies = well.copies;
    let seen = Verdict::ALL.into_iter().flat_map(|verdict| {
        [0, 5].map(|lost| Disk::Seen {
            verdict,
            copies,
            lost,
        })
    });
    let disks: Vec<Disk> = [Disk::Unseen, Disk::Unreadable]
        .into_iter()
        .chain(seen)
        .collect();
    let is_well = |disk: &Disk| {
        matches!(disk, Disk::Unseen)
            || matches!(
                disk,
                Disk::Seen {
                    verdict: Verdict::Healthy,
                    lost: 0,
                    ..
                }
            )
    };
    for disk in &disks {
        // A disk of somebody else has no table to tell of lost blocks.
        let is_others = matches!(
            disk,
            Disk::Seen {
                verdict: Verdict::None,
                lost: 0,
                ..
            }
        );
        see(None, *disk, is_well(disk) || is_others);
    }
    let flags = [false, true];
    let repairs = [
        RepairStatus::Idle,
        RepairStatus::Waiting {
            attempt: 2,
            in_millis: 1500,
        },
        RepairStatus::GaveUp,
    ];
    let modes = [Mode::ReadWrite, Mode::ReadOnly, Mode::PassThrough];
    for (mode, repair) in modes
        .into_iter()
        .flat_map(|mode| repairs.map(|it| (mode, it)))
    {
        for (main_suspect, spare_failing) in flags.into_iter().flat_map(|it| flags.map(|b| (it, b)))
        {
            for (needs_check, pending) in flags.into_iter().flat_map(|it| [0, 3].map(|b| (it, b))) {
                for (used, verdict) in [10, 75, 90, 100]
                    .into_iter()
                    .flat_map(|used| Verdict::ALL.map(|verdict| (used, verdict)))
                {
                    let status = Status {
                        mode,
                        verdict,
                        repair,
                        main_suspect,
                        spare_failing,
                        needs_check,
                        pending: Blocks::new(pending),
                        used: Blocks::new(used),
                        total: Blocks::new(100),
                        ..well
                    };
                    let is_safe = mode != Mode::PassThrough
                        && verdict == Verdict::Healthy
                        && repair == RepairStatus::Idle
                        && !(main_suspect || spare_failing || needs_check)
                        && pending == 0
                        && used < 75;
                    for disk in &disks {
                        see(Some(&status), *disk, is_safe && is_well(disk));
                    }
                }
            }
        }
    }
}
