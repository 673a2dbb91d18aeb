//! The fourth page: what happened, newest first.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{detail_has_keyboard, mark_row, put_line};
use crate::port::LoggedEvent;
use crate::tui::layout::first_row;
use crate::tui::pages;
use crate::tui::show::{self, Side};
use crate::tui::state::{State, Tab};
use crate::tui::theme::Health;

const DEVICE_WIDTH: usize = 12;

/// Draws the page.
pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let theme = state.theme();
    let count = pages::events(state).count();
    if count == 0 {
        put_line(
            frame,
            area,
            0,
            &Line::styled(" nothing happened yet", theme.faint()),
        );
        return;
    }
    let heading = format!(
        " {}{}WHAT",
        show::fit(state.zone.heading(), 21, Side::Left, theme.ellipsis()),
        show::fit("DEVICE", DEVICE_WIDTH + 3, Side::Left, theme.ellipsis()),
    );
    put_line(frame, area, 0, &Line::styled(heading, theme.faint()));
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    let chosen = state.cursors[Tab::Events as usize].min(count - 1);
    let room = usize::from(body.height);
    let first = first_row(chosen, count, room);
    let in_sight = pages::events(state).enumerate().skip(first).take(room);
    for (line, (index, logged)) in (0..).zip(in_sight) {
        put_line(frame, body, line, &line_of(state, logged, index == chosen));
        if index == chosen {
            mark_row(frame, body, line, theme, detail_has_keyboard(state));
        }
    }
}

fn line_of(state: &State, logged: &LoggedEvent, is_chosen: bool) -> Line<'static> {
    let theme = state.theme();
    let health = Health::of_severity(logged.event.severity());
    let device = crate::text::escape_str(&logged.device);
    Line::from(vec![
        Span::styled(
            if is_chosen { theme.pointer() } else { " " },
            theme.accent(),
        ),
        Span::styled(state.zone.date_and_time(logged.time), theme.faint()),
        Span::raw("  "),
        Span::raw(show::fit(
            &device,
            DEVICE_WIDTH,
            Side::Left,
            theme.ellipsis(),
        )),
        Span::raw(" "),
        Span::styled(theme.health_glyph(health), theme.health(health)),
        Span::raw(format!(" {}", logged.event)),
    ])
}
