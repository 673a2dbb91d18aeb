// SPDX-License-Identifier: GPL-2.0-or-later
//! The status line of the target, versioned; written and read by the same code.
//!
//! ```text
//! 1 <mode> <verdict> <copies> <sequence> <active> <pending> <used>/<total>
//!   <write errors> <read errors> <scrubs> <corruption detected>
//!   <repairs completed> <repair attempts> <repair> <last scrub> <next scrub>
//!   <last repair> <flags>
//! ```
//!
//! `<copies>` is five letters, one per slot. `<repair>` is `idle`, `gave-up` or
//! `wait:<attempt>:<milliseconds until it>`. The three times are seconds ago or
//! ahead, `-` where there is none. `<flags>` is `-` or letters: `c` the table needs
//! a check, `m` main fails as a whole, `s` the spare fails.

use core::fmt;
use core::str::FromStr;

use crate::remap_core::quorum::Verdict;
use crate::remap_core::repair::MAX_ATTEMPTS;
use crate::remap_core::units::{Blocks, PerSlot, Sequence, Slot};

/// The version that the status line begins with.
pub const STATUS_VERSION: u32 = 1;

/// What the target lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Reads, writes and remaps.
    ReadWrite,
    /// Reads only.
    ReadOnly,
    /// Reads and writes to main; remaps nothing, for there is no metadata.
    PassThrough,
}

impl Mode {
    /// Its word in the status line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReadWrite => "rw",
            Self::ReadOnly => "ro",
            Self::PassThrough => "pass",
        }
    }
}

/// Where the repair stands, seen from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairStatus {
    /// Nothing is to be repaired.
    Idle,
    /// An attempt is due.
    Waiting {
        /// Which, from 1 on.
        attempt: u8,
        /// In how many milliseconds.
        in_millis: u64,
    },
    /// Every attempt failed.
    GaveUp,
}

/// Everything that the target tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it lets through.
    pub mode: Mode,
    /// What the last scrub judged the copies.
    pub verdict: Verdict,
    /// One letter per copy, as [`CopyState::letter`](crate::remap_core::quorum::CopyState::letter) gives them.
    pub copies: PerSlot<char>,
    /// The working sequence; 0 where there is no metadata.
    pub sequence: Sequence,
    /// Blocks served from the spare.
    pub active: Blocks,
    /// Blocks that the next write moves to the spare.
    pub pending: Blocks,
    /// Replacement blocks that are not free.
    pub used: Blocks,
    /// Replacement blocks in all.
    pub total: Blocks,
    /// Blocks of main that failed to be written.
    pub write_errors: u64,
    /// Blocks of main that failed to be read.
    pub read_errors: u64,
    /// Scrubs that ended.
    pub scrubs: u64,
    /// Scrubs that found damage.
    pub corruption_detected: u64,
    /// Repairs after which everything was intact.
    pub repairs_completed: u64,
    /// Repairs tried.
    pub repair_attempts: u64,
    /// Where the repair stands.
    pub repair: RepairStatus,
    /// Seconds since the last scrub ended.
    pub last_scrub: Option<u64>,
    /// Seconds until the next scrub.
    pub next_scrub: Option<u64>,
    /// Seconds since the last repair completed.
    pub last_repair: Option<u64>,
    /// The table contradicted itself: read-only until somebody looked.
    pub needs_check: bool,
    /// Main fails as a whole: nothing is relocated.
    pub main_suspect: bool,
    /// The spare fails: nothing is relocated.
    pub spare_failing: bool,
}

