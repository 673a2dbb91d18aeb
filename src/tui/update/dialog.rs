//! Corruption, the wizard, and plans on their way to an outcome.

use super::{browse, half_page, moved, Effect, Request};
use crate::ops::eligibility::Fitness;
use crate::remap_core::units::Slot;
use crate::tui::corruption::{Corruption, Forecast};
use crate::tui::dialog::{Dialog, Prompt, Stage};
use crate::tui::keymap::Command;
use crate::tui::state::{Mode, State};
use crate::tui::wizard::{Form, Wizard};

/// Does what `command` asks for while copies to corrupt are chosen.
pub fn on_corrupt_command(state: &mut State, command: Command) -> Vec<Effect> {
    let Mode::Corrupt(corruption) = &mut state.mode else {
        return Vec::new();
    };
    match command {
        Command::Cancel => {
            let given_up = give_up_forecast(&corruption.forecast);
            state.mode = Mode::Browse;
            return given_up;
        }
        Command::Accept => {
            corruption.hurry = matches!(corruption.forecast, Forecast::Asked(_));
            return show_corruption_plan(state);
        }
        Command::Left => corruption.move_pointer(-1),
        Command::Right => corruption.move_pointer(1),
        Command::Up => corruption.turn_kind(-1),
        Command::Down => corruption.turn_kind(1),
        Command::Toggle => corruption.toggle(corruption.pointer),
        Command::ToggleCopy(number) => {
            if let Some(slot) = Slot::from_index(u32::from(number)) {
                corruption.toggle(slot);
            }
        }
        _ => return Vec::new(),
    }
    corruption.hurry = false;
    if matches!(command, Command::Left | Command::Right) {
        return Vec::new();
    }
    ask_for_forecast(state)
}

/// Asks what would come of the choice as it is now.
fn ask_for_forecast(state: &mut State) -> Vec<Effect> {
    let ticket = state.next_ticket();
    let Mode::Corrupt(corruption) = &mut state.mode else {
        return Vec::new();
    };
    let mut effects = give_up_forecast(&corruption.forecast);
    let Some(operation) = corruption.operation() else {
        corruption.forecast = Forecast::Nothing;
        return effects;
    };
    corruption.forecast = Forecast::Asked(ticket);
    effects.push(Effect::Ask(Request::Plan {
        ticket,
        operation: Box::new(operation),
    }));
    effects
}

/// Ends the making of a plan that nobody waits for any more.
fn give_up_forecast(forecast: &Forecast) -> Vec<Effect> {
    match forecast {
        Forecast::Asked(ticket) => vec![Effect::Ask(Request::Stop(*ticket))],
        _ => Vec::new(),
    }
}

/// The same for the plan that a window waits for.
fn give_up_plan(dialog: &Dialog) -> Vec<Effect> {
    match dialog.stage {
        Stage::Planning => vec![Effect::Ask(Request::Stop(dialog.ticket))],
        _ => Vec::new(),
    }
}

/// Goes on from the choice to its plan, if that is there.
pub fn show_corruption_plan(state: &mut State) -> Vec<Effect> {
    let Mode::Corrupt(Corruption { forecast, .. }) = &mut state.mode else {
        return Vec::new();
    };
    let (title, stage) = match std::mem::replace(forecast, Forecast::Nothing) {
        Forecast::Plan(plan) => (
            plan.title.clone(),
            Stage::Prompting(Box::new(Prompt::new(*plan))),
        ),
        Forecast::Refused(refusal) => ("Corrupt".to_owned(), Stage::Refused(refusal)),
        waiting @ (Forecast::Nothing | Forecast::Asked(_)) => {
            *forecast = waiting;
            return Vec::new();
        }
    };
    let ticket = state.next_ticket();
    state.mode = Mode::Plan(Dialog {
        title,
        ticket,
        stage,
        share: None,
        form: None,
    });
    Vec::new()
}

/// Does what `command` asks for in the wizard.
pub fn on_wizard_command(state: &mut State, command: Command) -> Vec<Effect> {
    if command == Command::Cancel {
        state.mode = Mode::Browse;
        return Vec::new();
    }
    // The wizard is taken out for as long as it looks at the state around it.
    let Mode::Wizard(wizard) = std::mem::replace(&mut state.mode, Mode::Browse) else {
        return Vec::new();
    };
    match wizard {
        Wizard::Form(form) => on_form_command(state, form, command),
        choosing => {
            state.mode = Mode::Wizard(on_choose_command(state, choosing, command));
            Vec::new()
        }
    }
}

