//! Glyphs and colours of printed reports. Colour never carries a state alone.

use std::fmt::Display;

use crossterm::style::{Color, Stylize as _};

use crate::remap_core::event::Severity;
use crate::remap_core::quorum::{CopyState, Verdict};

/// How reports are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// With ASCII characters only.
    pub ascii: bool,
    /// With colour.
    pub color: bool,
}

impl Style {
    /// `text` in `color`, if there is to be colour.
    pub fn paint(self, text: impl Display, color: Color) -> String {
        if self.color {
            text.to_string().with(color).to_string()
        } else {
            text.to_string()
        }
    }

    /// `text` so that it stands out.
    pub fn strong(self, text: impl Display) -> String {
        if self.color {
            text.to_string().bold().to_string()
        } else {
            text.to_string()
        }
    }

    /// A verdict, padded to `width`.
    pub fn verdict(self, verdict: Verdict, width: usize) -> String {
        let color = match verdict {
            Verdict::Healthy => Color::Green,
            Verdict::Degraded | Verdict::Interrupted | Verdict::Weak => Color::Yellow,
            Verdict::None => Color::DarkGrey,
            _ => Color::Red,
        };
        self.paint(format!("{:<width$}", verdict.name()), color)
    }

    /// The glyph of a copy's state.
    pub fn copy(self, state: &CopyState) -> String {
        let glyph = if self.ascii {
            state.letter()
        } else {
            glyph_of(state)
        };
        self.paint(glyph, copy_color(state))
    }

    /// The word for a copy's state, padded to `width`.
    pub fn copy_word(self, state: &CopyState, width: usize) -> String {
        self.paint(format!("{:<width$}", state.name()), copy_color(state))
    }

    /// The mark before a finding.
    pub fn severity(self, severity: Severity) -> String {
        let (glyph, ascii, color) = match severity {
            Severity::Info => ('·', '.', Color::DarkGrey),
            Severity::Warning => ('▲', '!', Color::Yellow),
            Severity::Error => ('✖', 'X', Color::Red),
        };
        self.paint(if self.ascii { ascii } else { glyph }, color)
    }
}

const fn glyph_of(state: &CopyState) -> char {
    match state {
        CopyState::Valid => '■',
        CopyState::Plain => '□',
        CopyState::Stale => '◪',
        CopyState::Corrupt(_) => '✖',
        CopyState::Missing => '∅',
        CopyState::Foreign(_) => '◇',
        CopyState::Unreadable(_) => '?',
        CopyState::Unsupported(_) => '!',
    }
}

const fn copy_color(state: &CopyState) -> Color {
    match state {
        CopyState::Valid | CopyState::Plain => Color::Green,
        CopyState::Stale => Color::Yellow,
        CopyState::Missing => Color::DarkGrey,
        CopyState::Corrupt(_) | CopyState::Unreadable(_) => Color::Red,
        CopyState::Foreign(_) | CopyState::Unsupported(_) => Color::Magenta,
    }
}
