//! The plan that writes back what lay there before an action.

use std::path::Path;

use super::after::After;
use super::look::{see_spare, shown, Seen};
use super::overlay::Overlay;
use super::plan::{Draft, PlannedWrite};
use super::step::{Basis, Puts, Step, WriteStep};
use super::{bytes, cover, Context, Operation, Plan, Refusal};
use crate::error::Error;
use crate::format::backup::{Backup, SavedRange};
use crate::inspect::Inspection;
use crate::port::journal::{ActionId, ActionRecord, BackupSide};
use crate::port::{Access, BlockStore, Host, Part, Usage};
use crate::remap_core::units::Sectors;
use crate::text::escape_str;

/// What the journal calls damage on purpose.
const CORRUPT: &str = "corrupt";

/// Plans to take back one action, or the last one that can be.
pub(super) fn plan(
    host: &mut dyn Host,
    context: &mut Context,
    operation: &Operation,
    id: Option<ActionId>,
) -> Result<Plan, Refusal> {
    let action = choose(context, id)?;
    if let Some(name) = asked_of_target(&action) {
        return cover::plan_undo(host, operation, &action, name);
    }
    let Kept {
        seen: Seen {
            store,
            inspection,
            usage,
        },
        before,
        after,
    } = kept(host, context, &action)?;
    let path = before.path().to_owned();
    let mut draft = Draft::new(
        operation,
        format!("Take back action {}: {}", action.id, action.begun.title),
    );
    draft.seen(&inspection);
    let mut access = Access::Exclusive;
    match &usage {
        Usage::Free => {}
        // Damage that was done to a live device may be taken from it again: only copies
        // that its target has not rewritten since are put back.
        Usage::Mapped {
            name,
            part: Part::Spare,
        } if action.begun.operation == CORRUPT => {
            draft.notes.push(format!("{name} stays up."));
            draft.live = true;
            access = Access::Damage;
        }
        Usage::Mapped {
            name,
            part: Part::Spare,
        } if action.begun.activates.as_ref() == Some(name) => {
            draft.notes.push(format!("{name} is taken down first."));
            draft.live = true;
            draft.steps.push(Step::Deactivate {
                name: name.clone(),
                spare: path.clone(),
            });
        }
        usage => super::look::require_free(&path, usage)?,
    }
    draft.token = Some(inspection.token());
    // What is there now is kept in turn, as far as a backup can hold it.
    draft.undoable = !after.lays_out_more_than_can_be_kept();
    draft.writes = planned(&before, &action, &path);
    if action.ended.is_none() {
        draft
            .notes
            .push("The action was cut off: part of what it was to write may be there.".to_owned());
    }
    let basis = Basis::of(&inspection);
    let ranges: Vec<SavedRange> = before.ranges().to_vec();
    draft.predicted = Some(Overlay::new(store, ranges.clone()).verdict(host, &path));
    draft.steps.push(Step::Write(Box::new(WriteStep {
        path,
        access,
        basis,
        puts: Puts::Ranges(ranges),
        wipes: Vec::new(),
        copies: None,
        undoes: Some(action.id),
    })));
    if let Some(beside) = action.begun.with {
        let (step, planned) = beside_step(host, context, (&action, beside))?;
        draft.steps.push(Step::WriteBeside(Box::new(step)));
        draft.writes.extend(planned);
    }
    Ok(draft.finish(host))
}

/// What an action left, and the device as it is now.
struct Kept {
    seen: Seen,
    before: Backup,
    after: After,
}

/// Reads the backups of an action and looks at its device.
///
/// # Errors
///
/// The refusal of backups that contradict each other, of another device, and of one that others
/// have written to since.
fn kept(
    host: &mut dyn Host,
    context: &mut Context,
    action: &ActionRecord,
) -> Result<Kept, Refusal> {
    let before = read(context, action, BackupSide::Before)?;
    let after = read(context, action, BackupSide::After)?;
    require_agreement(action, &before, &after)?;
    let after = After::from_backup(&after);
    let path = before.path();
    let seen = see_spare(host, path)?;
    require_same(&seen.inspection, &before, action, path)?;
    require_untouched(action, &*seen.store, &before, &after)?;
    Ok(Kept {
        seen,
        before,
        after,
    })
}

