//! The command line, and above it the words that may stand at its end.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget as _};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::{mark_row, put_line};
use crate::tui::layout::first_row;
use crate::tui::prompt::{candidates, Prompt};
use crate::tui::show::{self, Side};
use crate::tui::state::State;
use crate::tui::theme::Health;

/// Words that are offered at once.
const SHOWN: usize = 8;

/// The line on which one types.
pub fn line(state: &State, prompt: &Prompt, width: usize) -> Line<'static> {
    let theme = state.theme();
    let mut spans = vec![
        Span::styled(" :", theme.key()),
        Span::raw(prompt.text.clone()),
        Span::styled(theme.caret(), theme.accent()),
    ];
    if let Some(why) = &prompt.complaint {
        let used: usize = spans.iter().map(|span| span.content.width()).sum();
        let text = format!("  {} {why}", theme.health_glyph(Health::Warning));
        let text = show::fit(
            &text,
            width.saturating_sub(used),
            Side::Left,
            theme.ellipsis(),
        );
        spans.push(Span::styled(text, theme.health(Health::Warning)));
    }
    Line::from(spans)
}

/// Draws the words that may stand at the end of the line, above it.
pub fn draw(frame: &mut Frame<'_>, state: &State, prompt: &Prompt) {
    let theme = state.theme();
    let (typed, at) = match &prompt.turning {
        Some((typed, at)) => (typed.as_str(), Some(*at)),
        None => (prompt.text.as_str(), None),
    };
    let all = candidates(state, typed);
    if all.is_empty() {
        return;
    }
    let room = SHOWN.min(usize::from(state.size.height).saturating_sub(6));
    let shown = all.len().min(room);
    let words = all.iter().map(|it| it.word.width()).max().unwrap_or(0);
    let abouts = all.iter().map(|it| it.about.width()).max().unwrap_or(0);
    let width = (words + abouts + 4).min(usize::from(state.size.width));
    let height = u16::try_from(shown).unwrap_or(0);
    let area = Rect {
        x: 0,
        y: state.size.height.saturating_sub(2 + height),
        width: u16::try_from(width).unwrap_or(state.size.width),
        height,
    };
    Clear.render(area, frame.buffer_mut());
    let first = first_row(at.unwrap_or(0), all.len(), shown);
    let in_sight = all.iter().enumerate().skip(first).take(shown);
    for (row, (index, candidate)) in (0..).zip(in_sight) {
        let word = show::fit(&candidate.word, words, Side::Left, theme.ellipsis());
        let about = show::fit(
            &candidate.about,
            width.saturating_sub(words + 4),
            Side::Left,
            theme.ellipsis(),
        );
        let line = Line::from(vec![
            Span::raw(" "),
            Span::styled(word, theme.key()),
            Span::raw("  "),
            Span::styled(about, theme.faint()),
        ]);
        put_line(frame, area, row, &line);
        if at == Some(index) {
            mark_row(frame, area, row, theme, true);
        }
    }
}
