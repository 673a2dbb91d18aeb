//! The window of the settings.

use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{label, mark_row, paragraph, put_lines, window};
use crate::text::escape_path;
use crate::tui::keymap::{Command, Context};
use crate::tui::layout::centred;
use crate::tui::settings::{is_any_unsaved, Setting};
use crate::tui::show::{self, Side};
use crate::tui::state::State;
use crate::tui::theme::Health;

const WIDTH: u16 = 76;
const LABEL_WIDTH: usize = 12;
const VALUE_WIDTH: usize = 20;

/// Draws the window.
pub fn draw(frame: &mut Frame<'_>, state: &State, pointer: usize) {
    let width = WIDTH.min(state.size.width.saturating_sub(2));
    let lines = lines(state, pointer, usize::from(width.saturating_sub(2)));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = centred(state.size, width, height);
    let inner = window(frame, area, state.theme(), "Settings");
    put_lines(frame, inner, &lines);
    let row = u16::try_from(pointer).unwrap_or(0);
    mark_row(frame, inner, row, state.theme(), true);
}

fn lines(state: &State, pointer: usize, width: usize) -> Vec<Line<'static>> {
    let theme = state.theme();
    let rows = Setting::ALL
        .iter()
        .map(|setting| setting_line(state, *setting));
    let mut lines: Vec<Line<'static>> = rows.collect();
    lines.push(Line::default());
    let about = Setting::ALL.get(pointer).map_or("", |it| it.about());
    lines.push(Line::styled(format!(" {about}"), theme.plain()));
    lines.push(Line::default());
    let room = width.saturating_sub(LABEL_WIDTH + 2);
    let trouble = state
        .notice
        .as_ref()
        .filter(|notice| notice.health == Health::Bad);
    let file = match trouble {
        // The line below is too short for a path and a reason.
        Some(notice) => ("", notice.text.clone(), theme.health(Health::Bad)),
        None => ("Saved in", file_text(state), theme.faint()),
    };
    for (name, text, style) in [file, ("Keys", keys_text(state), theme.faint())] {
        let mut name = name;
        for line in paragraph(&text, room, 0, style) {
            let mut row = Line::from(vec![Span::raw(" "), label(theme, name, LABEL_WIDTH)]);
            for span in line.spans {
                row.push_span(span.patch_style(line.style));
            }
            lines.push(row);
            name = "";
        }
    }
    lines
}

fn setting_line(state: &State, setting: Setting) -> Line<'static> {
    let theme = state.theme();
    let value = show::fit(
        &setting.value(state),
        VALUE_WIDTH,
        Side::Left,
        theme.ellipsis(),
    );
    let (mark, style) = match setting.overridden(state) {
        Some(by) => (format!("set by {by}, not saved"), theme.faint()),
        None if setting.is_unsaved(state) => {
            ("not saved".to_owned(), theme.health(Health::Warning))
        }
        None if setting.key().is_none() => ("until the end".to_owned(), theme.faint()),
        None => (String::new(), theme.plain()),
    };
    Line::from(vec![
        Span::raw(" "),
        label(theme, setting.label(), LABEL_WIDTH),
        Span::styled(value, theme.strong()),
        Span::raw(" "),
        Span::styled(mark, style),
    ])
}

fn file_text(state: &State) -> String {
    let Some(file) = &state.options.file else {
        return "nowhere: there is no home directory and no --config".to_owned();
    };
    let path = escape_path(&file.path).into_owned();
    let save = state.options.keys.named(Context::Settings, Command::Save);
    match (file.exists, is_any_unsaved(state)) {
        (false, _) => format!("{path}, which is not there yet; {save} makes it"),
        (true, true) => format!("{path}; {save} writes it"),
        (true, false) => path,
    }
}

fn keys_text(state: &State) -> String {
    let own = match state.options.keys.changes() {
        0 => "the usual ones".to_owned(),
        own => format!("{} of your own", show::counted(own as u64, "action")),
    };
    let file = state.options.file.as_ref().filter(|file| file.exists);
    match file.map(|file| file.keys_line) {
        None => own,
        Some(None) => format!("{own}; yours go under [keys] in the file"),
        Some(Some(line)) => format!("{own}; yours go under [keys], line {line} of the file"),
    }
}