/// The write that takes back what belongs to `action` on another device.
fn beside_step(
    host: &mut dyn Host,
    context: &mut Context,
    (action, beside): (&ActionRecord, ActionId),
) -> Result<(WriteStep, Vec<PlannedWrite>), Refusal> {
    let mut actions = context.journal.actions()?.into_iter();
    let found = actions.find(|action| action.id == beside);
    let beside = found.ok_or_else(|| {
        Refusal::from(Error::failed(
            "not-found",
            format!("The journal holds no action {beside}."),
        ))
    })?;
    can_be_undone(&beside)?;
    let Kept { seen, before, .. } = kept(host, context, &beside)?;
    let path = before.path().to_owned();
    match &seen.usage {
        // It is taken down first.
        Usage::Mapped { name, .. } if action.begun.activates.as_ref() == Some(name) => {}
        usage => super::look::require_free(&path, usage)?,
    }
    let planned = planned(&before, &beside, &path);
    let step = WriteStep {
        basis: Basis::of(&seen.inspection),
        access: Access::Exclusive,
        puts: Puts::Ranges(before.ranges().to_vec()),
        wipes: Vec::new(),
        copies: None,
        undoes: Some(beside.id),
        path,
    };
    Ok((step, planned))
}

/// The writes that put a backup back.
fn planned(before: &Backup, action: &ActionRecord, path: &Path) -> Vec<PlannedWrite> {
    let extents = bytes::extents(before.ranges()).into_iter();
    let planned = extents.map(|(at, sectors)| PlannedWrite {
        device: path.to_owned(),
        at,
        sectors,
        what: format!("what lay there before action {}", action.id),
    });
    planned.collect()
}

/// Refuses another device than the one that the backup was made of.
fn require_same(
    inspection: &Inspection,
    before: &Backup,
    action: &ActionRecord,
    path: &Path,
) -> Result<(), Refusal> {
    if inspection.size == before.size() && inspection.identity == before.identity() {
        return Ok(());
    }
    Err(Refusal::new(
        "other-device",
        format!(
            "{} is another device than the one that action {} wrote to.",
            shown(path),
            action.id
        ),
        "Connect that device under this path, and run it again.",
    ))
}

/// The action that is meant.
fn choose(context: &mut Context, id: Option<ActionId>) -> Result<ActionRecord, Refusal> {
    let actions = context.journal.actions()?;
    let Some(id) = id else {
        if context.journal.unread()?.newer > 0 {
            return Err(Refusal::new(
                "newer-journal",
                "A newer version has written to the journal, so the last action is not known here.",
                "Name the action that is to be taken back: dmremap-tui log, then undo ID.",
            ));
        }
        let mut latest = actions.into_iter().rev();
        return latest
            .find(|action| can_be_undone(action).is_ok() && action.begun.undoes.is_none())
            .ok_or_else(|| {
                Refusal::new(
                    "nothing-to-undo",
                    "The journal holds no action that can be taken back.",
                    "See what was done: dmremap-tui log",
                )
            });
    };
    let whole = actions.clone();
    let action = actions.into_iter().find(|action| action.id == id);
    let action = action.ok_or_else(|| {
        let error = Error::failed("not-found", format!("The journal holds no action {id}."));
        Refusal::from(error.advise("See what was done: dmremap-tui log"))
    })?;
    can_be_undone(&action)?;
    let of = whole.iter().find(|other| {
        let stands = other.undone_by.is_none() && !is_rolled_back(other);
        other.begun.with == Some(id) && stands
    });
    match of {
        None => Ok(action),
        Some(of) => Err(Refusal::new(
            "part-of-another",
            format!("Action {id} belongs to action {}.", of.id),
            format!("Take both back: dmremap-tui undo {}", of.id),
        )),
    }
}

