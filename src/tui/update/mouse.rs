//! What is done with the mouse: rows, tabs, the wheel. Every change of a device is for
//! the keyboard.

use ratatui::layout::{Position, Rect};

use super::{browse, obey, Effect};
use crate::tui::event::{Mouse, MouseKind};
use crate::tui::keymap::{Command, Context};
use crate::tui::layout::{first_row, has_heading, tab_at, Areas};
use crate::tui::state::{Focus, Mode, State};

/// Rows that one turn of the wheel goes by.
const WHEEL: usize = 3;

/// Changes the state by what was done with the mouse.
pub fn on_mouse(state: &mut State, mouse: Mouse) -> Vec<Effect> {
    let Some(areas) = Areas::of(state.size, state.focus) else {
        return Vec::new();
    };
    match mouse.kind {
        MouseKind::ScrollUp => scroll(state, &areas, mouse, Command::Up),
        MouseKind::ScrollDown => scroll(state, &areas, mouse, Command::Down),
        MouseKind::Press => press(state, &areas, mouse),
    }
}

fn is_in(area: Rect, mouse: Mouse) -> bool {
    area.contains(Position::new(mouse.column, mouse.row))
}

/// Scrolls what the mouse is over; in a window the window.
fn scroll(state: &mut State, areas: &Areas, mouse: Mouse, command: Command) -> Vec<Effect> {
    if !matches!(state.mode, Mode::Browse) {
        let scrolls = [
            Context::Help,
            Context::Choose,
            Context::Actions,
            Context::Settings,
            Context::ConfirmTyped,
            Context::ConfirmPlain,
        ];
        if !scrolls.contains(&state.context()) {
            return Vec::new();
        }
        // Whatever key the operator has for it.
        let context = state.context();
        return obey(state, context, command);
    }
    let focus = state.focus;
    if is_in(areas.list, mouse) {
        state.focus = Focus::List;
    } else if is_in(areas.detail, mouse) && focus == Focus::List {
        state.focus = Focus::Detail;
    }
    let mut effects = Vec::new();
    for _ in 0..WHEEL {
        effects.extend(browse::on_command(state, command));
    }
    state.focus = focus;
    effects
}

/// Goes to the row or the tab that was pressed.
fn press(state: &mut State, areas: &Areas, mouse: Mouse) -> Vec<Effect> {
    if !matches!(state.mode, Mode::Browse) {
        return Vec::new();
    }
    state.notice = None;
    if is_in(areas.list, mouse) {
        let inner = areas.list.height.saturating_sub(2);
        let top = areas.list.y + 1 + u16::from(has_heading(inner));
        let room = areas.list_rows();
        let chosen = state.chosen_index().unwrap_or(0);
        let first = first_row(chosen, state.rows.len(), room);
        let line = mouse.row.checked_sub(top).map(usize::from);
        if let Some(line) = line.filter(|line| *line < room) {
            state.choose_row(first + line);
        }
        state.focus = Focus::List;
    } else if is_in(areas.detail, mouse) {
        if let Some(tab) = tab_at(areas, mouse.column, mouse.row) {
            let number = u8::try_from(tab).unwrap_or(0);
            return browse::on_command(state, Command::Tab(number));
        }
        if state.focus == Focus::List && state.subject().is_some() {
            state.focus = Focus::Detail;
        }
    }
    Vec::new()
}
