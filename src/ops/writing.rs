//! A write to one device: a fresh look, a backup, the journal, the bytes, and reading them back.

use super::after::After;
use super::bytes;
use super::execute::begun;
use super::look::{absolute, shown};
use super::plan::Plan;
use super::progress::{Cut, Progress, Work};
use super::rollback::{interrupted, not_begun};
use super::step::{Puts, WriteStep};
use super::undo;
use super::{Context, Refusal};
use crate::error::Error;
use crate::format::backup::{Backup, Content, SavedRange};
use crate::port::block::describe_signatures;
use crate::port::journal::{ActionId, BackupFiles, BackupSide};
use crate::port::slots::SpareSlots;
use crate::port::table::new_blocks;
use crate::port::{BlockStore, Host, IoError};
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::{self, NotBegun};
use crate::remap_core::layout::SLOT_SECTORS;
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{Sector, Sectors, Slot, SECTOR_BYTES};

/// A write to one device that the journal knows of.
pub(super) struct Writing {
    pub(super) store: Box<dyn BlockStore>,
    pub(super) id: ActionId,
    /// What lay where something is written.
    pub(super) before: Vec<SavedRange>,
    /// Where a new table was written so far, from each region's header on.
    pub(super) written: Vec<(Sector, Sectors)>,
    pub(super) details: Vec<String>,
}

impl Writing {
    /// Looks once more, keeps what will be overwritten, and logs the beginning.
    pub(super) fn begin(
        host: &mut dyn Host,
        context: &mut Context,
        plan: &Plan,
        step: &WriteStep,
        with: Option<ActionId>,
    ) -> Result<Self, Error> {
        let store = host.open(&step.path, step.access)?;
        if !step.basis.holds(&*store, &step.path) {
            return Err(stale(step));
        }
        if let Some(id) = step.undoes {
            recheck_undo(context, id, &*store)?;
        }
        let mut details = Vec::new();
        let mut after = After::of(step);
        drop_unreadable(&*store, step, &mut after, &mut details);
        let mut extents = after.extents();
        if !plan.undoable {
            // Too much to be kept: only copies and headers, in case something fails.
            extents.retain(|(_, sectors)| *sectors <= SLOT_SECTORS);
        }
        let to_keep = bytes::total(&extents).get();
        let to_write = bytes::total(&after.extents()).get();
        let to_read_back = to_write;
        let in_all = to_keep
            .saturating_add(to_write)
            .saturating_add(to_read_back);
        context.progress.expect(Sectors::new(in_all));
        let before = read_before(&*store, &extents, (plan, step), &context.progress)?;
        let path = absolute(&step.path);
        let backup = |ranges: &[SavedRange]| {
            let identity = step.basis.identity;
            Backup::new(&path, identity, step.basis.size, ranges.to_vec())?.encode()
        };
        let files = match (backup(&before), backup(after.kept())) {
            _ if !plan.undoable => None,
            (Ok(before), Ok(after)) => Some((before, after)),
            (Err(error), _) | (_, Err(error)) => {
                let message = format!("What would be overwritten cannot be kept: {error}.");
                return Err(Error::failed("backup", message).advise("Nothing was changed."));
            }
        };
        let files = files
            .as_ref()
            .map(|(before, after)| BackupFiles { before, after });
        let id = context
            .journal
            .begin(&begun(plan, Some(step), with), files)?;
        Ok(Self {
            store,
            id,
            before,
            written: Vec::new(),
            details,
        })
    }

    pub(super) fn write(
        &mut self,
        plan: &Plan,
        step: &WriteStep,
        progress: &Progress,
    ) -> Result<(), Error> {
        let failed = |error: Cut| cut(error, plan, step);
        let io = |error: IoError| failed(error.into());
        let store = &mut *self.store;
        match &step.puts {
            Puts::Ranges(ranges) => {
                bytes::write_ranges(store, ranges, Work::Writing, progress).map_err(failed)?;
                store.flush().map_err(io)?;
                read_back(store, ranges, (plan, step), progress)?;
            }
            Puts::Mends(ranges) => {
                let destroyed: Vec<SavedRange> = ranges.iter().map(destroyed).collect();
                for ranges in [&destroyed, ranges] {
                    bytes::write_ranges(store, ranges, Work::Writing, progress).map_err(failed)?;
                    store.flush().map_err(io)?;
                }
                read_back(store, ranges, (plan, step), progress)?;
            }
            Puts::NewTable {
                superblock, name, ..
            } => {
                write_table(store, superblock, *name, &mut self.written, progress)
                    .map_err(failed)?;
                read_back_table(store, (plan, step), progress)?;
            }
        }
        // The last point at which it can end early: from the first copy on it is a device.
        progress.check().map_err(|_| interrupted(&plan.title))?;
        let progress = &progress.to_the_end();
        if let Some(prepared) = &step.copies {
            self.write_copies(prepared, step)?;
        }
        // Only now: with them gone from the slots the copies would not be written, and a
        // device that is not ours yet stays what it was.
        let store = &mut *self.store;
        bytes::write_ranges(store, &step.wipes, Work::Writing, progress).map_err(failed)?;
        if !step.wipes.is_empty() {
            store.flush().map_err(io)?;
        }
        read_back(store, &step.wipes, (plan, step), progress)?;
        if !step.wipes.is_empty() {
            self.details.extend(still_known(&*self.store, step));
        }
        Ok(())
    }