fn on_choose_command(state: &State, mut wizard: Wizard, command: Command) -> Wizard {
    let candidates = wizard.candidates(state);
    let half = half_page(state);
    let (pointer, complaint) = match &mut wizard {
        Wizard::Main {
            pointer, complaint, ..
        } => (pointer, complaint),
        Wizard::Spare {
            pointer, complaint, ..
        } => (pointer, complaint),
        Wizard::Form(_) => return wizard,
    };
    *complaint = None;
    let row = pointer.row(&candidates);
    let to = moved(row.unwrap_or(0), command, half, candidates.len());
    if let (true, Some(candidate)) = (command != Command::Accept, candidates.get(to)) {
        pointer.put_on(candidate);
    }
    match (command, row.and_then(|row| candidates.get(row))) {
        (Command::Accept, None) => {
            *complaint = Some("the device is not here any more".to_owned());
            wizard
        }
        (Command::Accept, Some(candidate)) if candidate.fitness == Fitness::Unfit => {
            *complaint = Some(format!("{}: {}", candidate.name, candidate.remark));
            wizard
        }
        (Command::Accept, Some(candidate)) => match wizard {
            Wizard::Spare { main, earlier, .. } => {
                Wizard::Form(Form::new(main, candidate, earlier))
            }
            Wizard::Main { earlier, .. } => {
                Wizard::for_spare(state, candidate.path.clone(), earlier)
            }
            form @ Wizard::Form(_) => form,
        },
        (Command::Back, _) => wizard.step_back(state),
        _ => wizard,
    }
}

fn on_form_command(state: &mut State, mut form: Form, command: Command) -> Vec<Effect> {
    match command {
        Command::Up => form.move_field(-1),
        Command::Down => form.move_field(1),
        Command::Left => form.turn(-1),
        Command::Right => form.turn(1),
        Command::Erase => drop(form.text().map(String::pop)),
        Command::EraseAll => drop(form.text().map(String::clear)),
        Command::Back => {
            state.mode = Mode::Wizard(Wizard::Form(form).step_back(state));
            return Vec::new();
        }
        Command::Accept => {
            if let Some(operation) = form.operation(state) {
                let asked = browse::ask_for_plan(state, operation);
                if let Mode::Plan(dialog) = &mut state.mode {
                    dialog.form = Some(Box::new(form));
                }
                return asked;
            }
            form.tried = true;
        }
        _ => {}
    }
    state.mode = Mode::Wizard(Wizard::Form(form));
    Vec::new()
}

/// Takes a character that was typed in the wizard.
pub fn type_into_wizard(wizard: &mut Wizard, character: char) {
    if let Wizard::Form(form) = wizard {
        form.type_in(character);
    }
}

/// Takes a character that was typed under a plan.
pub fn type_into_plan(dialog: &mut Dialog, character: char) {
    if let Stage::Prompting(prompt) = &mut dialog.stage {
        if prompt.token().is_some() {
            prompt.typed.push(character);
            prompt.complaint = None;
        }
    }
}

/// Does what `command` asks for under a plan or an outcome.
pub fn on_plan_command(state: &mut State, command: Command) -> Vec<Effect> {
    let Mode::Plan(dialog) = &mut state.mode else {
        return Vec::new();
    };
    if command == Command::Cancel {
        let given_up = give_up_plan(dialog);
        state.mode = Mode::Browse;
        return given_up;
    }
    if command == Command::Back {
        let given_up = give_up_plan(dialog);
        let form = match dialog.has_step_before() {
            true => dialog.form.take(),
            false => None,
        };
        let Some(form) = form else {
            return Vec::new();
        };
        state.mode = Mode::Wizard(Wizard::Form(*form));
        return given_up;
    }
    let Stage::Prompting(prompt) = &mut dialog.stage else {
        return Vec::new();
    };
    match command {
        Command::Up => prompt.scroll = prompt.scroll.saturating_sub(1),
        Command::Down => prompt.scroll = (prompt.scroll + 1).min(prompt.plan.writes.len()),
        Command::Erase => drop(prompt.typed.pop()),
        Command::EraseAll => prompt.typed.clear(),
        Command::Accept => return execute(state),
        Command::Copy => {
            let line = prompt.plan.command.clone();
            return super::windows::copy(state, line);
        }
        _ => {}
    }
    Vec::new()
}

fn execute(state: &mut State) -> Vec<Effect> {
    let ticket = state.next_ticket();
    let is_dry_run = state.options.dry_run;
    let Mode::Plan(dialog) = &mut state.mode else {
        return Vec::new();
    };
    let Stage::Prompting(prompt) = &mut dialog.stage else {
        return Vec::new();
    };
    if is_dry_run {
        prompt.complaint = Some("this is a dry run; nothing was changed".to_owned());
        return Vec::new();
    }
    match prompt.confirm() {
        Ok(confirmed) => {
            dialog.stage = Stage::Running;
            dialog.share = None;
            dialog.ticket = ticket;
            let confirmed = Box::new(confirmed);
            vec![Effect::Ask(Request::Execute { ticket, confirmed })]
        }
        Err(why) => {
            prompt.complaint = Some(why);
            Vec::new()
        }
    }
}
