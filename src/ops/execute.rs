//! Carrying out a confirmed plan: a fresh look, a backup, the journal, the writes, and
//! a look at what came of them. Nothing else in the program changes a device.

use super::after::After;
use super::bytes;
use std::path::Path;

use super::look::{absolute, is_same_device, shown};
use super::plan::{Confirmed, Outcome, Plan};
use super::progress::{Cut, Progress, Work};
use super::rollback::{advise, interrupted, not_begun, roll_back};
use super::step::{Puts, Step, WriteStep};
use super::undo;
use super::{Context, Operation, Refusal, INTERRUPTED};
use crate::error::{Error, Exit};
use crate::format::backup::{Backup, Content, SavedRange};
use crate::inspect::{inspect, Mains};
use crate::port::block::describe_signatures;
use crate::port::journal::{ActionId, BackupFiles, BackupSide, Begun, Ended};
use crate::port::slots::SpareSlots;
use crate::port::table::new_blocks;
use crate::port::{Access, Activation, BlockStore, Host, HostError, IoError, Mapped, Meant};
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::{self, NotBegun};
use crate::remap_core::layout::SLOT_SECTORS;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{Sector, Sectors, Slot, SECTOR_BYTES};
use crate::text;

/// Carries out a plan that the operator said yes to.
///
/// # Errors
///
/// [`Error`]: refused if nothing was changed, because the device is in use or no longer
/// what the plan was made from; failed if something went wrong on the way. The journal
/// tells how far it came.
pub fn execute(
    host: &mut dyn Host,
    context: &mut Context,
    confirmed: Confirmed,
) -> Result<Outcome, Error> {
    let plan = confirmed.0;
    if !plan.is_needed() {
        return Ok(Outcome {
            action: None,
            summary: nothing_to_do(&plan),
            details: plan.notes,
            name: plan.name,
            verdict: plan.predicted,
            changed: false,
        });
    }
    if context.read_only && !is_reading(&plan) {
        return Err(Error::refused(
            "read-only",
            "Changes are refused: the program was started read-only.",
        )
        .advise("Run it without --read-only."));
    }
    require_journal(context)?;
    let is_write = |step: &Step| matches!(step, Step::Write(_));
    let position = plan.steps.iter().position(is_write);
    let (before, rest) = plan.steps.split_at(position.unwrap_or(plan.steps.len()));
    let (first, rest) = match rest {
        [Step::Write(first), Step::Write(_), ..] if plan.device.as_ref() != Some(&first.path) => {
            (Some(first), rest.get(1..).unwrap_or_default())
        }
        _ => (None, rest),
    };
    let [Step::Write(step), after @ ..] = rest else {
        return execute_requests(host, context, &plan);
    };
    let taken_down = taken_down(host, before)?;
    for step in before {
        request(host, step)?;
    }
    let Some(first) = first else {
        return execute_on_spare(host, context, &plan, (step, after), None, taken_down);
    };
    let beside = Beside::write(host, context, &plan, first)?;
    let outcome = execute_on_spare(
        host,
        context,
        &plan,
        (step, after),
        Some(beside.id),
        taken_down,
    );
    beside.conclude(host, context, &plan, first, outcome)
}

/// The writes of a plan to its own device, and what follows them; `with` is what was written to
/// another one for it.
fn execute_on_spare(
    host: &mut dyn Host,
    context: &mut Context,
    plan: &Plan,
    (step, after): (&WriteStep, &[Step]),
    with: Option<ActionId>,
    taken_down: Vec<Activation>,
) -> Result<Outcome, Error> {
    let begun = begin_write(host, context, plan, (step, after), with);
    let is_begun = begun.is_ok();
    let result =
        begun.and_then(|writing| execute_write(host, context, plan, (writing, step), after));
    let is_refused = |error: &Error| !is_begun || error.exit == Exit::Refused;
    if result.as_ref().is_err_and(is_refused) {
        // Nothing was written, so what was up comes up again. If it does not, what was
        // refused is still what must be told.
        for activation in taken_down {
            let _ = host.activate(&activation);
        }
    }
    result
}

