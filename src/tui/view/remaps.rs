//! The third page: where on main blocks failed, as a map; how much of the spare that
//! took; and each block served from the spare or waiting for a write.

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::{counters, detail_has_keyboard, gauge, inside_has_keyboard, mark_row, put_line};
use crate::port::RemapRow;
use crate::remap_core::units::{BlockSize, Blocks, MainBlock};
use crate::tui::history::Counter;
use crate::tui::keymap::Command;
use crate::tui::layout::first_row;
use crate::tui::pages::{self, RemapParts, MAP_LABEL};
use crate::tui::remaps::{state_text, Count, Grid, Order, RemapList};
use crate::tui::show::{self, Side};
use crate::tui::state::{State, Tab};
use crate::tui::subject::Subject;
use crate::tui::theme::{Health, Theme};

const BLOCK_WIDTH: usize = 15;
const OFFSET_WIDTH: usize = 11;
const REPLACEMENT_WIDTH: usize = 13;
const STATE_WIDTH: usize = 26;

/// The widest bar of the spare's use.
const GAUGE_WIDTH: usize = 40;

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
    let parts = RemapParts::of(area.height, inside_has_keyboard(state));
    put_line(frame, area, 0, &summary(state, list));
    if parts.head > 1 {
        put_line(frame, area, 1, &spare_line(state, list, area.width));
    }
    if parts.head > 2 {
        let trend = counters::trend(state, Counter::Remapped, usize::from(area.width));
        put_line(frame, area, 2, &trend.unwrap_or_default());
    }
    let map = part(area, parts.head, parts.map);
    let table = part(area, parts.head + parts.map, parts.table);
    if let Some(grid) = pages::remap_grid(state) {
        Map {
            grid,
            list,
            unit: unit_of(state),
            theme,
        }
        .draw(frame, map, state);
    }
    draw_table(frame, table, state, list);
}

fn part(area: Rect, from: u16, lines: u16) -> Rect {
    let from = from.min(area.height);
    Rect {
        y: area.y + from,
        height: lines.min(area.height - from),
        ..area
    }
}

fn unit_of(state: &State) -> Option<BlockSize> {
    pages::main_blocks(state).map(|(unit, _)| unit)
}

fn summary(state: &State, list: &RemapList) -> Line<'static> {
    let theme = state.theme();
    let count = list.count();
    let search = &state.remap_table.search;
    if !search.is_empty() {
        let found = show::count(state.remap_table.len(list) as u64);
        let all = show::counted(list.rows().len() as u64, "remap");
        return Line::from(vec![
            Span::styled(format!(" /{search}"), theme.key()),
            Span::raw(format!("  {found} of {all}")),
        ]);
    }
    if list.rows().is_empty() {
        return Line::styled(" no block of main has failed", theme.plain());
    }
    let mut spans = vec![Span::raw(format!(
        " {} moved to the spare",
        show::counted(count.active as u64, "block")
    ))];
    if count.pending > 0 {
        spans.push(Span::raw(", "));
        spans.push(Span::styled(
            format!(
                "{} {} unreadable until written",
                theme.health_glyph(Health::Warning),
                show::count(count.pending as u64)
            ),
            theme.health(Health::Warning),
        ));
    }
    if list.more {
        spans.push(Span::styled("; the table goes on", theme.faint()));
    }
    Line::from(spans)
}

/// How much of the spare is used, by its target's word or as far as its table tells.
fn spare_line(state: &State, list: &RemapList, width: u16) -> Line<'static> {
    let theme = state.theme();
    let Some((used, total)) = use_of_spare(state, list) else {
        return Line::default();
    };
    let text = format!(
        " {} of {} used",
        show::percent(used.get(), total.get()),
        show::counted(total.get(), "block")
    );
    let marks = "; marks at 75, 90 and 100 %";
    let room = usize::from(width).saturating_sub(" Spare ".width() + text.width() + 1);
    let bar_width = room.saturating_sub(marks.width()).clamp(12, GAUGE_WIDTH);
    let mut spans = vec![Span::styled(" Spare ", theme.faint())];
    spans.extend(gauge::bar(used, total, bar_width, theme));
    spans.push(Span::raw(text));
    if room >= bar_width + marks.width() {
        spans.push(Span::styled(marks, theme.faint()));
    }
    Line::from(spans)
}

