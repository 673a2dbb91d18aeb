//! A scenario on the screen: what to do next, until it is done. The operator does each
//! step with the usual keys, or has it begun with one; every change still shows its plan.

use super::state::State;
use super::subject::Subject;
use crate::ops::Operation;
use crate::port::journal::ActionId;
use crate::remap_core::quorum::Verdict;
use crate::scenario::{Scenario, Step};

/// A scenario that is gone through.
#[derive(Clone, Debug)]
pub struct Guide {
    /// Which.
    pub scenario: Scenario,
    /// The step that is next.
    pub at: usize,
    /// The last action of the journal when that step began.
    since: ActionId,
    /// Whether the operator said that the step was read.
    read: bool,
}

impl Guide {
    /// A scenario at its first step.
    pub fn new(scenario: Scenario, state: &State) -> Self {
        Self {
            scenario,
            at: 0,
            since: last_action(state),
            read: false,
        }
    }

    /// The step that is next.
    pub fn step(&self) -> Option<&Step> {
        self.scenario.steps.get(self.at)
    }

    /// Says that the step was read.
    pub fn mark_read(&mut self) {
        self.read = true;
    }

    /// The operation of the step.
    ///
    /// # Errors
    ///
    /// What makes no sense in its words.
    pub fn operation(&self, state: &State) -> Result<Option<Operation>, String> {
        let names = super::prompt::names(state);
        match self.step() {
            Some(step) => step.operation(&names),
            None => Ok(None),
        }
    }

    /// Whether what the step asks for was done, and came to what it must.
    fn is_done(&self, state: &State) -> bool {
        let Some(step) = self.step() else {
            return false;
        };
        let came_true = step
            .then
            .is_none_or(|wanted| verdict_of(state, &self.scenario.device) == Some(wanted));
        let Some(line) = &step.run else {
            return came_true && self.read;
        };
        let operation = line.split(' ').next().unwrap_or_default();
        let done = state.journal.iter().any(|action| {
            action.id > self.since
                && action.begun.operation == operation
                && action.ended.as_ref().is_some_and(|ended| ended.done)
        });
        done && came_true
    }
}

fn last_action(state: &State) -> ActionId {
    let last = state.journal.last();
    last.map_or(ActionId::new(0), |action| action.id)
}

/// Goes on to the next step as soon as this one is done; the title of a scenario that
/// came to its end.
pub fn advance(state: &mut State) -> Option<String> {
    let guide = state.guide.as_ref()?;
    if !guide.is_done(state) {
        return None;
    }
    let mut guide = state.guide.take()?;
    guide.at += 1;
    guide.since = last_action(state);
    guide.read = false;
    if guide.step().is_some() {
        state.guide = Some(guide);
        return None;
    }
    Some(guide.scenario.title)
}

/// What the copies of the device of this name are judged, up or not.
pub fn verdict_of(state: &State, name: &str) -> Option<Verdict> {
    if let Some(active) = state.active(name) {
        let (_, verdict) = Subject::of_active(state, active).copies()?;
        return Some(verdict);
    }
    let mut found = state
        .examined
        .values()
        .filter_map(|examined| examined.as_deref().ok());
    let inspection = found.find(|inspection| inspection.name.as_deref() == Some(name))?;
    Some(inspection.verdict())
}