struct Time(Option<u64>);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(seconds) => write!(f, "{seconds}"),
            None => f.write_str("-"),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STATUS_VERSION} {} {} ", self.mode.word(), self.verdict)?;
        for (_, letter) in self.copies.iter() {
            write!(f, "{letter}")?;
        }
        write!(
            f,
            " {} {} {} {}/{} {} {} {} {} {} {} ",
            self.sequence,
            self.active,
            self.pending,
            self.used,
            self.total,
            self.write_errors,
            self.read_errors,
            self.scrubs,
            self.corruption_detected,
            self.repairs_completed,
            self.repair_attempts,
        )?;
        match self.repair {
            RepairStatus::Idle => f.write_str("idle")?,
            RepairStatus::Waiting { attempt, in_millis } => {
                write!(f, "wait:{attempt}:{in_millis}")?;
            }
            RepairStatus::GaveUp => f.write_str("gave-up")?,
        }
        write!(
            f,
            " {} {} {} ",
            Time(self.last_scrub),
            Time(self.next_scrub),
            Time(self.last_repair)
        )?;
        let flags = [
            (self.needs_check, 'c'),
            (self.main_suspect, 'm'),
            (self.spare_failing, 's'),
        ];
        if flags.iter().all(|(set, _)| !set) {
            return f.write_str("-");
        }
        flags
            .iter()
            .filter(|(set, _)| *set)
            .try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

/// A status line that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusError {
    /// It is of another version, or of none.
    Version,
    /// It ends too early or goes on too long.
    Length,
    /// A word is not what it should be.
    Word {
        /// Which, counted from 0.
        position: usize,
    },
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => write!(f, "not a status line of version {STATUS_VERSION}"),
            Self::Length => f.write_str("the status line has too few or too many words"),
            Self::Word { position } => write!(f, "word {position} of the status line is malformed"),
        }
    }
}

/// The words of a status line, taken one by one.
struct Words<'a> {
    words: core::str::SplitAsciiWhitespace<'a>,
    taken: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a str, StatusError> {
        let word = self.words.next().ok_or(StatusError::Length)?;
        self.taken = self.taken.saturating_add(1);
        Ok(word)
    }

    fn malformed(&self) -> StatusError {
        StatusError::Word {
            position: self.taken.saturating_sub(1),
        }
    }

    fn parse<T: FromStr>(&mut self) -> Result<T, StatusError> {
        self.next()?.parse().map_err(|_| self.malformed())
    }

    fn choose<T>(&mut self, of: impl FnOnce(&'a str) -> Option<T>) -> Result<T, StatusError> {
        let word = self.next()?;
        of(word).ok_or(self.malformed())
    }

    fn time(&mut self) -> Result<Option<u64>, StatusError> {
        self.choose(|word| match word {
            "-" => Some(None),
            number => number.parse().ok().map(Some),
        })
    }
}

impl FromStr for Status {
    type Err = StatusError;

    fn from_str(line: &str) -> Result<Self, StatusError> {
        let mut words = Words {
            words: line.split_ascii_whitespace(),
            taken: 0,
        };
        if words.next()?.parse() != Ok(STATUS_VERSION) {
            return Err(StatusError::Version);
        }
        let mode = words.choose(|word| {
            [Mode::ReadWrite, Mode::ReadOnly, Mode::PassThrough]
                .into_iter()
                .find(|mode| mode.word() == word)
        })?;
        let verdict = words.choose(|word| {
            Verdict::ALL
                .into_iter()
                .find(|verdict| verdict.name() == word)
        })?;
        let copies = words.choose(parse_copies)?;
        let sequence = Sequence::new(words.parse()?);
        let active = Blocks::new(words.parse()?);
        let pending = Blocks::new(words.parse()?);
        let (used, total) = words.choose(|word| {
            let (used, total) = word.split_once('/')?;
            Some((
                Blocks::new(used.parse().ok()?),
                Blocks::new(total.parse().ok()?),
            ))
        })?;
        let write_errors = words.parse()?;
        let read_errors = words.parse()?;
        let scrubs = words.parse()?;
        let corruption_detected = words.parse()?;
        let repairs_completed = words.parse()?;
        let repair_attempts = words.parse()?;
        let repair = words.choose(parse_repair)?;
        let (last_scrub, next_scrub) = (words.time()?, words.time()?);
        let last_repair = words.time()?;
        let [needs_check, main_suspect, spare_failing] = words.choose(parse_flags)?;
        if words.words.next().is_some() {
            return Err(StatusError::Length);
        }
        Ok(Self {
            mode,
            verdict,
            copies,
            sequence,
            active,
            pending,
            used,
            total,
            write_errors,
            read_errors,
            scrubs,
            corruption_detected,
            repairs_completed,
            repair_attempts,
            repair,
            last_scrub,
            next_scrub,
            last_repair,
            needs_check,
            main_suspect,
            spare_failing,
        })
    }
}

