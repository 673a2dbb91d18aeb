//! What a plan writes to another device than its own: the labels of main. It is an action of its
//! own, and is taken back with the plan's.

use super::execute::{done, end, request};
use super::plan::{Outcome, Plan};
use super::rollback::{advise, roll_back};
use super::step::{Step, WriteStep};
use super::writing::Writing;
use super::Context;
use crate::error::Error;
use crate::format::backup::SavedRange;
use crate::port::journal::{ActionId, Ended};
use crate::port::Host;

/// What a plan wrote to another device than its own: the labels of main. Its action ends when
/// that of the plan does, and fails with it.
pub(super) struct Beside {
    pub(super) id: ActionId,
    before: Vec<SavedRange>,
    /// Until it is written.
    begun: Option<Writing>,
}

impl Beside {
    /// Looks once more, and writes nothing yet: the plan's own device may be another one by now.
    pub(super) fn begin(
        host: &mut dyn Host,
        context: &mut Context,
        plan: &Plan,
        step: &WriteStep,
        with: Option<ActionId>,
    ) -> Result<Self, Error> {
        let mut writing = Writing::begin(host, context, plan, step, with)?;
        Ok(Self {
            id: writing.id,
            before: std::mem::take(&mut writing.before),
            begun: Some(writing),
        })
    }

    /// Writes it, and lets go of the device.
    pub(super) fn write(
        &mut self,
        context: &Context,
        plan: &Plan,
        step: &WriteStep,
    ) -> Result<(), Error> {
        match self.begun.take() {
            Some(mut begun) => begun.write(plan, step, &context.progress.to_the_end()),
            None => Ok(()),
        }
    }

    /// Ends its action as that of the plan ended.
    pub(super) fn conclude(
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
        let untouched = self.begun.is_some();
        drop(self.begun);
        let rolled_back = untouched
            || host.open(&step.path, step.access).is_ok_and(|mut store| {
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

/// Carries out what follows the write to the plan's own device, whose action is `of`.
pub(super) fn follow(
    host: &mut dyn Host,
    context: &mut Context,
    (plan, of): (&Plan, ActionId),
    step: &Step,
) -> Result<(), Error> {
    let Step::WriteBeside(write) = step else {
        return request(host, step);
    };
    let mut beside = Beside::begin(host, context, plan, write, Some(of))?;
    if let Err(error) = beside.write(context, plan, write) {
        return Err(beside.fail(host, context, plan, write, error));
    }
    let ended = Ended {
        done: true,
        summary: done(plan),
        rolled_back: false,
    };
    Ok(context.journal.end(beside.id, &ended)?)
}
