//! The second page: where the copies lie, what each is worth and why, what a repair
//! would write, and the bytes or fields of one beside the winner's.

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::strip::{self, copy_health, Spare};
use super::{bytes, detail_has_keyboard, inside_has_keyboard, mark_row, paragraph, put_line};
use crate::inspect::{self, name_copies, Inspection};
use crate::remap_core::commit::Authority;
use crate::remap_core::quorum::{CopyState, Reading};
use crate::remap_core::repair::MAX_ATTEMPTS;
use crate::remap_core::superblock::COPY_BYTES;
use crate::remap_core::units::{Sequence, Slot};
use crate::tui::bytes::Comparison;
use crate::tui::changes::{healing, Changes, Healing};
use crate::tui::keymap::Command;
use crate::tui::pages;
use crate::tui::show::{self, Side};
use crate::tui::state::State;
use crate::tui::subject::Subject;
use crate::tui::theme::{Health, Theme};

/// What the bytes need at least: their title, two rows, what is under the cursor.
const BYTES_LOWEST: usize = 4;

/// From this height on nothing is cut off.
const TALL: u16 = 20;

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
    let page = Page {
        state,
        subject,
        inspection,
        changes: state.changes.get(subject.store),
        chosen: pages::chosen_slot(state),
        width: area.width,
        theme,
    };
    let above = page.above(area.height);
    for (row, (line, is_chosen)) in (0..area.height).zip(&above) {
        put_line(frame, area, row, line);
        if *is_chosen {
            mark_row(frame, area, row, theme, detail_has_keyboard(state));
        }
    }
    let used = u16::try_from(above.len()).map_or(area.height, |used| used.min(area.height));
    let lower = Rect {
        y: area.y + used,
        height: area.height - used,
        ..area
    };
    match Comparison::of(inspection, page.chosen) {
        Some(copies) => bytes::draw(frame, lower, state, &copies, page.lately(page.chosen)),
        None => {
            let text = format!(
                " copy {} cannot be read, so it has no bytes to show",
                page.chosen
            );
            put_line(frame, lower, 0, &Line::styled(text, theme.faint()));
        }
    }
}

const STATE_WIDTH: usize = 13;
const SEQUENCE_WIDTH: usize = 6;

/// A line above the bytes, and whether it is the chosen copy's.
type Row = (Line<'static>, bool);

struct Page<'a> {
    state: &'a State,
    subject: &'a Subject<'a>,
    inspection: &'a Inspection,
    changes: Option<&'a Changes>,
    chosen: Slot,
    width: u16,
    theme: Theme,
}

