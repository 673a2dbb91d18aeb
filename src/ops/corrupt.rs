//! Damage on purpose: what each kind makes of a copy, and the plan for it.
//!
//! Each kind is a pure function of the seed, the slot and what lies in the slots. Of
//! five copies damaged with one seed no two agree where nothing but agreement vouches
//! for them, as in plain v4: else five damaged copies would outvote the truth.

use std::path::Path;

use super::look::{busy, require_ours_alone, see_spare, shown, Seen};
use super::overlay::Overlay;
use super::plan::{copy_writes, Draft};
use super::step::{Basis, Puts, Step, WriteStep};
use super::{CorruptionKind, Operation, Plan, Refusal};
use crate::format::backup::{Content, SavedRange};
use crate::inspect::{name_copies, Inspection};
use crate::port::{Access, Host, Usage};
use crate::remap_core::bytes::Text;
use crate::remap_core::quorum::{CopyState, Reading};
use crate::remap_core::signature;
use crate::remap_core::superblock::{
    read_copy, readdress, Content as CopyContent, RawCopy, Superblock, Unsupported, COPY_BYTES,
};
use crate::remap_core::units::{ArrayUuid, Sequence, Slot, Timestamp};

/// A small generator of repeatable chance (SplitMix64): not for secrets.
struct Chance(u64);

impl Chance {
    /// The stream of one slot under one seed.
    fn new(seed: u64, slot: Slot) -> Self {
        let lane = u64::from(slot.index()).wrapping_add(1);
        Self(seed ^ lane.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not zero.
    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for eight in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            eight.copy_from_slice(&random[..eight.len()]);
        }
    }

    /// A number below `limit` that no other slot gets, where `limit` allows: numbers
    /// are dealt to the slots in turn.
    fn own_below(&mut self, limit: u64, slot: Slot) -> u64 {
        let slots = Slot::COUNT as u64;
        let lane = u64::from(slot.index());
        match limit.saturating_sub(lane).div_ceil(slots) {
            0 => self.below(limit),
            rounds => lane + slots * self.below(rounds),
        }
    }
}

/// Where the fields of a copy begin that damage is done to by name.
mod at {
    /// Behind magic and version: a flip there would make another thing of the copy.
    pub(super) const BODY: usize = 8;
    pub(super) const CHECKSUM: std::ops::Range<usize> = 24..28;
    pub(super) const COPY_INDEX: std::ops::Range<usize> = 28..32;
    pub(super) const MAIN_PATH: std::ops::Range<usize> = 144..272;
}

/// What `slot` holds after damage of `kind`; `current` is what it holds now, and
/// `winner` what the winning copy says, if one wins.
///
/// # Errors
///
/// [`Refusal`] where the kind needs a copy to derive from and there is none.
pub fn corrupted(
    current: &RawCopy,
    winner: Option<&RawCopy>,
    slot: Slot,
    kind: CorruptionKind,
    seed: u64,
) -> Result<RawCopy, Refusal> {
    let mut chance = Chance::new(seed, slot);
    let mut raw = *current;
    match kind {
        CorruptionKind::BitFlip => {
            let bits = (COPY_BYTES - at::BODY) as u64 * 8;
            let bit = chance.own_below(bits, slot) as usize;
            raw[at::BODY + bit / 8] ^= 1 << (bit % 8);
        }
        CorruptionKind::Random => {
            chance.fill(&mut raw);
            // Chance must not make somebody's signature of it.
            while signature::detect(&raw).is_some() {
                chance.fill(&mut raw);
            }
        }
        CorruptionKind::Zero => raw = [0; COPY_BYTES],
        CorruptionKind::Torn => {
            let from = torn_from(&raw, &mut chance, slot);
            raw[from..].fill(0);
        }
        CorruptionKind::Checksum => {
            // Never zero: that is what plain v4 has.
            let wrong = 1 + chance.below(u64::from(u32::MAX)) as u32;
            let stored = u32::from_le_bytes([raw[24], raw[25], raw[26], raw[27]]);
            let wrong = if stored == wrong { !wrong | 1 } else { wrong };
            raw[at::CHECKSUM].copy_from_slice(&wrong.to_le_bytes());
        }
        CorruptionKind::Foreign => foreign(&mut raw, &mut chance),
        CorruptionKind::TruncatedText => truncate_text(&mut raw, &mut chance),
        CorruptionKind::Swapped
        | CorruptionKind::Stale
        | CorruptionKind::Ahead
        | CorruptionKind::Rival
        | CorruptionKind::Alien => raw = derived(current, winner, slot, kind, seed)?,
    }
    Ok(raw)
}