/// Refuses to begin where what is done could not be logged.
///
/// # Errors
///
/// [`Error`] says what lacks.
pub fn require_journal(context: &Context) -> Result<(), Error> {
    context.journal.ready().map_err(|error| {
        let why = Error::from(error).message;
        Error::refused(
            "no-journal",
            format!("nothing is changed without a journal: {why}"),
        )
        .advise("Set XDG_STATE_HOME, or HOME, to a directory that can be written to.")
    })
}

/// What it takes to bring up again what these steps take down.
fn taken_down(host: &mut dyn Host, steps: &[Step]) -> Result<Vec<Activation>, Error> {
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let goes_down = |device: &Mapped| {
        let takes_it =
            |step: &Step| matches!(step, Step::Deactivate { name, .. } if *name == device.name);
        steps.iter().any(takes_it)
    };
    let mapped = host.mapped()?.into_iter().filter(goes_down);
    let activations = mapped.map(|device| Activation {
        name: device.name,
        main: device.main,
        spare: device.spare,
        options: device.options,
        meant: Meant::default(),
    });
    Ok(activations.collect())
}

/// Bringing a device up read-only changes nothing on any device.
fn is_reading(plan: &Plan) -> bool {
    let reads = |step: &Step| matches!(step, Step::Activate(it) if it.options.read_only);
    plan.steps.iter().all(reads)
}

fn nothing_to_do(plan: &Plan) -> String {
    match (&plan.operation, &plan.name) {
        (Operation::Reassemble { .. }, Some(name)) => format!("{name} is active already."),
        _ => "Nothing is to be done.".to_owned(),
    }
}

/// What the journal is told of a plan, or of one of its writes.
fn begun(plan: &Plan, step: Option<&WriteStep>, with: Option<ActionId>) -> Begun {
    let activated = plan.steps.iter().find_map(|step| match step {
        Step::Activate(activation) => Some(activation.name.clone()),
        _ => None,
    });
    Begun {
        operation: plan.operation.command_name().to_owned(),
        title: plan.title.clone(),
        command: plan.command.clone(),
        name: plan.name.clone(),
        device: step.map(|step| shown(&absolute(&step.path))),
        undoes: step.and_then(|step| step.undoes),
        activates: activated,
        with,
    }
}

/// What the host or a target is asked to do.
fn request(host: &mut dyn Host, step: &Step) -> Result<(), Error> {
    match step {
        Step::Activate(activation) => host.activate(activation)?,
        Step::Deactivate { name, spare } => {
            require_same(host, name, spare)?;
            host.deactivate(name)?;
        }
        Step::Message {
            name,
            spare,
            message,
        } => {
            require_same(host, name, spare)?;
            host.message(name, message)?;
        }
        Step::Write(_) => {}
    }
    Ok(())
}

/// Refuses to write a spare for a main whose path leads to another device by now. The host
/// asks once more when it has both in hand.
fn require_meant_main(host: &mut dyn Host, step: &Step) -> Result<(), Error> {
    let Step::Activate(activation) = step else {
        return Ok(());
    };
    let meant = activation.meant.main;
    if meant.is_some() && host.open(&activation.main, Access::Read)?.instance() != meant {
        return Err(HostError::Changed(shown(&activation.main)).into());
    }
    Ok(())
}

/// Refuses a mapped device that is another one by now: names can be exchanged.
fn require_same(host: &mut dyn Host, name: &str, spare: &Path) -> Result<(), Error> {
    let mut mapped = host.mapped()?.into_iter();
    match mapped.find(|device| device.name == name) {
        // What is gone is told by the host.
        None => Ok(()),
        Some(device) if is_same_device(&device.spare, spare) => Ok(()),
        Some(device) => {
            let message = format!(
                "{} has the spare {} by now, not {}; it is left alone.",
                text::escape_str(name),
                shown(&device.spare),
                shown(spare)
            );
            Err(Error::refused("stale", message).advise("Look at it again, and make a new plan."))
        }
    }
}

