//! The fourth page: what happened, newest first.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{detail_has_keyboard, mark_row, paragraph, put_line, put_lines};
use crate::port::LoggedEvent;
use crate::remap_core::event::Severity;
use crate::tui::explain;
use crate::tui::layout::first_row;
use crate::tui::pages;
use crate::tui::show::{self, Side};
use crate::tui::state::{EventFilter, State, Tab};
use crate::tui::theme::Health;

const DEVICE_WIDTH: usize = 12;

/// Lines below the list for what the chosen event means.
const FOOT_LINES: u16 = 5;

/// With fewer lines than this the list has them all.
const WITH_FOOT: u16 = 11;

/// Draws the page.
pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let theme = state.theme();
    let count = pages::events(state).count();
    put_line(frame, area, 0, &heading(state));
    if count == 0 {
        let text = match state.event_filter == EventFilter::default() {
            true => " nothing happened yet",
            false => " nothing that the filter lets through",
        };
        put_line(frame, area, 1, &Line::styled(text, theme.faint()));
        return;
    }
    let foot_lines = if area.height >= WITH_FOOT {
        FOOT_LINES
    } else {
        0
    };
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1 + foot_lines),
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
    let foot = Rect {
        y: body.y + body.height,
        height: foot_lines,
        ..area
    };
    if let Some(logged) = pages::events(state).nth(chosen) {
        draw_foot(frame, foot, state, logged);
    }
}

fn heading(state: &State) -> Line<'static> {
    let theme = state.theme();
    let heading = format!(
        " {}{}WHAT",
        show::fit(state.zone.heading(), 21, Side::Left, theme.ellipsis()),
        show::fit("DEVICE", DEVICE_WIDTH + 3, Side::Left, theme.ellipsis()),
    );
    let mut spans = vec![Span::styled(heading, theme.faint())];
    let filter = &state.event_filter;
    if let Some(least) = filter.least {
        let text = match least {
            Severity::Error => "  errors alone",
            Severity::Info | Severity::Warning => "  warnings and worse",
        };
        spans.push(Span::styled(text, theme.key()));
    }
    if !filter.text.is_empty() {
        spans.push(Span::styled(format!("  /{}", filter.text), theme.key()));
    }
    Line::from(spans)
}

/// What the chosen event means.
fn draw_foot(frame: &mut Frame<'_>, area: Rect, state: &State, logged: &LoggedEvent) {
    let theme = state.theme();
    let width = usize::from(area.width);
    let severity = logged.event.severity();
    let mut lines = vec![
        Line::styled(theme.rule().repeat(width), theme.faint()),
        Line::from(vec![
            Span::styled(
                format!(" {} {}", severity.name(), logged.event.name()),
                theme.health(Health::of_severity(severity)),
            ),
            Span::styled(format!(", event {}", logged.id), theme.faint()),
        ]),
    ];
    let meaning = explain::event(&logged.event);
    lines.extend(paragraph(meaning, width, 1, theme.plain()));
    put_lines(frame, area, &lines);
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
