//! The keys of one context, out of the key map itself.

use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{put_lines, window};
use crate::tui::keymap::{Bound, Command, Context};
use crate::tui::layout::centred;
use crate::tui::show::{self, Side};
use crate::tui::state::State;

const WIDTH: u16 = 72;
const KEYS_WIDTH: usize = 18;

/// Draws the window.
pub fn draw(frame: &mut Frame<'_>, state: &State, of: Context, scroll: usize) {
    let theme = state.theme();
    let keys = &state.options.keys;
    let bindings: Vec<Bound<'_>> = keys
        .bindings(of)
        .filter(|bound| !bound.keys.is_empty())
        .collect();
    let wanted = u16::try_from(bindings.len() + 2).unwrap_or(u16::MAX);
    let area = centred(state.size, WIDTH, wanted.min(state.size.height - 2));
    let title = format!("Keys in {}", of.title());
    let inner = window(frame, area, theme, &title);
    let (first, room) = page(bindings.len(), usize::from(inner.height), scroll);
    let mut lines: Vec<Line<'_>> = bindings
        .iter()
        .skip(first)
        .take(room)
        .map(|binding| {
            let keys: Vec<String> = binding.keys.iter().map(ToString::to_string).collect();
            let keys = show::fit(&keys.join(" "), KEYS_WIDTH, Side::Left, theme.ellipsis());
            Line::from(vec![
                Span::raw(" "),
                Span::styled(keys, theme.key()),
                Span::raw(" "),
                Span::raw(binding.help),
            ])
        })
        .collect();
    if room < bindings.len() {
        let below = bindings.len() - first - room;
        let named = |command| state.options.keys.named(Context::Help, command);
        let (up, down) = (named(Command::Up), named(Command::Down));
        let text = format!(" {first} above, {below} below: {up} and {down} scroll");
        lines.push(Line::styled(text, theme.faint()));
    }
    put_lines(frame, inner, &lines);
}

/// The first binding in sight and how many are, one line less where not all are.
fn page(bindings: usize, lines: usize, scroll: usize) -> (usize, usize) {
    if bindings <= lines {
        return (0, bindings);
    }
    let room = lines.saturating_sub(1);
    (scroll.min(bindings - room), room)
}
