//! The window in which copies to corrupt are chosen.

use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::overview::verdict_span;
use super::{label, paragraph, put_lines, window};
use crate::ops::CorruptionKind;
use crate::tui::corruption::{Corruption, Forecast};
use crate::tui::keymap::{Command, Context, KeyMap};
use crate::tui::layout::centred;
use crate::tui::state::State;
use crate::tui::theme::{Health, Theme};

const WIDTH: u16 = 78;
const LABEL_WIDTH: usize = 8;
const KIND_WIDTH: usize = 16;

/// Draws the window.
pub fn draw(frame: &mut Frame<'_>, state: &State, corruption: &Corruption) {
    let theme = state.theme();
    let width = WIDTH.min(state.size.width.saturating_sub(4));
    let inner_width = usize::from(width) - 2;
    let mut lines = vec![
        Line::default(),
        copies_line(theme, corruption),
        Line::default(),
    ];
    lines.extend(kind_lines(theme, corruption));
    lines.push(named(
        theme,
        "",
        vec![Span::styled(corruption.kind().describe(), theme.faint())],
    ));
    lines.push(named(
        theme,
        "seed",
        vec![
            Span::raw(corruption.seed.to_string()),
            Span::styled("; the same seed damages the same way", theme.faint()),
        ],
    ));
    lines.push(Line::default());
    let keys = &state.options.keys;
    lines.extend(forecast_lines(theme, keys, corruption, inner_width));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = centred(state.size, width, height);
    let title = format!("Corrupt copies of {}", corruption.name);
    let inner = window(frame, area, theme, &title);
    put_lines(frame, inner, &lines);
}

fn named(theme: Theme, name: &str, spans: Vec<Span<'static>>) -> Line<'static> {
    let mut all = vec![Span::raw(" "), label(theme, name, LABEL_WIDTH)];
    all.extend(spans);
    Line::from(all)
}

fn copies_line(theme: Theme, corruption: &Corruption) -> Line<'static> {
    let mut spans = Vec::new();
    for (slot, chosen) in corruption.chosen.iter() {
        let mark = if *chosen { "x" } else { " " };
        let text = format!("[{mark}] {slot}");
        let mut style = if *chosen {
            theme.health(Health::Bad)
        } else {
            theme.plain()
        };
        if corruption.pointer == slot {
            style = style.patch(theme.chosen());
        }
        spans.push(Span::styled(text, style));
        spans.push(Span::raw("   "));
    }
    named(theme, "copies", spans)
}

/// Every kind in three columns, the chosen one inverted and pointed at.
fn kind_lines(theme: Theme, corruption: &Corruption) -> Vec<Line<'static>> {
    const COLUMNS: usize = 3;
    let chosen = corruption.kind();
    CorruptionKind::ALL
        .chunks(COLUMNS)
        .enumerate()
        .map(|(row, kinds)| {
            let spans = kinds
                .iter()
                .map(|kind| {
                    let pointer = if *kind == chosen {
                        theme.pointer()
                    } else {
                        " "
                    };
                    let text = format!("{pointer}{kind:KIND_WIDTH$}");
                    let style = if *kind == chosen {
                        theme.chosen()
                    } else {
                        theme.plain()
                    };
                    Span::styled(text, style)
                })
                .collect();
            named(theme, if row == 0 { "kind" } else { "" }, spans)
        })
        .collect()
}

/// The keys that choose copies.
fn how_to_choose(keys: &KeyMap) -> String {
    let key = |command| keys.named(Context::Corrupt, command);
    let copies = [0, 1, 2, 3, 4].map(|copy| key(Command::ToggleCopy(copy)));
    format!(
        "choose copies: {}, or {} {} {}",
        copies.join(" "),
        key(Command::Left),
        key(Command::Right),
        key(Command::Toggle)
    )
}

fn forecast_lines(
    theme: Theme,
    keys: &KeyMap,
    corruption: &Corruption,
    width: usize,
) -> Vec<Line<'static>> {
    match &corruption.forecast {
        Forecast::Nothing => vec![named(
            theme,
            "then",
            vec![Span::styled(how_to_choose(keys), theme.faint())],
        )],
        Forecast::Asked(_) => vec![named(theme, "then", vec![Span::raw("")])],
        Forecast::Refused(refusal) => {
            let style = theme.health(Health::Warning);
            let text = format!("{} {}", refusal.message(), refusal.advice());
            paragraph(text.trim_end(), width, 1, style)
        }
        Forecast::Plan(plan) => {
            let mut spans = Vec::new();
            if let Some(before) = plan.before {
                spans.push(verdict_span(theme, before));
                spans.push(Span::raw(format!(" {} ", theme.arrow())));
            }
            if let Some(predicted) = plan.predicted {
                spans.push(verdict_span(theme, predicted));
            }
            vec![named(theme, "then", spans)]
        }
    }
}