impl Page<'_> {
    /// The lines above the bytes: of what there is to say as much as leaves room for
    /// some bytes, what matters most first.
    fn above(&self, height: u16) -> Vec<Row> {
        let tall = height >= TALL;
        // Who is among the bytes of one copy needs no more than that copy's line.
        let narrowed = inside_has_keyboard(self.state) && !tall;
        let table: Vec<Row> = Slot::ALL
            .into_iter()
            .filter(|slot| !narrowed || *slot == self.chosen)
            .map(|slot| (self.line_of(slot), slot == self.chosen))
            .collect();
        let mut room = usize::from(height).saturating_sub(table.len() + BYTES_LOWEST);
        let mut take = |lines: Vec<Line<'static>>| -> Vec<Row> {
            if lines.len() > room {
                return Vec::new();
            }
            room -= lines.len();
            lines.into_iter().map(|line| (line, false)).collect()
        };
        let strip = take(self.strip());
        let track = take(self.track().into_iter().collect());
        let verdict = take(self.short_or_whole(self.verdict(), tall));
        let preview = take(self.short_or_whole(self.preview(), tall));
        let reason = take(if tall { self.reason() } else { Vec::new() });
        let heading = take(vec![self.heading()]);
        let mut rows = strip;
        rows.extend(verdict);
        rows.extend(track);
        rows.extend(heading);
        rows.extend(table);
        rows.extend(reason);
        rows.extend(preview);
        rows
    }

    fn lately(&self, slot: Slot) -> Option<&crate::tui::changes::Before> {
        self.changes?.lately(slot, self.state.now)
    }

    fn strip(&self) -> Vec<Line<'static>> {
        let status = self.subject.active.map(|active| &active.mapped.status);
        let changed = Slot::ALL.map(|slot| self.lately(slot).is_some());
        let spare = Spare::seen(self.inspection, status).pointing(self.chosen, changed);
        strip::lines(&spare, self.width, self.theme).into()
    }

    fn short_or_whole(&self, lines: Vec<Line<'static>>, whole: bool) -> Vec<Line<'static>> {
        let mut lines = lines;
        if whole || lines.len() < 2 {
            return lines;
        }
        lines.truncate(1);
        if let Some(line) = lines.first_mut() {
            let room = usize::from(self.width).saturating_sub(line.width());
            let style = line.spans.last().map(|span| span.style).unwrap_or_default();
            if room > 1 {
                let text = format!(" {}", self.theme.ellipsis());
                line.spans.push(Span::styled(text, style));
            }
        }
        lines
    }

    /// The verdict, and why it is that one.
    fn verdict(&self) -> Vec<Line<'static>> {
        let theme = self.theme;
        let verdict = self.inspection.verdict();
        let health = Health::of_verdict(verdict);
        let reason = inspect::verdict_reason(self.inspection);
        let text = format!("{verdict}: {reason}");
        let width = usize::from(self.width);
        let mut lines = paragraph(&text, width, 3, theme.plain());
        if let Some(first) = lines.first_mut() {
            let rest = first.to_string();
            let rest = rest.trim_start();
            let rest = rest.strip_prefix(verdict.name()).unwrap_or(rest).to_owned();
            *first = Line::from(vec![
                Span::styled(
                    format!(" {} {verdict}", theme.health_glyph(health)),
                    theme.health(health).add_modifier(Modifier::BOLD),
                ),
                Span::raw(rest),
            ]);
        }
        lines
    }

    /// How far the way from damage to health has been gone; nothing where there is none
    /// to go.
    fn track(&self) -> Option<Line<'static>> {
        let theme = self.theme;
        let active = self.subject.active?;
        let (step, at_repair) = match healing(self.state, active) {
            Healing::Whole => return None,
            Healing::Unnoticed => (0, "repair".to_owned()),
            Healing::Left => {
                let key = self.state.key(Command::Repair);
                (1, format!("repair: not by itself, press {key}"))
            }
            Healing::Waiting { attempt, in_millis } => (
                2,
                format!(
                    "repair {}, attempt {attempt} of {MAX_ATTEMPTS}",
                    show::until(in_millis)
                ),
            ),
            Healing::GaveUp => (2, format!("repair gave up after {MAX_ATTEMPTS} attempts")),
            Healing::Healed => (3, "repaired".to_owned()),
        };
        let steps = [
            "damaged".to_owned(),
            "found by a scrub".to_owned(),
            at_repair,
            "whole again".to_owned(),
        ];
        let mut spans = vec![Span::raw(" ")];
        for (index, text) in steps.into_iter().enumerate() {
            if index > 0 {
                spans.push(Span::styled(format!(" {} ", theme.arrow()), theme.faint()));
            }
            let health = if index == 3 {
                Health::Good
            } else {
                Health::Warning
            };
            spans.push(match index {
                _ if index == step => Span::styled(
                    format!("[{text}]"),
                    theme.health(health).add_modifier(Modifier::BOLD),
                ),
                _ if index < step => Span::raw(text),
                _ => Span::styled(text, theme.faint()),
            });
        }
        Some(Line::from(spans))
    }

    fn heading(&self) -> Line<'static> {
        let theme = self.theme;
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

    fn line_of(&self, slot: Slot) -> Line<'static> {
        let (inspection, theme) = (self.inspection, self.theme);
        let state = inspection.judgement.states.get(slot);
        let fit = |text: &str, width, side| show::fit(text, width, side, theme.ellipsis());
        let state_text = match state {
            // Where nothing of ours ever was, nothing is damaged.
            CopyState::Corrupt(_) if !inspection.is_ours() => "  no copy".to_owned(),
            CopyState::Missing if !inspection.is_ours() => "  blank".to_owned(),
            _ => format!("{} {}", theme.state_glyph(state), state.name()),
        };
        let sequence = sequence_of(inspection, slot).map_or("-".to_owned(), |s| s.to_string());
        let fixed = 1 + 4 + 7 + 1 + STATE_WIDTH + 1 + SEQUENCE_WIDTH + 2 + 8 + 2;
        let why_width = usize::from(self.width).saturating_sub(fixed);
        let pointer = if slot == self.chosen {
            theme.pointer()
        } else {
            " "
        };
        let mut spans = vec![
            Span::styled(pointer, theme.accent()),
            Span::raw(fit(&slot.to_string(), 4, Side::Right)),
            Span::raw(fit(&slot.sector().to_string(), 7, Side::Right)),
            Span::raw(" "),
            Span::styled(
                fit(&state_text, STATE_WIDTH, Side::Left),
                theme.health(copy_health(inspection.is_ours(), state.letter())),
            ),
            Span::raw(" "),
            Span::raw(fit(&sequence, SEQUENCE_WIDTH, Side::Right)),
            Span::raw("  "),
            Span::raw(fit(&checksum_of(inspection, slot), 8, Side::Left)),
            Span::raw("  "),
        ];
        match self.was(slot) {
            Some(was) => spans.push(Span::styled(
                fit(&was, why_width, Side::Left),
                theme.strong(),
            )),
            None => spans.push(Span::raw(fit(
                &why(inspection, slot),
                why_width,
                Side::Left,
            ))),
        }
        Line::from(spans)
    }

    /// What the copy was until lately: the change is seen as it happens.
    fn was(&self, slot: Slot) -> Option<String> {
        let before = self.lately(slot)?;
        let ago = show::span(before.age(self.state.now) / 1000);
        let is = self.inspection.judgement.states.get(slot);
        Some(if before.state == is.name() {
            format!("{} changed {ago} ago", self.theme.changed())
        } else {
            format!("{} was {} {ago} ago", self.theme.changed(), before.state)
        })
    }

    /// Why the chosen copy is worth what it is, whole.
    fn reason(&self) -> Vec<Line<'static>> {
        let Some(reason) = self.inspection.reason(self.chosen) else {
            return Vec::new();
        };
        let text = format!("copy {}: {reason}", self.chosen);
        paragraph(&text, usize::from(self.width), 1, self.theme.plain())
    }

    /// What a repair would write, before anybody asks for it.
    fn preview(&self) -> Vec<Line<'static>> {
        let Some(text) = preview(self.inspection) else {
            return Vec::new();
        };
        paragraph(&text, usize::from(self.width), 1, self.theme.plain())
    }
}

