//! Covering the main of a device that is up, uncovering it, and taking either back.

use super::active::active;
use super::labels;
use super::look::{see, shown, Seen};
use super::plan::{copy_writes, Draft, Kept, PlannedWrite};
use super::step::{Basis, Step};
use super::{bytes, region, Operation, Plan, Refusal};
use crate::command_line;
use crate::error::{Error, Exit};
use crate::format::backup::{Backup, SavedRange};
use crate::inspect::Inspection;
use crate::port::block::{describe_signatures, Signature, SignatureUse};
use crate::port::journal::ActionRecord;
use crate::port::{Access, BlockStore, Host, Mapped, Reply};
use crate::remap_core::bytes::Text;
use crate::remap_core::label::{DataArea, End, LabelReading, MainForm};
use crate::remap_core::message::Message;
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::status::Mode;
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{
    MainBlock, Sector, Sectors, Sequence, Slot, BLOCK_4K_BYTES, BLOCK_4K_SECTORS, SECTOR_BYTES,
};

/// Plans to cover the main of an active device.
pub(super) fn plan_cover(
    host: &mut dyn Host,
    operation: &Operation,
    name: &str,
) -> Result<Plan, Refusal> {
    let device = active(host, name)?;
    let spare = see(host, &device.spare)?;
    let superblock = require_table(&device, &spare.inspection)?;
    let mut draft = begin(operation, &device, format!("Cover the main of {name}"));
    match superblock.main_form() {
        MainForm::Bare => {}
        MainForm::Covered => {
            draft.token = None;
            draft.predicted = draft.before;
            draft
                .notes
                .push(format!("The main of {name} is covered already."));
            return Ok(draft.finish(host));
        }
        MainForm::Labelled => {
            return Err(Refusal::new(
                "labelled",
                format!("The main of {name} is labelled: the device lies between its labels."),
                "Nothing is left to be covered.",
            ));
        }
    }
    let main = see(host, &device.main)?;
    // What it looks for at the ends of the disk would be gone.
    labels::require_no_boot_disk(&main)?;
    require_room(&device, main.inspection.size)?;
    draft.notes.extend(require_nothing_beside(&main)?);
    let covered = covered(&superblock)?;
    let stored = spare.inspection.name.clone().unwrap_or_default();
    let stored: Text<NAME_LIMIT> = Text::new(stored.as_bytes()).unwrap_or_default();
    draft.writes = end_writes(&device, main.inspection.size, "label, and zeros");
    draft.writes.extend(copies(&device, &covered));
    draft.notes.push(format!(
        "{name} stays in use. Its main is found by its labels from then on, and shows nothing else at its \
         ends: what they hold goes to {} of the spare, which the target chooses.",
        blocks_in_words(&device, main.inspection.size)
    ));
    draft.notes.push(
        "Without the spare, what these ends hold is in the backup of this action alone.".to_owned(),
    );
    draft.undoable = true;
    draft.kept = Some(Box::new(Kept {
        path: device.main.clone(),
        basis: Basis::of(&main.inspection),
        after: labels::ends(&covered, stored),
    }));
    ask(&mut draft, &device, Message::Cover);
    Ok(draft.finish(host))
}

/// Plans to uncover the main of an active device.
pub(super) fn plan_uncover(
    host: &mut dyn Host,
    operation: &Operation,
    name: &str,
) -> Result<Plan, Refusal> {
    let device = active(host, name)?;
    let spare = see(host, &device.spare)?;
    let superblock = require_table(&device, &spare.inspection)?;
    let mut draft = begin(operation, &device, format!("Uncover the main of {name}"));
    let bare = superblock.main_form() == MainForm::Bare;
    if superblock.main_form() == MainForm::Labelled || bare && moved(host, &device)? == 0 {
        return Err(Refusal::new(
            "not-covered",
            format!("The main of {name} is not covered."),
            "Nothing of its ends is on the spare.",
        ));
    }
    draft.writes = end_writes(
        &device,
        superblock.main_sectors,
        "what the spare holds of it",
    );
    if !bare {
        let next = amended(&superblock, MainForm::Bare);
        draft.writes.extend(copies(&device, &next));
    }
    draft.notes.push(format!(
        "{name} stays in use. Others see what lies on its main again: LVM, md, mount and whatever looks at \
         disks may take it past the device."
    ));
    draft.notes.push(
        "Blocks that main does not take, or does not give back, stay on the spare.".to_owned(),
    );
    draft.undoable = true;
    ask(&mut draft, &device, Message::Uncover);
    Ok(draft.finish(host))
}

