// SPDX-License-Identifier: GPL-2.0-or-later
//! Writing the copies: who may, in which order, and when it counts as done.
//!
//! [`prepare`] decides on a judgement, without I/O. [`execute`] carries out what was
//! prepared on a [`SlotStore`], after having looked once more. The order is what
//! keeps a crash harmless: worst copy first, one in flight at a time, and never the
//! last winning copy before another one is durable.

use core::fmt;

use crate::remap_core::quorum::{CopyState, Judgement, Reading, Survey, Verdict};
use crate::remap_core::superblock::{read_copy, readdress, Content, RawCopy, Superblock};
use crate::remap_core::units::{PerSlot, Sequence, Slot};

/// Durable copies at which a write of the copies counts as done.
pub const ACKNOWLEDGE_AT: usize = 3;

/// The five slots of one spare.
pub trait SlotStore {
    /// What goes wrong when writing.
    type Error;

    /// Reads one slot. An error is part of the reading: it hides no other slot.
    fn read_slot(&mut self, slot: Slot) -> Reading;

    /// Writes one slot and returns when it is durable.
    ///
    /// # Errors
    ///
    /// The slot's content is unknown then.
    fn write_slot(&mut self, slot: Slot, raw: &RawCopy) -> Result<(), Self::Error>;

    /// Makes everything durable that the copies refer to.
    ///
    /// # Errors
    ///
    /// Nothing may be taken for durable then.
    fn flush(&mut self) -> Result<(), Self::Error>;

    /// Told once, when enough copies are durable for the write to count as done.
    fn acknowledged(&mut self, sequence: Sequence) {
        let _ = sequence;
    }
}

/// Reads all five slots; whether a table header is there, the caller knows.
pub fn survey<S: SlotStore>(store: &mut S, header: bool) -> Survey {
    Survey {
        slots: PerSlot::from_fn(|slot| store.read_slot(slot)),
        header,
    }
}

/// On whose word the copies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Authority {
    /// Nobody's: the target or the boot does what its rules allow.
    Automatic,
    /// A person asked for it.
    Operator,
    /// A person typed the name of what will be overwritten.
    Typed,
}

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent<'a> {
    /// The winning content to the slots that do not hold it.
    Heal,
    /// New content of the same array to all slots, at the next sequence.
    Advance(&'a Superblock),
    /// A first superblock.
    Create(&'a Superblock),
    /// The same device with the extension, in place of plain v4.
    Migrate(&'a Superblock),
    /// A superblock recovered from a table header, where every copy is lost.
    Rebuild(&'a Superblock),
    /// The content of one slot, chosen by a person among rivals, to all slots.
    Adopt(Slot),
}

/// Why nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The verdict does not allow it on this authority.
    Verdict {
        /// The verdict.
        verdict: Verdict,
        /// The authority that would do, if any.
        needs: Option<Authority>,
    },
    /// The new content is of another array or of another format than the copies.
    Mismatch,
    /// The slot that was chosen holds nothing of this array that can be believed.
    NotBelievable(Slot),
    /// The content has features that whoever does not know them must not write.
    Features {
        /// The unknown bits.
        ro_compat: u32,
    },
    /// The new content would not be believed when read back.
    Malformed,
    /// There is no sequence after the one found.
    SequenceExhausted,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict {
                verdict,
                needs: None,
            } => {
                write!(f, "copies judged {verdict} are not written")
            }
            Self::Verdict {
                verdict,
                needs: Some(Authority::Typed),
            } => {
                write!(
                    f,
                    "copies judged {verdict} are written only with the typed name"
                )
            }
            Self::Verdict {
                verdict,
                needs: Some(_),
            } => {
                write!(
                    f,
                    "copies judged {verdict} are written only when a person asks"
                )
            }
            Self::Mismatch => {
                f.write_str("the new content is of another array or format than the copies")
            }
            Self::NotBelievable(slot) => {
                write!(f, "copy {slot} holds nothing that can be believed")
            }
            Self::Features { ro_compat } => {
                write!(f, "unknown features {ro_compat:08x} allow reading only")
            }
            Self::Malformed => f.write_str("the new content would not be believed"),
            Self::SequenceExhausted => f.write_str("there is no sequence after the one found"),
        }
    }
}

