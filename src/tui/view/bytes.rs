//! The bytes of the chosen copy beside what a repair writes there, or its fields; below
//! them what is under the cursor.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::{inside_has_keyboard, put_line};
use crate::format::field_map::{field_at, Field};
use crate::remap_core::superblock::COPY_BYTES;
use crate::tui::bytes::{self, bytes_per_row, Comparison, DIVIDER_WIDTH, OFFSET_WIDTH};
use crate::tui::changes::Before;
use crate::tui::layout::first_row;
use crate::tui::show::{self, Side};
use crate::tui::state::{CopyView, State};
use crate::tui::theme::{Health, Theme};

/// From this height on the foot has two lines.
const TALL: u16 = 7;

/// The columns of a field's name.
const FIELD_WIDTH: usize = 20;

/// Everything that is drawn of one copy.
struct Page<'a> {
    copies: &'a Comparison,
    fields: Vec<Field>,
    winner_fields: Vec<Field>,
    cursor: usize,
    /// Whether the keyboard moves the cursor.
    has_keyboard: bool,
    before: Option<&'a Before>,
    theme: Theme,
}

/// Draws the copy, from its title to what is under the cursor.
pub fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    copies: &Comparison,
    before: Option<&Before>,
) {
    let page = Page {
        copies,
        fields: copies.fields(),
        winner_fields: copies.winner_fields(),
        cursor: bytes::cursor(state, copies),
        has_keyboard: inside_has_keyboard(state),
        before,
        theme: state.theme(),
    };
    put_line(frame, area, 0, &title(copies, area.width, page.theme));
    let foot = page.foot(usize::from(area.width), area.height >= TALL);
    let foot_lines = u16::try_from(foot.len()).unwrap_or(0);
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1 + foot_lines),
        ..area
    };
    match state.copy_view {
        CopyView::Bytes => page.draw_bytes(frame, body),
        CopyView::Fields => page.draw_fields(frame, body),
    }
    for (line, row) in foot.iter().zip(body.height + 1..) {
        put_line(frame, area, row, line);
    }
}

fn title(copies: &Comparison, width: u16, theme: Theme) -> Line<'static> {
    let slot = copies.slot;
    let text = match &copies.winner {
        Some((winner, _)) if *winner == slot => format!("copy {slot}, the winner"),
        Some((winner, _)) => match copies.differing() {
            0 => format!("copy {slot} beside copy {winner}, the winner: no byte differs"),
            differing => format!(
                "copy {slot} beside copy {winner}, the winner: {differing} of {COPY_BYTES} bytes differ"
            ),
        },
        None => format!("copy {slot}; no copy wins to compare it with"),
    };
    let rule = theme.rule();
    let mut line = format!("{0}{0} {text} ", rule);
    let rest = usize::from(width).saturating_sub(line.width());
    line.push_str(&rule.repeat(rest));
    Line::styled(line, theme.faint())
}

