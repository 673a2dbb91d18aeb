//! How things look: the sixteen colours of the operator's own palette, and glyphs.
//!
//! Colour never carries a meaning alone: every state has its glyph, and without colour
//! weight and inversion take over. Glyphs have an ASCII form for terminals without
//! others.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

use crate::remap_core::event::Severity;
use crate::remap_core::quorum::{CopyState, Verdict};

/// How well something is, for its glyph and its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Nothing is known, or there is nothing to be well.
    Neutral,
    /// All is well.
    Good,
    /// Worth a look.
    Warning,
    /// Something must be done.
    Bad,
}

impl Health {
    /// How well a device of this verdict is.
    pub const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::None => Self::Neutral,
            Verdict::Healthy => Self::Good,
            Verdict::Degraded | Verdict::Interrupted | Verdict::Weak => Self::Warning,
            Verdict::Outlier
            | Verdict::Split
            | Verdict::ForeignOverwritten
            | Verdict::Unsupported
            | Verdict::Lost => Self::Bad,
        }
    }

    /// How well a copy in this state is, given by its letter in a status line.
    pub const fn of_letter(letter: char) -> Self {
        match letter {
            'V' => Self::Good,
            'P' | '-' => Self::Neutral,
            's' => Self::Warning,
            _ => Self::Bad,
        }
    }

    /// How well a device is of which this is to be said.
    pub const fn of_severity(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Neutral,
            Severity::Warning => Self::Warning,
            Severity::Error => Self::Bad,
        }
    }
}

/// The look of the whole application, chosen once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Whether only ASCII may be drawn.
    pub ascii: bool,
    /// Whether colours may be used.
    pub colour: bool,
}

impl Theme {
    fn with(self, colour: Color, without: Modifier) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new().add_modifier(without)
        }
    }

    /// Ordinary text.
    pub const fn plain(self) -> Style {
        Style::new()
    }

    /// Text that matters more than its neighbours.
    pub const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Labels, units, rules: there when looked for. Dim, for the palette's grey is the
    /// background of some palettes.
    pub const fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Where the keyboard is: the focused frame, the chosen tab.
    pub fn accent(self) -> Style {
        self.with(Color::Cyan, Modifier::BOLD)
    }

    /// A key to press.
    pub fn key(self) -> Style {
        self.with(Color::Cyan, Modifier::BOLD)
    }

    /// The chosen row where the keyboard is: one band, whatever colours are in it.
    pub const fn chosen(self) -> Style {
        Style::new()
            .fg(Color::Reset)
            .add_modifier(Modifier::REVERSED)
            .remove_modifier(Modifier::DIM)
    }

    /// How well something is.
    pub fn health(self, health: Health) -> Style {
        match health {
            Health::Neutral => self.plain(),
            Health::Good => self.with(Color::Green, Modifier::empty()),
            Health::Warning => self.with(Color::Yellow, Modifier::BOLD),
            Health::Bad => {
                let style = self.with(Color::Red, Modifier::empty());
                style.add_modifier(Modifier::BOLD)
            }
        }
    }

    /// The frame of a pane.
    pub const fn border(self) -> border::Set<'static> {
        if self.ascii {
            ASCII_BORDER
        } else {
            border::ROUNDED
        }
    }

    const fn choose(self, glyph: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii {
            ascii
        } else {
            glyph
        }
    }

    /// The glyph of how well something is.
    pub const fn health_glyph(self, health: Health) -> &'static str {
        match health {
            Health::Neutral => self.choose("·", "."),
            Health::Good => self.choose("●", "*"),
            Health::Warning => self.choose("▲", "!"),
            Health::Bad => self.choose("✖", "X"),
        }
    }

    /// The glyph of a copy, given by its letter in a status line.
    pub const fn copy_glyph(self, letter: char) -> &'static str {
        match letter {
            'V' => self.choose("■", "V"),
            'P' => self.choose("□", "P"),
            's' => self.choose("◪", "s"),
            'X' => self.choose("✖", "X"),
            '-' => self.choose("∅", "-"),
            'F' => self.choose("◇", "F"),
            'U' => self.choose("!", "U"),
            _ => "?",
        }
    }

    /// The glyph of a copy's state.
    pub const fn state_glyph(self, state: &CopyState) -> &'static str {
        self.copy_glyph(state.letter())
    }

    /// In front of the chosen row.
    pub const fn pointer(self) -> &'static str {
        self.choose("▸", ">")
    }

    /// In front of a row that belongs to the one above.
    pub const fn branch(self) -> &'static str {
        self.choose("└ ", "`-")
    }

    /// Where text was cut off.
    pub const fn ellipsis(self) -> &'static str {
        self.choose("…", "~")
    }

    /// Something is being waited for.
    pub const fn waiting(self) -> &'static str {
        self.choose("⟳", "~")
    }

    /// A thin line along which things lie.
    pub const fn rule(self) -> &'static str {
        self.choose("─", "-")
    }

    /// Between two things side by side.
    pub const fn divider(self) -> &'static str {
        self.choose("│", "|")
    }

    /// The used part of a gauge, and the free part.
    pub const fn gauge(self) -> (&'static str, &'static str) {
        if self.ascii {
            ("#", ".")
        } else {
            ("█", "░")
        }
    }

    /// Behind the last typed letter.
    pub const fn caret(self) -> &'static str {
        self.choose("▏", "_")
    }

    /// Between two remarks on one line.
    pub const fn dot(self) -> &'static str {
        self.choose("·", "-")
    }

    /// Between two things that should be the same.
    pub const fn unequal(self) -> &'static str {
        self.choose("≠", "!=")
    }

    /// Where a drawing leaves something out.
    pub const fn break_mark(self) -> &'static str {
        self.choose("╱╱", "//")
    }

    /// In front of what changed lately.
    pub const fn changed(self) -> &'static str {
        self.choose("↻", "*")
    }

    /// From one thing to the next.
    pub const fn arrow(self) -> &'static str {
        self.choose("→", "->")
    }
}

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};