fn use_of_spare(state: &State, list: &RemapList) -> Option<(Blocks, Blocks)> {
    let subject = state.subject()?;
    if let Some(active) = subject.active {
        let status = &active.mapped.status;
        return Some((status.used, status.total)).filter(|(_, total)| *total > Blocks::new(0));
    }
    let layout = *subject.inspection()?.superblock.as_ref()?.layout()?;
    let used = Blocks::new(list.rows().len() as u64);
    Some((used, layout.replacement_blocks))
}

/// The map of main.
struct Map<'a> {
    grid: Grid,
    list: &'a RemapList,
    unit: Option<BlockSize>,
    theme: Theme,
}

impl Map<'_> {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect, state: &State) {
        let (grid, theme) = (&self.grid, self.theme);
        let counts = self
            .list
            .counts(grid.start(), grid.each, grid.marks_in_sight());
        let densest = counts.iter().map(|count| count.active).max().unwrap_or(0);
        put_line(frame, area, 0, &self.title(densest, area.width));
        let columns = usize::try_from(grid.columns).unwrap_or(1).max(1);
        let at = grid.mark_of(state.remap_map.at);
        let has_keyboard = inside_has_keyboard(state);
        let mut mark = grid.start();
        for (line, marks) in (1..).zip(counts.chunks(columns)) {
            let label = show::count(mark.get());
            let width = usize::from(MAP_LABEL) - 1;
            let label = show::fit(&label, width, Side::Right, theme.ellipsis());
            let mut spans = vec![Span::styled(format!(" {label} "), theme.faint())];
            for count in marks {
                let (glyph, mut style) = self.glyph(*count, densest);
                if mark == at {
                    style = if has_keyboard {
                        style.patch(theme.chosen())
                    } else {
                        style.add_modifier(Modifier::UNDERLINED)
                    };
                }
                spans.push(Span::styled(glyph, style));
                mark = grid.end_of(mark);
            }
            put_line(frame, area, line, &Line::from(spans));
        }
        let foot = area.height.saturating_sub(1);
        put_line(frame, area, foot, &self.foot(at));
    }

    /// What one mark looks like. Where something cannot be read, that is what matters.
    fn glyph(&self, count: Count, densest: usize) -> (&'static str, ratatui::style::Style) {
        let theme = self.theme;
        if count.pending > 0 {
            let glyph = theme.health_glyph(Health::Warning);
            return (glyph, theme.health(Health::Warning));
        }
        let levels = theme.densities();
        let level = match count.active {
            0 => return (theme.health_glyph(Health::Neutral), theme.faint()),
            // From 1 on to the densest in sight, in as many steps as there are levels.
            active => (active * levels.len()).div_ceil(densest.max(1)) - 1,
        };
        let glyph = levels
            .get(level)
            .copied()
            .unwrap_or(theme.health_glyph(Health::Neutral));
        (glyph, theme.accent())
    }

    fn title(&self, densest: usize, width: u16) -> Line<'static> {
        let theme = self.theme;
        let each = match self.grid.each.get() {
            1 => "one a mark".to_owned(),
            blocks => format!("{}{} a mark", show::count(blocks), self.bytes(blocks)),
        };
        let levels = theme.densities();
        let legend = match (levels.first(), levels.last(), densest) {
            (Some(first), Some(last), 2..) => format!(
                " {} none {first}..{last} to {} {} unreadable ",
                theme.health_glyph(Health::Neutral),
                show::count(densest as u64),
                theme.health_glyph(Health::Warning)
            ),
            (_, Some(last), _) => format!(
                " {} none {last} moved {} unreadable ",
                theme.health_glyph(Health::Neutral),
                theme.health_glyph(Health::Warning)
            ),
            _ => String::new(),
        };
        let rule = theme.rule();
        let main = show::count(self.grid.main.get());
        let mut line = format!("{rule}{rule} {main} blocks, {each} ");
        let room = usize::from(width).saturating_sub(line.width());
        match room.checked_sub(legend.width()) {
            Some(rest) => {
                line.push_str(&rule.repeat(rest));
                line.push_str(&legend);
            }
            None => line.push_str(&rule.repeat(room)),
        }
        Line::styled(line, theme.faint())
    }

    fn bytes(&self, blocks: u64) -> String {
        let bytes = self
            .unit
            .and_then(|unit| u64::from(unit.bytes()).checked_mul(blocks));
        bytes.map_or_else(String::new, |bytes| format!(" ({})", show::bytes(bytes)))
    }

    /// What is under the cursor.
    fn foot(&self, at: MainBlock) -> Line<'static> {
        let theme = self.theme;
        let end = self.grid.end_of(at);
        let blocks = end.get().saturating_sub(at.get());
        let count = self
            .list
            .counts(at, Blocks::new(blocks), 1)
            .first()
            .copied()
            .unwrap_or_default();
        let what = match (count.active, count.pending) {
            (0, 0) => "nothing failed".to_owned(),
            (active, 0) => format!("{} on the spare", show::count(active as u64)),
            (0, pending) => format!("{} unreadable", show::count(pending as u64)),
            (active, pending) => format!(
                "{} on the spare, {} unreadable",
                show::count(active as u64),
                show::count(pending as u64)
            ),
        };
        let place = if blocks == 1 {
            format!(" block {}", show::count(at.get()))
        } else {
            format!(
                " blocks {}..{}",
                show::count(at.get()),
                show::count(end.get())
            )
        };
        let offset = self
            .unit
            .and_then(|unit| unit.first_sector(at)?.byte_offset())
            .map_or_else(String::new, |byte| format!(", at {}", show::bytes(byte)));
        Line::from(vec![
            Span::styled(place, theme.strong()),
            Span::styled(offset, theme.faint()),
            Span::raw(format!(": {what}")),
        ])
    }
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, state: &State, list: &RemapList) {
    let theme = state.theme();
    if area.height == 0 || list.rows().is_empty() {
        return;
    }
    put_line(frame, area, 0, &heading(state));
    let body = part(area, 1, area.height - 1);
    let table = &state.remap_table;
    let rows = table.len(list);
    if rows == 0 {
        let key = state.key(Command::Filter);
        let text = format!(
            " no remap has \"{}\"; {key} searches for another",
            table.search
        );
        put_line(frame, body, 0, &Line::styled(text, theme.faint()));
        return;
    }
    let unit = unit_of(state);
    let chosen = state.cursors[Tab::Remaps as usize].min(rows - 1);
    let room = usize::from(body.height);
    let first = first_row(chosen, rows, room);
    for (line, place) in (0..body.height).zip(first..rows) {
        let Some(row) = table.row(list, place) else {
            break;
        };
        let is_chosen = place == chosen;
        put_line(frame, body, line, &line_of(row, unit, is_chosen, theme));
        if is_chosen {
            mark_row(frame, body, line, theme, detail_has_keyboard(state));
        }
    }
}

