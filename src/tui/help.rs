//! The help as lines: what is in sight of it, and how far it scrolls.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

use super::keymap::{Bound, Context};
use super::layout::centred;
use super::show;
use super::state::State;

/// With so many columns no line of the usual help is broken.
const WIDTH: u16 = 86;

/// The columns for keys, at most.
const KEYS_WIDTH: usize = 20;

/// One line of the help.
pub struct Line {
    /// The keys; none where the text goes on.
    pub keys: String,
    /// What they do.
    pub text: String,
}

/// The help of one context, laid out for a screen.
pub struct Help {
    /// Where its window is.
    pub area: Rect,
    /// The columns of the keys.
    pub keys_width: usize,
    /// Every line.
    pub lines: Vec<Line>,
    /// How many of them are in sight at once.
    pub room: usize,
}

impl Help {
    /// Lays the keys of a context out for the screen as large as it is.
    pub fn of(state: &State, context: Context) -> Self {
        let bindings = state.options.keys.bindings(context);
        let bindings: Vec<Bound<'_>> = bindings.filter(|bound| !bound.keys.is_empty()).collect();
        let keys_of = |bound: &Bound<'_>| {
            let keys: Vec<String> = bound.keys.iter().map(ToString::to_string).collect();
            keys.join(" ")
        };
        let longest = bindings.iter().map(|bound| keys_of(bound).width()).max();
        let keys_width = longest.unwrap_or(0).min(KEYS_WIDTH);
        let width = WIDTH.min(state.size.width.saturating_sub(2));
        // The frame, and a blank on either side of the keys.
        let text_width = usize::from(width).saturating_sub(2 + keys_width + 3);
        let mut lines = Vec::new();
        for bound in &bindings {
            let mut keys = keys_of(bound);
            for text in show::wrap(bound.help, text_width) {
                lines.push(Line {
                    keys: std::mem::take(&mut keys),
                    text,
                });
            }
        }
        let wanted = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
        let height = wanted.min(state.size.height.saturating_sub(2));
        let inside = usize::from(height).saturating_sub(2);
        let room = match lines.len() <= inside {
            true => lines.len(),
            // The last line tells that there is more.
            false => inside.saturating_sub(1),
        };
        Self {
            area: centred(state.size, width, height),
            keys_width,
            lines,
            room,
        }
    }

    /// How many lines can be scrolled away.
    pub fn last_scroll(&self) -> usize {
        self.lines.len() - self.room
    }
}
