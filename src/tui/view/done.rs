//! The window of what was done: each action with the command that does the same.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{journal, mark_row, paragraph, put_line, put_lines, window};
use crate::tui::layout::{centred, first_row};
use crate::tui::session::Actions;
use crate::tui::show::{self, Side};
use crate::tui::state::State;

const WIDTH: u16 = 110;
const STATE_WIDTH: usize = 12;

/// Lines below the list for the chosen action.
const FOOT_LINES: u16 = 4;

/// Draws the window.
pub fn draw(frame: &mut Frame<'_>, state: &State, actions: Actions) {
    let theme = state.theme();
    let rows = actions.rows(state);
    let title = if actions.undoable {
        "What can be taken back"
    } else {
        "What was done, and the commands that do the same"
    };
    let width = WIDTH.min(state.size.width.saturating_sub(2));
    let wanted = u16::try_from(rows.len()).unwrap_or(u16::MAX);
    let height = wanted.saturating_add(2 + FOOT_LINES).max(8);
    let height = height.min(state.size.height.saturating_sub(3));
    let area = centred(state.size, width, height);
    let inner = window(frame, area, theme, title);
    if rows.is_empty() {
        let text = match state.underway.tasks.first() {
            _ if actions.undoable => " nothing can be taken back".to_owned(),
            Some(task) => format!(" under way: {}", task.title),
            None => " nothing was done yet".to_owned(),
        };
        put_line(frame, inner, 0, &Line::styled(text, theme.faint()));
        return;
    }
    let body = Rect {
        height: inner.height.saturating_sub(FOOT_LINES),
        ..inner
    };
    let chosen = actions.pointer.min(rows.len() - 1);
    let room = usize::from(body.height);
    let first = first_row(chosen, rows.len(), room);
    let in_sight = rows.iter().enumerate().skip(first).take(room);
    for (line, (index, action)) in (0..).zip(in_sight) {
        let (word, health) = journal::standing(action);
        let word = format!("{} {word}", theme.health_glyph(health));
        let text = if actions.undoable {
            &action.begun.title
        } else {
            &action.begun.command
        };
        let fit = |text: &str, width, side| show::fit(text, width, side, theme.ellipsis());
        let spans = vec![
            Span::raw(fit(&action.id.to_string(), 4, Side::Right)),
            Span::styled(
                format!(" {} ", state.zone.time_of_day(action.time)),
                theme.faint(),
            ),
            Span::styled(fit(&word, STATE_WIDTH, Side::Left), theme.health(health)),
            Span::raw(format!(" {text}")),
        ];
        put_line(frame, body, line, &Line::from(spans));
        if index == chosen {
            mark_row(frame, body, line, theme, true);
        }
    }
    let Some(action) = rows.get(chosen) else {
        return;
    };
    let foot = Rect {
        y: body.y + body.height,
        height: inner.height - body.height,
        ..inner
    };
    let width = usize::from(inner.width);
    let mut lines = vec![Line::styled(theme.rule().repeat(width), theme.faint())];
    let text = if actions.undoable {
        &action.begun.command
    } else {
        &action.begun.title
    };
    lines.extend(paragraph(text, width, 1, theme.plain()));
    put_lines(frame, foot, &lines);
}
