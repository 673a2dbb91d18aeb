//! Moving about, and asking for actions.

use super::{half_page, inside, moved, question, say, scenario, windows, Effect, Request};
use crate::ops::Operation;
use crate::remap_core::message::Message;
use crate::tui::actions;
use crate::tui::corruption::Corruption;
use crate::tui::dialog::Dialog;
use crate::tui::keymap::Command;
use crate::tui::pages;
use crate::tui::question::Asked;
use crate::tui::state::{CopyView, Focus, Mode, State, Tab};
use crate::tui::theme::Health;
use crate::tui::wizard::Wizard;

/// Does what `command` asks for in the list or the detail.
pub fn on_command(state: &mut State, command: Command) -> Vec<Effect> {
    match command {
        Command::Back => return back(state),
        Command::Cancel => {
            state.filter.clear();
            state.arrange();
        }
        Command::Open => {
            if state.subject().is_some() {
                state.focus = Focus::Detail;
            }
        }
        Command::LookInside => inside::enter(state),
        Command::Filter if state.focus != Focus::List && state.tab == Tab::Remaps => {
            question::ask(state, Asked::Remaps);
        }
        Command::Filter if state.focus != Focus::List && state.tab == Tab::Events => {
            question::ask(state, Asked::Events);
        }
        Command::Tighten => {
            state.event_filter.tighten();
            state.cursors[Tab::Events as usize] = 0;
        }
        Command::Filter => {
            state.focus = Focus::List;
            state.mode = Mode::Filter;
        }
        Command::GoTo => question::ask(state, Asked::Block),
        Command::Order => inside::sort(state),
        Command::ZoomIn | Command::ZoomOut => inside::zoom(state, command),
        Command::NextTab => turn_tab(state, 1),
        Command::PreviousTab => turn_tab(state, -1),
        Command::Tab(number) => {
            if let Some(tab) = Tab::ALL.get(usize::from(number)) {
                turn_to(state, *tab);
            }
        }
        Command::TurnView => {
            state.copy_view = match state.copy_view {
                CopyView::Bytes => CopyView::Fields,
                CopyView::Fields => CopyView::Bytes,
            };
        }
        Command::Left | Command::Right | Command::NextMark | Command::PreviousMark => {
            inside::on_move(state, command);
        }
        Command::Up
        | Command::Down
        | Command::HalfPageUp
        | Command::HalfPageDown
        | Command::First
        | Command::Last => match state.focus {
            Focus::List => move_in_list(state, command),
            Focus::Detail => move_in_detail(state, command),
            Focus::Inside => inside::on_move(state, command),
        },
        Command::Prompt
        | Command::Sort
        | Command::Reverse
        | Command::Freeze
        | Command::Copy
        | Command::Export
        | Command::Log
        | Command::UndoList
        | Command::Mouse
        | Command::Settings => return windows::on_command(state, command),
        Command::Scenarios | Command::Step | Command::LeaveScenario => {
            return scenario::on_command(state, command);
        }
        _ => return act(state, command),
    }
    Vec::new()
}

fn back(state: &mut State) -> Vec<Effect> {
    match state.focus {
        Focus::Inside => {
            state.focus = Focus::Detail;
            Vec::new()
        }
        Focus::Detail => {
            state.focus = Focus::List;
            Vec::new()
        }
        Focus::List => super::underway::leave(state),
    }
}

fn turn_tab(state: &mut State, by: isize) {
    let tabs = Tab::ALL.len() as isize;
    let turned = (state.tab as isize + by).rem_euclid(tabs) as usize;
    turn_to(state, Tab::ALL[turned]);
}

fn turn_to(state: &mut State, tab: Tab) {
    state.tab = tab;
    if state.focus == Focus::Inside {
        state.focus = Focus::Detail;
    }
}

fn move_in_list(state: &mut State, command: Command) {
    let at = state.chosen_index().unwrap_or(0);
    let to = moved(at, command, half_page(state), state.rows.len());
    state.choose_row(to);
}

fn move_in_detail(state: &mut State, command: Command) {
    if state.tab == Tab::Copies && !matches!(command, Command::Up | Command::Down) {
        // The copies are five and in sight: pages are those of the bytes below them.
        return inside::on_move(state, command);
    }
    let half = half_page(state);
    let rows = pages::rows(state);
    let tab = state.tab;
    let cursor = &mut state.cursors[tab as usize];
    *cursor = moved(*cursor, command, half, rows);
    match tab {
        Tab::Copies => state.copy_byte = None,
        Tab::Remaps => inside::follow_row(state),
        Tab::Overview | Tab::Events | Tab::Journal | Tab::Counters => {}
    }
}

/// Does what `command` asks for while a filter is typed.
pub fn on_filter_command(state: &mut State, command: Command) {
    match command {
        Command::Accept => state.mode = Mode::Browse,
        Command::Cancel => {
            state.filter.clear();
            state.arrange();
            state.mode = Mode::Browse;
        }
        Command::Erase => {
            state.filter.pop();
            state.arrange();
        }
        Command::EraseAll => {
            state.filter.clear();
            state.arrange();
        }
        _ => {}
    }
}

/// Begins an action on what is shown, or says why it cannot be.
fn act(state: &mut State, command: Command) -> Vec<Effect> {
    if let Err(why) = actions::available(state, command) {
        say(state, Health::Warning, why);
        return Vec::new();
    }
    match command {
        Command::Create => {
            state.mode = Mode::Wizard(Wizard::new(state));
            Vec::new()
        }
        Command::Corrupt => {
            begin_corruption(state);
            Vec::new()
        }
        _ => match actions::operation(state, command) {
            Some(operation) => ask_for_plan(state, operation),
            None => Vec::new(),
        },
    }
}

fn begin_corruption(state: &mut State) {
    let Some(subject) = state.subject() else {
        return;
    };
    let store = subject.store.to_owned();
    let name = match subject.name() {
        Some(name) => name.to_owned(),
        None => state.name_of(&store),
    };
    // Every drill of a journal gets its own seed, and the same one when it is repeated.
    let seed = state.journal.len() as u64 + 1;
    state.mode = Mode::Corrupt(Corruption::new(store, name, seed));
}

/// Asks the worker for a plan, and opens its window; without one for a scrub, which puts
/// nothing at stake.
pub fn ask_for_plan(state: &mut State, operation: Operation) -> Vec<Effect> {
    let ticket = state.next_ticket();
    // What is asked for here is planned from what there is, not from what is shown.
    let asks_nothing = matches!(
        operation,
        Operation::Message {
            message: Message::Scrub,
            ..
        }
    );
    if asks_nothing {
        state.unattended = Some(ticket);
    } else {
        let title = actions::title(&operation);
        state.mode = Mode::Plan(Dialog::planning(title, ticket));
    }
    vec![Effect::Ask(Request::Plan {
        ticket,
        operation: Box::new(operation),
    })]
}
