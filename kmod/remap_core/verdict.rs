// SPDX-License-Identifier: GPL-2.0-or-later
//! What a device's copies say together, and what may be done about it.

use core::fmt;

/// What the five copies say together.
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

impl Verdict {
    /// Every verdict, best first.
    pub const ALL: [Self; 10] = [
        Self::Healthy,
        Self::Degraded,
        Self::Interrupted,
        Self::Weak,
        Self::Outlier,
        Self::Split,
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
            Self::ForeignOverwritten => Healing::TypedConfirmation,
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
