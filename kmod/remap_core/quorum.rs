// SPDX-License-Identifier: GPL-2.0-or-later
//! Judging the five copies: what each is worth, and what they say together.
//!
//! Judging is a pure function of what was read. It writes nothing and decides
//! nothing but names; `commit` takes its verdict and acts.

use core::fmt;

use crate::remap_core::signature::Signature;
use crate::remap_core::superblock::{
    read_copy, same_body, Content, Flaw, RawCopy, Superblock, Unsupported,
};
use crate::remap_core::units::{ArrayUuid, Errno, PerSlot, Sequence, Slot};
pub use crate::remap_core::verdict::{Assembly, Healing, Verdict};

/// What reading one slot gave.
#[expect(
    clippy::large_enum_variant,
    reason = "there is no allocation here to box it with"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Its first 512 bytes, and the signature of another found in its 4 KiB.
    Read {
        /// The copy's bytes.
        raw: RawCopy,
        /// Somebody else's signature.
        signature: Option<Signature>,
    },
    /// The device gave an error.
    Unreadable(Errno),
}

/// Everything that was read before judging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The five slots.
    pub slots: PerSlot<Reading>,
    /// Whether a valid header of a table region says that this spare is ours. It is
    /// worth a look where no copy is left.
    pub header: bool,
}

/// What one copy is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyState {
    /// Checksummed, and it belongs to the newest.
    Valid,
    /// Plain v4 without a flaw that shows.
    Plain,
    /// Valid, and older than the newest or of the older format.
    Stale,
    /// Not to be believed.
    Corrupt(Flaw),
    /// Blank.
    Missing,
    /// Another's.
    Foreign(Foreign),
    /// The device gave an error.
    Unreadable(Errno),
    /// Ours and not for this code.
    Unsupported(Unsupported),
}

/// Whose a foreign copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Another kind of thing.
    Signature(Signature),
    /// Another array of ours.
    Array(ArrayUuid),
}

impl CopyState {
    /// The state's name, as reports spell it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Plain => "plain",
            Self::Stale => "stale",
            Self::Corrupt(_) => "corrupt",
            Self::Missing => "missing",
            Self::Foreign(_) => "foreign",
            Self::Unreadable(_) => "unreadable",
            Self::Unsupported(_) => "unsupported",
        }
    }

    /// One ASCII letter for a strip of five.
    pub const fn letter(&self) -> char {
        match self {
            Self::Valid => 'V',
            Self::Plain => 'P',
            Self::Stale => 's',
            Self::Corrupt(_) => 'X',
            Self::Missing => '-',
            Self::Foreign(_) => 'F',
            Self::Unreadable(_) => '?',
            Self::Unsupported(_) => 'U',
        }
    }
}

/// Why a target does not come up on what the copies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The verdict does not allow it, or only for reading.
    Verdict(Verdict),
    /// So many copies cannot be read, and nothing else tells whether blocks were moved. A
    /// pass-through would serve main's own blocks in place of those.
    Unreadable(usize),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict(verdict) if verdict.assembly() == Assembly::ReadOnlyOnRequest => write!(
                f,
                "the copies are judged {verdict}: the device comes up read-only, if asked for so"
            ),
            Self::Verdict(verdict) => write!(
                f,
                "the copies are judged {verdict}: the device does not come up"
            ),
            Self::Unreadable(copies) => write!(
                f,
                "{copies} of 5 copies cannot be read, and nothing else tells whether blocks were \
                 moved: the device does not come up"
            ),
        }
    }
}

/// The whole judgement on one spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What the copies say together.
    pub verdict: Verdict,
    /// What each is worth.
    pub states: PerSlot<CopyState>,
    /// Which hold the winning content.
    pub winners: PerSlot<bool>,
    /// The first slot that holds it, where there is one content that wins.
    pub winner: Option<Slot>,
    /// The sequence of the winning content; where copies are split, the highest of
    /// theirs, which they share unless they are of different arrays.
    pub sequence: Option<Sequence>,
    /// The highest sequence of any copy that can be believed: the next must exceed it.
    pub highest: Option<Sequence>,
}