/// A plan that writes nothing by itself.
fn execute_requests(
    host: &mut dyn Host,
    context: &mut Context,
    plan: &Plan,
) -> Result<Outcome, Error> {
    let progress = &context.progress;
    progress.check().map_err(|_| not_begun(&plan.title))?;
    let id = context.journal.begin(&begun(plan, None, None), None)?;
    let mut result = Ok(());
    for step in &plan.steps {
        result = request(host, step);
        if result.is_err() {
            break;
        }
    }
    let verdict = plan
        .name
        .as_deref()
        .and_then(|name| verdict_of_active(host, name));
    let outcome = result.map(|()| Outcome {
        action: Some(id),
        summary: done(plan),
        details: Vec::new(),
        name: plan.name.clone(),
        verdict,
        changed: true,
    });
    end(context, id, &outcome, false)?;
    outcome
}

fn done(plan: &Plan) -> String {
    let name = plan.name.clone().unwrap_or_default();
    match &plan.operation {
        Operation::Reassemble { .. } => format!("{name} is up."),
        Operation::Create { .. } => format!("{name} is created."),
        Operation::Remove { .. } => format!("{name} is down; its metadata stays."),
        _ => format!("{}: done.", plan.title),
    }
}

fn verdict_of_active(host: &mut dyn Host, name: &str) -> Option<Verdict> {
    let mapped = host.mapped().ok()?;
    let device = mapped.iter().find(|device| device.name == name)?;
    Some(device.status.verdict)
}

/// Logs the end, whatever it was.
fn end(
    context: &mut Context,
    id: ActionId,
    outcome: &Result<Outcome, Error>,
    rolled_back: bool,
) -> Result<(), Error> {
    let summary = match outcome {
        Ok(outcome) => outcome.summary.clone(),
        Err(error) => error.message.clone(),
    };
    let ended = Ended {
        done: outcome.is_ok(),
        summary,
        rolled_back,
    };
    match (context.journal.end(id, &ended), outcome) {
        // What went wrong first is what is to be told.
        (_, Err(_)) | (Ok(()), _) => Ok(()),
        (Err(error), Ok(_)) => {
            Err(Error::from(error)
                .advise("It was done all the same, but the journal does not say so."))
        }
    }
}

/// The beginning of a plan that writes to a device: nothing is written yet.
fn begin_write(
    host: &mut dyn Host,
    context: &mut Context,
    plan: &Plan,
    (step, after): (&WriteStep, &[Step]),
    with: Option<ActionId>,
) -> Result<Writing, Error> {
    for step in after {
        require_meant_main(host, step)?;
    }
    Writing::begin(host, context, plan, step, with)
}

/// What a plan wrote to another device than its own: the labels of main. Its action ends when
/// that of the plan does, and fails with it.
struct Beside {
    id: ActionId,
    before: Vec<SavedRange>,
}

impl Beside {
    /// Writes it; where that fails, what was there before is put back.
    fn write(
        host: &mut dyn Host,
        context: &mut Context,
        plan: &Plan,
        step: &WriteStep,
    ) -> Result<Self, Error> {
        let mut writing = Writing::begin(host, context, plan, step, None)?;
        let result = writing.write(plan, step, &context.progress.to_the_end());
        let beside = Self {
            id: writing.id,
            before: writing.before,
        };
        drop(writing.store);
        match result {
            Ok(()) => Ok(beside),
            Err(error) => Err(beside.fail(host, context, plan, step, error)),
        }
    }

    /// Ends its action as that of the plan ended.
    fn conclude(
        self,
        host: &mut dyn Host,
        context: &mut Context,
        plan: &Plan,
        step: &WriteStep,
        outcome: Result<Outcome, Error>,
    ) -> Result<Outcome, Error> {
        match outcome {
            Ok(_) => {
                end(context, self.id, &outcome, false)?;
                outcome
            }
            Err(error) => Err(self.fail(host, context, plan, step, error)),
        }
    }

