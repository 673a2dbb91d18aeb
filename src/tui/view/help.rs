//! The keys of one context, out of the key map itself.

use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{put_lines, window};
use crate::tui::help::Help;
use crate::tui::keymap::{Command, Context};
use crate::tui::show::{self, Side};
use crate::tui::state::State;

/// Draws the window.
pub fn draw(frame: &mut Frame<'_>, state: &State, of: Context, scroll: usize) {
    let theme = state.theme();
    let help = Help::of(state, of);
    let title = format!("Keys in {}", of.title());
    let inner = window(frame, help.area, theme, &title);
    let first = scroll.min(help.last_scroll());
    let in_sight = help.lines.iter().skip(first).take(help.room);
    let mut lines: Vec<Line<'_>> = in_sight
        .map(|line| {
            let keys = show::fit(&line.keys, help.keys_width, Side::Left, theme.ellipsis());
            Line::from(vec![
                Span::raw(" "),
                Span::styled(keys, theme.key()),
                Span::raw("  "),
                Span::raw(line.text.as_str()),
            ])
        })
        .collect();
    let below = help.last_scroll() - first;
    if help.last_scroll() > 0 {
        let named = |command| state.options.keys.named(Context::Help, command);
        let (up, down) = (named(Command::Up), named(Command::Down));
        let text = format!(" {first} above, {below} below: {up} and {down} scroll");
        lines.push(Line::styled(text, theme.faint()));
    }
    put_lines(frame, inner, &lines);
}