impl Judgement {
    /// How many copies hold the winning content: 0 to 5.
    pub fn winner_count(&self) -> usize {
        self.winners.count(|wins| *wins)
    }

    /// Whether a target comes up on a spare that is judged so, for reading alone if
    /// `read_only`. Without metadata it is a pass-through, which has nothing to go by.
    ///
    /// # Errors
    ///
    /// Why it does not come up.
    pub fn admit(&self, read_only: bool) -> Result<(), Refusal> {
        if self.verdict == Verdict::None {
            let unreadable = |state: &CopyState| matches!(state, CopyState::Unreadable(_));
            return match self.states.count(unreadable) {
                0 => Ok(()),
                copies => Err(Refusal::Unreadable(copies)),
            };
        }
        match self.verdict.assembly() {
            Assembly::Yes | Assembly::WithEvent => Ok(()),
            Assembly::ReadOnlyOnRequest if read_only => Ok(()),
            Assembly::ReadOnlyOnRequest | Assembly::No => Err(Refusal::Verdict(self.verdict)),
        }
    }

    /// What the winning copy says.
    pub fn superblock(&self, survey: &Survey) -> Option<Superblock> {
        let slot = self.winner?;
        match survey.slots.get(slot) {
            Reading::Read { raw, .. } => match read_copy(raw, slot) {
                Content::Checksummed(superblock) | Content::Plain(superblock) => Some(superblock),
                _ => None,
            },
            Reading::Unreadable(_) => None,
        }
    }

    /// The bytes of the winning copy.
    pub fn winning_copy<'a>(&self, survey: &'a Survey) -> Option<&'a RawCopy> {
        match survey.slots.get(self.winner?) {
            Reading::Read { raw, .. } => Some(raw),
            Reading::Unreadable(_) => None,
        }
    }
}

/// One copy seen on its own, before the others are heard.
#[derive(Clone, Copy)]
struct Witness {
    state: CopyState,
    /// Its sequence and, with the extension, its array; only if it can be believed.
    credit: Option<Credit>,
    /// Whether it says that the spare is ours, believed or not.
    ours: bool,
    /// Whether it is intact and of a kind that this code must not interpret.
    beyond: bool,
}

#[derive(Clone, Copy)]
struct Credit {
    sequence: Sequence,
    array: Option<ArrayUuid>,
}

fn hear(reading: &Reading, slot: Slot) -> Witness {
    let silent = |state| Witness {
        state,
        credit: None,
        ours: false,
        beyond: false,
    };
    let ours = |state, credit| Witness {
        state,
        credit,
        ours: true,
        beyond: false,
    };
    let (raw, signature) = match reading {
        Reading::Unreadable(errno) => return silent(CopyState::Unreadable(*errno)),
        Reading::Read { raw, signature } => (raw, signature),
    };
    let credit = |superblock: &Superblock| Credit {
        sequence: superblock.sequence,
        array: superblock.array_uuid(),
    };
    match (read_copy(raw, slot), signature) {
        (Content::Checksummed(superblock), _) => ours(CopyState::Valid, Some(credit(&superblock))),
        (Content::Plain(superblock), _) => ours(CopyState::Plain, Some(credit(&superblock))),
        (Content::Blank | Content::NotOurs, Some(signature)) => {
            silent(CopyState::Foreign(Foreign::Signature(*signature)))
        }
        // Partitioning tools keep the first 440 bytes of a sector, and with them most of
        // a copy: what they wrote behind must not be taken for mere damage.
        (Content::Flawed(_), Some(signature)) => {
            ours(CopyState::Foreign(Foreign::Signature(*signature)), None)
        }
        (Content::Blank, None) => silent(CopyState::Missing),
        (Content::NotOurs, None) => {
            let [a, b, c, d, ..] = *raw;
            let stored = u32::from_le_bytes([a, b, c, d]);
            silent(CopyState::Corrupt(Flaw::Magic { stored }))
        }
        (Content::Flawed(flaw), None) => ours(CopyState::Corrupt(flaw), None),
        (Content::Unsupported { why, proven }, _) => Witness {
            beyond: proven,
            ..ours(CopyState::Unsupported(why), None)
        },
    }
}

