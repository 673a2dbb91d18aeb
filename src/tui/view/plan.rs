//! The window of a plan: what would be written, what comes of it, and the word that
//! starts it; then its outcome.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::overview::verdict_span;
use super::{copies, label, paragraph, put_lines, strip, window};
use crate::ops::{Operation, Plan, PlannedWrite, Share};
use crate::tui::dialog::{Dialog, Prompt, Stage};
use crate::tui::keymap::{Command, Context};
use crate::tui::layout::centred;
use crate::tui::show::{self, Side};
use crate::tui::state::State;
use crate::tui::theme::{Health, Theme};

const WIDTH: u16 = 100;
const LABEL_WIDTH: usize = 8;

/// Ranges of bytes that are listed before the rest is only counted.
const WRITES_SHOWN: usize = 8;

/// Draws the window.
pub fn draw(frame: &mut Frame<'_>, state: &State, dialog: &Dialog) {
    let theme = state.theme();
    let width = WIDTH.min(state.size.width.saturating_sub(4));
    let inner_width = usize::from(width) - 2;
    let (title, lines) = match &dialog.stage {
        Stage::Planning => (
            dialog.title.as_str(),
            of_work(theme, "making the plan", dialog.share),
        ),
        Stage::Running => (
            dialog.title.as_str(),
            of_work(theme, "at work", dialog.share),
        ),
        Stage::Prompting(prompt) => (
            prompt.plan.title.as_str(),
            of_prompt(prompt, inner_width, state),
        ),
        Stage::Done(outcome) => {
            let health = Health::Good;
            let mut lines = told(theme, health, &outcome.summary, inner_width);
            for detail in &outcome.details {
                lines.extend(paragraph(detail, inner_width, 3, theme.plain()));
            }
            if let Some(verdict) = outcome.verdict {
                lines.push(Line::default());
                let copies = label(theme, "copies", LABEL_WIDTH);
                lines.push(Line::from(vec![
                    Span::raw(" "),
                    copies,
                    verdict_span(theme, verdict),
                ]));
            }
            if let Some(action) = outcome.action {
                let text = format!("action {action} in the journal");
                lines.push(row(theme, "logged", text));
            }
            (dialog.title.as_str(), lines)
        }
        Stage::Refused(refusal) => {
            let mut lines = told(theme, Health::Warning, refusal.message(), inner_width);
            lines.extend(paragraph(refusal.advice(), inner_width, 3, theme.plain()));
            lines.push(Line::default());
            lines.push(said(theme, "Nothing was changed."));
            (dialog.title.as_str(), lines)
        }
        Stage::Failed(error) => {
            let mut lines = told(theme, Health::Bad, &error.message, inner_width);
            lines.extend(paragraph(&error.advice, inner_width, 3, theme.plain()));
            (dialog.title.as_str(), lines)
        }
    };
    let step = dialog.form.as_ref().filter(|_| dialog.has_step_before());
    let last_step = step.map(|form| format!("New device, 4 of 4: the plan for {}", form.name));
    let title = last_step.as_deref().unwrap_or(title);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = centred(state.size, width, height.min(state.size.height - 2));
    let inner = window(frame, area, theme, title);
    draw_lines(frame, inner, &lines, dialog);
}

/// Draws what fits. The last lines of a prompt, where one types, are always in sight.
fn draw_lines(frame: &mut Frame<'_>, area: Rect, lines: &[Line<'_>], dialog: &Dialog) {
    let room = usize::from(area.height);
    if lines.len() <= room {
        put_lines(frame, area, lines);
        return;
    }
    let Stage::Prompting(prompt) = &dialog.stage else {
        put_lines(frame, area, lines);
        return;
    };
    let foot = PROMPT_LINES.min(lines.len());
    let (above, below) = lines.split_at(lines.len() - foot);
    let room_above = room.saturating_sub(foot);
    let first = prompt.scroll.min(above.len().saturating_sub(room_above));
    let in_sight: Vec<Line<'_>> = above
        .iter()
        .skip(first)
        .take(room_above)
        .chain(below)
        .cloned()
        .collect();
    put_lines(frame, area, &in_sight);
}

