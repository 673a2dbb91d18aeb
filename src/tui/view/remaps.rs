//! The third page: blocks served from the spare, and blocks that wait for a write.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{detail_has_keyboard, mark_row, put_line};
use crate::port::RemapRow;
use crate::remap_core::units::BlockSize;
use crate::tui::layout::first_row;
use crate::tui::show::{self, Side};
use crate::tui::state::{State, Subject, Tab};
use crate::tui::theme::{Health, Theme};

const BLOCK_WIDTH: usize = 16;
const OFFSET_WIDTH: usize = 12;
const REPLACEMENT_WIDTH: usize = 14;
const STATE_WIDTH: usize = 24;

/// Draws the page.
pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, subject: &Subject<'_>) {
    let theme = state.theme();
    let Some(list) = &state.remaps else {
        let text = match subject.inspection() {
            Some(inspection) if !inspection.is_ours() => " no metadata, so nothing is remapped",
            _ => " reading the remap table",
        };
        put_line(frame, area, 0, &Line::styled(text, theme.faint()));
        return;
    };
    let unit = unit_of(subject);
    put_line(
        frame,
        area,
        0,
        &summary(list.rows.as_slice(), list.more, theme),
    );
    if list.rows.is_empty() {
        return;
    }
    put_line(frame, area, 1, &heading(theme));
    let body = Rect {
        y: area.y + 2,
        height: area.height.saturating_sub(2),
        ..area
    };
    let chosen = state.cursors[Tab::Remaps as usize].min(list.rows.len() - 1);
    let room = usize::from(body.height);
    let first = first_row(chosen, list.rows.len(), room);
    for (line, (index, row)) in (0..).zip(list.rows.iter().enumerate().skip(first).take(room)) {
        put_line(
            frame,
            body,
            line,
            &line_of(row, unit, index == chosen, theme),
        );
        if index == chosen {
            mark_row(frame, body, line, theme, detail_has_keyboard(state));
        }
    }
}

fn unit_of(subject: &Subject<'_>) -> Option<BlockSize> {
    match subject.active {
        Some(active) => Some(active.mapped.block_size),
        None => {
            let superblock = subject.inspection()?.superblock.as_ref()?;
            Some(superblock.layout()?.block_size)
        }
    }
}

fn summary(rows: &[RemapRow], more: bool, theme: Theme) -> Line<'static> {
    let active = rows.iter().filter(|row| row.active).count();
    let pending = rows.len() - active;
    let text = if rows.is_empty() {
        " no block of main has failed".to_owned()
    } else {
        format!(
            " {} moved to the spare, {} unreadable until written{}",
            show::counted(active as u64, "block"),
            show::count(pending as u64),
            if more { "; the table goes on" } else { "" }
        )
    };
    Line::styled(text, theme.plain())
}

fn heading(theme: Theme) -> Line<'static> {
    let cell = |text, width, side| show::fit(text, width, side, theme.ellipsis());
    Line::styled(
        format!(
            " {} {} {}  {} MOVED",
            cell("BLOCK OF MAIN", BLOCK_WIDTH, Side::Right),
            cell("AT", OFFSET_WIDTH, Side::Right),
            cell("REPLACEMENT", REPLACEMENT_WIDTH, Side::Right),
            cell("STATE", STATE_WIDTH, Side::Left),
        ),
        theme.faint(),
    )
}

fn line_of(
    row: &RemapRow,
    unit: Option<BlockSize>,
    is_chosen: bool,
    theme: Theme,
) -> Line<'static> {
    let fit = |text: &str, width, side| show::fit(text, width, side, theme.ellipsis());
    let offset = unit
        .and_then(|unit| unit.first_sector(row.block)?.byte_offset())
        .map_or_else(|| "-".to_owned(), show::bytes);
    let (text, health) = if row.active {
        ("served from the spare", Health::Good)
    } else {
        ("unreadable until written", Health::Warning)
    };
    let times = match row.moves {
        1 => "once".to_owned(),
        moves => format!("{moves} times"),
    };
    Line::from(vec![
        Span::styled(
            if is_chosen { theme.pointer() } else { " " },
            theme.accent(),
        ),
        Span::raw(fit(&show::count(row.block.get()), BLOCK_WIDTH, Side::Right)),
        Span::raw(" "),
        Span::styled(fit(&offset, OFFSET_WIDTH, Side::Right), theme.faint()),
        Span::raw(" "),
        Span::raw(fit(
            &show::count(row.replacement.get()),
            REPLACEMENT_WIDTH,
            Side::Right,
        )),
        Span::raw("  "),
        Span::styled(fit(text, STATE_WIDTH, Side::Left), theme.health(health)),
        Span::raw(format!(" {times}")),
    ])
}
