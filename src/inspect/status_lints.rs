//! The lints on what the target of an active device tells of itself.

use super::Finding;
use crate::command_line;
use crate::port::Mapped;
use crate::remap_core::policy::UsageMark;
use crate::remap_core::repair::MAX_ATTEMPTS;
use crate::remap_core::status::{Mode, RepairStatus};

/// Everything worth saying of an active device from its target's status, most urgent
/// first.
pub fn status_findings(device: &Mapped) -> Vec<Finding> {
    let status = &device.status;
    let mut found = Vec::new();
    if status.main_suspect {
        found.push(Finding::error(
            "main-suspect",
            "Main fails as a whole; nothing is moved to the spare.",
            "Check its cable, controller and power. Reads of blocks that were moved still work.",
        ));
    }
    if status.spare_failing {
        found.push(Finding::error(
            "spare-failing",
            "The spare fails; nothing is moved to it.",
            "Replace the spare before main gets worse.",
        ));
    }
    if status.needs_check {
        found.push(Finding::error(
            "needs-check",
            "The remap table contradicts itself; the device is read-only.",
            "Compare both readings of the contradicting blocks before anything is written.",
        ));
    }
    if status.mode == Mode::PassThrough {
        found.push(Finding::warning(
            "no-metadata",
            "There is no metadata: a block that cannot be written is an error, not a remap.",
            format!(
                "To remap from now on, run: {}",
                command_line::line(["write-metadata", &device.name])
            ),
        ));
    }
    match status.repair {
        RepairStatus::Idle => {}
        RepairStatus::Waiting { attempt, in_millis } => found.push(Finding::warning(
            "repair-waiting",
            format!(
                "Damage was found; attempt {attempt} of {MAX_ATTEMPTS} to repair it is due in {} s.",
                in_millis.div_ceil(1000)
            ),
            "The target repairs it by itself. No action needed.",
        )),
        RepairStatus::GaveUp => found.push(Finding::error(
            "repair-gave-up",
            format!("All {MAX_ATTEMPTS} attempts to repair the metadata failed."),
            format!(
                "Look at the health of the spare, then try again: {}",
                command_line::line(["repair", &device.name])
            ),
        )),
    }
    match UsageMark::reached(status.used, status.total) {
        Some(UsageMark::Exhausted) if status.total.get() > 0 => found.push(Finding::error(
            "spare-full",
            "The spare is full: the next block that fails is an error.",
            "Copy the data to a new disk now.",
        )),
        Some(mark) if status.total.get() > 0 => found.push(Finding::warning(
            "spare-use",
            format!("More than {} % of the spare is used.", mark.percent()),
            "Plan to replace main.",
        )),
        _ => {}
    }
    if status.pending.get() > 0 {
        found.push(Finding::warning(
            "reads-lost",
            format!(
                "{} of main cannot be read; the next write moves each.",
                match status.pending.get() {
                    1 => "1 block".to_owned(),
                    count => format!("{count} blocks"),
                }
            ),
            "Restore what they held from a backup of the data, if there is one.",
        ));
    }
    super::sort_findings(&mut found);
    found
}