    /// Puts back what was there before, and ends its action.
    fn fail(
        self,
        host: &mut dyn Host,
        context: &mut Context,
        plan: &Plan,
        step: &WriteStep,
        error: Error,
    ) -> Error {
        let rolled_back = host.open(&step.path, step.access).is_ok_and(|mut store| {
            // The path may lead to another device by now.
            step.basis.is_of(&*store)
                && roll_back(&mut *store, &self.before, &[], &context.progress)
        });
        let error = match rolled_back {
            true => error,
            false => {
                let kept_as = format!("action {}: dmremap-tui undo {}", self.id, self.id);
                advise(plan, error, false, &kept_as)
            }
        };
        let ended = Ended {
            done: false,
            summary: error.message.clone(),
            rolled_back,
        };
        // What went wrong first is what is to be told.
        let _ = context.journal.end(self.id, &ended);
        error
    }
}

/// The writes of a plan to a device, and what follows them.
fn execute_write(
    host: &mut dyn Host,
    context: &mut Context,
    plan: &Plan,
    (mut writing, step): (Writing, &WriteStep),
    after: &[Step],
) -> Result<Outcome, Error> {
    let id = writing.id;
    let mut result = match plan.can_end_early() {
        true => writing.write(plan, step, &context.progress),
        false => writing.write(plan, step, &context.progress.to_the_end()),
    };
    let mut seen = inspect(&*writing.store, &step.path);
    Mains::default().note(host, &mut seen);
    let verdict = seen.verdict();
    let Writing {
        store,
        before,
        written,
        details,
        ..
    } = writing;
    if result.is_ok() && !after.is_empty() {
        // The host needs the device for itself now.
        drop(store);
        result = after
            .iter()
            .try_for_each(|step| follow(host, context, plan, step));
        let rolled_back = match &result {
            Ok(()) => false,
            Err(_) => host.open(&step.path, step.access).is_ok_and(|mut store| {
                // The path may lead to another device by now.
                step.basis.is_of(&*store)
                    && roll_back(&mut *store, &before, &written, &context.progress)
            }),
        };
        return conclude(context, plan, id, result, (verdict, details), rolled_back);
    }
    let mut store = store;
    let before = match &result {
        // The copies come last: where it ended early, nothing but the table was begun.
        Err(error) if error.code == INTERRUPTED => bytes::within(&before, &written),
        _ => before,
    };
    let rolled_back = result.is_err()
        && plan.can_end_early()
        && roll_back(&mut *store, &before, &written, &context.progress);
    drop(store);
    conclude(context, plan, id, result, (verdict, details), rolled_back)
}

/// What follows the write to the plan's own device.
fn follow(
    host: &mut dyn Host,
    context: &mut Context,
    plan: &Plan,
    step: &Step,
) -> Result<(), Error> {
    let Step::Write(write) = step else {
        return request(host, step);
    };
    let beside = Beside::write(host, context, plan, write)?;
    let ended = Ended {
        done: true,
        summary: done(plan),
        rolled_back: false,
    };
    Ok(context.journal.end(beside.id, &ended)?)
}

fn conclude(
    context: &mut Context,
    plan: &Plan,
    id: ActionId,
    result: Result<(), Error>,
    (verdict, details): (Verdict, Vec<String>),
    rolled_back: bool,
) -> Result<Outcome, Error> {
    let outcome = match result {
        Ok(()) => Ok(Outcome {
            action: Some(id),
            summary: done(plan),
            details,
            name: plan.name.clone(),
            verdict: Some(verdict),
            changed: true,
        }),
        Err(error) => {
            let kept_as = format!("action {id}: dmremap-tui undo {id}");
            Err(advise(plan, error, rolled_back, &kept_as))
        }
    };
    end(context, id, &outcome, rolled_back)?;
    outcome
}

/// A write to one device that the journal knows of.
struct Writing {
    store: Box<dyn BlockStore>,
    id: ActionId,
    /// What lay where something is written.
    before: Vec<SavedRange>,
    /// Where a new table was written so far, from each region's header on.
    written: Vec<(Sector, Sectors)>,
    details: Vec<String>,
}

impl Writing {
    /// Looks once more, keeps what will be overwritten, and logs the beginning.
    fn begin(
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

    fn write(&mut self, plan: &Plan, step: &WriteStep, progress: &Progress) -> Result<(), Error> {
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