/// Where a torn copy ends: at one of its own bytes that is not zero, so that something
/// is lost, in the second half if enough are there. Checksum and copy index do not
/// count; they are each copy's own anyway.
fn torn_from(raw: &RawCopy, chance: &mut Chance, slot: Slot) -> usize {
    let tells = |position: &usize| {
        raw[*position] != 0
            && !at::CHECKSUM.contains(position)
            && !at::COPY_INDEX.contains(position)
    };
    let half = COPY_BYTES / 2;
    let mut cuts: Vec<usize> = (half..COPY_BYTES).filter(tells).collect();
    if cuts.len() < Slot::COUNT {
        cuts = (at::BODY..COPY_BYTES).filter(tells).collect();
    }
    match cuts.len() as u64 {
        0 => half,
        count => cuts[chance.own_below(count, slot) as usize],
    }
}

/// Somebody else's signature over otherwise random bytes.
fn foreign(raw: &mut RawCopy, chance: &mut Chance) {
    const AT_THE_START: [&[u8]; 4] = [b"XFSB", b"LUKS\xba\xbe", b"hsqs", b"LABELONE"];
    chance.fill(raw);
    let magic = AT_THE_START[chance.below(AT_THE_START.len() as u64) as usize];
    raw[..magic.len()].copy_from_slice(magic);
}

/// Ends the text of main's path early and leaves behind the end what stood there.
fn truncate_text(raw: &mut RawCopy, chance: &mut Chance) {
    let field = &mut raw[at::MAIN_PATH];
    let ends = field.iter().rposition(|byte| *byte != 0 && *byte != b' ');
    match ends {
        Some(last) if last > 0 => field[chance.below(last as u64) as usize] = 0,
        // There is no text to cut: what a longer one would have left behind.
        _ => field[..2].copy_from_slice(&[0, b'a' + chance.below(26) as u8]),
    }
}

/// A copy that is whole and wrong all the same.
fn derived(
    current: &RawCopy,
    winner: Option<&RawCopy>,
    slot: Slot,
    kind: CorruptionKind,
    seed: u64,
) -> Result<RawCopy, Refusal> {
    let own = matches!(
        read_copy(current, slot),
        CopyContent::Checksummed(_) | CopyContent::Plain(_)
    );
    let base = if own { Some(current) } else { winner };
    let base = base.ok_or_else(|| {
        Refusal::new(
            "nothing-to-derive-from",
            format!(
                "Copy {slot} cannot be made {kind}: neither it nor any other copy can be believed."
            ),
            "Use another kind: bit-flip, random, zero, foreign.",
        )
    })?;
    let base = readdress(base, slot);
    if kind == CorruptionKind::Swapped {
        let next = Slot::from_index((slot.index() + 1) % Slot::COUNT as u32);
        return Ok(readdress(&base, next.unwrap_or(Slot::S0)));
    }
    let mut superblock = match read_copy(&base, slot) {
        CopyContent::Checksummed(superblock) | CopyContent::Plain(superblock) => superblock,
        _ => return Ok(base),
    };
    mislead(&mut superblock, slot, kind, seed);
    Ok(superblock.encode(slot))
}

/// Changes what a copy says. With checksums, all slots are told the same lie, as one
/// writer would tell it; in plain v4 each gets its own.
fn mislead(superblock: &mut Superblock, slot: Slot, kind: CorruptionKind, seed: u64) {
    let is_plain = superblock.extension.is_none();
    let own = if is_plain {
        u64::from(slot.index()) + 1
    } else {
        0
    };
    let sequence = superblock.sequence.get();
    let moved = Timestamp::new(superblock.timestamp.get() ^ (own + 1));
    match kind {
        CorruptionKind::Stale => {
            superblock.timestamp = moved;
            superblock.sequence = Sequence::new(sequence.saturating_sub(1));
        }
        CorruptionKind::Ahead => {
            superblock.timestamp = moved;
            superblock.sequence = Sequence::new(sequence.saturating_add(5));
        }
        CorruptionKind::Alien => {
            let mut uuid = [0; 16];
            // The first slot's stream for all: one other array, not five.
            Chance::new(seed, Slot::S0).fill(&mut uuid);
            if let Some(extension) = &mut superblock.extension {
                extension.array_uuid = ArrayUuid::new(uuid);
            }
            superblock.timestamp = moved;
            let text = format!("{}", ArrayUuid::new(uuid));
            superblock.main_uuid = Text::new(text.as_bytes()).unwrap_or_default();
        }
        _ => {
            let lane = u64::from(slot.index()) + 2;
            superblock.timestamp = Timestamp::new(superblock.timestamp.get() ^ lane);
        }
    }
}