/// The least authority that may carry out `intent` on copies of this verdict, or
/// `None` where nobody may.
pub const fn authority_needed(intent: &Intent<'_>, verdict: Verdict) -> Option<Authority> {
    match (intent, verdict) {
        (Intent::Heal | Intent::Advance(_), Verdict::Healthy) => Some(Authority::Automatic),
        (Intent::Heal | Intent::Advance(_), Verdict::Degraded | Verdict::Interrupted) => {
            Some(Authority::Automatic)
        }
        (Intent::Heal | Intent::Advance(_), Verdict::Weak | Verdict::Outlier) => {
            Some(Authority::Operator)
        }
        (Intent::Heal | Intent::Advance(_), Verdict::ForeignOverwritten) => Some(Authority::Typed),
        (Intent::Adopt(_), Verdict::Weak | Verdict::Outlier) => Some(Authority::Operator),
        (Intent::Adopt(_), Verdict::ForeignOverwritten) => Some(Authority::Typed),
        (Intent::Migrate(_), Verdict::Healthy | Verdict::Degraded) => Some(Authority::Operator),
        (Intent::Rebuild(_), Verdict::Lost | Verdict::ForeignOverwritten) => Some(Authority::Typed),
        (Intent::Create(_), Verdict::None) => Some(Authority::Operator),
        // A layout that this code cannot read may hold data between the slots.
        (Intent::Create(_), Verdict::Unsupported) => None,
        (Intent::Create(_), _) => Some(Authority::Typed),
        (_, _) => None,
    }
}

/// What a slot holds, as far as the write in progress is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Nothing that can be believed.
    Bad,
    /// Something believable, more than one sequence older than what wins.
    Older,
    /// Something believable, exactly one sequence older than what wins. A crash leaves
    /// fewer doubts while it is there: it says that a write did not end.
    Previous,
    /// The content that wins as long as the new one is nowhere durable.
    Current,
    /// The new content, durable.
    New,
}

/// A write of the copies, decided and not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    places: PerSlot<Place>,
    /// The winning content, brought to the other slots first.
    heal: Option<RawCopy>,
    /// The new content.
    write: Option<RawCopy>,
    /// The sequence that all slots will bear.
    sequence: Sequence,
}

impl Prepared {
    fn new(
        places: PerSlot<Place>,
        heal: Option<RawCopy>,
        superblock: &Superblock,
        highest: Option<Sequence>,
    ) -> Result<Self, Refusal> {
        let sequence = match highest {
            Some(highest) => highest.next().ok_or(Refusal::SequenceExhausted)?,
            None => Sequence::new(1),
        };
        let written = Superblock {
            sequence,
            ..*superblock
        };
        let body = written.encode(Slot::S0);
        match read_copy(&body, Slot::S0) {
            Content::Checksummed(read) if read == written => Ok(Self {
                places,
                heal,
                write: Some(body),
                sequence,
            }),
            Content::Plain(_) => Err(Refusal::Mismatch),
            _ => Err(Refusal::Malformed),
        }
    }

    /// The sequence that all slots will bear.
    pub const fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// What `slot` will hold in the end, or `None` if it stays as it is.
    pub fn final_copy(&self, slot: Slot) -> Option<RawCopy> {
        match (&self.write, &self.heal) {
            (Some(body), _) => Some(readdress(body, slot)),
            (None, Some(body)) if *self.places.get(slot) != Place::Current => {
                Some(readdress(body, slot))
            }
            (None, _) => None,
        }
    }

    /// Slots that will be written, each once or twice, in the order of the disk.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        Slot::ALL
            .into_iter()
            .filter(|slot| self.final_copy(*slot).is_some())
    }
}

