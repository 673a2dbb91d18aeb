// SPDX-License-Identifier: GPL-2.0-or-later
//! What a failed read or write means, and what is to be done about it.

use core::fmt;

use crate::remap_core::units::{Blocks, Errno};

/// What kind of thing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// The medium: this block is bad.
    Medium,
    /// A plain I/O error: most likely this block.
    Plain,
    /// The device is gone.
    Offline,
    /// The way to the device failed.
    Transport,
    /// Somebody else holds a reservation.
    Reservation,
    /// The device takes no writes.
    ReadOnly,
    /// Anything else: not a matter of one block.
    Other,
}

impl Failure {
    /// Reads an error number as the block layer assigns them.
    pub const fn from_errno(errno: Errno) -> Self {
        match errno.get() {
            // ENODATA and EILSEQ are what medium and integrity errors come up as.
            61 | 84 => Self::Medium,
            // EIO and EREMOTEIO.
            5 | 121 => Self::Plain,
            // ENXIO, ENODEV and ESHUTDOWN.
            6 | 19 | 108 => Self::Offline,
            // ENOLINK and ETIMEDOUT.
            67 | 110 => Self::Transport,
            // EBADE.
            52 => Self::Reservation,
            // EROFS and EPERM.
            30 | 1 => Self::ReadOnly,
            _ => Self::Other,
        }
    }

    /// Whether it speaks of single blocks, so that narrowing and relocating can help.
    pub const fn is_of_blocks(self) -> bool {
        matches!(self, Self::Medium | Self::Plain)
    }
}

impl Failure {
    /// Every kind of failure.
    pub const ALL: [Self; 7] = [
        Self::Medium,
        Self::Plain,
        Self::Offline,
        Self::Transport,
        Self::Reservation,
        Self::ReadOnly,
        Self::Other,
    ];

    /// What it is called.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Medium => "medium error",
            Self::Plain => "I/O error",
            Self::Offline => "device offline",
            Self::Transport => "transport error",
            Self::Reservation => "reservation conflict",
            Self::ReadOnly => "device is read-only",
            Self::Other => "unexpected error",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What the target knows when a block fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Whether there is metadata to record a remap in.
    pub has_metadata: bool,
    /// Whether the device is up for writing.
    pub writable: bool,
    /// Whether the spare took the last write that was tried on it.
    pub spare_works: bool,
    /// Whether everything on main has been failing.
    pub main_suspect: bool,
    /// Replacement blocks still free.
    pub free: Blocks,
}

/// Why a failure goes up to whoever wrote or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassUp {
    /// It is not a matter of single blocks.
    NotOfBlocks(Failure),
    /// There is no metadata to record a remap in.
    NoMetadata,
    /// The device is up read-only.
    ReadOnly,
    /// The spare itself fails.
    SpareFails,
    /// Main fails as a whole; relocating would only eat the spare.
    MainSuspect,
    /// No replacement block is left.
    Exhausted,
}

impl PassUp {
    /// Every reason that is no failure of its own.
    const OF_THE_DEVICE: [Self; 5] = [
        Self::NoMetadata,
        Self::ReadOnly,
        Self::SpareFails,
        Self::MainSuspect,
        Self::Exhausted,
    ];

    /// Why, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotOfBlocks(failure) => failure.words(),
            Self::NoMetadata => "there is no metadata",
            Self::ReadOnly => "the device is read-only",
            Self::SpareFails => "the spare fails",
            Self::MainSuspect => "main fails as a whole",
            Self::Exhausted => "the spare is full",
        }
    }

    /// Every reason there is.
    pub fn all() -> impl Iterator<Item = Self> {
        let failures = Failure::ALL.into_iter().map(Self::NotOfBlocks);
        failures.chain(Self::OF_THE_DEVICE)
    }
}

impl fmt::Display for PassUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// Decides whether a block that failed may be relocated now (a write) or marked to be
/// relocated by the next write to it (a read).
///
/// # Errors
///
/// [`PassUp`] says why the error goes up instead. It goes up in the case of a read in
/// any event; the mark is all that is decided here.
pub fn may_relocate(failure: Failure, now: &Circumstances) -> Result<(), PassUp> {
    match () {
        () if !failure.is_of_blocks() => Err(PassUp::NotOfBlocks(failure)),
        () if !now.has_metadata => Err(PassUp::NoMetadata),
        () if !now.writable => Err(PassUp::ReadOnly),
        () if now.main_suspect => Err(PassUp::MainSuspect),
        () if !now.spare_works => Err(PassUp::SpareFails),
        () if now.free.get() == 0 => Err(PassUp::Exhausted),
        () => Ok(()),
    }
}

/// Failures in a row, without one success, after which main is put to the test again.
pub const SUSPECT_AFTER: u32 = 16;

/// How main has been doing: a bad block is normal, a disk on which everything fails
/// is not a matter of blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    failures_in_a_row: u32,
    suspect: bool,
}

