//! Plans that bring the copies back: repair, adoption, rebuild.

use std::path::Path;

use super::active::active;
use super::look::{require_free, see_spare, shown, Seen};
use super::mend::{self, Mends};
use super::overlay::Overlay;
use super::plan::{copy_writes, Draft};
use super::reassemble::{find_spare, refuse_for, Found, Surroundings};
use super::step::{Basis, Puts, Step, WriteStep};
use super::{Operation, Plan, Refusal, Target};
use crate::format::backup::{Content, SavedRange};
use crate::inspect::{
    foreign_places, inspect_table, recoverable_in_words, verdict_reason, Extent, Inspection,
};
use crate::port::{Access, BlockStore, Host, Part, Usage};
use crate::remap_core::commit::{self, prepare, Authority, Intent, Prepared};
use crate::remap_core::message::Message;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::remap_table::RegionHeader;
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{ArrayUuid, Slot};

/// What a person decided beforehand.
#[derive(Clone, Copy)]
pub(super) struct Choices {
    /// The copy that is right.
    pub(super) from: Option<Slot>,
    /// Whether lost copies are rebuilt from a region header.
    pub(super) rebuild: bool,
    /// The array of that header, where headers of several are left.
    pub(super) array: Option<ArrayUuid>,
}

/// Plans a repair: by its target where the device is active, else of the copies.
pub(super) fn plan(
    host: &mut dyn Host,
    operation: &Operation,
    target: &Target,
    choices: Choices,
) -> Result<Plan, Refusal> {
    let path = match find_spare(host, &mut Surroundings::default(), target)? {
        Found::Active(name) => return plan_message(host, operation, &name, choices),
        Found::Inactive(path) => path,
    };
    let seen = see_spare(host, &path)?;
    match &seen.usage {
        Usage::Mapped {
            name,
            part: Part::Spare,
        } if host.mapped()?.iter().any(|device| device.name == *name) => {
            plan_message(host, operation, name, choices)
        }
        Usage::Mapped {
            name,
            part: Part::Main,
        } => Err(Refusal::new(
            "not-a-spare",
            format!(
                "{} is main of {name}; the copies lie on its spare.",
                shown(&path)
            ),
            format!("Run it on the device: dmremap-tui repair {name}"),
        )),
        _ => {
            require_free(&path, &seen.usage)?;
            plan_copies(host, operation, &path, seen, choices)
        }
    }
}

/// An active device repairs itself; it is only asked to do so now.
fn plan_message(
    host: &mut dyn Host,
    operation: &Operation,
    name: &str,
    choices: Choices,
) -> Result<Plan, Refusal> {
    if choices.from.is_some() || choices.rebuild {
        return Err(Refusal::new(
            "active",
            format!(
                "{name} is active: its target decides by its rules, and takes no choice of copies."
            ),
            format!("Repair it without a choice, or take it down first: dmremap-tui remove {name}"),
        ));
    }
    let mut draft = Draft::new(operation, format!("Have {name} repair its metadata now"));
    draft.name = Some(name.to_owned());
    draft.live = true;
    draft.steps.push(Step::Message {
        name: name.to_owned(),
        spare: active(host, name)?.spare,
        message: Message::Repair,
    });
    Ok(draft.finish(host))
}

fn plan_copies(
    host: &mut dyn Host,
    operation: &Operation,
    path: &Path,
    seen: Seen,
    choices: Choices,
) -> Result<Plan, Refusal> {
    let Seen {
        store, inspection, ..
    } = seen;
    let title = format!("Repair the metadata of {}", inspection.token());
    let mut draft = Draft::new(operation, title);
    draft.seen(&inspection);
    if inspection.verdict() == Verdict::Healthy && choices.from.is_none() {
        draft.device = None;
        draft.predicted = Some(Verdict::Healthy);
        return Ok(draft.finish(host));
    }
    require_whole_disk(&inspection)?;
    require_mendable_table(&inspection)?;
    let prepared = prepare_repair(&inspection, choices)?;
    let slots: Vec<Slot> = prepared.slots().collect();
    let mends = mends(&*store, &inspection, choices)?;
    let wipes = wipes(&inspection, choices)?;
    draft.notes.extend(notes(&inspection, choices));
    draft.notes.extend(mends.notes);
    if slots.is_empty() && mends.ranges.is_empty() && wipes.is_empty() {
        draft.device = None;
        draft.predicted = Some(inspection.verdict());
        draft.notes.extend(left_over(&inspection));
        return Ok(draft.finish(host));
    }
    draft.writes = copy_writes(path, &slots, |slot| {
        format!("copy {slot}, sequence {}", prepared.sequence())
    });
    draft.writes.extend(mends.writes);
    draft.writes.extend(mend::planned_wipes(path, &wipes));
    draft.token = Some(inspection.token());
    let mut patches = mends.ranges.clone();
    patches.extend(copy_ranges(&prepared));
    patches.extend(wipes.iter().cloned());
    let after = Overlay::new(store, patches).look(host, path);
    require_mendable_table(&after)?;
    draft.predicted = Some(after.verdict());
    draft.notes.extend(left_over(&after));
    draft.undoable = true;
    draft.steps.push(Step::Write(Box::new(WriteStep {
        path: path.to_owned(),
        access: Access::Exclusive,
        basis: Basis::with_table(&inspection),
        puts: Puts::Mends(mends.ranges),
        wipes,
        copies: (!slots.is_empty()).then_some(prepared),
        undoes: None,
    })));
    Ok(draft.finish(host))
}