/// Decides whether and how to write the copies. Does no I/O.
///
/// # Errors
///
/// [`Refusal`] says what stands against it.
pub fn prepare(
    judgement: &Judgement,
    survey: &Survey,
    intent: Intent<'_>,
    authority: Authority,
) -> Result<Prepared, Refusal> {
    let needs = authority_needed(&intent, judgement.verdict);
    if needs.is_none_or(|needed| authority < needed) {
        return Err(Refusal::Verdict {
            verdict: judgement.verdict,
            needs,
        });
    }
    let unsupported = judgement
        .states
        .count(|state| matches!(state, CopyState::Unsupported(_)))
        > 0;
    if unsupported
        && judgement.verdict == Verdict::ForeignOverwritten
        && !matches!(intent, Intent::Create(_))
    {
        // Whatever else was overwritten, what this code cannot read it does not replace.
        return Err(Refusal::Verdict {
            verdict: Verdict::Unsupported,
            needs: None,
        });
    }
    let places = PerSlot::from_fn(|slot| place(judgement, survey, slot));
    let current = judgement.winning_copy(survey).copied();
    let winning = judgement.superblock(survey);
    match intent {
        Intent::Heal => {
            let winning = winning.ok_or(Refusal::Mismatch)?;
            check_features(&winning)?;
            Ok(Prepared {
                places,
                heal: current,
                write: None,
                sequence: winning.sequence,
            })
        }
        Intent::Advance(superblock) => {
            let winning = winning.ok_or(Refusal::Mismatch)?;
            check_features(&winning)?;
            if winning.array_uuid().is_none() || winning.array_uuid() != superblock.array_uuid() {
                return Err(Refusal::Mismatch);
            }
            // Fewer than three winners beside older copies would, one write on, be
            // three contents at once: bring the winners' content everywhere first.
            let heal = current.filter(|_| judgement.winner_count() < ACKNOWLEDGE_AT);
            Prepared::new(places, heal, superblock, judgement.highest)
        }
        Intent::Create(superblock) => Prepared::new(places, None, superblock, judgement.highest),
        Intent::Migrate(superblock) => match winning {
            Some(Superblock {
                extension: None, ..
            }) => Prepared::new(places, None, superblock, judgement.highest),
            _ => Err(Refusal::Mismatch),
        },
        Intent::Rebuild(superblock) => {
            // What can still be believed beneath a foreign signature is never rebuilt.
            if judgement.highest.is_some() {
                return Err(Refusal::Mismatch);
            }
            check_features(superblock)?;
            // Copies that cannot be read now may come back: they must not be newer.
            Prepared::new(places, None, superblock, Some(superblock.sequence))
        }
        Intent::Adopt(slot) => {
            // Among split copies nobody chooses, not even beneath a foreign signature.
            winning.ok_or(Refusal::Mismatch)?;
            let superblock = chosen(judgement, survey, slot).ok_or(Refusal::NotBelievable(slot))?;
            check_features(&superblock)?;
            Prepared::new(places, None, &superblock, judgement.highest)
        }
    }
}

/// Whoever does not know every `ro_compat` feature of a content must not write, not
/// even the same content elsewhere.
fn check_features(superblock: &Superblock) -> Result<(), Refusal> {
    let unknown = superblock
        .extension
        .map_or(0, |extension| extension.features.unknown_ro_compat());
    match unknown {
        0 => Ok(()),
        ro_compat => Err(Refusal::Features { ro_compat }),
    }
}

fn place(judgement: &Judgement, survey: &Survey, slot: Slot) -> Place {
    match judgement.states.get(slot) {
        _ if *judgement.winners.get(slot) => Place::Current,
        CopyState::Valid | CopyState::Plain | CopyState::Stale => {
            let newest = judgement.sequence.unwrap_or_default();
            match believable(survey, slot) {
                Some(superblock) if superblock.sequence.is_one_before(newest) => Place::Previous,
                _ => Place::Older,
            }
        }
        _ => Place::Bad,
    }
}

fn believable(survey: &Survey, slot: Slot) -> Option<Superblock> {
    match survey.slots.get(slot) {
        Reading::Read { raw, .. } => match read_copy(raw, slot) {
            Content::Checksummed(superblock) | Content::Plain(superblock) => Some(superblock),
            _ => None,
        },
        Reading::Unreadable(_) => None,
    }
}

/// What a person chose to win, of this array alone and never without the extension.
fn chosen(judgement: &Judgement, survey: &Survey, slot: Slot) -> Option<Superblock> {
    match judgement.states.get(slot) {
        CopyState::Valid | CopyState::Stale => {
            believable(survey, slot).filter(|superblock| superblock.extension.is_some())
        }
        _ => None,
    }
}

/// Why a prepared write did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotBegun<E> {
    /// The slots are no longer what the plan was made from.
    Stale,
    /// What the copies refer to could not be made durable.
    Flush(E),
}

/// How a write of the copies ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<E> {
    /// The sequence written.
    pub sequence: Sequence,
    /// Slots that hold the content now, read back.
    pub durable: PerSlot<bool>,
    /// Slots that were written to.
    pub written: PerSlot<bool>,
    /// The first error met, if any.
    pub error: Option<E>,
}

impl<E> Committed<E> {
    /// Whether enough copies are durable for the write to count as done.
    pub fn is_acknowledged(&self) -> bool {
        self.durable.count(|durable| *durable) >= ACKNOWLEDGE_AT
    }

    /// Whether all five copies hold the content.
    pub fn is_complete(&self) -> bool {
        self.durable.count(|durable| *durable) == Slot::COUNT
    }
}