/// The columns' names; the one that the table is sorted by is marked.
fn heading(state: &State) -> Line<'static> {
    let theme = state.theme();
    let order = state.remap_table.order;
    let cell = |text: &str, of: Order, width, side| {
        let text = if of == order {
            format!("{text}{}", theme.sorted())
        } else {
            text.to_owned()
        };
        show::fit(&text, width, side, theme.ellipsis())
    };
    let at = show::fit("AT", OFFSET_WIDTH, Side::Right, theme.ellipsis());
    let text = format!(
        " {} {at} {}  {} {}",
        cell("BLOCK", Order::Block, BLOCK_WIDTH, Side::Right),
        cell(
            "REPLACEMENT",
            Order::Replacement,
            REPLACEMENT_WIDTH,
            Side::Right
        ),
        cell("STATE", Order::State, STATE_WIDTH, Side::Left),
        cell("MOVED", Order::Moves, 6, Side::Left),
    );
    Line::styled(text, theme.faint())
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
    let (glyph, health) = if row.active {
        (theme.copy_glyph('V'), Health::Good)
    } else {
        (theme.health_glyph(Health::Warning), Health::Warning)
    };
    let times = match row.moves {
        1 => "once".to_owned(),
        moves => format!("{moves} x"),
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
        Span::styled(
            fit(
                &format!("{glyph} {}", state_text(row)),
                STATE_WIDTH,
                Side::Left,
            ),
            theme.health(health),
        ),
        Span::raw(format!(" {times}")),
    ])
}
