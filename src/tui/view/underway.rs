//! The line of what is under way, in the last line of the screen, and its window.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::{paragraph, put_line, put_lines, window};
use crate::tui::keymap::{Command, Context};
use crate::tui::layout::centred;
use crate::tui::show::{self, Side};
use crate::tui::state::State;
use crate::tui::underway::Task;

const WIDTH: u16 = 72;
const TITLE_WIDTH: usize = 28;
const BAR_WIDTH: usize = 20;
const LEAST_BAR_WIDTH: usize = 6;
const LEAST_TITLE_WIDTH: usize = 12;

/// Draws the line, if there is one to be drawn.
pub fn draw_line(frame: &mut Frame<'_>, state: &State) {
    if !state.underway.is_shown() || state.size == state.screen {
        return;
    }
    let area = Rect::new(0, state.size.height, state.size.width, 1);
    put_line(frame, area, 0, &line(state));
}

fn line(state: &State) -> Line<'static> {
    let theme = state.theme();
    let Some(task) = state.underway.tasks.first() else {
        let text = " Scrubs and repairs that fell due are being done.";
        return Line::styled(text, theme.faint());
    };
    let width = usize::from(state.size.width);
    let end = end_of_line(state, task);
    let mut numbers = numbers_of(task, true);
    if width < numbers.width() + LEAST_TITLE_WIDTH + LEAST_BAR_WIDTH {
        // Whose numbers these are comes before how fast they grow.
        numbers = numbers_of(task, false);
    }
    let mut free = width.saturating_sub(numbers.width() + 3);
    let end = if free > end.width() + TITLE_WIDTH {
        end
    } else {
        String::new()
    };
    free = free.saturating_sub(end.width());
    let for_title = free.saturating_sub(LEAST_BAR_WIDTH + 1);
    let title_width = task.title.width().min(TITLE_WIDTH).min(for_title);
    free -= title_width;
    let mut spans = vec![
        Span::raw(" "),
        Span::styled(
            show::fit(&task.title, title_width, Side::Left, theme.ellipsis()),
            theme.strong(),
        ),
        Span::raw(" "),
    ];
    if let Some(share) = task.share.filter(|_| free > 4) {
        let cells = BAR_WIDTH.min(free - 1);
        let full = cells * usize::try_from(share.percent_in_all()).unwrap_or(100) / 100;
        let (filled, empty) = theme.gauge();
        spans.push(Span::styled(filled.repeat(full), theme.accent()));
        spans.push(Span::styled(empty.repeat(cells - full), theme.faint()));
        spans.push(Span::raw(" "));
    }
    spans.push(Span::raw(numbers));
    spans.push(Span::styled(end, theme.faint()));
    Line::from(spans)
}

/// How far it came, how fast where that `has_room`, and how long it takes from here.
fn numbers_of(task: &Task, has_room: bool) -> String {
    let Some(share) = task.share else {
        return "waits for its turn, or begins".to_owned();
    };
    let mut text = format!("{:3} %", share.percent_in_all());
    if task.is_ending {
        text = format!("{} {text}", share.work);
    }
    if let Some(rate) = task.rate().filter(|_| has_room) {
        let sectors = crate::remap_core::units::Sectors::from_bytes(rate);
        text += &format!("  {}/s", show::size(sectors));
    }
    if let Some(left) = task.seconds_left() {
        text += &format!("  {} left", show::span(left));
    }
    text
}

fn end_of_line(state: &State, task: &Task) -> String {
    let mut text = String::new();
    let more = state.underway.tasks.len() - 1;
    if more > 0 {
        text += &format!("  (+{more} more)");
    }
    if task.is_ending {
        text += "  ends";
    }
    if state.underway.leaves {
        text += "  then leaves";
    } else if let Some(key) = state
        .options
        .keys
        .first_key(state.context(), Command::Underway)
    {
        text += &format!("  {key} more");
    }
    text
}

/// What each key of the window does, and why one does not.
pub fn choices(state: &State) -> Vec<(String, &'static str, bool)> {
    let keys = &state.options.keys;
    let can_end = state.underway.tasks.iter().any(|task| task.can_end_early);
    [
        (Command::LeaveWhenDone, "leave when it is done", true),
        (Command::EndWork, "end it at its next safe point", can_end),
        (Command::EndAndLeave, "end it so, and leave then", can_end),
        (Command::Cancel, "stay; it goes on", true),
    ]
    .into_iter()
    .map(|(command, text, can)| (keys.named(Context::Underway, command), text, can))
    .collect()
}

/// Draws the window.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let theme = state.theme();
    let width = WIDTH.min(state.size.width.saturating_sub(4));
    let room = usize::from(width.saturating_sub(2));
    let mut lines = Vec::new();
    for task in &state.underway.tasks {
        lines.extend(paragraph(&task.title, room, 1, theme.strong()));
        let work = task.share.map(|share| format!("{}, in all ", share.work));
        let text = format!(
            "{}{}",
            work.unwrap_or_default(),
            numbers_of(task, true).trim_start()
        );
        lines.extend(paragraph(&text, room, 3, theme.plain()));
        let what_ends = match (task.is_ending, task.can_end_early) {
            (true, _) => "It is ending: what lay there before is put back.",
            (_, true) => "It can end before it is done: what lay there before is put back, and the same can be done again.",
            (_, false) => "It cannot end in its middle without harm: it goes on to its end.",
        };
        lines.extend(paragraph(what_ends, room, 3, theme.faint()));
    }
    lines.push(Line::default());
    for (key, text, can) in choices(state) {
        let style = if can { theme.key() } else { theme.faint() };
        let text_style = if can { theme.plain() } else { theme.faint() };
        lines.push(Line::from(vec![
            Span::raw(" "),
            Span::styled(show::fit(&key, 6, Side::Left, theme.ellipsis()), style),
            Span::styled(format!(" {text}"), text_style),
        ]));
    }
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let height = height.min(state.size.height.saturating_sub(2));
    let area = centred(state.size, width, height);
    let inner = window(frame, area, theme, "Work is under way");
    // What can be chosen is in sight, however much is under way.
    let first = lines.len().saturating_sub(usize::from(inner.height));
    put_lines(frame, inner, &lines[first..]);
}
