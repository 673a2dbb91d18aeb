//! The second page: where the copies lie, what each is worth, and its bytes or fields
//! beside the winner's.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::{detail_has_keyboard, mark_row, put_line};
use crate::inspect::Inspection;
use crate::remap_core::quorum::{CopyState, Reading};
use crate::remap_core::superblock::COPY_BYTES;
use crate::remap_core::units::{Sequence, Slot};
use crate::tui::pages::{self, bytes_per_row, Comparison};
use crate::tui::show::{self, Side};
use crate::tui::state::{CopyView, State, Subject};
use crate::tui::theme::{Health, Theme};

/// The sector behind the last slot, to which the strip is to scale.
const SCALE_END: u64 = 8200;

/// With fewer lines than this the strip gives way to the bytes.
const WITH_STRIP: u16 = 12;

/// Draws the page.
pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, subject: &Subject<'_>) {
    let theme = state.theme();
    let Some(inspection) = subject.inspection() else {
        let text = match subject.examined {
            Some(Err(why)) => format!(" it cannot be read: {why}"),
            _ => " looking".to_owned(),
        };
        put_line(frame, area, 0, &Line::styled(text, theme.faint()));
        return;
    };
    let table = if area.height < WITH_STRIP {
        area
    } else {
        draw_strip(frame, area, inspection, theme);
        below(area, 2)
    };
    put_line(frame, table, 0, &heading(theme));
    let chosen = pages::chosen_slot(state);
    for (row, slot) in (1..).zip(Slot::ALL) {
        let line = line_of(inspection, slot, slot == chosen, area.width, theme);
        put_line(frame, table, row, &line);
        if slot == chosen {
            mark_row(frame, table, row, theme, detail_has_keyboard(state));
        }
    }
    let lower = below(table, 6);
    match Comparison::of(inspection, chosen) {
        Some(copies) => draw_lower(frame, lower, state, &copies),
        None => {
            let text = format!(" copy {chosen} cannot be read, so it has no bytes to show");
            put_line(frame, lower, 0, &Line::styled(text, theme.faint()));
        }
    }
}

fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    }
}

/// The five slots on their sectors, to scale, and what lies behind them, not to scale.
fn draw_strip(frame: &mut Frame<'_>, area: Rect, inspection: &Inspection, theme: Theme) {
    let behind = if inspection
        .superblock
        .as_ref()
        .is_some_and(|s| s.layout().is_some())
    {
        format!("{0} table A {0} data {0} table B", theme.divider())
    } else {
        theme.divider().to_owned()
    };
    let Some(room) = area.width.checked_sub(behind.width() as u16 + 4) else {
        return;
    };
    put_line(
        frame,
        area,
        1,
        &Line::styled(
            format!(" {}", theme.rule().repeat(room.into())),
            theme.faint(),
        ),
    );
    let x_of = |sector: u64| {
        let along = sector * u64::from(room - 1) / SCALE_END;
        area.x + 1 + u16::try_from(along).unwrap_or(room)
    };
    let buffer = frame.buffer_mut();
    let mut free_from = area.x;
    for slot in Slot::ALL {
        let sector = slot.sector().get();
        let state = inspection.judgement.states.get(slot);
        let style = theme.health(Health::of_letter(state.letter()));
        buffer.set_string(x_of(sector), area.y + 1, theme.state_glyph(state), style);
        let label = sector.to_string();
        // A label never runs past the end of the strip.
        let last = area.x + 1 + room - label.width() as u16;
        let x = x_of(sector).min(last);
        // Nor over the one before.
        if x >= free_from {
            free_from = x + label.width() as u16 + 1;
            buffer.set_string(x, area.y, label, theme.faint());
        }
    }
    let x = area.x + room + 2;
    buffer.set_string(x, area.y + 1, behind, theme.faint());
}

const STATE_WIDTH: usize = 13;
const SEQUENCE_WIDTH: usize = 6;