/// What is being done, and a bar where that takes its time.
fn of_work(theme: Theme, what: &str, share: Option<Share>) -> Vec<Line<'static>> {
    const BAR_WIDTH: usize = 32;
    let Some(share) = share else {
        return vec![said(theme, what)];
    };
    let percent = share.percent();
    let cells = BAR_WIDTH * usize::try_from(percent).unwrap_or(100) / 100;
    let (full, free) = theme.gauge();
    vec![
        said(theme, &format!("{what}: {}", share.work)),
        Line::from(vec![
            Span::raw(" "),
            Span::styled(full.repeat(cells), theme.accent()),
            Span::styled(free.repeat(BAR_WIDTH - cells), theme.faint()),
            Span::raw(format!(" {percent:3} % of {}", show::size(share.of))),
        ]),
    ]
}

fn said(theme: Theme, text: &str) -> Line<'static> {
    Line::styled(format!(" {text}"), theme.faint())
}

fn told(theme: Theme, health: Health, text: &str, width: usize) -> Vec<Line<'static>> {
    let mut lines = paragraph(text, width, 3, theme.strong());
    if let Some(first) = lines.first_mut() {
        let text = first.to_string();
        *first = Line::from(vec![
            Span::raw(" "),
            Span::styled(theme.health_glyph(health), theme.health(health)),
            Span::styled(format!(" {}", text.trim_start()), theme.strong()),
        ]);
    }
    lines
}

fn row(theme: Theme, name: &str, text: impl Into<String>) -> Line<'static> {
    Line::from(vec![
        Span::raw(" "),
        label(theme, name, LABEL_WIDTH),
        Span::raw(text.into()),
    ])
}

/// A row whose text goes on below itself.
fn rows(theme: Theme, name: &str, text: &str, width: usize) -> Vec<Line<'static>> {
    let indent = LABEL_WIDTH + 1;
    let mut lines = paragraph(text, width.saturating_sub(1), indent, theme.plain());
    if let Some(first) = lines.first_mut() {
        *first = row(theme, name, first.to_string().trim_start().to_owned());
    }
    lines
}

/// The lines at the end of [`of_prompt`] that must stay in sight.
const PROMPT_LINES: usize = 4;

fn of_prompt(prompt: &Prompt, width: usize, state: &State) -> Vec<Line<'static>> {
    let theme = state.theme();
    let plan = &prompt.plan;
    let mut lines = of_disks(plan, state, width);
    lines.extend(of_writes(plan, state));
    if let Some(preview) = of_repair(plan, state) {
        lines.extend(rows(theme, "repair", &preview, width));
    }
    if let Some(prediction) = of_prediction(plan, theme) {
        lines.push(prediction);
    }
    for (index, note) in plan.notes.iter().enumerate() {
        let name = if index == 0 { "note" } else { "" };
        lines.extend(rows(theme, name, note, width));
    }
    if !plan.writes.is_empty() {
        lines.push(row(
            theme,
            "undo",
            if plan.undoable {
                let key = state.key(Command::Undo);
                format!("what is overwritten is kept; {key} takes this back, byte for byte")
            } else {
                "this cannot be taken back".to_owned()
            },
        ));
    }
    lines.extend(rows(theme, "same as", &plan.command, width));
    lines.push(Line::default());
    lines.extend(of_question(prompt, state, width));
    lines
}

/// The disks of a device that is brought up, how its spare is divided, and its table line.
fn of_disks(plan: &Plan, state: &State, width: usize) -> Vec<Line<'static>> {
    let theme = state.theme();
    let mut lines = Vec::new();
    if let Some(joined) = &plan.joined {
        let names = [&joined.main, &joined.spare].map(|path| state.name_of(path));
        let text = format!("main {}, spare {}", names[0], names[1]);
        lines.extend(rows(theme, "joins", &text, width));
    }
    if let Some(layout) = &plan.layout {
        let room = width.saturating_sub(LABEL_WIDTH + 2);
        let room = u16::try_from(room).unwrap_or(u16::MAX);
        let spare = strip::Spare::planned(layout);
        for (index, drawn) in (0..).zip(strip::lines(&spare, room, theme)) {
            let name = if index == 0 { "spare" } else { "" };
            let mut line = row(theme, name, "");
            line.spans.extend(drawn.spans);
            lines.push(line);
        }
    }
    if let Some(joined) = &plan.joined {
        lines.extend(rows(theme, "table", &joined.table, width));
    }
    lines
}