    fn write_copies(&mut self, prepared: &commit::Prepared, step: &WriteStep) -> Result<(), Error> {
        let mut slots = SpareSlots::new(&mut *self.store);
        let committed =
            commit::execute(&mut slots, prepared, &step.basis.survey).map_err(|not_begun| {
                match not_begun {
                    NotBegun::Stale => stale(step),
                    NotBegun::Flush(error) => {
                        Error::failed("io", format!("{}: {error}", shown(&step.path)))
                    }
                }
            })?;
        if committed.is_complete() {
            return Ok(());
        }
        let missing = Slot::ALL
            .into_iter()
            .filter(|slot| !committed.durable.get(*slot));
        let missing: Vec<Slot> = missing.collect();
        let copies = crate::inspect::name_copies(&missing).unwrap_or_default();
        let why = match committed.error {
            Some(error) => error.to_string(),
            None => "read back something else than was written".to_owned(),
        };
        let message = format!(
            "{}: {copies} could not be written: {why}",
            shown(&step.path)
        );
        if committed.is_acknowledged() {
            self.details.push(message);
            return Ok(());
        }
        Err(Error::failed("io", message))
    }
}

/// Tells why work on the device of `step` ended.
fn cut(why: Cut, plan: &Plan, step: &WriteStep) -> Error {
    match why {
        Cut::Io(error) => Error::failed("io", format!("{}: {error}", shown(&step.path))),
        Cut::Stopped => interrupted(&plan.title),
    }
}

/// Writes headers and free table blocks, many at once, and makes them durable. Every piece
/// is in `written` before it is written.
fn write_table(
    store: &mut dyn BlockStore,
    superblock: &Superblock,
    name: Text<NAME_LIMIT>,
    written: &mut Vec<(Sector, Sectors)>,
    progress: &Progress,
) -> Result<(), Cut> {
    const AT_ONCE: usize = 1 << 20;
    let regions = superblock.layout().map_or(Sectors::new(0), |layout| {
        Sectors::new(layout.region_sectors().get().saturating_mul(2))
    });
    let mut tally = progress.begin(Work::Writing, regions);
    let mut write = |start: Sector, run: &[u8]| -> Result<(), Cut> {
        if run.is_empty() {
            return Ok(());
        }
        let sectors = Sectors::from_bytes(run.len() as u64);
        match written.last_mut() {
            Some((at, before)) if at.get() + before.get() == start.get() => {
                *before = Sectors::new(before.get() + sectors.get());
            }
            _ => written.push((start, sectors)),
        }
        store.write_at(start, run)?;
        Ok(tally.advance(sectors)?)
    };
    let mut run = Vec::with_capacity(AT_ONCE);
    let mut start = Sector::default();
    for (at, raw) in new_blocks(*superblock, name) {
        let behind = start.checked_add(Sectors::from_bytes(run.len() as u64));
        if run.len() == AT_ONCE || behind != Some(at) {
            write(start, &run)?;
            run.clear();
            start = at;
        }
        run.extend_from_slice(&*raw);
    }
    write(start, &run)?;
    Ok(store.flush()?)
}

/// What no header and no table block begins with, in place of `range`.
fn destroyed(range: &SavedRange) -> SavedRange {
    SavedRange {
        at: range.at,
        content: Content::Raw(vec![0xff; range.sectors().get() as usize * SECTOR_BYTES]),
    }
}

fn stale(step: &WriteStep) -> Error {
    Error::refused(
        "stale",
        format!(
            "{} is no longer what the plan was made from; nothing was changed.",
            shown(&step.path)
        ),
    )
    .advise("Look at it again, and make a new plan.")
}

fn not_kept(step: &WriteStep, at: Sector) -> Error {
    Error::failed(
        "read-back",
        format!(
            "{}: sector {at} does not hold what was written to it.",
            shown(&step.path)
        ),
    )
}