/// Plans to take a cover or an uncover back: by the other one, for what lies there may have been
/// written to since.
pub(super) fn plan_undo(
    host: &mut dyn Host,
    operation: &Operation,
    action: &ActionRecord,
    name: &str,
) -> Result<Plan, Refusal> {
    let mut plan = match action.begun.operation.as_str() {
        "cover" => plan_uncover(host, operation, name)?,
        _ => plan_cover(host, operation, name)?,
    };
    plan.title = format!("Take back action {}: {}", action.id, action.begun.title);
    plan.undoes = Some(action.id);
    Ok(plan)
}

fn begin(operation: &Operation, device: &Mapped, title: String) -> Draft {
    let mut draft = Draft::new(operation, title);
    draft.name = Some(device.name.clone());
    draft.before = Some(device.status.verdict);
    draft.token = Some(device.name.clone());
    draft.live = true;
    draft
}

fn ask(draft: &mut Draft, device: &Mapped, message: Message) {
    draft.steps.push(Step::Message {
        name: device.name.clone(),
        spare: device.spare.clone(),
        message,
    });
}

/// Refuses a device whose target could not do it.
fn require_table(device: &Mapped, spare: &Inspection) -> Result<Superblock, Refusal> {
    let name = &device.name;
    let superblock = spare.superblock.filter(|it| it.extension.is_some());
    match (device.status.mode, superblock) {
        (Mode::ReadWrite, Some(superblock)) => Ok(superblock),
        (Mode::ReadOnly, _) => Err(Refusal::new(
            "read-only",
            format!("{name} is up read-only."),
            "Bring it up for writing first.",
        )),
        (Mode::PassThrough, _) if spare.superblock.is_none() => Err(Refusal::new(
            "no-metadata",
            format!("{name} has no metadata: nothing can be moved to its spare."),
            format!(
                "Write some first: {}",
                command_line::line(["write-metadata", name])
            ),
        )),
        _ => Err(Refusal::new(
            "plain",
            format!("{name} has plain v4 metadata, which moves no blocks."),
            format!(
                "Take it down, and migrate its spare first: {}",
                shown(&device.spare)
            ),
        )),
    }
}

/// How many remap units both ends have.
fn blocks_of_ends(device: &Mapped, main: Sectors) -> u64 {
    let ends = End::ALL.into_iter();
    let counts = ends.filter_map(|end| Some(end.blocks(main, device.block_size)?.1.get()));
    counts.sum()
}

fn blocks_in_words(device: &Mapped, main: Sectors) -> String {
    format!("{} replacement blocks", blocks_of_ends(device, main))
}

fn require_room(device: &Mapped, main: Sectors) -> Result<(), Refusal> {
    if DataArea::of(MainForm::Covered, main).is_none() {
        return Err(Refusal::new(
            "main-too-small",
            format!(
                "{} has {main} sectors, too few for labels at both ends.",
                shown(&device.main)
            ),
            "It stays bare.",
        ));
    }
    let status = &device.status;
    let free = status.total.get().saturating_sub(status.used.get());
    // What is moved of the ends already needs no more room.
    let needs = blocks_of_ends(device, main);
    if needs <= free.saturating_add(status.active.get()) {
        return Ok(());
    }
    Err(Refusal::new(
        "spare-full",
        format!(
            "Covering the main of {} takes {needs} replacement blocks, and its spare has {free} left.",
            device.name
        ),
        "Use a larger spare.",
    ))
}

