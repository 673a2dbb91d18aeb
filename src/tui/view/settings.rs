//! The window of the session's settings.

use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{label, mark_row, put_lines, window};
use crate::tui::keymap::{Command, Context};
use crate::tui::layout::centred;
use crate::tui::session::Setting;
use crate::tui::show::{self, Side};
use crate::tui::state::State;

const WIDTH: u16 = 76;
const LABEL_WIDTH: usize = 12;
const VALUE_WIDTH: usize = 20;

/// Draws the window.
pub fn draw(frame: &mut Frame<'_>, state: &State, pointer: usize) {
    let theme = state.theme();
    let mut lines: Vec<Line<'static>> = Setting::ALL
        .iter()
        .map(|setting| {
            let value = show::fit(
                &setting.value(state),
                VALUE_WIDTH,
                Side::Left,
                theme.ellipsis(),
            );
            Line::from(vec![
                Span::raw(" "),
                label(theme, setting.label(), LABEL_WIDTH),
                Span::styled(value, theme.strong()),
                Span::raw(" "),
                Span::styled(setting.about(), theme.faint()),
            ])
        })
        .collect();
    let keys = match state.options.keys.changes() {
        0 => "the usual ones".to_owned(),
        own => format!("{} of your own", show::counted(own as u64, "action")),
    };
    let file = state.options.settings.clone();
    lines.push(Line::default());
    for (name, text) in [
        ("Keys", keys),
        ("File", file.unwrap_or_else(|| "none".to_owned())),
        (
            "",
            format!(
                "these last until the end; {} copies them for the file",
                state.options.keys.named(Context::Settings, Command::Copy)
            ),
        ),
    ] {
        lines.push(Line::from(vec![
            Span::raw(" "),
            label(theme, name, LABEL_WIDTH),
            Span::styled(text, theme.faint()),
        ]));
    }
    let width = WIDTH.min(state.size.width.saturating_sub(2));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = centred(state.size, width, height);
    let inner = window(frame, area, theme, "Settings of this session");
    put_lines(frame, inner, &lines);
    let row = u16::try_from(pointer).unwrap_or(0);
    mark_row(frame, inner, row, theme, true);
}