/// What a repair of the device would write; `None` where there is nothing to repair.
pub fn preview(inspection: &Inspection) -> Option<String> {
    let damaged = inspection
        .judgement
        .states
        .count(|state| !strip::is_whole(state));
    if damaged == 0 || !inspection.is_ours() {
        return None;
    }
    let healing = match inspect::healing(inspection) {
        Ok(healing) => healing,
        Err(refusal) => return Some(format!("A repair would write nothing: {refusal}.")),
    };
    let slots: Vec<Slot> = healing.rewrites.iter().map(|write| write.slot).collect();
    let changed: usize = healing.rewrites.iter().map(|write| write.changed).sum();
    let mut fields: Vec<&str> = healing
        .rewrites
        .iter()
        .flat_map(|write| &write.fields)
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    fields.dedup();
    let which = match fields.as_slice() {
        [] => String::new(),
        [one] => format!(" in {one}"),
        [one, other] => format!(" in {one} and {other}"),
        many => format!(" in {} fields", many.len()),
    };
    let whose_word = match healing.authority {
        Authority::Automatic => "",
        Authority::Operator => ", only if you ask for it",
        Authority::Typed => ", only with the typed name",
    };
    Some(format!(
        "A repair writes {} from copy {}{whose_word}: {} of {} bytes change{which}.",
        name_copies(&slots)?,
        healing.from,
        changed,
        slots.len() * COPY_BYTES,
    ))
}

fn why(inspection: &Inspection, slot: Slot) -> String {
    if let Some(reason) = inspection.reason(slot) {
        return reason;
    }
    let wins = *inspection.judgement.winners.get(slot);
    match (inspection.judgement.winner, wins) {
        (Some(first), true) if first == slot => "winner".to_owned(),
        (Some(first), true) => format!("agrees with copy {first}"),
        _ if matches!(inspection.judgement.states.get(slot), CopyState::Plain) => {
            "no checksum to vouch for it".to_owned()
        }
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