impl Page<'_> {
    fn draw_bytes(&self, frame: &mut Frame<'_>, area: Rect) {
        let beside = self.copies.beside().is_some();
        let each = bytes_per_row(area.width, beside);
        let rows = COPY_BYTES.div_ceil(each);
        let first = first_row(self.cursor / each, rows, usize::from(area.height));
        for (line, row) in (0..area.height).zip(first..rows) {
            put_line(
                frame,
                area,
                line,
                &self.byte_row(row * each, each, area.width),
            );
        }
    }

    fn byte_row(&self, from: usize, each: usize, width: u16) -> Line<'static> {
        let theme = self.theme;
        let here = (from..from + each).contains(&self.cursor);
        let offset_style = if here { theme.accent() } else { theme.faint() };
        let mut spans = vec![Span::styled(format!(" {from:03x} "), offset_style)];
        self.push_bytes(&mut spans, &self.copies.raw, from, each);
        let mut used = usize::from(OFFSET_WIDTH) + 3 * each + 1;
        match self.copies.beside() {
            Some((_, winner)) => {
                spans.push(Span::styled(theme.divider(), theme.faint()));
                self.push_bytes(&mut spans, winner, from, each);
                used += usize::from(DIVIDER_WIDTH) + 3 * each + 1;
            }
            None => {
                let text = as_text(&self.copies.raw, from, each);
                used += 1 + text.width();
                spans.push(Span::styled(format!(" {text}"), theme.faint()));
            }
        }
        let room = usize::from(width).saturating_sub(used + 1);
        if room >= 8 {
            let (name, style) = self.field_of_row(from, each);
            let name = show::fit(&name, room, Side::Left, theme.ellipsis());
            spans.push(Span::styled(format!(" {name}"), style));
        }
        Line::from(spans)
    }

    /// Bytes, each behind one column: the first of some that differ behind a bracket,
    /// and a bracket behind the last of them, for colour does not tell it alone.
    fn push_bytes(&self, spans: &mut Vec<Span<'static>>, raw: &[u8], from: usize, each: usize) {
        let theme = self.theme;
        let mark = theme.health(Health::Bad);
        let differs = |at: usize| self.copies.differs(at);
        for (at, byte) in raw.iter().enumerate().skip(from).take(each) {
            let before = at.checked_sub(1).filter(|before| *before >= from);
            let gap = match (before.is_some_and(differs), differs(at)) {
                (false, true) => "[",
                (true, false) => "]",
                _ => " ",
            };
            spans.push(Span::styled(gap, mark));
            spans.push(Span::styled(
                format!("{byte:02x}"),
                self.byte_style(at, *byte),
            ));
        }
        let ends = differs(from + each - 1);
        spans.push(Span::styled(if ends { "]" } else { " " }, mark));
    }

    fn byte_style(&self, at: usize, byte: u8) -> Style {
        let theme = self.theme;
        let mut style = match byte {
            _ if self.copies.differs(at) => theme.health(Health::Bad),
            0 => theme.faint(),
            _ => theme.plain(),
        };
        let changed = |before: &Before| before.differs(at, &self.copies.raw);
        if self.before.is_some_and(changed) {
            style = style.add_modifier(Modifier::UNDERLINED | Modifier::BOLD);
        }
        if at != self.cursor {
            style
        } else if self.has_keyboard {
            style.patch(theme.chosen())
        } else {
            style.add_modifier(Modifier::UNDERLINED)
        }
    }

    /// What a row of bytes belongs to: the first of its fields that differs, else the
    /// one under the cursor, else the first that begins there.
    fn field_of_row(&self, from: usize, each: usize) -> (String, Style) {
        let theme = self.theme;
        let row = from..from + each;
        let overlaps = |field: &&Field| field.start < row.end && field.range().end > row.start;
        let in_row = || self.fields.iter().filter(overlaps);
        let differs = |field: &&Field| {
            let range = field.range();
            let within = range.start.max(row.start)..range.end.min(row.end);
            self.copies.differs_within(within)
        };
        if let Some(field) = in_row().find(differs) {
            let text = format!("{} {}", theme.unequal(), field.name);
            return (text, theme.health(Health::Bad));
        }
        let under = in_row().find(|field| field.range().contains(&self.cursor));
        let begins = in_row().find(|field| row.contains(&field.start));
        match under.or(begins).or_else(|| in_row().next()) {
            Some(field) => (field.name.to_string(), theme.faint()),
            None => (String::new(), theme.faint()),
        }
    }

    fn draw_fields(&self, frame: &mut Frame<'_>, area: Rect) {
        let theme = self.theme;
        let chosen = self
            .fields
            .iter()
            .position(|field| field.range().contains(&self.cursor))
            .unwrap_or(0);
        let first = first_row(chosen, self.fields.len(), usize::from(area.height));
        let in_sight = self.fields.iter().enumerate().skip(first);
        for (line, (index, field)) in (0..area.height).zip(in_sight) {
            let row = self.field_row(field, usize::from(area.width), index == chosen);
            put_line(frame, area, line, &row);
            if index == chosen && self.has_keyboard {
                super::mark_row(frame, area, line, theme, true);
            }
        }
    }

    fn field_row(&self, field: &Field, width: usize, is_chosen: bool) -> Line<'static> {
        let theme = self.theme;
        let value_width = width.saturating_sub(FIELD_WIDTH + 10) / 2;
        let fit = |text: &str, width| show::fit(text, width, Side::Left, theme.ellipsis());
        let differs = self.copies.differs_within(field.range());
        let style = if differs {
            theme.health(Health::Bad)
        } else {
            theme.plain()
        };
        let pointer = if is_chosen { theme.pointer() } else { " " };
        let mut spans = vec![
            Span::styled(pointer, theme.accent()),
            Span::styled(format!("{:3} ", field.start), theme.faint()),
            Span::styled(fit(&field.name, FIELD_WIDTH), theme.faint()),
            Span::raw(" "),
        ];
        match self.winner_field(field).filter(|_| differs) {
            Some(other) => {
                spans.push(Span::styled(fit(&field.value, value_width), style));
                let unequal = format!(" {} ", theme.unequal());
                spans.push(Span::styled(unequal, theme.health(Health::Bad)));
                spans.push(Span::raw(fit(&other.value, value_width)));
            }
            None => spans.push(Span::styled(fit(&field.value, value_width * 2 + 3), style)),
        }
        Line::from(spans)
    }

    fn winner_field(&self, field: &Field) -> Option<&Field> {
        let mut winners = self.winner_fields.iter();
        winners.find(|other| other.start == field.start)
    }

    /// What is under the cursor: which byte of which field, and what the field says here
    /// and in the winner.
    fn foot(&self, width: usize, tall: bool) -> Vec<Line<'static>> {
        let theme = self.theme;
        let Some(field) = field_at(&self.fields, self.cursor) else {
            return Vec::new();
        };
        let range = field.range();
        let place = format!(
            " byte {} of {} (bytes {}..{})",
            self.cursor, field.name, range.start, range.end
        );
        let differs = self.copies.differs_within(range);
        let other = self.winner_field(field).filter(|_| differs);
        let value = match other {
            Some(other) => format!("{} {} {}", field.value, theme.unequal(), other.value),
            None => field.value.clone(),
        };
        let style = if differs {
            theme.health(Health::Bad)
        } else {
            theme.plain()
        };
        let fit = |text: &str, width| show::fit(text, width, Side::Left, theme.ellipsis());
        if !tall {
            let room = width.saturating_sub(place.width() + 2);
            return vec![Line::from(vec![
                Span::styled(place, theme.strong()),
                Span::raw("  "),
                Span::styled(fit(&value, room), style),
            ])];
        }
        let first_byte = self.copies.slot.sector().byte_offset().unwrap_or(0);
        let on_disk = first_byte.saturating_add(self.cursor as u64);
        let place_on_disk = format!(", on the spare at byte {}", show::count(on_disk));
        let value = match (other, self.copies.beside()) {
            (Some(other), Some((winner, _))) => format!(
                " says {}; copy {winner} says {}",
                quoted(&field.value),
                quoted(&other.value)
            ),
            _ => format!(" says {}", quoted(&field.value)),
        };
        vec![
            Line::from(vec![
                Span::styled(place, theme.strong()),
                Span::styled(place_on_disk, theme.faint()),
            ]),
            Line::styled(fit(&value, width), style),
        ]
    }
}

/// A value as it stands in a sentence.
fn quoted(value: &str) -> &str {
    if value.is_empty() {
        "nothing"
    } else {
        value
    }
}

/// Bytes as text, a point for each that is none.
fn as_text(raw: &[u8], from: usize, each: usize) -> String {
    raw.iter()
        .skip(from)
        .take(each)
        .map(|byte| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        })
        .collect()
}
