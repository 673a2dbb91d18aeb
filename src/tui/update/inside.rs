//! Moving about inside of what a page draws.

use super::half_page;
use crate::remap_core::units::MainBlock;
use crate::tui::actions;
use crate::tui::bytes;
use crate::tui::history::WINDOWS;
use crate::tui::keymap::Command;
use crate::tui::pages;
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
        Tab::Remaps => move_on_map(state, command),
        Tab::Overview | Tab::Events | Tab::Journal | Tab::Counters => {}
    }
}

fn move_in_bytes(state: &mut State, command: Command) {
    let Some(copies) = bytes::comparison(state) else {
        return;
    };
    let rows = (half_page(state) / 2).max(1);
    state.copy_byte = Some(bytes::moved(state, &copies, command, rows));
}

fn move_on_map(state: &mut State, command: Command) {
    let (Some(grid), Some(list)) = (pages::remap_grid(state), &state.remaps) else {
        return;
    };
    let to = grid.moved(state.remap_map.at, command, list);
    go_to(state, to);
}

/// Brings the map to a block of main, and the table to the remap there or behind it.
pub fn go_to(state: &mut State, block: MainBlock) {
    state.remap_map.at = block;
    if let Some(list) = &state.remaps {
        state.cursors[Tab::Remaps as usize] = state.remap_table.place_of(list, block);
    }
}

/// Brings the map to the remap under the pointer of the table.
pub fn follow_row(state: &mut State) {
    let at = state.cursors[Tab::Remaps as usize];
    let row = state
        .remaps
        .as_ref()
        .and_then(|list| state.remap_table.row(list, at));
    if let Some(row) = row {
        state.remap_map.at = row.block;
    }
}

/// Looks at the map closer, or from further away; back over less time, or more.
pub fn zoom(state: &mut State, command: Command) {
    if state.tab == Tab::Counters {
        let last = WINDOWS.len() - 1;
        state.window = match command {
            Command::ZoomIn => state.window.saturating_sub(1),
            _ => (state.window + 1).min(last),
        };
        return;
    }
    let Some(grid) = pages::remap_grid(state) else {
        return;
    };
    let zoom = &mut state.remap_map.zoom;
    match command {
        Command::ZoomIn if !grid.is_closest() => *zoom += 1,
        Command::ZoomOut => *zoom = zoom.saturating_sub(1),
        _ => {}
    }
}

/// Sorts the table by the next column; the pointer stays on its remap.
pub fn sort(state: &mut State) {
    state.remap_table.order = state.remap_table.order.next();
    arrange(state);
}

/// Narrows the table.
pub fn search(state: &mut State, search: String) {
    state.remap_table.search = search;
    arrange(state);
}

fn arrange(state: &mut State) {
    let Some(list) = &state.remaps else {
        return;
    };
    state.remap_table.arrange(list);
    let at = state.remap_map.at;
    state.cursors[Tab::Remaps as usize] = state.remap_table.place_of(list, at);
}