impl Health {
    /// Something on main succeeded.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A block of main failed. Returns whether main is to be put to the test now: by
    /// reading blocks far from those that failed, and reporting with
    /// [`Health::succeeded`] or [`Health::failed_test`]. That is at the first failure, so
    /// that a main which is gone loses not even one block to the spare.
    pub fn failed(&mut self) -> bool {
        let before = self.failures_in_a_row;
        self.failures_in_a_row = before.saturating_add(1);
        before.checked_rem(SUSPECT_AFTER) == Some(0)
    }

    /// Nothing could be read anywhere on main. Returns whether that is news.
    pub fn failed_test(&mut self) -> bool {
        let news = !self.suspect;
        self.suspect = true;
        news
    }

    /// Whether main fails as a whole.
    pub const fn is_suspect(&self) -> bool {
        self.suspect
    }
}

/// A mark in the use of the spare that an operator is told of, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UsageMark {
    /// 75 % of the replacement blocks are taken.
    Percent75,
    /// 90 %.
    Percent90,
    /// All of them.
    Exhausted,
}

impl UsageMark {
    /// Every mark, highest first.
    pub const ALL: [Self; 3] = [Self::Exhausted, Self::Percent90, Self::Percent75];

    /// The percentage.
    pub const fn percent(self) -> u8 {
        match self {
            Self::Percent75 => 75,
            Self::Percent90 => 90,
            Self::Exhausted => 100,
        }
    }

    /// The highest mark reached with `used` of `total` blocks.
    pub fn reached(used: Blocks, total: Blocks) -> Option<Self> {
        Self::ALL.into_iter().find(|mark| {
            let used = u128::from(used.get()).saturating_mul(100);
            let total = u128::from(total.get());
            used >= total.saturating_mul(u128::from(mark.percent()))
        })
    }

    /// The mark that was passed when the use rose from `before` to `after`.
    pub fn passed(before: Blocks, after: Blocks, total: Blocks) -> Option<Self> {
        let now = Self::reached(after, total)?;
        (Self::reached(before, total) < Some(now)).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Circumstances = Circumstances {
        has_metadata: true,
        writable: true,
        spare_works: true,
        main_suspect: false,
        free: Blocks::new(1),
    };

    #[test]
    fn only_medium_and_plain_errors_relocate() {
        for number in 1..134 {
            let failure = Failure::from_errno(Errno::new(number));
            let relocates = may_relocate(failure, &FINE).is_ok();
            assert_eq!(
                relocates,
                [5, 61, 84, 121].contains(&number),
                "errno {number}"
            );
        }
    }

    #[test]
    fn every_circumstance_against_it_passes_the_error_up() {
        let cases = [
            (
                Circumstances {
                    has_metadata: false,
                    ..FINE
                },
                PassUp::NoMetadata,
            ),
            (
                Circumstances {
                    writable: false,
                    ..FINE
                },
                PassUp::ReadOnly,
            ),
            (
                Circumstances {
                    main_suspect: true,
                    ..FINE
                },
                PassUp::MainSuspect,
            ),
            (
                Circumstances {
                    spare_works: false,
                    ..FINE
                },
                PassUp::SpareFails,
            ),
            (
                Circumstances {
                    free: Blocks::new(0),
                    ..FINE
                },
                PassUp::Exhausted,
            ),
        ];
        assert_eq!(may_relocate(Failure::Medium, &FINE), Ok(()));
        for (now, why) in cases {
            assert_eq!(may_relocate(Failure::Medium, &now), Err(why));
        }
    }

    #[test]
    fn main_is_put_to_the_test_at_the_first_failure_and_each_sixteenth_after_it() {
        let mut health = Health::default();
        let tests = (1..=48).filter(|_| health.failed()).count();
        assert_eq!(tests, 3);
        assert!(health.failed_test() && !health.failed_test());
        assert!(health.is_suspect());
        health.succeeded();
        assert!(!health.is_suspect());
        assert!(health.failed());
        assert_eq!((1..=15).filter(|_| health.failed()).count(), 0);
        assert!(health.failed());
    }

    #[test]
    fn each_mark_is_passed_once_on_the_way_to_full() {
        for total in [1u64, 3, 4, 10, 64, 100, 1000] {
            let blocks = |n| Blocks::new(n);
            let mut marks = (0..total).filter_map(|used| {
                UsageMark::passed(blocks(used), blocks(used + 1), blocks(total))
            });
            let last = marks.by_ref().last();
            assert_eq!(last, Some(UsageMark::Exhausted), "{total}");
        }
        let marks: [Option<UsageMark>; 4] = [(74, 75), (75, 76), (89, 90), (99, 100)]
            .map(|(a, b)| UsageMark::passed(Blocks::new(a), Blocks::new(b), Blocks::new(100)));
        assert_eq!(
            marks,
            [
                Some(UsageMark::Percent75),
                None,
                Some(UsageMark::Percent90),
                Some(UsageMark::Exhausted)
            ]
        );
    }
}
