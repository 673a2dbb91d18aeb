//! What an event of a target means, for whoever reads of it for the first time.

use crate::remap_core::event::Event;

/// What the event means and what follows from it, in a sentence or two.
pub const fn event(event: &Event) -> &'static str {
    match event {
        Event::Activated { .. } => {
            "The device came up: its copies and its remap table were read and judged before the \
             first read or write was let through."
        }
        Event::Deactivated => "The device was taken down. Its metadata stays on the spare.",
        Event::MetadataWritten { .. } => {
            "All five copies were written anew, one after the other, and read back."
        }
        Event::ScrubClean => {
            "All five copies, both region headers and both readings of every table block were \
             read and are intact."
        }
        Event::CorruptionDetected { .. } => {
            "A scrub found copies or table blocks that do not hold what they should. The data is \
             safe while three copies agree; a repair follows."
        }
        Event::RepairScheduled { .. } => {
            "The target will write the winning content over what is damaged. It waits 1 s, \
             then 2 s, then 3 s, and tries five times at most."
        }
        Event::RepairCompleted => {
            "What was damaged was written anew from the winning content and read back."
        }
        Event::MainLabel { .. } => {
            "A label of main, by which it is known and by which nobody takes it past the device, is \
             not as it must be. One that is lost is written anew; what others wrote over one stays, \
             and a person must look."
        }
        Event::MainCovered { .. } => {
            "The first and the last MiB of main are served from the spare, and main itself shows \
             labels and zeros there: nobody takes it past the device. Without the spare they are in \
             the backup alone."
        }
        Event::MainUncovered { .. } => {
            "The first and the last MiB of main are served from main again, and whoever looks at \
             main itself sees what they hold. Blocks that main does not take stay on the spare."
        }
        Event::RepairFailed { .. } => {
            "The spare did not take what was written, or gave back something else. Another attempt \
             follows, until there were five."
        }
        Event::RepairGaveUp => {
            "Five attempts failed, and the target stopped trying. Look at the health of the spare, \
             then ask for a repair."
        }
        Event::Remapped { .. } => {
            "A block of main could not be written. Its data went to the spare, where it is read \
             from now on; nothing was lost."
        }
        Event::Pending { .. } => {
            "A block of main could not be read, and whoever read it was told so. What it held is \
             lost unless main gives it back; the next write moves the block to the spare."
        }
        Event::ReplacementBad { .. } => {
            "A block of the spare failed while it was written, and is not used any more. Another \
             one took its place."
        }
        Event::NotRelocated { .. } => {
            "A write failed and could not be moved to the spare. Whoever wrote was told of the \
             error: nothing was acknowledged that is not stored."
        }
        Event::SpareUse { .. } => {
            "The replacement area fills up. Each mark is told once: 75, 90 and 100 %. When it is \
             full, the next block that fails is an error."
        }
        Event::MainSuspect => {
            "So much fails on main that it is no matter of single blocks. Nothing is moved any \
             more, so that a loose cable does not use up the spare."
        }
        Event::SpareFails => {
            "The spare fails. Nothing is moved to it any more; a block of main that fails is an \
             error."
        }
        Event::NeedsCheck => {
            "Both readings of a table block are intact and contradict each other. The device is \
             read-only until somebody looked."
        }
        Event::LeftOut { .. } => {
            "So much happened to single blocks within a second that the kernel's log was not told \
             of each. What became of them is on the page of the remaps."
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::remap_core::repair::{delay_before, MAX_ATTEMPTS};

    #[test]
    fn what_is_said_of_the_back_off_is_what_the_rules_do() {
        let waits: Vec<u64> = (1..=MAX_ATTEMPTS)
            .map(|attempt| delay_before(attempt) / 1000)
            .collect();
        assert_eq!(waits, [1, 2, 3, 3, 3]);
    }
}