/// Refuses a main that others would still know, and tells of what none looks for by itself.
fn require_nothing_beside(main: &Seen) -> Result<Option<String>, Refusal> {
    let path = shown(&main.inspection.path);
    let size = main.inspection.size;
    let Ok(signatures) = main.store.signature_places() else {
        return Ok(Some(format!(
            "Nobody could look for the signatures of others on {path}: what lies between its ends stays \
             to be seen."
        )));
    };
    let is_covered = |signature: &&Signature| {
        let mut ends = End::ALL.into_iter().filter_map(|end| end.range(size));
        ends.any(|(start, length)| {
            let at = signature.at.unwrap_or_default();
            at >= start && at.get() < start.get() + length.get()
        })
    };
    let left: Vec<Signature> = signatures
        .iter()
        .filter(|it| !is_covered(it))
        .cloned()
        .collect();
    let (known, spares): (Vec<Signature>, Vec<Signature>) =
        left.into_iter().partition(is_looked_for);
    if let Some(first) = known.first() {
        let at = first.at.unwrap_or_default();
        return Err(Refusal::new(
            "seen-beside",
            format!(
                "{path} would still be known by {}, at sector {at}: that lies outside of its first and its \
                 last MiB.",
                describe_signatures(&known)
            ),
            "A main of this kind stays bare. An empty one can be labelled: dmremap-tui create --labelled",
        ));
    }
    Ok((!spares.is_empty()).then(|| {
        format!(
            "Further superblocks stay between the ends of {path}, which only a repair of that file system \
             looks for: {}.",
            describe_signatures(&spares)
        )
    }))
}

/// Whether others look for a signature at such a place by themselves: further superblocks of most
/// file systems are for their checkers alone.
fn is_looked_for(signature: &Signature) -> bool {
    signature.used_for != SignatureUse::FileSystem
        || ["btrfs", "bcachefs", "bcache"].contains(&signature.kind.as_str())
}

/// The superblock of the same device with another form of main, as its target writes it next.
fn amended(superblock: &Superblock, form: MainForm) -> Superblock {
    let mut next = *superblock;
    next.sequence = Sequence::new(superblock.sequence.get().saturating_add(1));
    if let Some(extension) = &mut next.extension {
        extension.features = extension.features.with_main(form);
    }
    next
}

fn covered(superblock: &Superblock) -> Result<Superblock, Refusal> {
    let mut next = amended(superblock, MainForm::Covered);
    if let Some(extension) = &mut next.extension {
        let epoch = extension.main_epoch.checked_add(1);
        extension.main_epoch = epoch.ok_or_else(|| {
            Refusal::new(
                "sequence-exhausted",
                "No disk can become main of it any more.",
                "Create the device anew.",
            )
        })?;
    }
    Ok(next)
}

fn end_writes(device: &Mapped, main: Sectors, what: &str) -> Vec<PlannedWrite> {
    let unit = device.block_size;
    let ends = End::ALL.into_iter().filter_map(|end| {
        let (first, count) = end.blocks(main, unit)?;
        Some(PlannedWrite {
            device: device.main.clone(),
            at: unit.first_sector(first)?,
            sectors: Sectors::new(count.get() << unit.sector_shift()),
            what: format!("{end} end of main: {what}"),
        })
    });
    ends.collect()
}

fn copies(device: &Mapped, next: &Superblock) -> Vec<PlannedWrite> {
    copy_writes(&device.spare, &Slot::ALL, |slot| {
        format!(
            "copy {slot}, sequence {}, main {}",
            next.sequence,
            next.main_form()
        )
    })
}

/// How many blocks of both ends are on the spare, as far as one answer of the target tells.
fn moved(host: &mut dyn Host, device: &Mapped) -> Result<usize, Error> {
    let main = host.open(&device.main, Access::Read)?.size();
    let mut moved = 0;
    for (first, count) in End::ALL
        .into_iter()
        .filter_map(|end| end.blocks(main, device.block_size))
    {
        let within = |block: MainBlock| block.get().wrapping_sub(first.get()) < count.get();
        if let Reply::Remaps(rows) = host.message(&device.name, &Message::Remaps(first))? {
            moved += rows
                .iter()
                .filter(|row| row.active && within(row.block))
                .count();
        }
    }
    Ok(moved)
}

/// The error of a cover that ended before its main bears both labels: what was moved is still
/// on the spare.
pub(super) fn tell_what_was_moved(host: &mut dyn Host, plan: &Plan, error: Error) -> Error {
    let Operation::Cover { name } = &plan.operation else {
        return error;
    };
    let moved = active(host, name).ok().map(|device| moved(host, &device));
    match moved {
        Some(Ok(0)) | None => error,
        _ => error.exiting(Exit::Failed).advise(format!(
            "{name} is in use as before, with part of its main's ends on the spare. To give them back: {}",
            command_line::line(["uncover", name])
        )),
    }
}