/// Judges what was read of a spare. Never fails: every reading has a verdict.
pub fn judge(survey: &Survey) -> Judgement {
    let mut witnesses = survey.slots.map(|slot, reading| hear(reading, slot));
    let checksummed = witnesses.count(|w| w.state == CopyState::Valid) > 0;
    let outcome = if checksummed {
        judge_checksummed(survey, &mut witnesses)
    } else {
        judge_plain(survey, &mut witnesses)
    };
    let ours = survey.header || witnesses.count(|w| w.ours) > 0;
    let verdict = overrule(outcome.verdict, &witnesses, ours);
    let winner = outcome
        .winners
        .iter()
        .find(|(_, wins)| **wins)
        .map(|(slot, _)| slot);
    Judgement {
        verdict,
        states: witnesses.map(|_, witness| witness.state),
        winners: outcome.winners,
        winner,
        sequence: outcome.sequence,
        highest: highest(&witnesses),
    }
}

/// What the believable copies say among themselves.
struct Outcome {
    /// `None` where none of them can be believed.
    verdict: Option<Verdict>,
    winners: PerSlot<bool>,
    sequence: Option<Sequence>,
}

impl Outcome {
    const NOTHING: Self = Self {
        verdict: None,
        winners: PerSlot::new([false; Slot::COUNT]),
        sequence: None,
    };

    /// Nobody wins, at the sequence that the rivals share.
    const fn split(sequence: Option<Sequence>) -> Self {
        Self {
            verdict: Some(Verdict::Split),
            winners: PerSlot::new([false; Slot::COUNT]),
            sequence,
        }
    }
}

fn highest(witnesses: &PerSlot<Witness>) -> Option<Sequence> {
    witnesses
        .iter()
        .filter_map(|(_, w)| w.credit)
        .map(|credit| credit.sequence)
        .max()
}

/// What stands above the copies' own vote: somebody else's signature where a mount
/// would look, and intact copies that this code must not interpret.
fn overrule(verdict: Option<Verdict>, witnesses: &PerSlot<Witness>, ours: bool) -> Verdict {
    let overwritten = matches!(
        witnesses.get(Slot::S0).state,
        CopyState::Foreign(Foreign::Signature(_))
    );
    let beyond = witnesses.count(|w| w.beyond) > 0;
    let unsupported = witnesses.count(|w| matches!(w.state, CopyState::Unsupported(_))) > 0;
    match verdict {
        _ if overwritten && ours => Verdict::ForeignOverwritten,
        _ if beyond => Verdict::Unsupported,
        Some(verdict) => verdict,
        None if unsupported => Verdict::Unsupported,
        None if ours => Verdict::Lost,
        None => Verdict::None,
    }
}

/// Copies with the extension: the checksum vouches, the sequence orders.
fn judge_checksummed(survey: &Survey, witnesses: &mut PerSlot<Witness>) -> Outcome {
    let Some(array) = winning_array(witnesses) else {
        let newest = highest(witnesses);
        return Outcome::split(newest);
    };
    disown_others(witnesses, array);
    let newest = witnesses
        .iter()
        .filter(|(_, w)| w.state == CopyState::Valid)
        .filter_map(|(_, w)| w.credit.map(|credit| credit.sequence))
        .max();
    let Some(newest) = newest else {
        return Outcome::NOTHING;
    };
    let winners = witnesses.map(|_, w| {
        w.state == CopyState::Valid && w.credit.is_some_and(|credit| credit.sequence == newest)
    });
    if !all_agree(survey, &winners) {
        return Outcome::split(Some(newest));
    }
    for slot in Slot::ALL {
        let witness = witnesses.get_mut(slot);
        if witness.credit.is_some() && !winners.get(slot) {
            witness.state = CopyState::Stale;
        }
    }
    let older = |exactly_one: bool| {
        witnesses.count(|w| {
            w.state == CopyState::Stale
                && w.credit
                    .is_some_and(|c| c.sequence.is_one_before(newest) == exactly_one)
        })
    };
    let verdict = rank(winners.count(|wins| *wins), older(true), older(false));
    Outcome {
        verdict: Some(verdict),
        winners,
        sequence: Some(newest),
    }
}