/// What is written of headers and table: nothing where a person chose a copy, for the table may
/// be of another one.
fn mends(store: &dyn BlockStore, seen: &Inspection, choices: Choices) -> Result<Mends, Refusal> {
    if choices.from.is_some() {
        return Ok(Mends::default());
    }
    if !choices.rebuild {
        let superblock = seen.superblock.as_ref();
        let mends = superblock.map(|it| mend::table(store, seen, it, seen.table.as_ref()));
        return Ok(mends.unwrap_or_default());
    }
    let superblock = rebuildable(seen, choices.array)?.superblock;
    let table = inspect_table(store, &superblock, Extent::InUse);
    Ok(mend::table(store, seen, &superblock, table.as_ref()))
}

/// What is wiped of others' signatures: all of them, for whoever typed the name was told.
fn wipes(seen: &Inspection, choices: Choices) -> Result<Vec<SavedRange>, Refusal> {
    let superblock = match choices.rebuild {
        true => Some(rebuildable(seen, choices.array)?.superblock),
        false => seen.superblock,
    };
    let layout = superblock.as_ref().and_then(Superblock::layout);
    Ok(mend::wipes(seen.signatures.iter().flatten(), layout))
}

/// Refuses a spare that is not what the metadata was written for: no repair changes that. A main
/// that is not keeps nobody from repairing the copies.
fn require_whole_disk(seen: &Inspection) -> Result<(), Refusal> {
    if let Some(slot) = Slot::ALL.into_iter().find(|slot| seen.is_past_end(*slot)) {
        return Err(Refusal::new(
            "spare-shrunk",
            format!(
                "{} ends before slot {slot} begins: it is shorter than it was.",
                shown(&seen.path)
            ),
            "Bring back its full size first.",
        ));
    }
    if seen.spare_fits() {
        return Ok(());
    }
    for id in ["spare-shrunk", "spare-grown", "block-size"] {
        refuse_for(seen, id)?;
    }
    Ok(())
}

/// Refuses a device whose table lost blocks in both regions: five good copies would not bring
/// it up.
fn require_mendable_table(seen: &Inspection) -> Result<(), Refusal> {
    refuse_for(seen, "table-lost")
}

/// What no repair makes good.
fn left_over(after: &Inspection) -> Option<String> {
    let verdict = after.verdict();
    let why = verdict_reason(after);
    (verdict != Verdict::Healthy).then(|| format!("It stays {verdict}: {why}"))
}

/// The copies that a prepared write leaves, in the order of the disk.
pub(super) fn copy_ranges(prepared: &Prepared) -> Vec<SavedRange> {
    let range = |slot: Slot| {
        Some(SavedRange {
            at: slot.sector(),
            content: Content::of(prepared.final_copy(slot)?.to_vec()),
        })
    };
    prepared.slots().filter_map(range).collect()
}

fn prepare_repair(seen: &Inspection, choices: Choices) -> Result<Prepared, Refusal> {
    let verdict = seen.judgement.verdict;
    let prepare = |intent: Intent<'_>| {
        prepare(&seen.judgement, &seen.survey, intent, Authority::Typed)
            .map_err(|error| refused(seen, &error))
    };
    let is_lost = is_lost(seen);
    if choices.rebuild && !is_lost {
        return Err(Refusal::new(
            "not-lost",
            format!(
                "{} is judged {verdict}; only lost copies are rebuilt from a region header.",
                shown(&seen.path)
            ),
            "Run it without --rebuild.",
        ));
    }
    match choices.from {
        None if choices.rebuild => {
            let header = rebuildable(seen, choices.array)?;
            prepare(Intent::Rebuild(&header.superblock))
        }
        _ if is_lost => Err(rebuild_needed(seen)),
        Some(slot) => prepare(Intent::Adopt(slot)),
        None => prepare(Intent::Heal),
    }
}