/// Carries out a prepared write: looks once more, flushes, writes slot by slot, reads
/// back. A slot that cannot be written is passed over; how many are durable is in the
/// result.
///
/// # Errors
///
/// [`NotBegun`] if nothing was written at all.
pub fn execute<S: SlotStore>(
    store: &mut S,
    prepared: &Prepared,
    expected: &Survey,
) -> Result<Committed<S::Error>, NotBegun<S::Error>> {
    if Slot::ALL
        .into_iter()
        .any(|slot| store.read_slot(slot) != *expected.slots.get(slot))
    {
        return Err(NotBegun::Stale);
    }
    store.flush().map_err(NotBegun::Flush)?;
    let mut writing = Writing {
        store,
        places: prepared.places,
        written: PerSlot::default(),
        error: None,
        acknowledged: false,
        spoiled: false,
        left_older: false,
        final_round: prepared.write.is_none(),
        sequence: prepared.sequence,
    };
    if let Some(body) = &prepared.heal {
        writing.round(body, Place::Current);
        if writing.left_older && !writing.has_majority() {
            // The new content beside the rest of the winners and of what is older would be
            // a minority more than one sequence ahead.
            return Ok(writing.finish(prepared));
        }
    }
    if let Some(body) = &prepared.write {
        writing.final_round = true;
        writing.round(body, Place::New);
    }
    Ok(writing.finish(prepared))
}

/// A write of the copies in progress.
struct Writing<'a, S: SlotStore> {
    store: &'a mut S,
    places: PerSlot<Place>,
    written: PerSlot<bool>,
    error: Option<S::Error>,
    acknowledged: bool,
    /// Whether a write failed on a slot that held the winning content.
    spoiled: bool,
    /// Whether a write failed on a slot that held an older copy, which may be there still.
    left_older: bool,
    final_round: bool,
    sequence: Sequence,
}

impl<S: SlotStore> Writing<'_, S> {
    /// Writes `body` to every slot that holds less than `becomes`, worst first; among
    /// equals the last slot first, so that copy 0, the only one that simple readers
    /// look at, changes last.
    fn round(&mut self, body: &RawCopy, becomes: Place) {
        for rank in [Place::Bad, Place::Older, Place::Previous, Place::Current] {
            if rank >= becomes {
                break;
            }
            let due = self.places.map(|_, place| *place == rank);
            for slot in Slot::ALL.into_iter().rev().filter(|slot| *due.get(*slot)) {
                self.write(body, slot, becomes);
            }
        }
    }

    fn write(&mut self, body: &RawCopy, slot: Slot, becomes: Place) {
        let was = *self.places.get(slot);
        let was_current = was == Place::Current;
        if was_current && !self.is_safe_without(slot) {
            return;
        }
        *self.written.get_mut(slot) = true;
        match self.store.write_slot(slot, &readdress(body, slot)) {
            Ok(()) => *self.places.get_mut(slot) = becomes,
            Err(error) => {
                // What the slot holds now is unknown.
                *self.places.get_mut(slot) = Place::Bad;
                self.spoiled |= was_current;
                self.left_older |= matches!(was, Place::Older | Place::Previous);
                self.error.get_or_insert(error);
            }
        }
        let holding = self.places.count(|place| *place >= becomes);
        if self.final_round && !self.acknowledged && holding >= ACKNOWLEDGE_AT {
            self.acknowledged = true;
            self.store.acknowledged(self.sequence);
        }
    }

    /// Whether so many slots hold the winning content that it wins beside the new one.
    fn has_majority(&self) -> bool {
        self.places.count(|place| *place >= Place::Current) >= ACKNOWLEDGE_AT
    }

    /// Whether enough slots would hold a winning content if the write to this one were
    /// torn. One is enough; but where such a write already failed, the spare may take no
    /// writes at all, and a majority is kept.
    fn is_safe_without(&self, slot: Slot) -> bool {
        let left = self
            .places
            .iter()
            .filter(|(other, place)| *other != slot && **place >= Place::Current)
            .count();
        left >= if self.spoiled { ACKNOWLEDGE_AT } else { 1 }
    }

    /// Reads back what was written.
    fn finish(self, prepared: &Prepared) -> Committed<S::Error> {
        let holds = if prepared.write.is_some() {
            Place::New
        } else {
            Place::Current
        };
        let Self {
            store,
            places,
            written,
            error,
            ..
        } = self;
        let body = prepared.write.as_ref().or(prepared.heal.as_ref());
        let durable = places.map(|slot, place| {
            let Some(body) = body.filter(|_| *place == holds) else {
                return *place == holds;
            };
            match store.read_slot(slot) {
                Reading::Read { raw, .. } => raw == readdress(body, slot),
                Reading::Unreadable(_) => false,
            }
        });
        Committed {
            sequence: prepared.sequence,
            durable,
            written,
            error,
        }
    }
}
