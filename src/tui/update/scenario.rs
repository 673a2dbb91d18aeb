//! Scenarios: choosing one, and going through it.

use super::{browse, moved, say, Effect};
use crate::scenario;
use crate::tui::guide::Guide;
use crate::tui::keymap::Command;
use crate::tui::state::{Mode, State};
use crate::tui::theme::Health;

/// Does what `command` asks for of scenarios.
pub fn on_command(state: &mut State, command: Command) -> Vec<Effect> {
    match command {
        Command::Scenarios => open(state),
        Command::Step => return step(state),
        Command::LeaveScenario => {
            if state.guide.take().is_some() {
                say(
                    state,
                    Health::Neutral,
                    "The scenario is left; what was done stays.",
                );
            }
        }
        _ => on_list_command(state, command),
    }
    Vec::new()
}

fn open(state: &mut State) {
    if state.lab.is_none() {
        say(
            state,
            Health::Warning,
            "Scenarios are for a lab: dmremap-tui lab.",
        );
        return;
    }
    state.mode = Mode::Scenarios(0, scenario::all());
}

fn on_list_command(state: &mut State, command: Command) {
    let Mode::Scenarios(pointer, all) = &mut state.mode else {
        return;
    };
    match command {
        Command::Cancel => state.mode = Mode::Browse,
        Command::Accept => {
            let chosen = all.get(*pointer).cloned();
            state.mode = Mode::Browse;
            if let Some(scenario) = chosen {
                begin(state, scenario);
            }
        }
        _ => *pointer = moved(*pointer, command, 4, all.len()),
    }
}

/// Begins a scenario, with its device under the eye.
pub fn begin(state: &mut State, scenario: scenario::Scenario) {
    state.choose(&crate::tui::rows::RowKey::Mapped(scenario.device.clone()));
    state.guide = Some(Guide::new(scenario, state));
}

/// Begins the next step: asks for its plan, or goes on where there is only to read.
fn step(state: &mut State) -> Vec<Effect> {
    let Some(guide) = &state.guide else {
        let key = state.key(Command::Scenarios);
        let text = format!("No scenario is gone through; {key} lists them.");
        say(state, Health::Neutral, text);
        return Vec::new();
    };
    match guide.operation(state) {
        Ok(Some(operation)) => match state.options.no_changes() {
            Some(why) => {
                say(state, Health::Warning, why);
                Vec::new()
            }
            None => browse::ask_for_plan(state, operation),
        },
        Ok(None) => {
            if let Some(guide) = &mut state.guide {
                guide.mark_read();
            }
            Vec::new()
        }
        Err(why) => {
            say(state, Health::Bad, why);
            Vec::new()
        }
    }
}