/// What lies where a target will write, and what it will leave there, as backups. What cannot be
/// read is not kept: the spare has it, or nobody.
pub(super) fn keep(host: &mut dyn Host, kept: &Kept) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let store = host.open(&kept.path, Access::Read)?;
    if !kept.basis.is_of(&*store) {
        let message = format!("{} is another device by now.", shown(&kept.path));
        return Err(
            Error::refused("stale", message).advise("Look at it again, and make a new plan.")
        );
    }
    let mut before: Vec<SavedRange> = Vec::new();
    for (at, sectors) in bytes::extents(&kept.after) {
        read_what_can_be(&*store, at, sectors, |at, now| {
            bytes::keep(at, now, &mut before)
        });
    }
    let path = super::look::absolute(&kept.path);
    let backup = |ranges: Vec<SavedRange>| {
        Backup::new(&path, kept.basis.identity, kept.basis.size, ranges)?.encode()
    };
    let both = backup(before).and_then(|before| Ok((before, backup(kept.after.clone())?)));
    both.map_err(|error| {
        let message = format!("What would be overwritten cannot be kept: {error}.");
        Error::failed("backup", message).advise("Nothing was changed.")
    })
}

/// Looks whether main shows what it is to show after a target was asked.
///
/// # Errors
///
/// [`Error`] if it does not.
pub(super) fn verify(host: &mut dyn Host, plan: &Plan) -> Result<Vec<String>, Error> {
    let asked = plan.steps.iter().find_map(|step| match step {
        Step::Message {
            message: message @ (Message::Cover | Message::Uncover),
            name,
            ..
        } => Some((*message, name.clone())),
        _ => None,
    });
    let Some((message, name)) = asked else {
        return Ok(Vec::new());
    };
    let device = active(host, &name)?;
    host.open(&device.main, Access::Read)?.forget_cached();
    if message == Message::Cover {
        let Seen { store, .. } = see(host, &device.main)?;
        return match first_seen(&*store) {
            None => Ok(Vec::new()),
            Some(at) => Err(Error::failed(
                "read-back",
                format!(
                    "{} shows something at sector {at} though {name} says that its main is covered.",
                    shown(&device.main)
                ),
            )),
        };
    }
    Ok(match moved(host, &device)? {
        0 => Vec::new(),
        stay => vec![format!(
            "{stay} blocks of its ends or more stay on the spare: main does not take them."
        )],
    })
}

/// The first sector of both ends that shows anything but a label. A block that cannot be read
/// shows nothing.
fn first_seen(store: &dyn BlockStore) -> Option<Sector> {
    let size = store.size();
    for end in End::ALL {
        let Some(((start, length), label)) = end.range(size).zip(end.label_sector(size)) else {
            continue;
        };
        let mut raw = Box::new([0; BLOCK_4K_BYTES]);
        let is_label = bytes::read(store, label, &mut raw[..]).is_ok()
            && LabelReading::of(&raw, end, size).label().is_some();
        if !is_label {
            return Some(label);
        }
        let mut seen = None;
        read_what_can_be(store, start, length, |at, bytes| {
            let sectors = (at.get()..).zip(bytes.chunks(SECTOR_BYTES));
            let shown = |(sector, bytes): &(u64, &[u8])| {
                let is_of_label = sector.wrapping_sub(label.get()) < BLOCK_4K_SECTORS;
                !is_of_label && bytes.iter().any(|byte| *byte != 0)
            };
            let first = sectors.into_iter().find(shown);
            seen = seen.or(first.map(|(sector, _)| Sector::new(sector)));
        });
        if seen.is_some() {
            return seen;
        }
    }
    None
}

/// Reads sectors in large pieces, and piece by piece where one cannot be read.
fn read_what_can_be(
    store: &dyn BlockStore,
    at: Sector,
    sectors: Sectors,
    mut each: impl FnMut(Sector, &[u8]),
) {
    for (at, length) in region::chunks(at, sectors) {
        let mut now = vec![0; length];
        if bytes::read(store, at, &mut now).is_ok() {
            each(at, &now);
            continue;
        }
        for (sector, now) in (at.get()..).zip(now.chunks_mut(SECTOR_BYTES)) {
            let at = Sector::new(sector);
            if bytes::read(store, at, now).is_ok() {
                each(at, now);
            }
        }
    }
}
