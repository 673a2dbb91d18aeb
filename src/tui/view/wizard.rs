//! The wizard's windows: main, spare, options. The plan's own window follows.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{label, mark_row, put_line, window};
use crate::ops::eligibility::Fitness;
use crate::tui::candidates::Candidate;
use crate::tui::layout::{centred, first_row};
use crate::tui::show::{self, Side};
use crate::tui::state::State;
use crate::tui::theme::{Health, Theme};
use crate::tui::wizard::{Field, Form, Pointer, Wizard};

const WIDTH: u16 = 100;
const NAME_WIDTH: usize = 14;
const SIZE_WIDTH: usize = 9;
const HOLDS_WIDTH: usize = 22;

/// From this inner width on what a device holds has a column of its own.
const WITH_HOLDS: u16 = 80;

fn holds_width(width: u16) -> usize {
    if width >= WITH_HOLDS {
        HOLDS_WIDTH
    } else {
        0
    }
}
const LABEL_WIDTH: usize = 13;

/// Draws the window.
pub fn draw(frame: &mut Frame<'_>, state: &State, wizard: &Wizard) {
    match wizard {
        Wizard::Main {
            pointer, complaint, ..
        } => {
            let title = "New device, 1 of 4: the ageing disk to protect";
            draw_choice(frame, state, (wizard, pointer), complaint.as_deref(), title);
        }
        Wizard::Spare {
            main,
            pointer,
            complaint,
            ..
        } => {
            let title = format!("New device, 2 of 4: a spare for {}", state.name_of(main));
            draw_choice(
                frame,
                state,
                (wizard, pointer),
                complaint.as_deref(),
                &title,
            );
        }
        Wizard::Form(form) => draw_form(frame, state, form),
    }
}

fn draw_choice(
    frame: &mut Frame<'_>,
    state: &State,
    (wizard, pointer): (&Wizard, &Pointer),
    complaint: Option<&str>,
    title: &str,
) {
    let theme = state.theme();
    let candidates = wizard.candidates(state);
    let width = WIDTH.min(state.size.width.saturating_sub(4));
    // Frame, heading, a line for complaints.
    let wanted = u16::try_from(candidates.len() + 4).unwrap_or(u16::MAX);
    let area = centred(state.size, width, wanted.min(state.size.height - 2));
    let inner = window(frame, area, theme, title);
    put_line(frame, inner, 0, &heading(theme, inner.width));
    let body = Rect {
        y: inner.y + 1,
        height: inner.height.saturating_sub(2),
        ..inner
    };
    let room = usize::from(body.height);
    let row = pointer.row(&candidates);
    let first = first_row(row.unwrap_or(0), candidates.len(), room);
    let best = candidates
        .first()
        .filter(|candidate| candidate.fitness == Fitness::Fit)
        .filter(|_| matches!(wizard, Wizard::Spare { .. }));
    let in_sight = candidates.iter().enumerate().skip(first).take(room);
    for (line, (index, candidate)) in (0..).zip(in_sight) {
        let is_best = best == Some(candidate);
        let shown = line_of(candidate, row == Some(index), is_best, inner.width, theme);
        put_line(frame, body, line, &shown);
        if row == Some(index) {
            mark_row(frame, body, line, theme, true);
        }
    }
    let last = match (complaint, row.and_then(|row| candidates.get(row))) {
        (Some(complaint), _) => {
            let glyph = theme.health_glyph(Health::Warning);
            let text = format!(" {glyph} not possible: {complaint}");
            Line::styled(text, theme.health(Health::Warning))
        }
        // Where the columns are too narrow, this says all of it.
        (None, Some(candidate)) => Line::styled(about(candidate), theme.faint()),
        (None, None) => Line::default(),
    };
    put_line(frame, inner, inner.height - 1, &last);
}

fn about(candidate: &Candidate) -> String {
    let holds = candidate.holds.as_deref().unwrap_or("nothing");
    format!(" holds {holds}; {}", candidate.remark)
}

fn heading(theme: Theme, width: u16) -> Line<'static> {
    let cell = |text, width, side| show::fit(text, width, side, theme.ellipsis());
    Line::styled(
        format!(
            "   {}{}  {} {}",
            cell("NAME", NAME_WIDTH, Side::Left),
            cell("SIZE", SIZE_WIDTH, Side::Right),
            cell("HOLDS", holds_width(width), Side::Left),
            "WHY"
        ),
        theme.faint(),
    )
}

