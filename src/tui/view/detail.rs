//! The detail of the chosen device: its title, its tabs, and the page that is open.

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{copies, counters, events, journal, overview, pane, put_line, remaps};
use crate::remap_core::params::TARGET_NAME;
use crate::remap_core::status::Mode as TargetMode;
use crate::tui::keymap::Context;
use crate::tui::state::{State, Tab};
use crate::tui::subject::Subject;

/// Draws the detail in its frame.
pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let theme = state.theme();
    let subject = state.subject();
    let focused = matches!(state.context(), Context::Detail | Context::Inside);
    let title = subject.map_or_else(
        || Line::raw(" nothing chosen "),
        |subject| title(state, &subject),
    );
    let inner = pane(frame, area, theme, title, focused);
    put_line(frame, inner, 0, &tabs(state, inner.width));
    let body = Rect {
        y: inner.y + 1,
        height: inner.height.saturating_sub(1),
        ..inner
    };
    match (state.tab, subject) {
        (Tab::Journal, _) => journal::draw(frame, body, state),
        (Tab::Events, _) => events::draw(frame, body, state),
        (_, None) => put_line(
            frame,
            body,
            0,
            &Line::styled(" choose a device in the list", theme.faint()),
        ),
        (Tab::Overview, Some(subject)) => overview::draw(frame, body, state, &subject),
        (Tab::Copies, Some(subject)) => copies::draw(frame, body, state, &subject),
        (Tab::Counters, Some(subject)) => counters::draw(frame, body, state, &subject),
        (Tab::Remaps, Some(subject)) => remaps::draw(frame, body, state, &subject),
    }
}

fn title(state: &State, subject: &Subject<'_>) -> Line<'static> {
    let theme = state.theme();
    let rule = format!(" {0}{0} ", theme.rule());
    let faint = |text: String| Span::styled(text, theme.faint());
    let Some(active) = subject.active else {
        let name = state.name_of(subject.store);
        let mut spans = vec![Span::styled(format!(" {name} "), theme.strong())];
        if let Some(of) = subject.name() {
            spans.push(faint(format!(
                "{0}{0} {TARGET_NAME} of {of}, not up ",
                theme.rule()
            )));
        }
        return Line::from(spans);
    };
    let mode = match active.mapped.status.mode {
        TargetMode::ReadWrite => "up, read-write",
        TargetMode::ReadOnly => "up, read-only",
        TargetMode::PassThrough => "up, passes through",
    };
    Line::from(vec![
        Span::styled(format!(" {}", active.mapped.name), theme.strong()),
        faint(format!("{rule}{TARGET_NAME}{rule}{mode} ")),
    ])
}

/// The titles of the pages; where there is little room they stand close.
fn tabs(state: &State, width: u16) -> Line<'static> {
    const WITH_GAPS: u16 = 60;
    let theme = state.theme();
    let mut spans = vec![Span::raw(" ")];
    for tab in Tab::ALL {
        // Brackets tell the open one where there is no colour.
        let (text, style) = if tab == state.tab && theme.colour {
            (
                format!(" {} ", tab.title()),
                theme.accent().add_modifier(Modifier::REVERSED),
            )
        } else if tab == state.tab {
            (format!("[{}]", tab.title()), theme.strong())
        } else {
            (format!(" {} ", tab.title()), theme.plain())
        };
        spans.push(Span::styled(text, style));
        if width >= WITH_GAPS {
            spans.push(Span::raw(" "));
        }
    }
    Line::from(spans)
}