/// The enumerated table: winners, copies exactly one older, copies older than that.
///
/// A crash can leave a torn copy beside the newest and the one before it. Those two
/// together are then the majority that the torn copy took nothing from, so three of
/// them make the write interrupted, not weak: rolling it forward is always right.
const fn rank(winners: usize, one_older: usize, much_older: usize) -> Verdict {
    match (winners, one_older, much_older) {
        (5, 0, 0) => Verdict::Healthy,
        (4, 1, 0) | (3, 2, 0) | (2, 3, 0) | (1, 4, 0) => Verdict::Interrupted,
        (3 | 4, _, _) => Verdict::Degraded,
        (2, 1 | 2, _) | (1, 2 | 3, _) => Verdict::Interrupted,
        (_, _, 0) => Verdict::Weak,
        (_, _, _) => Verdict::Outlier,
    }
}

/// The array that the valid copies are of; where they are of several, the one with a
/// majority of all five slots, and none without.
fn winning_array(witnesses: &PerSlot<Witness>) -> Option<ArrayUuid> {
    let array_of = |w: &Witness| match (w.state, w.credit) {
        (CopyState::Valid, Some(credit)) => credit.array,
        _ => None,
    };
    let valid = witnesses.count(|w| array_of(w).is_some());
    witnesses.iter().find_map(|(_, witness)| {
        let array = array_of(witness)?;
        let votes = witnesses.count(|w| array_of(w) == Some(array));
        (votes == valid || votes >= 3).then_some(array)
    })
}

fn disown_others(witnesses: &mut PerSlot<Witness>, array: ArrayUuid) {
    for slot in Slot::ALL {
        let witness = witnesses.get_mut(slot);
        let other = witness
            .credit
            .and_then(|credit| credit.array)
            .filter(|of| *of != array);
        if let Some(other) = other {
            witness.state = CopyState::Foreign(Foreign::Array(other));
            witness.credit = None;
        }
    }
}

/// Plain v4: there is no checksum, so only agreement vouches for a copy.
fn judge_plain(survey: &Survey, witnesses: &mut PerSlot<Witness>) -> Outcome {
    let plain = witnesses.map(|_, w| w.state == CopyState::Plain);
    let candidates = plain.count(|is| *is);
    let agreeing = |slot: Slot| {
        plain.map(|other, is| *is && *plain.get(slot) && bodies_equal(survey, slot, other))
    };
    let best = Slot::ALL
        .into_iter()
        .map(agreeing)
        .reduce(|best, next| {
            if next.count(|is| *is) > best.count(|is| *is) {
                next
            } else {
                best
            }
        })
        .unwrap_or_default();
    let votes = best.count(|is| *is);
    let verdict = match (votes, candidates) {
        (0, _) => return Outcome::NOTHING,
        (5, _) => Verdict::Healthy,
        (3 | 4, _) => Verdict::Degraded,
        (_, candidates) if candidates == votes => Verdict::Weak,
        (_, _) => return Outcome::split(highest(witnesses)),
    };
    for slot in Slot::ALL {
        if *plain.get(slot) && !best.get(slot) {
            let witness = witnesses.get_mut(slot);
            witness.state = CopyState::Corrupt(Flaw::Outvoted);
            witness.credit = None;
        }
    }
    let sequence = highest(witnesses);
    Outcome {
        verdict: Some(verdict),
        winners: best,
        sequence,
    }
}

fn bodies_equal(survey: &Survey, one: Slot, other: Slot) -> bool {
    match (survey.slots.get(one), survey.slots.get(other)) {
        (Reading::Read { raw: one, .. }, Reading::Read { raw: other, .. }) => same_body(one, other),
        _ => false,
    }
}

fn all_agree(survey: &Survey, winners: &PerSlot<bool>) -> bool {
    let mut slots = winners
        .iter()
        .filter(|(_, wins)| **wins)
        .map(|(slot, _)| slot);
    match slots.next() {
        Some(first) => slots.all(|slot| bodies_equal(survey, first, slot)),
        None => true,
    }
}