fn heading(theme: Theme) -> Line<'static> {
    let cell = |text, width, side| show::fit(text, width, side, theme.ellipsis());
    Line::styled(
        format!(
            " COPY SECTOR {} {}  CHECKSUM  WHY",
            cell("STATE", STATE_WIDTH, Side::Left),
            cell("SEQ", SEQUENCE_WIDTH, Side::Right),
        ),
        theme.faint(),
    )
}

fn line_of(
    inspection: &Inspection,
    slot: Slot,
    is_chosen: bool,
    width: u16,
    theme: Theme,
) -> Line<'static> {
    let judgement = &inspection.judgement;
    let state = judgement.states.get(slot);
    let wins = *judgement.winners.get(slot);
    let fit = |text: &str, width, side| show::fit(text, width, side, theme.ellipsis());
    let state_text = format!("{} {}", theme.state_glyph(state), state.name());
    let sequence = sequence_of(inspection, slot).map_or("-".to_owned(), |s| s.to_string());
    let why = why(inspection, slot, state, wins);
    let fixed = 1 + 5 + 6 + 1 + STATE_WIDTH + 1 + SEQUENCE_WIDTH + 2 + 8 + 2;
    let why_width = usize::from(width).saturating_sub(fixed + 1);
    Line::from(vec![
        Span::styled(
            if is_chosen { theme.pointer() } else { " " },
            theme.accent(),
        ),
        Span::raw(fit(&slot.to_string(), 4, Side::Right)),
        Span::raw(fit(&slot.sector().to_string(), 7, Side::Right)),
        Span::raw(" "),
        Span::styled(
            fit(&state_text, STATE_WIDTH, Side::Left),
            theme.health(Health::of_letter(state.letter())),
        ),
        Span::raw(" "),
        Span::raw(fit(&sequence, SEQUENCE_WIDTH, Side::Right)),
        Span::raw("  "),
        Span::raw(fit(&checksum_of(inspection, slot), 8, Side::Left)),
        Span::raw("  "),
        Span::styled(fit(&why, why_width, Side::Left), theme.plain()),
    ])
}

fn why(inspection: &Inspection, slot: Slot, state: &CopyState, wins: bool) -> String {
    if let Some(reason) = inspection.reason(slot) {
        return reason;
    }
    match (inspection.judgement.winner, wins) {
        (Some(first), true) if first == slot => "winner".to_owned(),
        (Some(first), true) => format!("agrees with copy {first}"),
        _ if matches!(state, CopyState::Plain) => "no checksum to vouch for it".to_owned(),
        _ => String::new(),
    }
}

fn raw_of(inspection: &Inspection, slot: Slot) -> Option<&[u8; COPY_BYTES]> {
    match inspection.survey.slots.get(slot) {
        Reading::Read { raw, .. } => Some(raw),
        Reading::Unreadable(_) => None,
    }
}

fn sequence_of(inspection: &Inspection, slot: Slot) -> Option<Sequence> {
    // Only what can be believed has a sequence worth showing.
    let state = inspection.judgement.states.get(slot);
    let believed = matches!(
        state,
        CopyState::Valid | CopyState::Plain | CopyState::Stale
    );
    let raw = raw_of(inspection, slot)?;
    let bytes = raw.get(8..16)?.try_into().ok()?;
    believed.then(|| Sequence::new(u64::from_le_bytes(bytes)))
}

fn checksum_of(inspection: &Inspection, slot: Slot) -> String {
    let state = inspection.judgement.states.get(slot);
    let bytes = raw_of(inspection, slot).and_then(|raw| raw.get(24..28)?.try_into().ok());
    match (state, bytes) {
        (CopyState::Plain, _) => "none".to_owned(),
        (CopyState::Missing | CopyState::Foreign(_), _) | (_, None) => "-".to_owned(),
        (_, Some(bytes)) => format!("{:08x}", u32::from_le_bytes(bytes)),
    }
}

