//! Taking in what the worker tells.

use super::{say, Effect, Request};
use crate::error::Error;
use crate::ops::{Outcome, Plan, Refusal};
use crate::port::{DeviceInfo, LoggedEvent};
use crate::tui::corruption::Forecast;
use crate::tui::dialog::{Dialog, Prompt, Stage};
use crate::tui::event::Answer;
use crate::tui::listing::Listing;
use crate::tui::rows::RowKey;
use crate::tui::sort::SortBy;
use crate::tui::state::{Mode, State, EVENTS_KEPT};
use crate::tui::theme::Health;

/// Changes the state by what the worker told.
pub fn take(state: &mut State, answer: Answer) -> Vec<Effect> {
    match answer {
        Answer::Listed { devices, mapped } => {
            state.list(Listing::new(devices, mapped, state.now));
        }
        Answer::Policy(policy) => {
            state.take_policy(policy);
            state.arrange();
        }
        Answer::Examined(found) => {
            state.take_examined(found);
            // What was found has words that a filter may ask for.
            let by = state.options.sort.by;
            if !state.filter.is_empty() || matches!(by, SortBy::Health | SortBy::Part) {
                state.arrange();
            }
        }
        Answer::Remaps(list) => {
            let is_shown = state
                .subject()
                .is_some_and(|subject| subject.store == list.spare);
            if is_shown {
                state.remap_table.arrange(&list);
                state.remaps = Some(list);
            }
        }
        Answer::Zone(zone) => {
            state.local_zone = zone;
            super::settings::choose_zone(state);
        }
        Answer::Saved(Ok(path)) => say(state, Health::Good, format!("{path} is written.")),
        Answer::Saved(Err(why)) => say(state, Health::Bad, why),
        Answer::SettingsKept(kept) => super::settings::kept(state, kept),
        Answer::Logged(events) => keep_events(state, events),
        Answer::History { now, histories } => {
            state.clock = Some((now, state.now));
            state.histories.extend(histories);
        }
        Answer::Journal(journal, unread) => {
            (state.journal, state.journal_unread) = (journal, unread);
        }
        Answer::Progress { ticket, share } => {
            if let Some(dialog) = dialog_of(&mut state.mode, ticket) {
                dialog.share = Some(share);
            }
        }
        Answer::Looking(_) | Answer::Due(_) => {}
        Answer::Planned { ticket, plan } => return planned(state, ticket, plan),
        Answer::Executed { ticket, outcome } => executed(state, ticket, outcome),
        Answer::Trouble(text) => say(state, Health::Bad, text),
    }
    Vec::new()
}

/// The window that waits for the answer to this question, also where it is asked meanwhile
/// what is to become of the work.
fn dialog_of(mode: &mut Mode, ticket: u64) -> Option<&mut Dialog> {
    match mode {
        Mode::Plan(dialog) => (dialog.ticket == ticket).then_some(dialog),
        Mode::Underway { under } => dialog_of(under, ticket),
        _ => None,
    }
}

fn keep_events(state: &mut State, events: Vec<LoggedEvent>) {
    state.events.extend(events);
    let surplus = state.events.len().saturating_sub(EVENTS_KEPT);
    state.events.drain(..surplus);
}

fn planned(state: &mut State, ticket: u64, plan: Result<Box<Plan>, Refusal>) -> Vec<Effect> {
    if state.unattended == Some(ticket) {
        state.unattended = None;
        return run_unattended(state, plan);
    }
    if let Some(dialog) = dialog_of(&mut state.mode, ticket) {
        dialog.stage = match plan {
            Ok(plan) => Stage::Prompting(Box::new(Prompt::new(*plan))),
            Err(refusal) => Stage::Refused(refusal),
        };
        return Vec::new();
    }
    let Mode::Corrupt(corruption) = &mut state.mode else {
        return Vec::new();
    };
    if !matches!(corruption.forecast, Forecast::Asked(asked) if asked == ticket) {
        return Vec::new();
    }
    corruption.forecast = match plan {
        Ok(plan) => Forecast::Plan(plan),
        Err(refusal) => Forecast::Refused(refusal),
    };
    match corruption.hurry {
        true => super::dialog::show_corruption_plan(state),
        false => Vec::new(),
    }
}

/// Carries out a plan that asks for no word, or says why there is none.
fn run_unattended(state: &mut State, plan: Result<Box<Plan>, Refusal>) -> Vec<Effect> {
    if let (true, Ok(plan)) = (state.options.dry_run, &plan) {
        let text = format!("Dry run: {} was not carried out.", plan.title);
        say(state, Health::Neutral, text);
        return Vec::new();
    }
    let confirmed = match plan.and_then(|plan| plan.confirm(None)) {
        Ok(confirmed) => Box::new(confirmed),
        Err(refusal) => {
            say(state, Health::Warning, whole_refusal(&refusal));
            return Vec::new();
        }
    };
    let ticket = state.next_ticket();
    vec![Effect::Ask(Request::Execute { ticket, confirmed })]
}

/// Keeps the eye on what was changed: on the mapped device if it is up now, on its spare
/// if it was taken down.
fn follow_outcome(state: &mut State, outcome: &Outcome) {
    let Some(name) = &outcome.name else {
        return;
    };
    let is_shown = state
        .subject()
        .is_some_and(|subject| subject.name() == Some(name));
    if is_shown {
        return;
    }
    let names_it = |device: &&DeviceInfo| {
        let inspection = state.inspection(&device.path);
        inspection.and_then(|inspection| inspection.name.as_ref()) == Some(name)
    };
    let key = match state.active(name) {
        Some(_) => RowKey::Mapped(name.clone()),
        None => match state.devices().iter().find(names_it) {
            Some(spare) => RowKey::Device(spare.path.clone()),
            None => return,
        },
    };
    // What a filter hides stays hidden.
    state.choose(&key);
}

fn whole_refusal(refusal: &Refusal) -> String {
    format!("{} {}", refusal.message(), refusal.advice())
        .trim_end()
        .to_owned()
}

fn executed(state: &mut State, ticket: u64, outcome: Result<Outcome, Error>) {
    if let Ok(outcome) = &outcome {
        follow_outcome(state, outcome);
    }
    if let Some(dialog) = dialog_of(&mut state.mode, ticket) {
        dialog.stage = match outcome {
            Ok(outcome) => Stage::Done(outcome),
            Err(error) => Stage::Failed(error),
        };
        return;
    }
    match outcome {
        Ok(outcome) => say(state, Health::Good, outcome.summary),
        Err(error) => say(
            state,
            Health::Bad,
            format!("{} {}", error.message, error.advice),
        ),
    }
}
