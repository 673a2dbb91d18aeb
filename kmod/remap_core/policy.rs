// SPDX-License-Identifier: GPL-2.0-or-later
//! What a failed read or write means, and what is to be done about it.

use core::fmt;

use crate::remap_core::units::{Blocks, Errno, MainBlock};

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

/// Places on main, spread over all of it, that are asked when it is put to the test.
pub const PLACES: u64 = 16;

/// The bits of a word that are more than the number of a place has.
const SPARE_BITS: u32 = u64::BITS - PLACES.ilog2();

/// Places that are asked at once. A disk that fails at three places far from each other, and
/// far from where it failed before, fails as a whole.
pub const PROBES: u64 = 3;

/// Places on main that are to be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing {
    first: u64,
    /// How many at the most; the first that answers is enough.
    pub most: u64,
}

impl Probing {
    /// The places on a main of so many blocks, in the order in which they are to be asked:
    /// each far from the one before. Those that the failure was about, or that are served from
    /// the spare, say nothing.
    pub fn places(self, main: Blocks) -> impl Iterator<Item = MainBlock> {
        let last = u128::from(main.get().saturating_sub(1));
        (0..PLACES).map(move |number| {
            let turn = self.first.wrapping_add(number) & (PLACES - 1);
            // The bits of the turn from behind.
            let probe = u128::from(turn.reverse_bits().wrapping_shr(SPARE_BITS));
            // It lies within main, and so within its 64 bits.
            let at = last.wrapping_mul(probe).checked_div(u128::from(PLACES - 1));
            MainBlock::new(at.unwrap_or(0) as u64)
        })
    }
}

/// How main has been doing: a bad block is normal, a disk on which everything fails
/// is not a matter of blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    failures_in_a_row: u32,
    suspect: bool,
    /// It can be read and takes no writes.
    takes_no_writes: bool,
}

impl Health {
    /// Something on main succeeded: a read, or with `write` a write.
    pub fn succeeded(&mut self, write: bool) {
        *self = Self {
            takes_no_writes: self.takes_no_writes && !write,
            ..Self::default()
        };
    }

    /// So many requests to main failed. Returns whether main is to be put to the test now: by
    /// asking blocks far from those that failed, and reporting with
    /// [`Health::succeeded`] or [`Health::failed_test`]. That is at the first failure, so
    /// that a main which is gone loses not even one block to the spare.
    ///
    /// A main that failed as a whole may work again, and the next block that fails may be
    /// one that the spare can take: so one place is tried at each failure, another one each
    /// time. To try them all each time would keep a dead main busy for nothing.
    pub fn failed(&mut self, times: usize) -> Option<Probing> {
        let before = u64::from(self.failures_in_a_row);
        let now = before.saturating_add(times as u64);
        self.failures_in_a_row = u32::try_from(now).unwrap_or(u32::MAX);
        // Whether one of them is the first, or another sixteen after it.
        let rounds = |failures: u64| failures.div_ceil(u64::from(SUSPECT_AFTER));
        match times {
            0 => None,
            _ if rounds(now) > rounds(before) => Some(Probing {
                first: rounds(before).wrapping_mul(PROBES),
                most: PROBES,
            }),
            _ => self.is_suspect().then_some(Probing {
                first: before,
                most: 1,
            }),
        }
    }

    /// No place on main that was asked did what it was asked for; `readable` says whether one
    /// could be read at least. Returns whether that is news.
    pub fn failed_test(&mut self, readable: bool) -> bool {
        let news = !self.is_suspect();
        self.takes_no_writes |= readable;
        self.suspect |= !readable;
        news
    }

    /// Whether main fails as a whole, or as a whole takes no writes.
    pub const fn is_suspect(&self) -> bool {
        self.suspect || self.takes_no_writes
    }

    /// Whether that stands against a read, or with `write` against a write.
    pub const fn stands_against(&self, write: bool) -> bool {
        self.suspect || (write && self.takes_no_writes)
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
        let fails = |health: &mut Health| health.failed(1).map(|probing| probing.most);
        let tests = (1..=48)
            .filter_map(|_| fails(&mut health))
            .collect::<Vec<_>>();
        assert_eq!(tests, [PROBES; 3]);
        assert!(health.failed_test(false) && !health.failed_test(false));
        assert!(health.is_suspect());
        health.succeeded(false);
        assert!(!health.is_suspect());
        assert_eq!(fails(&mut health), Some(PROBES));
        assert_eq!((1..=15).find_map(|_| fails(&mut health)), None);
        assert_eq!(fails(&mut health), Some(PROBES));
        // Several at once: one test answers for all.
        assert_eq!(health.failed(0), None);
        assert_eq!(health.failed(15), None);
        assert_eq!(health.failed(40).map(|probing| probing.most), Some(PROBES));
    }

    #[test]
    fn a_suspected_main_is_asked_at_another_place_at_each_failure() {
        let mut health = Health::default();
        let size = Blocks::new(1501);
        let places = |probing: Probing| -> Vec<u64> {
            let places = probing.places(size).map(MainBlock::get);
            places.take(probing.most as usize).collect()
        };
        assert_eq!(places(health.failed(1).unwrap()), [0, 800, 400]);
        health.failed_test(false);
        let mut asked: Vec<u64> = (1..SUSPECT_AFTER)
            .flat_map(|_| places(health.failed(1).unwrap()))
            .collect();
        asked.push(0);
        asked.sort_unstable();
        let all: Vec<u64> = (0..PLACES).map(|place| place * 100).collect();
        assert_eq!(asked, all, "each place once");
        assert_eq!(places(health.failed(1).unwrap()), [1200, 200, 1000]);
        for size in [0, 1, u64::MAX] {
            let last = size.saturating_sub(1);
            let probing = Probing { first: 9, most: 1 };
            assert_eq!(probing.places(Blocks::new(size)).count(), 16);
            let within = |block: MainBlock| block.get() <= last;
            assert!(probing.places(Blocks::new(size)).all(within));
        }
    }

    #[test]
    fn a_main_that_can_only_be_read_stands_against_writes_until_one_succeeds() {
        let mut health = Health::default();
        assert!(health.failed(1).is_some());
        assert!(health.failed_test(true), "it is news");
        assert!(health.is_suspect() && health.stands_against(true));
        assert!(!health.stands_against(false));
        health.succeeded(false);
        assert!(health.stands_against(true), "a read says nothing of writes");
        health.succeeded(true);
        assert!(!health.is_suspect());
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
