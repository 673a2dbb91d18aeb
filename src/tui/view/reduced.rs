//! What a screen shows that has no room for everything: whether the data is safe, and the
//! devices around the chosen one. Windows are not drawn; what they would change cannot be
//! seen, so it cannot be asked for either.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::{devices, mark_row, put_line, put_lines, underway};
use crate::tui::headline::headline;
use crate::tui::keymap::{Command, Context};
use crate::tui::layout::{first_row, SMALLEST};
use crate::tui::rows;
use crate::tui::show::{self, Side};
use crate::tui::state::State;
use crate::tui::theme::Theme;

/// Room for the state of a device: beside less of its name than this it is left out.
const NAME_WIDTH: usize = 8;

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let theme = state.theme();
    let area = Rect::new(0, 0, state.size.width, state.size.height);
    let width = usize::from(area.width);
    let said = headline(state);
    let text = format!("{} {}", theme.health_glyph(said.health), said.text);
    let head: Vec<Line<'static>> = show::wrap(&text, width)
        .into_iter()
        .map(|line| Line::styled(line, theme.health(said.health)))
        .collect();
    let foot = foot(state, width);
    let most = usize::from(area.height).saturating_sub(foot.len());
    // The answer comes first, and the list gets a line if there are three.
    let kept = head.len().min(most.saturating_sub(1).max(1));
    put_lines(frame, area, &head[..kept]);
    let below = |lines: usize, height: usize| Rect {
        y: area.y + u16::try_from(lines).unwrap_or(area.height).min(area.height),
        height: u16::try_from(height).unwrap_or(0),
        ..area
    };
    let room = most.saturating_sub(kept);
    if state.context() == Context::List || state.context() == Context::Detail {
        draw_list(frame, below(kept, room), state);
    }
    put_lines(frame, below(kept + room, foot.len()), &foot);
}

/// What is missing, and the way out; nothing where there is no line for it.
fn foot(state: &State, width: usize) -> Vec<Line<'static>> {
    let theme = state.theme();
    if state.size.height < 3 {
        return Vec::new();
    }
    let needs = format!(
        "more at {} columns, {} lines",
        SMALLEST.width, SMALLEST.height
    );
    if state.context() == Context::Underway {
        let choices = underway::choices(state).into_iter();
        let choices = choices.filter(|(.., can)| *can);
        let texts: Vec<String> = choices
            .map(|(key, text, _)| format!("{key} {text}"))
            .collect();
        // The answer keeps its line.
        let room = usize::from(state.size.height) - 1;
        let lines = show::wrap(&texts.join("; "), width).into_iter().take(room);
        return lines.map(|line| Line::styled(line, theme.key())).collect();
    }
    let key = |command| state.options.keys.first_key(state.context(), command);
    let leaves = key(Command::Cancel).filter(|_| state.context() != Context::List);
    let text = match (leaves, key(Command::Back), key(Command::Quit)) {
        (Some(key), ..) => format!("a window is open, {key} leaves it; {needs}"),
        (None, Some(key), _) if state.context() == Context::List => {
            format!("{key} quits; {needs}")
        }
        (None, Some(key), _) => format!("{key} goes back; {needs}"),
        (None, None, Some(key)) => format!("{key} quits; {needs}"),
        (None, None, None) => needs,
    };
    let lines = show::wrap(&text, width).into_iter().take(2);
    lines
        .map(|line| Line::styled(line, theme.faint()))
        .collect()
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let theme = state.theme();
    let room = usize::from(area.height);
    let chosen = state.chosen_index();
    let first = first_row(chosen.unwrap_or(0), state.rows.len(), room);
    let in_sight = state.rows.iter().enumerate().skip(first).take(room);
    for (line, (index, row)) in (0..).zip(in_sight) {
        let is_chosen = chosen == Some(index);
        let condition = rows::condition(state, row);
        let health = format!(
            "{} {}",
            theme.health_glyph(condition.health),
            condition.text
        );
        let width = usize::from(area.width);
        let name = devices::name_of_row(state, row);
        put_line(
            frame,
            area,
            line,
            &line_of(
                &name,
                &health,
                theme.health(condition.health),
                is_chosen,
                width,
                theme,
            ),
        );
        if is_chosen {
            mark_row(frame, area, line, theme, true);
        }
    }
}

fn line_of(
    name: &str,
    health: &str,
    style: ratatui::style::Style,
    is_chosen: bool,
    width: usize,
    theme: Theme,
) -> Line<'static> {
    let pointer = if is_chosen { theme.pointer() } else { " " };
    let health_width = health.width();
    let room = width.saturating_sub(2 + health_width);
    let (room, health) = if room < NAME_WIDTH {
        (width.saturating_sub(1), String::new())
    } else {
        (room, format!(" {health}"))
    };
    Line::from(vec![
        Span::styled(pointer, theme.accent()),
        Span::raw(show::fit(name, room, Side::Left, theme.ellipsis())),
        Span::styled(health, style),
    ])
}
