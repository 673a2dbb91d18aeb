// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator should see happen; each raises a device-mapper event.

use core::fmt;

use crate::remap_core::label::End;
use crate::remap_core::main_verdict::LabelState;
use crate::remap_core::policy::{PassUp, UsageMark};
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::{Blocks, MainBlock, Replacement, Sequence};

/// Something that happened on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The device came up.
    Activated {
        /// What its copies were judged.
        verdict: Verdict,
    },
    /// The device was taken down.
    Deactivated,
    /// The copies were written anew.
    MetadataWritten {
        /// The new sequence.
        sequence: Sequence,
    },
    /// A scrub found everything intact.
    ScrubClean,
    /// A scrub found damage.
    CorruptionDetected {
        /// How many of the five copies are damaged.
        copies: u8,
        /// How many table blocks and region headers are.
        table_blocks: u32,
    },
    /// A scrub found a label of main that is not as it must be.
    MainLabel {
        /// The end of main.
        end: End,
        /// Its state.
        state: LabelState,
    },
    /// The ends of main are served from the spare from now on, and labels lie in their place.
    MainCovered {
        /// How many blocks were moved for that.
        moved: Blocks,
    },
    /// The ends of main are where they were again.
    MainUncovered {
        /// How many blocks of them stay on the spare, for main does not take them.
        stay: Blocks,
    },
    /// A repair was scheduled.
    RepairScheduled {
        /// Which attempt.
        attempt: u8,
        /// In how many milliseconds.
        in_millis: u64,
    },
    /// Everything is intact again.
    RepairCompleted,
    /// An attempt to repair failed.
    RepairFailed {
        /// Which attempt.
        attempt: u8,
    },
    /// Every attempt failed.
    RepairGaveUp,
    /// A block of main is served from the spare from now on.
    Remapped {
        /// The block.
        block: MainBlock,
        /// What replaces it.
        replacement: Replacement,
    },
    /// A block of main could not be read; the next write to it moves it.
    Pending {
        /// The block.
        block: MainBlock,
    },
    /// A replacement block failed and is used no more.
    ReplacementBad {
        /// The block.
        replacement: Replacement,
    },
    /// A block failed and was not relocated.
    NotRelocated {
        /// The block.
        block: MainBlock,
        /// Why.
        why: PassUp,
    },
    /// A mark in the use of the spare was passed.
    SpareUse {
        /// The mark.
        mark: UsageMark,
    },
    /// Main fails as a whole.
    MainSuspect,
    /// The spare fails.
    SpareFails,
    /// The remap table contradicts itself: read-only until somebody looked.
    NeedsCheck,
    /// More happened to single blocks than the kernel log was told of one by one.
    LeftOut {
        /// How often.
        lines: u64,
    },
}

/// How much an event asks of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing.
    Info,
    /// A look.
    Warning,
    /// Something to be done.
    Error,
}

impl Severity {
    /// Its name, as reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Event {
    /// The event's name, as logs and uevents spell it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Activated { .. } => "activated",
            Self::Deactivated => "deactivated",
            Self::MetadataWritten { .. } => "metadata-written",
            Self::ScrubClean => "scrub-clean",
            Self::CorruptionDetected { .. } => "corruption-detected",
            Self::MainLabel { .. } => "main-label",
            Self::MainCovered { .. } => "main-covered",
            Self::MainUncovered { .. } => "main-uncovered",
            Self::RepairScheduled { .. } => "repair-scheduled",
            Self::RepairCompleted => "repair-completed",
            Self::RepairFailed { .. } => "repair-failed",
            Self::RepairGaveUp => "repair-gave-up",
            Self::Remapped { .. } => "remapped",
            Self::Pending { .. } => "pending",
            Self::ReplacementBad { .. } => "replacement-bad",
            Self::NotRelocated { .. } => "not-relocated",
            Self::SpareUse { .. } => "spare-use",
            Self::MainSuspect => "main-suspect",
            Self::SpareFails => "spare-fails",
            Self::NeedsCheck => "needs-check",
            Self::LeftOut { .. } => "left-out",
        }
    }

    /// How much it asks of the operator.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Activated {
                verdict: Verdict::Healthy,
            }
            | Self::Deactivated
            | Self::MetadataWritten { .. }
            | Self::ScrubClean
            | Self::MainCovered { .. }
            | Self::MainUncovered { .. }
            | Self::RepairScheduled { .. }
            | Self::RepairCompleted
            | Self::Remapped { .. } => Severity::Info,
            Self::Activated { .. }
            | Self::CorruptionDetected { .. }
            | Self::MainLabel { .. }
            | Self::RepairFailed { .. }
            | Self::Pending { .. }
            | Self::ReplacementBad { .. }
            | Self::LeftOut { .. } => Severity::Warning,
            Self::SpareUse {
                mark: UsageMark::Exhausted,
            } => Severity::Error,
            Self::SpareUse { .. } => Severity::Warning,
            Self::RepairGaveUp
            | Self::NotRelocated { .. }
            | Self::MainSuspect
            | Self::SpareFails
            | Self::NeedsCheck => Severity::Error,
        }
    }
}

