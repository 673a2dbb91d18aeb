//! Carrying out a confirmed plan: a fresh look, a backup, the journal, the writes, and
//! a look at what came of them. Nothing else in the program changes a device.

use super::beside::{follow, Beside};
use super::bytes;
use std::path::Path;

use super::look::{absolute, is_same_device, shown};
use super::plan::{Confirmed, Outcome, Plan};
use super::rollback::{advise, not_begun, roll_back};
use super::step::{Step, WriteStep};
use super::writing::Writing;
use super::{cover, Context, Operation, INTERRUPTED};
use crate::error::{Error, Exit};
use crate::inspect::{inspect, Mains};
use crate::port::journal::{ActionId, BackupFiles, Begun, Ended};
use crate::port::{Access, Activation, Host, HostError, Mapped, Meant};
use crate::remap_core::quorum::Verdict;
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
    let is_write = |step: &Step| matches!(step, Step::Write(_) | Step::WriteBeside(_));
    let position = plan.steps.iter().position(is_write);
    let (before, rest) = plan.steps.split_at(position.unwrap_or(plan.steps.len()));
    let (first, rest) = match rest {
        [Step::WriteBeside(first), rest @ ..] => (Some(first), rest),
        rest => (None, rest),
    };
    let [Step::Write(step), after @ ..] = rest else {
        return execute_requests(host, context, &plan);
    };
    let taken_down = taken_down(host, before)?;
    for step in before {
        request(host, step)?;
    }
    let Some(first) = first else {
        return execute_on_own(host, context, &plan, (step, after), None, taken_down);
    };
    let mut beside = Beside::begin(host, context, &plan, first, None)?;
    let outcome = execute_on_own(
        host,
        context,
        &plan,
        (step, after),
        Some((&mut beside, first)),
        taken_down,
    );
    beside.conclude(host, context, &plan, first, outcome)
}

/// The writes of a plan to its own device, after those `beside` it, and what follows them.
fn execute_on_own(
    host: &mut dyn Host,
    context: &mut Context,
    plan: &Plan,
    (step, after): (&WriteStep, &[Step]),
    beside: Option<(&mut Beside, &WriteStep)>,
    taken_down: Vec<Activation>,
) -> Result<Outcome, Error> {
    let with = beside.as_ref().map(|(beside, _)| beside.id);
    let begun = begin_write(host, context, plan, (step, after), with);
    let is_begun = begun.is_ok();
    let result = begun.and_then(|writing| {
        let written = match beside {
            Some((beside, step)) => beside.write(context, plan, step),
            None => Ok(()),
        };
        match written {
            Ok(()) => execute_write(host, context, plan, (writing, step), after),
            Err(error) => {
                // Nothing of it was written.
                let verdict = inspect(&*writing.store, &step.path).verdict();
                let told = (verdict, writing.details);
                conclude(context, plan, writing.id, Err(error), told, true)
            }
        }
    });
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
pub(super) fn begun(plan: &Plan, step: Option<&WriteStep>, with: Option<ActionId>) -> Begun {
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
        undoes: step.and_then(|step| step.undoes).or(plan.undoes),
        activates: activated,
        with,
    }
}

/// What the host or a target is asked to do.
pub(super) fn request(host: &mut dyn Host, step: &Step) -> Result<(), Error> {
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
        Step::Write(_) | Step::WriteBeside(_) => {}
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
    let id = match &plan.kept {
        None => context.journal.begin(&begun(plan, None, None), None)?,
        Some(kept) => {
            let (before, after) = cover::keep(host, kept)?;
            let files = BackupFiles {
                before: &before,
                after: &after,
            };
            let begun = Begun {
                device: Some(shown(&absolute(&kept.path))),
                ..begun(plan, None, None)
            };
            context.journal.begin(&begun, Some(files))?
        }
    };
    let mut result = plan.steps.iter().try_for_each(|step| request(host, step));
    result = result.map_err(|error| cover::tell_what_was_moved(host, plan, error));
    let mut details = Vec::new();
    if result.is_ok() {
        let verified = cover::verify(host, plan);
        result = verified.map(|found| details = found);
    }
    let verdict = plan
        .name
        .as_deref()
        .and_then(|name| verdict_of_active(host, name));
    let outcome = result.map(|()| Outcome {
        action: Some(id),
        summary: done(plan),
        details,
        name: plan.name.clone(),
        verdict,
        changed: true,
    });
    end(context, id, &outcome, false)?;
    outcome
}

pub(super) fn done(plan: &Plan) -> String {
    let name = plan.name.clone().unwrap_or_default();
    match &plan.operation {
        Operation::Reassemble { .. } => format!("{name} is up."),
        Operation::Create { .. } => format!("{name} is created."),
        Operation::Remove { .. } => format!("{name} is down; its metadata stays."),
        Operation::Cover { .. } => format!("{name} is covered: its main shows labels alone."),
        Operation::Uncover { .. } => format!("{name} is uncovered: its main shows what it holds."),
        _ => format!("{}: done.", plan.title),
    }
}

fn verdict_of_active(host: &mut dyn Host, name: &str) -> Option<Verdict> {
    let mapped = host.mapped().ok()?;
    let device = mapped.iter().find(|device| device.name == name)?;
    Some(device.status.verdict)
}

/// Logs the end, whatever it was.
pub(super) fn end(
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
            .try_for_each(|step| follow(host, context, (plan, id), step));
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
