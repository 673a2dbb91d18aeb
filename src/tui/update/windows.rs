//! Windows on the session: what was done, the view's own behaviour.

use super::{half_page, moved, say, Effect};
use crate::command_line;
use crate::ops::Operation;
use crate::remap_core::units::Millis;
use crate::tui::export;
use crate::tui::keymap::Command;
use crate::tui::pages;
use crate::tui::prompt::Prompt;
use crate::tui::session::Actions;
use crate::tui::settings::{next_order, Setting};
use crate::tui::sort::Sort;
use crate::tui::state::{Mode, State, Tab};
use crate::tui::theme::Health;

/// Does what `command` asks for of the session, in the list or the detail.
pub fn on_command(state: &mut State, command: Command) -> Vec<Effect> {
    match command {
        Command::Prompt => state.mode = Mode::Prompt(Prompt::default()),
        Command::Export => {
            let name = export::usual_name(state);
            let line = format!("export {}", command_line::quote(name.as_os_str()));
            state.mode = Mode::Prompt(Prompt::with(line));
        }
        Command::Log | Command::UndoList => {
            state.mode = Mode::Actions(Actions {
                pointer: 0,
                undoable: command == Command::UndoList,
            });
        }
        Command::Settings => state.mode = Mode::Settings(0),
        Command::Sort => {
            let by = next_order(state.options.sort.by, false);
            sort(
                state,
                Sort {
                    by,
                    reversed: false,
                },
            );
        }
        Command::Reverse => {
            let reversed = !state.options.sort.reversed;
            let by = state.options.sort.by;
            sort(state, Sort { by, reversed });
        }
        Command::Freeze => return super::settings::turn(state, Setting::Freeze, false),
        Command::Mouse => return super::settings::turn(state, Setting::Mouse, false),
        Command::Copy => {
            let line = line_to_copy(state);
            return match line {
                Some(line) => copy(state, line),
                None => Vec::new(),
            };
        }
        _ => {}
    }
    Vec::new()
}

/// The command that does what the chosen action did, or that shows what is shown.
fn line_to_copy(state: &State) -> Option<String> {
    if state.tab == Tab::Journal {
        if let Some(action) = pages::chosen_action(state) {
            return Some(action.begun.command.clone());
        }
    }
    let store = state.subject()?.store;
    Some(command_line::line(["inspect".as_ref(), store.as_os_str()]))
}

/// Puts a line on the clipboard and on the screen: not every terminal takes it, and none
/// says so.
pub fn copy(state: &mut State, line: String) -> Vec<Effect> {
    say(
        state,
        Health::Neutral,
        format!("copied: {}", line.trim_end()),
    );
    vec![Effect::Copy(line)]
}

/// Sorts the list, and says how.
pub fn sort(state: &mut State, sort: Sort) {
    state.options.sort = sort;
    state.arrange();
    let way = if sort.reversed {
        ", the other way round"
    } else {
        ""
    };
    say(
        state,
        Health::Neutral,
        format!("Sorted by {}{way}.", sort.by.name()),
    );
}

/// Does what `command` asks for in the window of what was done.
pub fn on_actions_command(state: &mut State, command: Command) -> Vec<Effect> {
    let half = half_page(state);
    let Mode::Actions(actions) = &state.mode else {
        return Vec::new();
    };
    let mut actions = *actions;
    let chosen = actions.chosen(state);
    match command {
        Command::Cancel => {
            state.mode = Mode::Browse;
            return Vec::new();
        }
        Command::Copy => {
            let line = chosen.map(|action| action.begun.command.clone());
            return line.map_or_else(Vec::new, |line| copy(state, line));
        }
        Command::Undo => {
            let Some(action) = chosen else {
                return Vec::new();
            };
            let (id, kept) = (action.id, action.has_backup && action.undone_by.is_none());
            if let Some(why) = state.options.no_changes() {
                say(state, Health::Warning, why);
            } else if kept {
                return super::browse::ask_for_plan(state, Operation::Undo { id: Some(id) });
            } else {
                say(
                    state,
                    Health::Warning,
                    "There is nothing to take back here.",
                );
            }
        }
        _ => {
            let rows = actions.rows(state).len();
            actions.pointer = moved(actions.pointer, command, half, rows);
            state.mode = Mode::Actions(actions);
        }
    }
    Vec::new()
}

/// Lets the screen go on, with everything that was told meanwhile.
pub fn thaw(state: &mut State, now: Millis) -> Vec<Effect> {
    let Some(held) = state.frozen.take() else {
        return Vec::new();
    };
    let mut effects = Vec::new();
    for (told, answer) in held.release(now) {
        state.now = told;
        effects.extend(super::answer::take(state, answer));
    }
    state.now = now;
    say(state, Health::Neutral, "What is shown goes on.");
    effects
}