impl Event {
    /// The whole of what is said of an event that has no numbers.
    pub(crate) const fn fixed_words(&self) -> Option<&'static str> {
        Some(match self {
            Self::Deactivated => "deactivated",
            Self::ScrubClean => "scrub: all intact",
            // As far as is known: what was damaged may be repaired before it is looked at.
            Self::CorruptionDetected {
                copies: 0,
                table_blocks: 0,
            } => "scrub: damage found",
            Self::RepairCompleted => "repair: all intact again",
            Self::RepairGaveUp => "repair: gave up until the next scrub",
            Self::MainSuspect => "main fails as a whole; nothing is moved",
            Self::SpareFails => "the spare fails; nothing is moved",
            Self::NeedsCheck => "the remap table contradicts itself; read-only",
            _ => return None,
        })
    }
}

// What is written here is read again by `log_line`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deactivated
            | Self::ScrubClean
            | Self::CorruptionDetected {
                copies: 0,
                table_blocks: 0,
            }
            | Self::RepairCompleted
            | Self::RepairGaveUp
            | Self::MainSuspect
            | Self::SpareFails
            | Self::NeedsCheck => f.write_str(self.fixed_words().unwrap_or_default()),
            Self::Activated { verdict } => write!(f, "activated, copies {verdict}"),
            Self::MetadataWritten { sequence } => {
                write!(f, "metadata written, sequence {sequence}")
            }
            Self::CorruptionDetected {
                copies,
                table_blocks: 0,
            } => {
                write!(f, "scrub: damage in {copies} of 5 copies")
            }
            Self::CorruptionDetected {
                copies,
                table_blocks,
            } => {
                write!(
                    f,
                    "scrub: damage in {copies} of 5 copies, {table_blocks} table blocks"
                )
            }
            Self::MainLabel { end, state } => write!(f, "label at the {end} end of main: {state}"),
            Self::MainCovered { moved } => {
                write!(f, "the ends of main are covered, {moved} blocks moved")
            }
            Self::MainUncovered { stay } => {
                write!(
                    f,
                    "the ends of main are uncovered, {stay} blocks stay moved"
                )
            }
            Self::RepairScheduled { attempt, in_millis } => {
                write!(f, "repair: attempt {attempt} in {in_millis} ms")
            }
            Self::RepairFailed { attempt } => write!(f, "repair: attempt {attempt} failed"),
            Self::Remapped { block, replacement } => {
                write!(f, "block {block} moved to replacement {replacement}")
            }
            Self::Pending { block } => {
                write!(f, "block {block} cannot be read; the next write moves it")
            }
            Self::ReplacementBad { replacement } => {
                write!(f, "replacement {replacement} failed and is used no more")
            }
            Self::NotRelocated { block, why } => {
                write!(f, "block {block} failed and was not moved: {why}")
            }
            Self::SpareUse { mark } => write!(f, "spare {} % used", mark.percent()),
            Self::LeftOut { lines } => write!(f, "{lines} more lines like this one"),
        }
    }
}
