//! The lints: each a small pure function over what was seen.

use std::fmt::Write as _;

use super::{Finding, HeaderReading, Inspection};
use crate::command_line;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::main_verdict::MainVerdict;
use crate::remap_core::quorum::{CopyState, Foreign, Reading, Verdict};
use crate::remap_core::superblock::{Content, Flaw, Superblock, Unsupported};
use crate::remap_core::units::{Sector, Sectors, Sequence, Slot};
use crate::text;

type Lint = fn(&Inspection) -> Option<Finding>;

/// Every lint, in the order in which equals are shown.
const LINTS: [Lint; 30] = [
    foreign_overwritten,
    ambivalent,
    main_label,
    table_lost,
    table_contradicts,
    block_size,
    main_size,
    unsupported_layout,
    unsupported,
    split,
    outlier,
    lost,
    needs_check,
    weak,
    interrupted_write,
    copy_unreadable,
    copy_foreign,
    copy_corrupt,
    copy_missing,
    copy_stale,
    shifted_fields,
    header_damaged,
    table_damaged,
    spare_shrunk,
    spare_grown,
    unknown_features,
    name_unusable,
    path_not_absolute,
    plain_format,
    not_ours,
];

/// Everything worth saying of a device, most urgent first.
pub fn findings(seen: &Inspection) -> Vec<Finding> {
    let mut findings: Vec<Finding> = LINTS.iter().filter_map(|lint| lint(seen)).collect();
    super::sort_findings(&mut findings);
    findings
}

/// Why a copy is worth less than it could be; `None` for a good one.
pub fn reason(seen: &Inspection, slot: Slot) -> Option<String> {
    let mut reason = match seen.judgement.states.get(slot) {
        CopyState::Valid | CopyState::Plain => return None,
        CopyState::Stale => stale_reason(seen, slot),
        CopyState::Corrupt(flaw) => flaw.to_string(),
        CopyState::Missing if seen.is_past_end(slot) => {
            format!(
                "past the end of the device, which has {} sectors",
                seen.size
            )
        }
        CopyState::Missing => "nothing but zeros".to_owned(),
        CopyState::Foreign(Foreign::Signature(signature)) => {
            format!("{signature} signature")
        }
        CopyState::Foreign(Foreign::Array(array)) => format!("of another array, {array}"),
        CopyState::Unreadable(errno) => std::io::Error::from_raw_os_error(errno.get()).to_string(),
        CopyState::Unsupported(why) => why.to_string(),
    };
    let corrupt = matches!(seen.judgement.states.get(slot), CopyState::Corrupt(_));
    if let (true, Some(off), Some(winner)) = (corrupt, seen.bytes_off(slot), seen.judgement.winner)
    {
        // Writing to a string cannot fail.
        let _ = match off {
            1 => write!(reason, ": 1 byte differs from copy {winner}"),
            off => write!(reason, ": {off} bytes differ from copy {winner}"),
        };
    }
    Some(reason)
}

fn stale_reason(seen: &Inspection, slot: Slot) -> String {
    let Some((sequence, plain)) = sequence_of(seen, slot) else {
        return "older than the newest".to_owned();
    };
    let newest = seen.judgement.sequence.unwrap_or_default();
    match newest.get().saturating_sub(sequence.get()) {
        0 if plain => "plain v4 beside checksummed copies".to_owned(),
        behind => format!("sequence {sequence}, {behind} behind the newest"),
    }
}

/// The sequence that a copy states, believed or not, and whether it is plain v4.
fn sequence_of(seen: &Inspection, slot: Slot) -> Option<(Sequence, bool)> {
    match seen.survey.slots.get(slot) {
        Reading::Read { raw, .. } => match crate::remap_core::superblock::read_copy(raw, slot) {
            Content::Checksummed(superblock) => Some((superblock.sequence, false)),
            Content::Plain(superblock) => Some((superblock.sequence, true)),
            _ => None,
        },
        Reading::Unreadable(_) => None,
    }
}

/// A command of this program on the device.
fn command(seen: &Inspection, verb: &str, rest: &[&str]) -> String {
    let mut line = command_line::line([verb]);
    line.push(' ');
    line.push_str(&command_line::quote(seen.path.as_os_str()));
    for word in rest {
        line.push(' ');
        line.push_str(word);
    }
    line
}

