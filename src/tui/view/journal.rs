//! The fifth page: what was done, newest first, and what can be taken back.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{detail_has_keyboard, mark_row, paragraph, put_line, put_lines};
use crate::inspect::journal_finding;
use crate::port::journal::{ActionRecord, UnreadLines};
use crate::tui::keymap::Command;
use crate::tui::layout::first_row;
use crate::tui::pages;
use crate::tui::show::{self, Side};
use crate::tui::state::{State, Tab};
use crate::tui::theme::Health;

const STATE_WIDTH: usize = 14;

/// Lines below the list for what is known of the chosen action.
const FOOT_LINES: u16 = 5;

/// Draws the page.
pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let theme = state.theme();
    let count = state.journal.len();
    let area = match journal_finding(state.journal_unread) {
        None => area,
        Some(finding) => {
            let glyph = theme.health_glyph(Health::Warning);
            let text = format!(" {glyph} {}", finding.summary);
            let line = Line::styled(text, theme.health(Health::Warning));
            put_line(frame, area, 0, &line);
            let rest = area.height.saturating_sub(1);
            Rect {
                y: area.y + area.height - rest,
                height: rest,
                ..area
            }
        }
    };
    if count == 0 {
        if state.journal_unread == UnreadLines::default() {
            let text = " nothing was done yet";
            put_line(frame, area, 0, &Line::styled(text, theme.faint()));
        }
        return;
    }
    let heading = format!(
        " {}  {}{}ACTION",
        show::fit("ID", 4, Side::Right, theme.ellipsis()),
        show::fit(state.zone.heading(), 21, Side::Left, theme.ellipsis()),
        show::fit("STATE", STATE_WIDTH + 1, Side::Left, theme.ellipsis()),
    );
    put_line(frame, area, 0, &Line::styled(heading, theme.faint()));
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1 + FOOT_LINES),
        ..area
    };
    let chosen = state.cursors[Tab::Journal as usize].min(count - 1);
    let room = usize::from(body.height);
    let first = first_row(chosen, count, room);
    let in_sight = state
        .journal
        .iter()
        .rev()
        .enumerate()
        .skip(first)
        .take(room);
    for (line, (index, action)) in (0..).zip(in_sight) {
        put_line(frame, body, line, &line_of(state, action, index == chosen));
        if index == chosen {
            mark_row(frame, body, line, theme, detail_has_keyboard(state));
        }
    }
    if let Some(action) = pages::chosen_action(state) {
        let foot = Rect {
            y: body.y + body.height,
            height: FOOT_LINES,
            ..area
        };
        draw_foot(frame, foot, action, state);
    }
}

fn line_of(state: &State, action: &ActionRecord, is_chosen: bool) -> Line<'static> {
    let theme = state.theme();
    let fit = |text: &str, width, side| show::fit(text, width, side, theme.ellipsis());
    let (text, health) = standing(action);
    let text = format!("{} {text}", theme.health_glyph(health));
    Line::from(vec![
        Span::styled(
            if is_chosen { theme.pointer() } else { " " },
            theme.accent(),
        ),
        Span::raw(fit(&action.id.to_string(), 4, Side::Right)),
        Span::raw("  "),
        Span::styled(state.zone.date_and_time(action.time), theme.faint()),
        Span::raw("  "),
        Span::styled(fit(&text, STATE_WIDTH, Side::Left), theme.health(health)),
        Span::raw(" "),
        Span::raw(action.begun.title.clone()),
    ])
}

/// How an action ended, in a word.
pub(super) fn standing(action: &ActionRecord) -> (&'static str, Health) {
    match (&action.ended, action.undone_by) {
        (_, Some(_)) => ("undone", Health::Neutral),
        (None, _) => ("cut off", Health::Bad),
        (Some(ended), _) if ended.done => ("done", Health::Good),
        (Some(ended), _) if ended.rolled_back => ("rolled back", Health::Warning),
        (Some(_), _) => ("failed", Health::Bad),
    }
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, action: &ActionRecord, state: &State) {
    let theme = state.theme();
    let width = usize::from(area.width);
    let summary = action.ended.as_ref().map_or("", |ended| &ended.summary);
    let undo = match (action.undone_by, action.has_backup) {
        (Some(by), _) => format!("Taken back by action {by}."),
        (None, true) => format!("{} takes it back, byte for byte.", state.key(Command::Undo)),
        (None, false) => "Nothing was overwritten, so there is nothing to take back.".to_owned(),
    };
    let mut lines = vec![Line::styled(theme.rule().repeat(width), theme.faint())];
    lines.extend(paragraph(
        &format!("{summary} {undo}"),
        width,
        1,
        theme.plain(),
    ));
    lines.extend(paragraph(&action.begun.command, width, 1, theme.faint()));
    put_lines(frame, area, &lines);
}