fn of_writes(plan: &Plan, state: &State) -> Vec<Line<'static>> {
    let theme = state.theme();
    if plan.writes.is_empty() {
        return vec![row(theme, "writes", "nothing by itself")];
    }
    let device = plan.device.as_deref().map(|path| state.name_of(path));
    let mut lines = Vec::new();
    let shown = &plan.writes[..plan.writes.len().min(WRITES_SHOWN)];
    let range = |write: &PlannedWrite| {
        let bytes = write.bytes();
        format!("{}..{}", bytes.start, bytes.end)
    };
    let longest = shown.iter().map(|write| range(write).width()).max();
    let width = longest.unwrap_or(0);
    for (index, write) in shown.iter().enumerate() {
        let name = if index == 0 { "bytes" } else { "" };
        let range = range(write);
        lines.push(row(theme, name, format!("{range:>width$}  {}", write.what)));
    }
    let hidden = plan.writes.len().saturating_sub(WRITES_SHOWN);
    if hidden > 0 {
        let text = format!("and {}", show::counted(hidden as u64, "more range"));
        lines.push(row(theme, "", text));
    }
    lines.push(row(
        theme,
        "",
        format!(
            "{} bytes in all, on {}",
            show::count(plan.bytes_written()),
            device.unwrap_or_else(|| "the devices named".to_owned())
        ),
    ));
    lines
}

/// What a repair writes, which a target that is asked for one decides by itself.
fn of_repair(plan: &Plan, state: &State) -> Option<String> {
    let Operation::Repair {
        from: None,
        rebuild: false,
        array: None,
        ..
    } = plan.operation
    else {
        return None;
    };
    let of_active = || {
        let active = state.active(plan.name.as_deref()?)?;
        Some(active.mapped.spare.as_path())
    };
    let spare = plan.device.as_deref().or_else(of_active)?;
    copies::preview(state.inspection(spare)?)
}

fn of_prediction(plan: &Plan, theme: Theme) -> Option<Line<'static>> {
    let predicted = plan.predicted?;
    let mut spans = vec![Span::raw(" "), label(theme, "copies", LABEL_WIDTH)];
    if let Some(before) = plan.before {
        spans.push(verdict_span(theme, before));
        spans.push(Span::raw(format!(" {} ", theme.arrow())));
    }
    spans.push(verdict_span(theme, predicted));
    Some(Line::from(spans))
}

/// What must be typed, or pressed; always [`PROMPT_LINES`] lines, less the blank one
/// above.
fn of_question(prompt: &Prompt, state: &State, width: usize) -> Vec<Line<'static>> {
    let theme = state.theme();
    let plan = &prompt.plan;
    let keys = &state.options.keys;
    let leave = format!(
        "{} leaves everything as it is",
        keys.named(Context::ConfirmPlain, Command::Cancel)
    );
    if !plan.is_needed() {
        return vec![
            said(theme, "Everything is as it was asked already."),
            Line::default(),
            said(
                theme,
                &format!("{} closes", keys.named(Context::Notice, Command::Cancel)),
            ),
        ];
    }
    let Some(token) = prompt.token() else {
        return vec![
            Line::styled(
                format!(
                    " Nothing is at stake here. Press {} to go on.",
                    keys.named(Context::ConfirmPlain, Command::Accept)
                ),
                theme.strong(),
            ),
            Line::default(),
            said(theme, &leave),
        ];
    };
    let what = if state.options.dry_run {
        "A dry run: nothing will be changed."
    } else if plan.live {
        "This changes a device that is up."
    } else {
        "This overwrites what is there."
    };
    let ask = format!("Type {token} to go on: ");
    let whole = format!(" {what} {ask}");
    // One sees what one types: where both sentences leave no room for it, the first one
    // moves to the next line.
    let is_wide = whole.width() + token.width() < width;
    let question = if is_wide { whole } else { format!(" {ask}") };
    let typed_room = width.saturating_sub(question.width() + 1);
    let typed = tail(&prompt.typed, typed_room);
    let complaint = match &prompt.complaint {
        Some(why) => Line::styled(
            show::fit(
                &format!(" {} {why}", theme.health_glyph(Health::Warning)),
                width,
                Side::Left,
                theme.ellipsis(),
            ),
            theme.health(Health::Warning),
        ),
        None if !is_wide => said(theme, what),
        None => Line::default(),
    };
    vec![
        Line::from(vec![
            Span::raw(question),
            Span::styled(typed, theme.strong()),
            Span::styled(theme.caret(), theme.accent()),
        ]),
        complaint,
        said(theme, &leave),
    ]
}

/// The end of what was typed: one types at the end.
fn tail(typed: &str, width: usize) -> String {
    let mut start = 0;
    while typed[start..].width() > width {
        start += typed[start..].chars().next().map_or(1, char::len_utf8);
    }
    typed[start..].to_owned()
}
