//! The list of devices. Only the rows in sight are laid out.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::{mark_row, pane, put_line};
use crate::port::Usage;
use crate::remap_core::units::Sectors;
use crate::tui::keymap::{Command, Context};
use crate::tui::layout::{first_row, has_heading};
use crate::tui::rows::{self, Row, RowKey};
use crate::tui::show::{self, Side};
use crate::tui::sort::Sort;
use crate::tui::state::{Focus, Mode, State};
use crate::tui::theme::Theme;

const SIZE_WIDTH: usize = 7;
const PART_WIDTH: usize = 6;
/// The glyph of a state, a blank and its text.
const STATE_WIDTH: usize = 2 + rows::TEXT_WIDTH;

/// Names get no more room than this before what else is known gets some.
const NAME_WIDTH: usize = 24;

/// With less room than this what a device is part of is not told in the list.
const ABOUT_WIDTH: usize = 8;

/// The widths of the columns that take what the others leave.
struct Columns {
    name: usize,
    about: usize,
}

impl Columns {
    fn of(width: u16) -> Self {
        let fixed = 1 + SIZE_WIDTH + 2 + PART_WIDTH + 1 + STATE_WIDTH;
        let free = usize::from(width).saturating_sub(fixed - 1);
        let name = free.min(NAME_WIDTH);
        Self {
            name,
            about: match (free - name).saturating_sub(1) {
                0..ABOUT_WIDTH => 0,
                enough => enough,
            },
        }
    }
}

/// Draws the list in its frame.
pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let theme = state.theme();
    let focused = matches!(state.context(), Context::List | Context::Filter);
    let inner = pane(frame, area, theme, title(state), focused);
    let columns = Columns::of(inner.width);
    let mut body = inner;
    if has_heading(inner.height) {
        put_line(frame, inner, 0, &heading(theme, &columns));
        body.y += 1;
        body.height -= 1;
    }
    if state.rows.is_empty() {
        let text = match (&state.listing, state.filter.is_empty()) {
            (None, _) => " looking at devices".to_owned(),
            (Some(_), true) => " no devices".to_owned(),
            (Some(_), false) => {
                // While one types, another key clears it than in the list.
                let place = match state.mode {
                    Mode::Filter => Context::Filter,
                    _ => Context::List,
                };
                let key = state.options.keys.named(place, Command::Cancel);
                format!(" nothing passes the filter; {key} shows everything")
            }
        };
        put_line(frame, body, 0, &Line::styled(text, theme.faint()));
        return;
    }
    let chosen = state.chosen_index();
    let room = usize::from(body.height);
    let first = first_row(chosen.unwrap_or(0), state.rows.len(), room);
    let in_sight = state.rows.iter().enumerate().skip(first).take(room);
    for (line, (index, row)) in (0..).zip(in_sight) {
        let is_chosen = chosen == Some(index);
        put_line(frame, body, line, &line_of(state, row, &columns, is_chosen));
        if is_chosen {
            mark_row(frame, body, line, theme, state.focus == Focus::List);
        }
    }
}

fn title(state: &State) -> Line<'static> {
    let theme = state.theme();
    let mut spans = vec![Span::styled(" Devices ", theme.strong())];
    if state.options.sort != Sort::BY_NAME {
        let Sort { by, reversed } = state.options.sort;
        let way = if reversed { "-" } else { "" };
        spans.push(Span::styled(
            format!("by {way}{} ", by.name()),
            theme.faint(),
        ));
    }
    let all = state.devices().len() as u64;
    if state.filter.is_empty() {
        if all > 0 {
            spans.push(Span::styled(
                format!("{} ", show::count(all)),
                theme.faint(),
            ));
        }
        return Line::from(spans);
    }
    let passing = state.rows.iter();
    let passing = passing.filter(|row| matches!(row.key, RowKey::Device(_)));
    let counts = format!(
        "{} of {} ",
        show::count(passing.count() as u64),
        show::count(all)
    );
    spans.push(Span::styled(counts, theme.faint()));
    spans.push(Span::styled(format!("/{} ", state.filter), theme.key()));
    Line::from(spans)
}