fn parse_copies(word: &str) -> Option<PerSlot<char>> {
    let known = |letter: char| "VPsX-F?U".contains(letter).then_some(letter);
    let mut letters = word.chars();
    let mut copies = PerSlot::new(['?'; Slot::COUNT]);
    for slot in Slot::ALL {
        *copies.get_mut(slot) = known(letters.next()?)?;
    }
    letters.next().is_none().then_some(copies)
}

fn parse_repair(word: &str) -> Option<RepairStatus> {
    match word {
        "idle" => Some(RepairStatus::Idle),
        "gave-up" => Some(RepairStatus::GaveUp),
        _ => {
            let (attempt, in_millis) = word.strip_prefix("wait:")?.split_once(':')?;
            let attempt = attempt
                .parse()
                .ok()
                .filter(|attempt| (1..=MAX_ATTEMPTS).contains(attempt))?;
            Some(RepairStatus::Waiting {
                attempt,
                in_millis: in_millis.parse().ok()?,
            })
        }
    }
}

fn parse_flags(word: &str) -> Option<[bool; 3]> {
    if word == "-" {
        return Some([false; 3]);
    }
    let known = word.chars().all(|letter| "cms".contains(letter));
    (known && !word.is_empty()).then(|| ['c', 'm', 's'].map(|letter| word.contains(letter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "1 rw degraded VVVX- 18 1204 3 1207/132104192 1204 3 41 2 7 9 wait:2:1850 41 3559 - c";

    #[test]
    fn a_line_reads_and_prints_the_same() {
        let status: Status = LINE.parse().unwrap();
        assert_eq!(status.verdict, Verdict::Degraded);
        assert_eq!(
            status.repair,
            RepairStatus::Waiting {
                attempt: 2,
                in_millis: 1850
            }
        );
        assert_eq!((status.last_scrub, status.last_repair), (Some(41), None));
        assert!(status.needs_check && !status.main_suspect);
        assert_eq!(status.to_string(), LINE);
    }

    #[test]
    fn every_verdict_and_mode_and_repair_round_trips() {
        let base: Status = LINE.parse().unwrap();
        let repairs = [
            RepairStatus::Idle,
            RepairStatus::GaveUp,
            RepairStatus::Waiting {
                attempt: 5,
                in_millis: 0,
            },
        ];
        for verdict in Verdict::ALL {
            for mode in [Mode::ReadWrite, Mode::ReadOnly, Mode::PassThrough] {
                for repair in repairs {
                    let status = Status {
                        verdict,
                        mode,
                        repair,
                        main_suspect: true,
                        ..base
                    };
                    assert_eq!(status.to_string().parse(), Ok(status));
                }
            }
        }
    }

    #[test]
    fn any_word_missing_added_or_spoiled_is_refused() {
        let words: [&str; 19] = {
            let mut words = LINE.split(' ');
            core::array::from_fn(|_| words.next().unwrap())
        };
        assert_eq!(LINE.split(' ').count(), words.len());
        for position in 0..words.len() {
            for spoiled in ["", "!", "1/", "wait:0:1", "wait:6:1", "VVVVVV", "-1"] {
                let mut changed = words;
                changed[position] = spoiled;
                let line = changed.join(" ");
                assert!(line.parse::<Status>().is_err(), "{line}");
            }
        }
        assert_eq!(
            format!("{LINE} 1").parse::<Status>(),
            Err(StatusError::Length)
        );
        assert_eq!("2 rw".parse::<Status>(), Err(StatusError::Version));
    }
}