/// Reads back headers and table blocks.
fn read_back_table(
    store: &dyn BlockStore,
    (plan, step): (&Plan, &WriteStep),
    progress: &Progress,
) -> Result<(), Error> {
    let table = After::before_wipes(step);
    let extents = table.extents();
    let mut tally = progress.begin(Work::Verifying, bytes::total(&extents));
    for (at, sectors) in extents {
        let is_slot = Slot::ALL.iter().any(|slot| slot.sector() == at);
        for (at, length) in super::region::chunks(at, sectors) {
            let mut now = vec![0; length];
            bytes::read(store, at, &mut now)
                .map_err(|error| Error::failed("io", format!("{}: {error}", shown(&step.path))))?;
            if !is_slot && now != table.bytes(at, length) {
                return Err(not_kept(step, at));
            }
            let advanced = tally.advance(Sectors::from_bytes(length as u64));
            advanced.map_err(|stopped| cut(stopped.into(), plan, step))?;
        }
    }
    Ok(())
}

fn read_back(
    store: &dyn BlockStore,
    ranges: &[SavedRange],
    (plan, step): (&Plan, &WriteStep),
    progress: &Progress,
) -> Result<(), Error> {
    match bytes::first_difference(store, ranges, progress) {
        Ok(None) => Ok(()),
        Ok(Some(at)) => Err(not_kept(step, at)),
        Err(why) => Err(cut(why, plan, step)),
    }
}

fn recheck_undo(context: &mut Context, id: ActionId, store: &dyn BlockStore) -> Result<(), Error> {
    let actions = context.journal.actions()?;
    let Some(action) = actions.into_iter().find(|action| action.id == id) else {
        return Err(Refusal::new("stale", "The journal has changed.", "Try again.").into());
    };
    let mut read = |side| -> Result<Backup, Error> {
        let file = context.journal.backup(id, side)?;
        Backup::decode(&file).map_err(|error| Error::failed("backup-damaged", error.to_string()))
    };
    let before = read(BackupSide::Before)?;
    let after = After::from_backup(&read(BackupSide::After)?);
    Ok(undo::require_untouched(&action, store, &before, &after)?)
}

/// What others would still find on a device from which all that was known of them was wiped.
fn still_known(store: &dyn BlockStore, step: &WriteStep) -> Option<String> {
    let left = store.signatures().ok().filter(|left| !left.is_empty())?;
    Some(format!(
        "{} is still known as {}: wipe it before the device is used.",
        shown(&step.path),
        describe_signatures(&left)
    ))
}

/// Leaves out copies, headers and table blocks that cannot be read now: what is there cannot be
/// kept. Writing may well bring them back.
fn drop_unreadable(
    store: &dyn BlockStore,
    step: &WriteStep,
    after: &mut After,
    details: &mut Vec<String>,
) {
    let is_slot = |range: &SavedRange| Slot::ALL.iter().any(|slot| slot.sector() == range.at);
    let is_mended = |range: &SavedRange| match &step.puts {
        Puts::Mends(ranges) => ranges.iter().any(|mend| mend.at == range.at),
        Puts::Ranges(_) | Puts::NewTable { .. } => false,
    };
    after.retain(|range| {
        let mut now = vec![0; range.sectors().get() as usize * SECTOR_BYTES];
        let may_be_lost = is_slot(range) || is_mended(range);
        let lost = may_be_lost && bytes::read(store, range.at, &mut now).is_err();
        if lost {
            details.push(format!(
                "Sector {} could not be read before; what was there is not kept.",
                range.at
            ));
        }
        !lost
    });
}

/// Reads what lies where something will be written.
fn read_before(
    store: &dyn BlockStore,
    extents: &[(Sector, Sectors)],
    (plan, step): (&Plan, &WriteStep),
    progress: &Progress,
) -> Result<Vec<SavedRange>, Error> {
    let blank_only = matches!(
        &step.puts,
        Puts::NewTable {
            over_blank_only: true,
            ..
        }
    );
    let mut before: Vec<SavedRange> = Vec::new();
    let mut tally = progress.begin(Work::Keeping, bytes::total(extents));
    for (at, sectors) in extents {
        for (at, length) in super::region::chunks(*at, *sectors) {
            let mut now = vec![0; length];
            bytes::read(store, at, &mut now).map_err(|error| {
                let path = shown(&step.path);
                Error::failed("io", format!("{path}: {error}")).advise("Nothing was changed.")
            })?;
            let is_slot = Slot::ALL.iter().any(|slot| slot.sector() == at);
            if blank_only && !is_slot && now.iter().any(|byte| *byte != 0) {
                return Err(stale(step));
            }
            bytes::keep(at, &now, &mut before);
            let advanced = tally.advance(Sectors::from_bytes(length as u64));
            advanced.map_err(|_| not_begun(&plan.title))?;
        }
    }
    Ok(before)
}
