//! Moving about inside of what a page draws.

use super::half_page;
use crate::tui::actions;
use crate::tui::bytes;
use crate::tui::keymap::Command;
use crate::tui::state::{Focus, State, Tab};

/// Goes into what the page draws, where there is something to move about in.
pub fn enter(state: &mut State) {
    if actions::available(state, Command::LookInside).is_ok() {
        state.focus = Focus::Inside;
    }
}

/// Moves the cursor of the page.
pub fn on_move(state: &mut State, command: Command) {
    match state.tab {
        Tab::Copies => move_in_bytes(state, command),
        Tab::Overview | Tab::Remaps | Tab::Events | Tab::Journal => {}
    }
}

fn move_in_bytes(state: &mut State, command: Command) {
    let Some(copies) = bytes::comparison(state) else {
        return;
    };
    let rows = (half_page(state) / 2).max(1);
    state.copy_byte = Some(bytes::moved(state, &copies, command, rows));
}