fn draw_lower(frame: &mut Frame<'_>, area: Rect, state: &State, copies: &Comparison) {
    let theme = state.theme();
    put_line(frame, area, 0, &lower_title(copies, area.width, theme));
    let body = below(area, 1);
    match state.copy_view {
        CopyView::Bytes => draw_bytes(frame, body, state, copies),
        CopyView::Fields => draw_fields(frame, body, state, copies),
    }
}

fn lower_title(copies: &Comparison, width: u16, theme: Theme) -> Line<'static> {
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

fn draw_bytes(frame: &mut Frame<'_>, area: Rect, state: &State, copies: &Comparison) {
    let theme = state.theme();
    let each = bytes_per_row(area.width);
    let rows = COPY_BYTES.div_ceil(each);
    let last_page = rows.saturating_sub(usize::from(area.height));
    let first = pages::copy_first_row(state).min(last_page);
    for (line, row) in (0..area.height).zip(first..rows) {
        put_line(
            frame,
            area,
            line,
            &byte_row(copies, row * each, each, theme),
        );
    }
}

fn byte_row(copies: &Comparison, from: usize, each: usize, theme: Theme) -> Line<'static> {
    let mut spans = vec![Span::styled(format!(" {from:03x} "), theme.faint())];
    push_bytes(&mut spans, &copies.raw, copies, from, each, theme);
    if let Some((winner, raw)) = &copies.winner {
        if *winner != copies.slot {
            spans.push(Span::styled(
                format!(" {} ", theme.divider()),
                theme.faint(),
            ));
            push_bytes(&mut spans, raw, copies, from, each, theme);
        }
    }
    Line::from(spans)
}

/// Bytes in groups of four. Where there is no colour, differing ones are inverted.
fn push_bytes(
    spans: &mut Vec<Span<'static>>,
    raw: &[u8],
    copies: &Comparison,
    from: usize,
    each: usize,
    theme: Theme,
) {
    for (place, byte) in raw.iter().enumerate().skip(from).take(each) {
        if place > from && place % 4 == 0 {
            spans.push(Span::raw(" "));
        }
        let style: Style = match byte {
            _ if copies.differs(place) => theme.differing(),
            0 => theme.faint(),
            _ => theme.plain(),
        };
        spans.push(Span::styled(format!("{byte:02x}"), style));
    }
}

const FIELD_WIDTH: usize = 20;

fn draw_fields(frame: &mut Frame<'_>, area: Rect, state: &State, copies: &Comparison) {
    let theme = state.theme();
    let fields = copies.fields();
    let winners = copies.winner_fields();
    let last_page = fields.len().saturating_sub(usize::from(area.height));
    let first = pages::copy_first_row(state).min(last_page);
    let value_width = (usize::from(area.width).saturating_sub(FIELD_WIDTH + 10)) / 2;
    let fit = |text: &str, width| show::fit(text, width, Side::Left, theme.ellipsis());
    for (line, field) in (0..area.height).zip(fields.iter().skip(first)) {
        let differs = copies.differs_within(field.range());
        let other = winners
            .iter()
            .find(|other| other.start == field.start)
            .filter(|_| differs);
        let style = if differs {
            theme.health(Health::Bad)
        } else {
            theme.plain()
        };
        let mut spans = vec![
            Span::styled(format!(" {:3} ", field.start), theme.faint()),
            Span::styled(fit(&field.name, FIELD_WIDTH), theme.faint()),
            Span::raw(" "),
        ];
        match other {
            Some(other) => {
                spans.push(Span::styled(fit(&field.value, value_width), style));
                spans.push(Span::styled(
                    format!(" {} ", theme.divider()),
                    theme.faint(),
                ));
                spans.push(Span::raw(fit(&other.value, value_width)));
            }
            None => spans.push(Span::styled(fit(&field.value, value_width * 2 + 3), style)),
        }
        put_line(frame, area, line, &Line::from(spans));
    }
}