/// Plans damage to some copies of a spare, in use or not.
pub(super) fn plan(
    host: &mut dyn Host,
    operation: &Operation,
    path: &Path,
    slots: &[Slot],
    kind: CorruptionKind,
    seed: u64,
) -> Result<Plan, Refusal> {
    let mut slots = slots.to_vec();
    slots.sort_unstable();
    slots.dedup();
    let Some(copies) = name_copies(&slots) else {
        return Err(Refusal::new(
            "no-copies",
            "No copy was named.",
            "Name one or more of 0 to 4, as in --copy 1,4.",
        ));
    };
    let Seen {
        store,
        inspection,
        usage,
    } = see_spare(host, path)?;
    let live = match &usage {
        Usage::Free => false,
        Usage::Mapped { .. } => true,
        Usage::InUse(by) => return Err(busy(path, by)),
    };
    if !live {
        require_ours_alone(&inspection)?;
    }
    let ranges = damage(&inspection, &slots, kind, seed)?;
    let basis = Basis::of(&inspection);
    let predicted = Overlay::new(store, ranges.clone()).verdict(host, path);
    let name = inspection.name.clone();
    let mut draft = Draft::new(
        operation,
        format!("Corrupt {copies} of {}", inspection.token()),
    );
    draft.seen(&inspection);
    draft.token = Some(inspection.token());
    draft.live = live;
    draft.predicted = Some(predicted);
    draft.writes = copy_writes(path, &slots, |slot| format!("copy {slot}: {kind}"));
    draft
        .notes
        .push(format!("{}; seed {seed}", kind.describe()));
    if let (true, Some(name)) = (live, &name) {
        draft.notes.push(format!(
            "{name} is active: its target finds the damage at its next scrub and repairs what its rules allow."
        ));
    }
    draft.undoable = true;
    draft.steps.push(Step::Write(Box::new(WriteStep {
        path: path.to_owned(),
        access: if live {
            Access::Damage
        } else {
            Access::Exclusive
        },
        basis,
        puts: Puts::Ranges(ranges),
        wipes: Vec::new(),
        copies: None,
        undoes: None,
    })));
    Ok(draft.finish(host))
}

/// The damaged copies of a spare that has some.
fn damage(
    inspection: &Inspection,
    slots: &[Slot],
    kind: CorruptionKind,
    seed: u64,
) -> Result<Vec<SavedRange>, Refusal> {
    let path = shown(&inspection.path);
    if !inspection.is_ours() {
        return Err(Refusal::new(
            "not-ours",
            format!("{path} holds no metadata of ours: there is nothing to damage."),
            "Name a spare.",
        ));
    }
    let other_layout = |state: &CopyState| {
        let CopyState::Unsupported(why) = state else {
            return false;
        };
        matches!(why, Unsupported::OtherLayout { .. })
    };
    if inspection.judgement.states.count(other_layout) > 0 {
        return Err(Refusal::new(
            "unsupported-layout",
            format!("{path} carries the layout of an older kernel module; what lies in the other slots may be data."),
            "Learn on a spare of this format.",
        ));
    }
    if let Some(slot) = slots.iter().find(|slot| inspection.is_past_end(**slot)) {
        return Err(Refusal::new(
            "past-the-end",
            format!("Copy {slot} would lie past the end of {path}."),
            "Name copies that are there.",
        ));
    }
    let winner = inspection.judgement.winning_copy(&inspection.survey);
    let damaged = slots.iter().map(|slot| {
        let current = match inspection.survey.slots.get(*slot) {
            Reading::Read { raw, .. } => *raw,
            Reading::Unreadable(_) => [0; COPY_BYTES],
        };
        let raw = corrupted(&current, winner, *slot, kind, seed)?;
        Ok(SavedRange {
            at: slot.sector(),
            content: Content::of(raw.to_vec()),
        })
    });
    damaged.collect()
}