fn slots_where(seen: &Inspection, test: impl Fn(Slot, &CopyState) -> bool) -> Vec<Slot> {
    let states = seen.judgement.states.iter();
    states
        .filter(|(slot, state)| test(*slot, state))
        .map(|(slot, _)| slot)
        .collect()
}

/// "copy 3", "copies 1 and 4", "copies 0, 1 and 4"; `None` for none.
pub fn name_copies(slots: &[Slot]) -> Option<String> {
    let (last, rest) = slots.split_last()?;
    if rest.is_empty() {
        return Some(format!("copy {last}"));
    }
    let rest: Vec<String> = rest.iter().map(Slot::to_string).collect();
    Some(format!("copies {} and {last}", rest.join(", ")))
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// "Copy 3 is damaged: why." for one, "Copies 1 and 4 are damaged." for several.
fn about_copies(seen: &Inspection, slots: &[Slot], is: &str, are: &str) -> Option<String> {
    let copies = capitalized(&name_copies(slots)?);
    Some(match slots {
        [only] => match reason(seen, *only) {
            Some(why) => format!("{copies} {is}: {why}."),
            None => format!("{copies} {is}."),
        },
        _ => format!("{copies} {are}."),
    })
}

/// Advice on copies that are worth nothing.
fn heal_advice(seen: &Inspection) -> String {
    match seen.verdict() {
        Verdict::Healthy => "Nothing is to be done.".to_owned(),
        Verdict::Degraded | Verdict::Interrupted => format!(
            "While the device is active its target rewrites them by itself; else run: {}",
            command(seen, "repair", &[])
        ),
        Verdict::Weak => format!(
            "Only a person may decide to rewrite them: {}",
            command(seen, "repair", &[])
        ),
        _ => "See what is said of the device as a whole first.".to_owned(),
    }
}

fn foreign_overwritten(seen: &Inspection) -> Option<Finding> {
    if seen.verdict() != Verdict::ForeignOverwritten {
        return None;
    }
    let whose = match seen.judgement.states.get(Slot::S0) {
        CopyState::Foreign(Foreign::Signature(signature)) => signature.name(),
        _ => "another's",
    };
    Some(Finding::error(
        "foreign-overwritten",
        format!("A signature of {whose} lies over copy 0: somebody else used this device."),
        format!(
            "Find out whether what is there now is needed. If not, take the device back with: {}",
            command(seen, "repair", &[])
        ),
    ))
}

/// Others' signatures beside ours: of each kind the first place, and how many more there are.
pub(crate) fn foreign_places(seen: &Inspection) -> String {
    let mut kinds: Vec<(String, Option<Sector>, usize)> = Vec::new();
    for signature in seen.signatures.iter().flatten() {
        let word = signature.to_string();
        match kinds.iter_mut().find(|(kind, ..)| *kind == word) {
            Some((.., more)) => *more += 1,
            None => kinds.push((word, signature.at, 0)),
        }
    }
    let words = kinds.into_iter().map(|(kind, at, more)| {
        let at = at.map_or_else(String::new, |at| format!(" at sector {at}"));
        match more {
            0 => format!("{kind}{at}"),
            1 => format!("{kind}{at} and 1 more place"),
            more => format!("{kind}{at} and {more} more places"),
        }
    });
    format!("a signature of {}", words.collect::<Vec<_>>().join(", "))
}

fn ambivalent(seen: &Inspection) -> Option<Finding> {
    (seen.verdict() == Verdict::Ambivalent).then(|| {
        Finding::error(
            "ambivalent",
            format!(
                "{} lies beside what is ours: somebody else used this device.",
                capitalized(&foreign_places(seen))
            ),
            format!(
                "Nothing here assembles or writes it unasked. Find out whether what is there now is needed. \
                 If not, take the device back with: {}",
                command(seen, "repair", &[])
            ),
        )
    })
}

/// "1 block", "blocks 3, 4 and 7 more" of a table.
pub(super) fn table_blocks(blocks: &[u32]) -> String {
    match blocks {
        [] => "no block".to_owned(),
        [only] => format!("block {only}"),
        [first, second] => format!("blocks {first} and {second}"),
        [first, .., last] if (last - first) as usize == blocks.len() - 1 => {
            format!("blocks {first} to {last}")
        }
        [first, second, more @ ..] => {
            format!("blocks {first}, {second} and {} more", more.len())
        }
    }
}

fn table_lost(seen: &Inspection) -> Option<Finding> {
    let lost = &seen.table.as_ref()?.lost;
    (!is_short(seen) && !lost.is_empty()).then(|| {
        Finding::error(
            "table-lost",
            format!(
                "{} of the remap table cannot be believed in either region: the device cannot come up.",
                capitalized(&table_blocks(lost))
            ),
            "Which blocks of main they moved cannot be known, and no repair brings that back. Keep both \
             disks as they are; take back what was written there, if the journal has it (dmremap-tui log), \
             or restore an image of the spare.",
        )
    })
}

fn table_contradicts(seen: &Inspection) -> Option<Finding> {
    let table = seen.table.as_ref()?;
    let (blocks, strays) = (&table.contradictions, table.strays);
    let what = match (blocks.is_empty(), strays) {
        (true, 0) => return None,
        (false, _) => format!(
            "Both regions hold {} of the remap table intact and with different entries",
            table_blocks(blocks)
        ),
        (true, 1) => "1 entry of the remap table contradicts others, or names a block that main has not"
            .to_owned(),
        (true, _) => format!(
            "{strays} entries of the remap table contradict others, or name blocks that main has not"
        ),
    };
    Some(Finding::error(
        "table-contradicts",
        format!("{what}: the device comes up read-only."),
        "No repair decides which is right. Bring it up read-only, copy the data to another disk, and \
         create the device anew.",
    ))
}

/// Damage of the remap table that the other region makes good.
pub(super) fn damaged_parts(seen: &Inspection) -> Vec<String> {
    let mut parts = damaged_headers(seen);
    let table = seen.table.iter();
    parts.extend(table.flat_map(|table| {
        let regions = [(Region::A, &table.damaged_a), (Region::B, &table.damaged_b)];
        let damaged = regions.into_iter().filter(|(_, blocks)| !blocks.is_empty());
        damaged.map(|(region, blocks)| {
            let are = if blocks.len() == 1 { "is" } else { "are" };
            let blocks_of = table_blocks(blocks);
            format!("{blocks_of} of region {region} {are} damaged or out of date")
        })
    }));
    parts
}

/// Tells whether the device ends before its metadata does: what lies past the end is not lost yet.
fn is_short(seen: &Inspection) -> bool {
    seen.superblock
        .is_some_and(|superblock| seen.size < superblock.spare_sectors)
}

fn table_damaged(seen: &Inspection) -> Option<Finding> {
    let table = seen.table.as_ref().filter(|_| !is_short(seen))?;
    (!table.damaged_a.is_empty() || !table.damaged_b.is_empty()).then(|| {
        let headers = damaged_headers(seen).len();
        let parts: Vec<String> = damaged_parts(seen).into_iter().skip(headers).collect();
        Finding::warning(
            "table-damaged",
            format!("Remap table: {}.", parts.join("; ")),
            format!(
                "What is in use is whole in the other region. While the device is active its target \
                 rewrites it by itself; else run: {}",
                command(seen, "repair", &[])
            ),
        )
    })
}

/// Why a target would refuse the devices, whatever the metadata is worth.
pub(super) fn misfit(seen: &Inspection) -> Vec<String> {
    let Some(superblock) = &seen.superblock else {
        return Vec::new();
    };
    let unit = superblock.layout().map(|layout| layout.block_size);
    let mut why = Vec::new();
    let mut check = |what: &str, size: Sectors, block: u32, stated: Sectors| {
        if size != stated {
            why.push(format!(
                "{what} has {size} sectors; the metadata says {stated}"
            ));
        }
        if let Some(unit) = unit.filter(|unit| block > unit.bytes()) {
            why.push(format!(
                "{what} writes no less than {block} bytes, more than the remap unit of {unit}"
            ));
        }
    };
    check(
        "the spare",
        seen.size,
        seen.logical_block.bytes(),
        superblock.spare_sectors,
    );
    if let Some(main) = &seen.main {
        let stated = superblock.main_sectors;
        check("main", main.size, main.block_bytes, stated);
    }
    why
}

fn block_size(seen: &Inspection) -> Option<Finding> {
    let unit = seen.superblock.as_ref()?.layout()?.block_size;
    let main = seen.main.as_ref().map(|main| main.block_bytes);
    let own = seen.logical_block.bytes();
    let larger = main.into_iter().chain([own]).max()?;
    (larger > unit.bytes()).then(|| {
        let on = match own > unit.bytes() {
            true => "The device",
            false => "Its main",
        };
        Finding::error(
            "block-size",
            format!("{on} writes no less than {larger} bytes; the remap unit is {unit}: it cannot come up."),
            "It was joined on disks with smaller blocks. Bring those back, or copy the images to disks with \
             blocks of 512 bytes.",
        )
    })
}

fn main_label(seen: &Inspection) -> Option<Finding> {
    let verdict = seen.main_verdict()?;
    let anew = "If it is this main, have its labels written anew: write-metadata --main PATH --spare PATH \
                --name NAME.";
    let (summary, advice) = match verdict {
        MainVerdict::Labelled => return None,
        MainVerdict::Damaged => {
            return Some(Finding::warning(
                "main-label",
                "One of the labels of main is damaged or lost.",
                "The target writes it anew once the device is up.",
            ))
        }
        MainVerdict::Unlabelled => (
            "Both labels of main are lost: nothing on it says any more that it is main.",
            anew,
        ),
        MainVerdict::Former => (
            "The disk was main before another one: what it holds is old.",
            "Connect the disk that took its place.",
        ),
        MainVerdict::Newer => (
            "The labels of main are newer than the metadata here, which is an old copy.",
            "Connect the spare that was used last.",
        ),
        MainVerdict::Other => (
            "The disk bears the labels of another device's main.",
            "Connect the disk that belongs to this spare.",
        ),
        MainVerdict::Split => (
            "The two labels of main do not say the same.",
            "Look at both with inspect. Which of them is right, only you can know.",
        ),
        MainVerdict::Overwritten => (
            "Somebody else's signature lies where main has a label: the disk was used for something else.",
            "Look at it first. If it is still wanted as main, wipe that signature, then have the labels \
             written anew: write-metadata --main PATH --spare PATH --name NAME.",
        ),
    };
    Some(Finding::error("main-label", summary, advice))
}

fn main_size(seen: &Inspection) -> Option<Finding> {
    let stated = seen.superblock.as_ref()?.main_sectors;
    let size = seen.main.as_ref()?.size;
    (size != stated).then(|| {
        Finding::error(
            "main-size",
            format!(
                "Main has {size} sectors; the metadata says {stated}: the device cannot come up."
            ),
            "It was cut short or enlarged, or is another disk. Bring back its full size first.",
        )
    })
}

fn unsupported_layout(seen: &Inspection) -> Option<Finding> {
    let older = slots_where(seen, |_, state| {
        matches!(
            state,
            CopyState::Unsupported(Unsupported::OtherLayout { .. })
        )
    });
    name_copies(&older).map(|copies| {
        Finding::error(
            "unsupported-layout",
            format!(
                "{} in the layout of an older kernel module, under our magic.",
                capitalized(&if older.len() == 1 {
                    format!("{copies} is")
                } else {
                    format!("{copies} are")
                })
            ),
            "Such a spare may hold remapped user data from sector 0 on. Save it with the module that \
             wrote it; nothing here will write to it.",
        )
    })
}

fn unsupported(seen: &Inspection) -> Option<Finding> {
    let newer = slots_where(seen, |_, state| {
        matches!(state, CopyState::Unsupported(why)
            if !matches!(why, Unsupported::OtherLayout { .. }))
    });
    about_copies(seen, &newer, "cannot be interpreted", "cannot be interpreted").map(|summary| {
        Finding::error(
            "copy-unsupported",
            summary,
            "It was written by a newer version, or for features that this one does not know: use that version.",
        )
    })
}

fn split(seen: &Inspection) -> Option<Finding> {
    (seen.judgement.verdict == Verdict::Split).then(|| {
        let which = match seen.judgement.sequence {
            Some(sequence) => format!("Copies of sequence {sequence} contradict each other"),
            None => "The copies contradict each other".to_owned(),
        };
        Finding::error(
            "split",
            format!("{which}: there is no telling which is right."),
            "Nothing is written to a split device. Compare the copies byte by byte; a spare that was written \
             by two machines at once must be set up anew from the one whose data is right.",
        )
    })
}

fn outlier(seen: &Inspection) -> Option<Finding> {
    (seen.judgement.verdict == Verdict::Outlier).then(|| {
        let ahead = slots_where(seen, |slot, _| *seen.judgement.winners.get(slot));
        let copies = capitalized(&name_copies(&ahead).unwrap_or_default());
        let are = if ahead.len() == 1 { "is" } else { "are" };
        Finding::error(
            "outlier",
            format!("{copies} {are} more than one write ahead of all others, and too few to be believed."),
            format!(
                "Decide which copies are right, then say so: {}",
                command(seen, "repair", &["--from", "SLOT"])
            ),
        )
    })
}

fn lost(seen: &Inspection) -> Option<Finding> {
    (seen.judgement.verdict == Verdict::Lost).then(|| {
        let advice = match seen.recoverable() {
            Some(header) => format!(
                "Region {} still holds a superblock of sequence {}; rebuild the copies from it with: {}",
                header.region,
                header.superblock.sequence,
                command(seen, "repair", &["--rebuild"])
            ),
            None if seen.recoverable_arrays().len() > 1 => format!(
                "Region headers of several arrays are left: {}. Nothing tells which is the present one; \
                 choose it with: {}",
                recoverable_in_words(seen),
                command(seen, "repair", &["--rebuild", "--array", "UUID"])
            ),
            None => "No region header is left to rebuild them from. Restore the backup of the last action, if \
                     there is one (dmremap-tui log)."
                .to_owned(),
        };
        Finding::error(
            "lost",
            "The device is ours, but none of its five copies can be believed.",
            advice,
        )
    })
}

/// The arrays of which a region header is left, each with its name.
pub(crate) fn recoverable_in_words(seen: &Inspection) -> String {
    let arrays = seen.recoverable_arrays().into_iter();
    let words = arrays.filter_map(|array| {
        let header = seen.recoverable_as(array)?;
        let name = text::escape(header.name.trimmed());
        let sequence = header.superblock.sequence;
        Some(format!("{array} ({name}, sequence {sequence})"))
    });
    words.collect::<Vec<_>>().join(" and ")
}

fn weak(seen: &Inspection) -> Option<Finding> {
    let is_weak = seen.judgement.verdict == Verdict::Weak;
    (is_weak && seen.verdict() != Verdict::Ambivalent).then(|| {
        let good = seen.judgement.winner_count();
        let are = if good == 1 { "copy is" } else { "copies are" };
        Finding::warning(
            "weak",
            format!("Only {good} of 5 {are} good. Nothing contradicts what is left."),
            format!(
                "Assemble it read-only to look at the data, or bring all five copies back with: {}",
                command(seen, "repair", &[])
            ),
        )
    })
}

fn interrupted_write(seen: &Inspection) -> Option<Finding> {
    let is_interrupted = seen.judgement.verdict == Verdict::Interrupted;
    (is_interrupted && seen.verdict() != Verdict::Ambivalent).then(|| {
        let behind = slots_where(seen, |_, state| *state == CopyState::Stale);
        let copies = name_copies(&behind).unwrap_or_default();
        Finding::warning(
            "interrupted-write",
            format!("A write of the copies did not end; it is missing from {copies}."),
            format!(
                "Nothing is lost. Activation or a repair carries it to the end: {}",
                command(seen, "repair", &[])
            ),
        )
    })
}

/// Tells whether the five slots are where copies should be: not on a device of somebody else,
/// nor in a layout that has them elsewhere.
fn has_our_slots(seen: &Inspection) -> bool {
    !matches!(seen.judgement.verdict, Verdict::None | Verdict::Unsupported)
}

fn copy_unreadable(seen: &Inspection) -> Option<Finding> {
    let slots = slots_where(seen, |_, state| matches!(state, CopyState::Unreadable(_)));
    about_copies(seen, &slots, "cannot be read", "cannot be read").map(|summary| {
        Finding::warning(
            "copy-unreadable",
            summary,
            "Look at the health of the disk itself: a spare that fails is none. Rewriting the copy may help once.",
        )
    })
}

fn copy_foreign(seen: &Inspection) -> Option<Finding> {
    if !seen.is_ours() {
        return None;
    }
    let slots = slots_where(seen, |_, state| matches!(state, CopyState::Foreign(_)));
    about_copies(seen, &slots, "is another's", "are another's")
        .map(|summary| Finding::warning("copy-foreign", summary, heal_advice(seen)))
}

fn copy_corrupt(seen: &Inspection) -> Option<Finding> {
    if !has_our_slots(seen) {
        return None;
    }
    let slots = slots_where(seen, |_, state| matches!(state, CopyState::Corrupt(_)));
    about_copies(seen, &slots, "is damaged", "are damaged")
        .map(|summary| Finding::warning("copy-corrupt", summary, heal_advice(seen)))
}

fn copy_missing(seen: &Inspection) -> Option<Finding> {
    if !has_our_slots(seen) {
        return None;
    }
    let slots = slots_where(seen, |_, state| *state == CopyState::Missing);
    about_copies(seen, &slots, "is missing", "are missing").map(|summary| {
        let cut_off = slots.iter().any(|slot| seen.is_past_end(*slot));
        let advice = if cut_off {
            "The device is shorter than when it was joined: do not write to it before its full size is back."
                .to_owned()
        } else {
            heal_advice(seen)
        };
        Finding::warning("copy-missing", summary, advice)
    })
}

fn copy_stale(seen: &Inspection) -> Option<Finding> {
    // Where a write was merely interrupted, that is what is said.
    if seen.judgement.verdict == Verdict::Interrupted {
        return None;
    }
    let slots = slots_where(seen, |_, state| *state == CopyState::Stale);
    about_copies(seen, &slots, "is out of date", "are out of date")
        .map(|summary| Finding::warning("copy-stale", summary, heal_advice(seen)))
}

fn shifted_fields(seen: &Inspection) -> Option<Finding> {
    let slots = slots_where(seen, |_, state| {
        matches!(state, CopyState::Corrupt(Flaw::Padding))
    });
    name_copies(&slots).map(|copies| {
        Finding::warning(
            "shifted-fields",
            format!("The fields of {copies} seem shifted by a path of more than 128 bytes."),
            "A tool that does not check lengths wrote it; none of its fields can be believed.",
        )
    })
}

fn needs_check(seen: &Inspection) -> Option<Finding> {
    let extension = seen.superblock.as_ref()?.extension.as_ref()?;
    extension.needs_check.then(|| {
        Finding::error(
            "needs-check",
            "The remap table contradicted itself; the device comes up read-only.",
            "Compare both readings of the contradicting blocks before anything is written.",
        )
    })
}

fn damaged_headers(seen: &Inspection) -> Vec<String> {
    seen.headers
        .iter()
        .filter_map(|read: &HeaderReading| {
            let flaw = read.header.as_ref().err()?;
            Some(format!(
                "the header of region {} is damaged: {flaw}",
                read.region
            ))
        })
        .collect()
}

fn header_damaged(seen: &Inspection) -> Option<Finding> {
    let damaged = damaged_headers(seen);
    (!damaged.is_empty()).then(|| {
        Finding::warning(
            "header-damaged",
            format!("{}.", capitalized(&damaged.join("; "))),
            "While the device is active a scrub rewrites it. One intact header is enough to keep the name.",
        )
    })
}

fn spare_shrunk(seen: &Inspection) -> Option<Finding> {
    let stated = seen.superblock.as_ref()?.spare_sectors;
    (seen.size < stated).then(|| {
        Finding::error(
            "spare-shrunk",
            format!(
                "The device has {} sectors; its metadata says {stated}.",
                seen.size
            ),
            for_another_size(
                seen,
                "It was cut short, or copied to a smaller one. Do not assemble it before its full size is back.",
            ),
        )
    })
}

/// Advice on a spare of another size; nothing on plain v4 depends on the size that it states.
fn for_another_size(seen: &Inspection, advice: &str) -> String {
    match seen.superblock.as_ref().and_then(Superblock::layout) {
        Some(_) => advice.to_owned(),
        None => format!(
            "{advice} Or have it take the size that it has: {}",
            command(seen, "migrate", &[])
        ),
    }
}

fn spare_grown(seen: &Inspection) -> Option<Finding> {
    let stated = seen.superblock.as_ref()?.spare_sectors;
    (seen.size > stated).then(|| {
        Finding::error(
            "spare-grown",
            format!(
                "The device has {} sectors; its metadata says {stated}: no target brings it up so.",
                seen.size
            ),
            for_another_size(
                seen,
                "Give it the size again that it had: as a partition, or as a loop device of limited size.",
            ),
        )
    })
}

fn unknown_features(seen: &Inspection) -> Option<Finding> {
    let extension = seen.superblock.as_ref()?.extension.as_ref()?;
    let unknown = extension.features.unknown_ro_compat();
    (unknown != 0).then(|| {
        Finding::warning(
            "unknown-features",
            format!("The metadata uses features unknown here ({unknown:08x}): it may be read, not written."),
            "Use the version that wrote it.",
        )
    })
}

fn name_unusable(seen: &Inspection) -> Option<Finding> {
    let header = seen.recoverable()?;
    let error = super::check_name(header.name.trimmed()).err()?;
    Some(match error {
        super::NameError::Empty => Finding::info(
            "name-missing",
            "The metadata holds no name for the mapped device.",
            "It gets a name of its own when it is assembled; to choose one, name it then.",
        ),
        error => Finding::warning(
            "name-unusable",
            format!(
                "The metadata holds a name that no device can have, {}: {error}.",
                text::escape(header.name.trimmed())
            ),
            "It gets another name when it is assembled.",
        ),
    })
}

fn path_not_absolute(seen: &Inspection) -> Option<Finding> {
    let superblock = seen.superblock.as_ref()?;
    let relative = |path: &[u8]| !path.is_empty() && !path.starts_with(b"/");
    let hints = [
        ("main", superblock.main_path.trimmed()),
        ("the spare", superblock.spare_path.trimmed()),
    ];
    let bad: Vec<String> = hints
        .into_iter()
        .filter(|(_, path)| relative(path))
        .map(|(which, path)| format!("{which} as {}", text::escape(path)))
        .collect();
    (!bad.is_empty()).then(|| {
        Finding::info(
            "path-not-absolute",
            format!(
                "The metadata names {}: not an absolute path.",
                bad.join(" and ")
            ),
            "Paths are hints only; nothing is ever found by them.",
        )
    })
}

fn plain_format(seen: &Inspection) -> Option<Finding> {
    let superblock: &Superblock = seen.superblock.as_ref()?;
    superblock.extension.is_none().then(|| {
        Finding::info(
            "plain-format",
            "The copies are plain v4: no checksum, no identity of main, no name, no remap table.",
            format!(
                "To have them, migrate it: {}",
                command(seen, "migrate", &[])
            ),
        )
    })
}

/// Finding of a device that is main of the mapped device `name`, which is not up: its
/// spare says so, and nothing on the device itself.
pub fn idle_main(name: &str) -> Finding {
    let shown = crate::text::escape_str(name);
    Finding::info(
        "idle-main",
        format!("It is main of {shown}, which is not up. Its metadata lies on the spare."),
        format!(
            "Use it through {shown}: by itself it lacks every block that was moved. {}",
            command_line::line(["reassemble", name])
        ),
    )
}

fn not_ours(seen: &Inspection) -> Option<Finding> {
    if seen.is_ours() {
        return None;
    }
    if let Some(label) = seen.label() {
        let name = seen.known_name().unwrap_or("a device without a name");
        return Some(Finding::info(
            "main-of",
            format!(
                "It is main of {name}, of array {}, by its label.",
                label.array
            ),
            "Use it through that device alone: blocks that were moved are missing here.",
        ));
    }
    let summary = match seen.judgement.states.get(Slot::S0) {
        CopyState::Foreign(Foreign::Signature(signature)) => {
            format!("Nothing here is ours; the device carries a signature of {signature}.")
        }
        _ if seen.size < Layout::smallest_spare(seen.logical_block) => format!(
            "Nothing here is ours; with {} sectors the device is too small for a spare.",
            seen.size
        ),
        _ => "Nothing here says that the device is ours.".to_owned(),
    };
    Some(Finding::info(
        "not-ours",
        summary,
        "Nothing is to be done, unless a spare of yours should be here.",
    ))
}