/// Whether not one copy of ours can be believed, beneath a foreign signature or not.
fn is_lost(seen: &Inspection) -> bool {
    match seen.judgement.verdict {
        Verdict::Lost => true,
        Verdict::ForeignOverwritten => seen.judgement.highest.is_none(),
        _ => false,
    }
}

fn rebuild_needed(seen: &Inspection) -> Refusal {
    let advice = match seen.recoverable() {
        Some(header) => format!(
            "Region {} still holds a superblock; rebuild the copies from it with --rebuild.",
            header.region
        ),
        None if !seen.recoverable_arrays().is_empty() => {
            "Region headers of several arrays are left; name one with --rebuild --array UUID."
                .to_owned()
        }
        None => "No region header is left to rebuild them from.".to_owned(),
    };
    Refusal::new(
        "lost",
        format!("{} has lost all five copies.", shown(&seen.path)),
        advice,
    )
}

/// The header to rebuild from: of the array that was named, or of the only one there is.
fn rebuildable(seen: &Inspection, array: Option<ArrayUuid>) -> Result<&RegionHeader, Refusal> {
    let header = match array {
        Some(array) => seen.recoverable_as(array),
        None => seen.recoverable(),
    };
    let several = seen.recoverable_arrays().len() > 1;
    let header = match header {
        Some(header) => header,
        None if array.is_some() || several => {
            let left = recoverable_in_words(seen);
            let is_left = match left.is_empty() {
                true => "No region header is left.".to_owned(),
                false => format!("Region headers are left of {left}."),
            };
            return Err(Refusal::new(
                "ambiguous-array",
                format!("{}: {is_left}", shown(&seen.path)),
                "Nothing but you can tell which array is the present one: name it with --rebuild --array UUID.",
            ));
        }
        None => return Err(rebuild_needed(seen)),
    };
    if header.superblock.spare_sectors != seen.size {
        return Err(Refusal::new(
            "spare-shrunk",
            format!(
                "{} has {} sectors; the region header says {}.",
                shown(&seen.path),
                seen.size,
                header.superblock.spare_sectors
            ),
            "Bring back its full size first.",
        ));
    }
    Ok(header)
}

fn notes(seen: &Inspection, choices: Choices) -> Vec<String> {
    let mut notes = Vec::new();
    if seen.signatures.iter().flatten().next().is_some() {
        notes.push(format!(
            "It holds {}: all of that is overwritten, and others know it no more.",
            foreign_places(seen)
        ));
    }
    match (seen.judgement.verdict, choices.from) {
        (_, Some(slot)) => notes.push(format!("Every copy will say what copy {slot} says.")),
        (Verdict::Weak, None) => notes.push(format!(
            "Only {} of 5 copies say what all will say then.",
            seen.judgement.winner_count()
        )),
        (Verdict::Outlier, None) => notes.push(
            "The copies that are ahead will be believed. To believe another one, name it with --from."
                .to_owned(),
        ),
        (Verdict::ForeignOverwritten, None) => {
            notes.push("The foreign signature over copy 0 is overwritten.".to_owned());
        }
        _ => {}
    }
    if choices.rebuild {
        notes.push(
            "The copies are rebuilt from a region header; what changed since it was written is not in them."
                .to_owned(),
        );
    }
    notes
}

/// The rules' refusal, as an operator is told it.
pub(super) fn refused(seen: &Inspection, error: &commit::Refusal) -> Refusal {
    let path = shown(&seen.path);
    let (code, advice) = match error {
        commit::Refusal::Verdict {
            verdict: Verdict::Split,
            ..
        } => (
            "split",
            "There is no telling which copies are right. Compare them byte by byte.",
        ),
        commit::Refusal::Verdict {
            verdict: Verdict::Unsupported,
            ..
        } => (
            "unsupported",
            "It was written by another version; nothing here will write to it.",
        ),
        commit::Refusal::Verdict {
            verdict: Verdict::None,
            ..
        } => ("not-ours", "Name a spare of ours."),
        commit::Refusal::Verdict { .. } => {
            ("verdict", "Look at the findings: dmremap-tui inspect.")
        }
        commit::Refusal::Mismatch => (
            "mismatch",
            "Plain v4 must be migrated first: dmremap-tui migrate.",
        ),
        commit::Refusal::NotBelievable(_) => ("not-believable", "Choose another copy with --from."),
        commit::Refusal::Features { .. } => (
            "unknown-features",
            "Use the version that wrote it; this one may only read.",
        ),
        commit::Refusal::Malformed => (
            "malformed",
            "Name other devices: this combination cannot be written so that it is believed.",
        ),
        commit::Refusal::SequenceExhausted => ("sequence-exhausted", "Create the device anew."),
    };
    Refusal::new(code, format!("{path}: {error}."), advice)
}