fn is_rolled_back(action: &ActionRecord) -> bool {
    action.ended.as_ref().is_some_and(|ended| ended.rolled_back)
}

/// The device whose target took an action, and takes it back when asked to.
fn asked_of_target(action: &ActionRecord) -> Option<&str> {
    let covers = matches!(action.begun.operation.as_str(), "cover" | "uncover");
    action.begun.name.as_deref().filter(|_| covers)
}

/// Refuses an action that left nothing to take back.
fn can_be_undone(action: &ActionRecord) -> Result<(), Refusal> {
    let id = action.id;
    let refuse = |code, message| Err(Refusal::new(code, message, "See dmremap-tui log."));
    if let Some(by) = action.undone_by {
        return refuse(
            "already-undone",
            format!("Action {id} was taken back by action {by}."),
        );
    }
    if is_rolled_back(action) {
        return refuse(
            "rolled-back",
            format!("Action {id} failed and was taken back at once."),
        );
    }
    if !action.has_backup && asked_of_target(action).is_none() {
        return refuse(
            "no-backup",
            format!("Action {id} changed no bytes, or kept no backup of them."),
        );
    }
    Ok(())
}

fn read(context: &mut Context, action: &ActionRecord, side: BackupSide) -> Result<Backup, Refusal> {
    let file = context.journal.backup(action.id, side)?;
    Backup::decode(&file).map_err(|error| {
        let error = Error::failed(
            "backup-damaged",
            format!(
                "The backup of action {} cannot be used: {error}.",
                action.id
            ),
        );
        Refusal::from(error.advise("Nothing is written back from it."))
    })
}

/// Refuses backups that tell of another device than the journal does, or of another than each
/// other: one of the files was exchanged, and what would be written is not what the action
/// found.
fn require_agreement(
    action: &ActionRecord,
    before: &Backup,
    after: &Backup,
) -> Result<(), Refusal> {
    let device = |backup: &Backup| (backup.path().to_owned(), backup.identity(), backup.size());
    let is_named = action.begun.device.as_deref() == Some(&shown(before.path()));
    if is_named && device(before) == device(after) {
        return Ok(());
    }
    let message = format!(
        "The backups of action {} are of {} and {}; the journal says {}.",
        action.id,
        shown(before.path()),
        shown(after.path()),
        action
            .begun
            .device
            .as_deref()
            .map_or("no device".into(), escape_str)
    );
    let error = Error::refused("backup-damaged", message);
    Err(error
        .advise("Nothing is written back from files that do not agree.")
        .into())
}

/// Refuses if the bytes there now are not what the action left: of an action that was
/// cut off each sector may also be what lay there before.
pub(super) fn require_untouched(
    action: &ActionRecord,
    store: &dyn BlockStore,
    before: &Backup,
    after: &After,
) -> Result<(), Refusal> {
    let completed = action.ended.as_ref().is_some_and(|ended| ended.done);
    let mut changed = None;
    for (at, sectors) in bytes::extents(before.ranges()) {
        for (at, length) in super::region::chunks(at, sectors) {
            let mut now = vec![0; length];
            bytes::read(store, at, &mut now).map_err(|error| {
                let error = Error::failed("io", format!("The device cannot be read {error}."));
                Refusal::from(error)
            })?;
            let left = after.bytes(at, length);
            let was = bytes::slice(before.ranges(), at, length);
            let sectors = now.chunks(512).zip(left.chunks(512)).zip(was.chunks(512));
            let position = sectors.into_iter().position(|((now, left), was)| {
                let as_before = !completed && now == was;
                now != left && !as_before
            });
            changed = changed.or_else(|| {
                position.and_then(|position| at.checked_add(Sectors::new(position as u64)))
            });
        }
    }
    match changed {
        None => Ok(()),
        Some(at) => Err(Refusal::new(
            "stale",
            format!(
                "Sector {at} of {} is no longer what action {} left: somebody has written to it since.",
                shown(before.path()),
                action.id
            ),
            "Taking the action back now would destroy what was written later.",
        )),
    }
}