fn line_of(
    candidate: &Candidate,
    is_chosen: bool,
    is_best: bool,
    width: u16,
    theme: Theme,
) -> Line<'static> {
    let fit = |text: &str, width, side| show::fit(text, width, side, theme.ellipsis());
    let (glyph, health) = match candidate.fitness {
        Fitness::Fit => (" ", Health::Neutral),
        Fitness::Occupied => (theme.health_glyph(Health::Warning), Health::Warning),
        Fitness::Unfit => (theme.health_glyph(Health::Bad), Health::Bad),
    };
    let text_style = if candidate.fitness == Fitness::Unfit {
        theme.faint()
    } else {
        theme.plain()
    };
    let holds = candidate.holds.as_deref().unwrap_or("empty");
    let best = if is_best { "best: " } else { "" };
    let holds_width = holds_width(width);
    let fixed = 3 + NAME_WIDTH + SIZE_WIDTH + 2 + holds_width + 1;
    let remark_width = usize::from(width).saturating_sub(fixed);
    Line::from(vec![
        Span::styled(
            if is_chosen { theme.pointer() } else { " " },
            theme.accent(),
        ),
        Span::styled(glyph, theme.health(health)),
        Span::raw(" "),
        Span::styled(
            fit(&crate::text::guard(&candidate.name), NAME_WIDTH, Side::Left),
            text_style,
        ),
        Span::styled(
            fit(&show::short_size(candidate.size), SIZE_WIDTH, Side::Right),
            text_style,
        ),
        Span::raw("  "),
        Span::styled(fit(holds, holds_width, Side::Left), text_style),
        Span::raw(" "),
        Span::styled(
            fit(
                &format!("{best}{}", candidate.remark),
                remark_width,
                Side::Left,
            ),
            text_style,
        ),
    ])
}

fn draw_form(frame: &mut Frame<'_>, state: &State, form: &Form) {
    let theme = state.theme();
    let width = WIDTH.min(state.size.width.saturating_sub(4));
    let fields = form.fields();
    let height = u16::try_from(fields.len() * 2 + 5).unwrap_or(u16::MAX);
    let area = centred(state.size, width, height);
    let inner = window(frame, area, theme, "New device, 3 of 4: the options");
    let joined = format!(
        " main {}, spare {}",
        state.name_of(&form.main),
        state.name_of(&form.spare)
    );
    put_line(frame, inner, 0, &Line::styled(joined, theme.faint()));
    for (row, field) in (2..).step_by(2).zip(fields) {
        put_line(frame, inner, row, &field_line(form, *field, theme));
        let complaint = form
            .complaint(*field, state)
            .filter(|_| form.tried || *field == Field::Replace);
        if let Some(complaint) = complaint {
            let text = format!(" {}{complaint}", " ".repeat(LABEL_WIDTH));
            let line = Line::styled(text, theme.health(Health::Warning));
            put_line(frame, inner, row + 1, &line);
        }
    }
}

fn field_line(form: &Form, field: Field, theme: Theme) -> Line<'static> {
    let is_chosen = form.field == field;
    let pointer = if is_chosen { theme.pointer() } else { " " };
    let caret = if is_chosen { theme.caret() } else { "" };
    let mut spans = vec![
        Span::styled(pointer, theme.accent()),
        label(theme, field.label(), LABEL_WIDTH),
    ];
    let turned = |text: String| {
        if is_chosen {
            Span::styled(format!("< {text} >"), theme.strong())
        } else {
            Span::raw(text)
        }
    };
    match field {
        Field::Name => {
            spans.push(Span::styled(form.name.clone(), theme.strong()));
            spans.push(Span::styled(caret, theme.accent()));
        }
        Field::BlockSize => spans.push(turned(format!("{} bytes", form.block_size))),
        Field::ScrubInterval => {
            spans.push(Span::styled(form.scrub_interval.clone(), theme.strong()));
            spans.push(Span::styled(caret, theme.accent()));
            spans.push(Span::styled(" seconds; 0 is never", theme.faint()));
        }
        Field::Replace => {
            let holds = form.holds.as_deref().unwrap_or("nothing");
            let answer = if form.replace { "yes" } else { "no" };
            spans.push(turned(answer.to_owned()));
            spans.push(Span::styled(
                format!("  the spare holds: {holds}"),
                theme.faint(),
            ));
        }
    }
    Line::from(spans)
}