fn heading(theme: Theme, columns: &Columns) -> Line<'static> {
    let cell = |text, width, side| show::fit(text, width, side, theme.ellipsis());
    Line::styled(
        format!(
            " {}{} {} {} {}",
            cell("NAME", columns.name, Side::Left),
            cell("SIZE", SIZE_WIDTH, Side::Right),
            cell("PART", PART_WIDTH, Side::Left),
            cell("STATE", STATE_WIDTH, Side::Left),
            cell("OF", columns.about, Side::Left),
        ),
        theme.faint(),
    )
}

fn line_of(state: &State, row: &Row, columns: &Columns, is_chosen: bool) -> Line<'static> {
    let theme = state.theme();
    let pointer = if is_chosen { theme.pointer() } else { " " };
    let name = name_of_row(state, row);
    let (size, (part, now)) = match &row.key {
        RowKey::Mapped(_) => {
            let size = state.up().get(row.index).map(|active| active.mapped.size);
            (size, ("mapped", true))
        }
        RowKey::Device(_) => match state.devices().get(row.index) {
            Some(device) => (Some(device.size), rows::part(state, device)),
            None => return Line::default(),
        },
    };
    let indent = if row.child { theme.branch() } else { "" };
    let condition = rows::condition(state, row);
    let part_style = if now { theme.plain() } else { theme.faint() };
    let fit = |text: &str, width, side| show::fit(text, width, side, theme.ellipsis());
    let state_text = format!(
        "{} {}",
        theme.health_glyph(condition.health),
        condition.text
    );
    Line::from(vec![
        Span::styled(pointer, theme.accent()),
        Span::styled(indent, theme.faint()),
        Span::raw(name_and_size(
            &name,
            size,
            columns.name - indent.width(),
            theme,
        )),
        Span::raw(" "),
        Span::styled(fit(part, PART_WIDTH, Side::Left), part_style),
        Span::raw(" "),
        Span::styled(
            fit(&state_text, STATE_WIDTH, Side::Left),
            theme.health(condition.health),
        ),
        Span::raw(" "),
        Span::styled(
            fit(&about(state, row), columns.about, Side::Left),
            theme.faint(),
        ),
    ])
}

/// A name that needs more than its column takes the size's, too: the size is told in the
/// detail, and a name that is cut off may look like another.
fn name_and_size(name: &str, size: Option<Sectors>, width: usize, theme: Theme) -> String {
    let size = size.map(show::short_size).unwrap_or_default();
    if name.width() > width {
        return show::fit(name, width + SIZE_WIDTH, Side::Left, theme.ellipsis());
    }
    format!(
        "{}{}",
        show::fit(name, width, Side::Left, theme.ellipsis()),
        show::fit(&size, SIZE_WIDTH, Side::Right, theme.ellipsis())
    )
}

/// What a device is part of, or held by.
fn about(state: &State, row: &Row) -> String {
    let device = match &row.key {
        RowKey::Mapped(_) => return String::new(),
        RowKey::Device(_) => match state.devices().get(row.index) {
            Some(device) => device,
            None => return String::new(),
        },
    };
    match &device.usage {
        Usage::Mapped { name, .. } => name.clone(),
        Usage::InUse(by) => crate::text::guard(by).into_owned(),
        Usage::Free => state
            .inspection(&device.path)
            .and_then(|inspection| inspection.name.as_deref())
            .or_else(|| state.idle_main_of(&device.path))
            .map(|name| format!("{name} (not up)"))
            .unwrap_or_default(),
    }
}

/// What a row is called, fit to be shown.
pub fn name_of_row(state: &State, row: &Row) -> String {
    let name = match &row.key {
        RowKey::Mapped(name) => name.as_str(),
        RowKey::Device(_) => state
            .devices()
            .get(row.index)
            .map_or("", |device| device.name.as_str()),
    };
    crate::text::guard(name).into_owned()
}
