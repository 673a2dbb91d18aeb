// SPDX-License-Identifier: GPL-2.0-or-later
//! The verdict on a device, and what may be done about it.
//!
//! `quorum` finds the verdict of the five copies alone, by which copies are written.
//! [`Evidence`] makes of it, and of everything else that decides how the device comes up,
//! the verdict that people and scripts are told.

use core::fmt;

use crate::remap_core::main_verdict::MainVerdict;

/// The verdict on the five copies, or on the device as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Five winners.
    Healthy,
    /// Three or four winners.
    Degraded,
    /// A write of the copies did not end: the rest are exactly one sequence older.
    Interrupted,
    /// One or two winners without a rival.
    Weak,
    /// A minority is more than one ahead.
    Outlier,
    /// The same sequence with different content.
    Split,
    /// Another signature lies beside what is ours; no copy shows it.
    Ambivalent,
    /// Another signature sits in slot 0.
    ForeignOverwritten,
    /// Incompatible features, or another layout under our magic.
    Unsupported,
    /// Ours, but nothing valid.
    Lost,
    /// Nothing here says that it is ours.
    None,
}

/// Whether a device may be assembled without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assembly {
    /// Yes.
    Yes,
    /// Yes, with an event that says what is amiss.
    WithEvent,
    /// Read-only, when a person asks.
    ReadOnlyOnRequest,
    /// No.
    No,
}

/// Whether copies may be rewritten without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healing {
    /// There is nothing to heal.
    NotNeeded,
    /// Yes, after a backup of what is overwritten.
    AfterBackup,
    /// Yes: the newest goes to the slots that missed it.
    RollForward,
    /// When a person says so.
    Ask,
    /// When a person says so, having typed the device's name.
    TypedConfirmation,
    /// Never; a person may ask for a rebuild from the table's header.
    RebuildOnRequest,
    /// Never.
    Never,
}

/// The state of the remap table, as far as a target reads it to come up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableState {
    /// Both regions and their headers agree, or the format has no table.
    #[default]
    Intact,
    /// One region holds what the other, or its header, has lost or has older.
    Damaged,
    /// Intact readings that contradict each other: the device comes up read-only.
    Contradicted,
    /// Blocks that neither region holds: the device does not come up.
    Lost,
}

impl TableState {
    /// Every state, best first.
    pub const ALL: [Self; 4] = [Self::Intact, Self::Damaged, Self::Contradicted, Self::Lost];

    /// The best verdict that a device with such a table can get.
    const fn best_verdict(self) -> Verdict {
        match self {
            Self::Intact => Verdict::Healthy,
            Self::Damaged => Verdict::Degraded,
            Self::Contradicted => Verdict::Weak,
            Self::Lost => Verdict::Lost,
        }
    }
}

/// Everything that decides whether and how a device comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The verdict of the five copies.
    pub copies: Verdict,
    /// The remap table.
    pub table: TableState,
    /// Main, where it is known, and the spare have the sizes that the metadata
    /// says, and write blocks as small as the remap unit.
    pub fits: bool,
    /// Another's signature lies where nothing of ours does.
    pub foreign: bool,
    /// The verdict on main by its labels, where it is known and is to bear any.
    pub main: Option<MainVerdict>,
}

impl Evidence {
    /// The verdict on the device.
    ///
    /// Where nothing is ours, or nothing of it may be interpreted, the rest is not asked.
    /// Another's signature comes next: what else is wrong may be theirs. A device of another
    /// size or with larger blocks is unsupported: a target refuses it, no repair changes that,
    /// and what its table seems to lack may come back with its size. So is a main whose labels
    /// speak against it. Then the worst counts.
    pub fn verdict(&self) -> Verdict {
        let main = self.main.map_or(Verdict::Healthy, best_with_main);
        match self.copies {
            settled @ (Verdict::None | Verdict::Unsupported | Verdict::ForeignOverwritten) => {
                settled
            }
            _ if self.foreign || main == Verdict::Ambivalent => Verdict::Ambivalent,
            Verdict::Lost => Verdict::Lost,
            _ if !self.fits || main == Verdict::Unsupported => Verdict::Unsupported,
            copies => copies.max(self.table.best_verdict()).max(main),
        }
    }
}

/// The best verdict that a device with such a main can get.
const fn best_with_main(main: MainVerdict) -> Verdict {
    match main {
        MainVerdict::Labelled => Verdict::Healthy,
        MainVerdict::Damaged => Verdict::Degraded,
        // A target comes up on it read-only, and a person can have the labels written anew.
        MainVerdict::Unlabelled => Verdict::Weak,
        MainVerdict::Overwritten => Verdict::Ambivalent,
        MainVerdict::Former | MainVerdict::Newer | MainVerdict::Other | MainVerdict::Split => {
            Verdict::Unsupported
        }
    }
}

impl Verdict {
    /// Every verdict, best first.
    pub const ALL: [Self; 11] = [
        Self::Healthy,
        Self::Degraded,
        Self::Interrupted,
        Self::Weak,
        Self::Outlier,
        Self::Split,
        Self::Ambivalent,
        Self::ForeignOverwritten,
        Self::Unsupported,
        Self::Lost,
        Self::None,
    ];

    /// The verdict's name, as reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Interrupted => "interrupted",
            Self::Weak => "weak",
            Self::Outlier => "outlier",
            Self::Split => "split",
            Self::Ambivalent => "ambivalent",
            Self::ForeignOverwritten => "foreign-overwritten",
            Self::Unsupported => "unsupported",
            Self::Lost => "lost",
            Self::None => "none",
        }
    }

    /// Whether the device may be assembled without a person.
    pub const fn assembly(self) -> Assembly {
        match self {
            Self::Healthy => Assembly::Yes,
            Self::Degraded | Self::Interrupted => Assembly::WithEvent,
            Self::Weak => Assembly::ReadOnlyOnRequest,
            Self::Outlier
            | Self::Split
            | Self::Ambivalent
            | Self::ForeignOverwritten
            | Self::Unsupported
            | Self::Lost
            | Self::None => Assembly::No,
        }
    }

    /// Whether the copies may be rewritten without a person.
    pub const fn healing(self) -> Healing {
        match self {
            Self::Healthy => Healing::NotNeeded,
            Self::Degraded => Healing::AfterBackup,
            Self::Interrupted => Healing::RollForward,
            Self::Weak | Self::Outlier => Healing::Ask,
            Self::Ambivalent | Self::ForeignOverwritten => Healing::TypedConfirmation,
            Self::Lost => Healing::RebuildOnRequest,
            Self::Split | Self::Unsupported | Self::None => Healing::Never,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
