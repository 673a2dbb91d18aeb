//! Asking for one line, and doing what it says.

use super::inside;
use crate::tui::actions;
use crate::tui::keymap::Command;
use crate::tui::pages;
use crate::tui::question::{Asked, Question};
use crate::tui::remaps::parse_block;
use crate::tui::state::{Mode, State, Tab};

/// Asks, where there is something to ask about.
pub fn ask(state: &mut State, what: Asked) {
    if what != Asked::Events {
        if let Err(why) = actions::available(state, Command::GoTo) {
            super::say(state, crate::tui::theme::Health::Warning, why);
            return;
        }
    }
    let typed = match what {
        Asked::Block => String::new(),
        Asked::Remaps => state.remap_table.search.clone(),
        Asked::Events => state.event_filter.text.clone(),
    };
    state.mode = Mode::Ask(Question {
        what,
        typed,
        complaint: None,
    });
}

/// Takes one character of the answer.
pub fn type_in(state: &mut State, character: char) {
    change(state, |typed| typed.push(character));
}

/// Does what `command` asks for while an answer is typed.
pub fn on_command(state: &mut State, command: Command) {
    match command {
        Command::Erase => change(state, |typed| {
            typed.pop();
        }),
        Command::EraseAll => change(state, String::clear),
        Command::Cancel => {
            change(state, String::clear);
            state.mode = Mode::Browse;
        }
        Command::Accept => answer(state),
        _ => {}
    }
}

/// Changes what was typed; a search follows at once.
fn change(state: &mut State, change: impl FnOnce(&mut String)) {
    let Mode::Ask(question) = &mut state.mode else {
        return;
    };
    change(&mut question.typed);
    question.complaint = None;
    let typed = question.typed.clone();
    match question.what {
        Asked::Block => {}
        Asked::Remaps => inside::search(state, typed),
        Asked::Events => {
            state.event_filter.text = typed;
            state.cursors[Tab::Events as usize] = 0;
        }
    }
}

fn answer(state: &mut State) {
    let Mode::Ask(question) = &mut state.mode else {
        return;
    };
    if question.what == Asked::Block && !question.typed.is_empty() {
        let typed = question.typed.clone();
        let block = pages::main_blocks(state)
            .ok_or_else(|| "The size of main is not known.".to_owned())
            .and_then(|(unit, main)| parse_block(&typed, u64::from(unit.bytes()), main));
        match block {
            Ok(block) => inside::go_to(state, block),
            Err(why) => {
                if let Mode::Ask(question) = &mut state.mode {
                    question.complaint = Some(why);
                }
                return;
            }
        }
    }
    state.mode = Mode::Browse;
}
