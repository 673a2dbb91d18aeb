//! How things look: colours by the part that they play, and glyphs.
//!
//! Colour never carries a meaning alone: every state has its glyph, and without colour
//! weight and inversion take over. Glyphs have an ASCII form for terminals without
//! others.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

use crate::inspect::{Loss, Matter};
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
            | Verdict::Ambivalent
            | Verdict::ForeignOverwritten
            | Verdict::Unsupported
            | Verdict::Lost => Self::Bad,
        }
    }

    /// How well a device is with which this is amiss.
    pub const fn of_matter(matter: Matter) -> Self {
        match matter.loss().0 {
            Loss::Room | Loss::Protection | Loss::Sight | Loss::Redundancy => Self::Warning,
            Loss::Margin => match matter {
                Matter::Weak => Self::Warning,
                _ => Self::Bad,
            },
            Loss::NextBlock | Loss::Blocks | Loss::Truth | Loss::Device => Self::Bad,
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

/// How each part of the screen is written. What a palette does not say is the
/// terminal's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// Ordinary text.
    pub plain: Style,
    /// Text that matters more than its neighbours.
    pub strong: Style,
    /// Labels, units, rules: there when looked for.
    pub faint: Style,
    /// Where the keyboard is: the focused frame, the chosen tab.
    pub accent: Style,
    /// A key to press.
    pub key: Style,
    /// The chosen row where the keyboard is.
    pub chosen: Style,
    /// All is well.
    pub good: Style,
    /// Worth a look.
    pub warning: Style,
    /// Something must be done.
    pub bad: Style,
}

/// One band, whatever colours are in it.
const BAND: Style = Style::new()
    .fg(Color::Reset)
    .add_modifier(Modifier::REVERSED)
    .remove_modifier(Modifier::DIM);

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
/// Dim, for the palette's grey is the background of some palettes.
const DIM: Style = Style::new().add_modifier(Modifier::DIM);

const fn rgb(red: u8, green: u8, blue: u8) -> Color {
    Color::Rgb(red, green, blue)
}

/// A band of its own colours, instead of an inverted one.
const fn band(text: Color, ground: Color) -> Style {
    Style::new()
        .fg(text)
        .bg(ground)
        .remove_modifier(Modifier::DIM)
}

impl Palette {
    /// The sixteen colours of the operator's own terminal.
    pub const TERMINAL: Self = Self {
        plain: PLAIN,
        strong: BOLD,
        faint: DIM,
        accent: Style::new().fg(Color::Cyan),
        key: Style::new().fg(Color::Cyan),
        chosen: BAND,
        good: Style::new().fg(Color::Green),
        warning: Style::new().fg(Color::Yellow),
        bad: Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    };

    /// No colour at all: weight and inversion tell things apart.
    pub const MONOCHROME: Self = Self {
        plain: PLAIN,
        strong: BOLD,
        faint: DIM,
        accent: BOLD,
        key: BOLD,
        chosen: BAND,
        good: PLAIN,
        warning: BOLD,
        bad: BOLD,
    };

    /// For terminals with a dark ground and all colours.
    pub const DARK: Self = Self {
        plain: Style::new().fg(rgb(0xd5, 0xd8, 0xde)),
        strong: BOLD.fg(rgb(0xf2, 0xf4, 0xf8)),
        faint: Style::new().fg(rgb(0x8b, 0x91, 0x9c)),
        accent: Style::new().fg(rgb(0x62, 0xb6, 0xcb)),
        key: Style::new().fg(rgb(0x62, 0xb6, 0xcb)),
        chosen: band(rgb(0xff, 0xff, 0xff), rgb(0x2f, 0x4b, 0x5a)),
        good: Style::new().fg(rgb(0x8f, 0xc0, 0x7a)),
        warning: Style::new().fg(rgb(0xe3, 0xbd, 0x6c)),
        bad: BOLD.fg(rgb(0xf0, 0x7c, 0x82)),
    };

    /// For terminals with a light ground and all colours.
    pub const LIGHT: Self = Self {
        plain: Style::new().fg(rgb(0x24, 0x29, 0x2f)),
        strong: BOLD.fg(rgb(0x00, 0x00, 0x00)),
        faint: Style::new().fg(rgb(0x5f, 0x66, 0x70)),
        accent: Style::new().fg(rgb(0x05, 0x5d, 0x78)),
        key: Style::new().fg(rgb(0x05, 0x5d, 0x78)),
        chosen: band(rgb(0x00, 0x00, 0x00), rgb(0xc7, 0xdf, 0xe8)),
        good: Style::new().fg(rgb(0x1c, 0x6b, 0x2a)),
        warning: BOLD.fg(rgb(0x80, 0x50, 0x00)),
        bad: BOLD.fg(rgb(0xb0, 0x1a, 0x24)),
    };

    /// The bright half of the sixteen colours, nothing dim.
    pub const HIGH_CONTRAST: Self = Self {
        plain: PLAIN,
        strong: BOLD,
        faint: PLAIN,
        accent: BOLD.fg(Color::LightCyan),
        key: BOLD.fg(Color::LightCyan),
        chosen: BAND,
        good: BOLD.fg(Color::LightGreen),
        warning: BOLD.fg(Color::LightYellow),
        bad: BOLD.fg(Color::LightRed).add_modifier(Modifier::UNDERLINED),
    };

    /// Every built-in palette, by its name. The first is the usual one.
    pub const BUILT_IN: [(&'static str, Self); 5] = [
        ("terminal", Self::TERMINAL),
        ("dark", Self::DARK),
        ("light", Self::LIGHT),
        ("high-contrast", Self::HIGH_CONTRAST),
        ("monochrome", Self::MONOCHROME),
    ];

    /// The parts that a theme of the operator's may name.
    pub const PARTS: [&'static str; 9] = [
        "plain", "strong", "faint", "accent", "key", "chosen", "good", "warning", "bad",
    ];

    /// The style of the part of this name; `None` if there is none.
    pub fn part_mut(&mut self, name: &str) -> Option<&mut Style> {
        Some(match name {
            "plain" => &mut self.plain,
            "strong" => &mut self.strong,
            "faint" => &mut self.faint,
            "accent" => &mut self.accent,
            "key" => &mut self.key,
            "chosen" => &mut self.chosen,
            "good" => &mut self.good,
            "warning" => &mut self.warning,
            "bad" => &mut self.bad,
            _ => return None,
        })
    }
}

/// Reads a style: modifiers, a colour, `on` and another colour, as in `bold red on
/// #202020`. Colours are the sixteen by their names, `0` to `255`, or `#rrggbb`.
///
/// # Errors
///
/// The word that is none of these.
pub fn parse_style(text: &str) -> Result<Style, String> {
    let mut style = Style::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        style = match word {
            "bold" => style.add_modifier(Modifier::BOLD),
            "dim" => style.add_modifier(Modifier::DIM),
            "italic" => style.add_modifier(Modifier::ITALIC),
            "underlined" => style.add_modifier(Modifier::UNDERLINED),
            "reversed" => style.add_modifier(Modifier::REVERSED),
            "on" => {
                let word = words.next().ok_or("on needs a colour behind it")?;
                style.bg(parse_colour(word)?)
            }
            _ => style.fg(parse_colour(word)?),
        };
    }
    Ok(style)
}

fn parse_colour(word: &str) -> Result<Color, String> {
    if word == "default" {
        return Ok(Color::Reset);
    }
    // One spelling only: others that the library knows are left to it to change.
    let is_known = word.starts_with('#')
        || word.bytes().all(|byte| byte.is_ascii_digit())
        || COLOURS.contains(&word);
    let colour = is_known.then(|| word.parse().ok()).flatten();
    colour.ok_or_else(|| {
        format!(
            "{word:?} is no style: bold, dim, italic, underlined, reversed, on, {}, default, \
             0 to 255, or #rrggbb",
            COLOURS.join(", ")
        )
    })
}

/// The sixteen colours by name.
const COLOURS: [&str; 16] = [
    "black",
    "red",
    "green",
    "yellow",
    "blue",
    "magenta",
    "cyan",
    "gray",
    "darkgray",
    "lightred",
    "lightgreen",
    "lightyellow",
    "lightblue",
    "lightmagenta",
    "lightcyan",
    "white",
];

/// The look of the whole application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Whether only ASCII may be drawn.
    pub ascii: bool,
    /// Whether colours may be used.
    pub colour: bool,
    /// How each part is written.
    pub palette: Palette,
}

impl Theme {
    /// Everything a terminal can show, in its own sixteen colours.
    pub const FULL: Self = Self {
        ascii: false,
        colour: true,
        palette: Palette::TERMINAL,
    };

    /// The same without colours.
    pub const COLOURLESS: Self = Self {
        ascii: false,
        colour: false,
        palette: Palette::MONOCHROME,
    };

    /// Ordinary text.
    pub const fn plain(self) -> Style {
        self.palette.plain
    }

    /// Text that matters more than its neighbours.
    pub const fn strong(self) -> Style {
        self.palette.strong
    }

    /// Labels, units, rules: there when looked for.
    pub const fn faint(self) -> Style {
        self.palette.faint
    }

    /// Where the keyboard is: the focused frame, the chosen tab.
    pub const fn accent(self) -> Style {
        self.palette.accent
    }

    /// A key to press.
    pub const fn key(self) -> Style {
        self.palette.key
    }

    /// The chosen row where the keyboard is.
    pub const fn chosen(self) -> Style {
        self.palette.chosen
    }

    /// How well something is.
    pub const fn health(self, health: Health) -> Style {
        match health {
            Health::Neutral => self.palette.plain,
            Health::Good => self.palette.good,
            Health::Warning => self.palette.warning,
            Health::Bad => self.palette.bad,
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

    /// A mark in the free part of a gauge.
    pub const fn mark(self) -> &'static str {
        self.choose("┊", "|")
    }

    /// From few to many.
    pub const fn densities(self) -> [&'static str; 4] {
        if self.ascii {
            [":", "+", "*", "#"]
        } else {
            ["░", "▒", "▓", "█"]
        }
    }

    /// From nothing to full, for columns of a chart.
    pub const fn levels(self) -> &'static [&'static str] {
        if self.ascii {
            &[".", ":", "+", "*", "#"]
        } else {
            &["·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        }
    }

    /// Behind the name of the column that a table is sorted by.
    pub const fn sorted(self) -> &'static str {
        self.choose("▾", "v")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_read_as_they_are_written_down() {
        for (text, style) in [
            ("", Style::new()),
            ("red", Style::new().fg(Color::Red)),
            ("bold lightred", BOLD.fg(Color::LightRed)),
            (
                "dim 244 on #10203f",
                DIM.fg(Color::Indexed(244)).bg(rgb(16, 32, 63)),
            ),
            (
                "reversed default",
                Style::new()
                    .fg(Color::Reset)
                    .add_modifier(Modifier::REVERSED),
            ),
        ] {
            assert_eq!(parse_style(text), Ok(style), "{text}");
        }
        for (text, complaint) in [
            ("crimson", "\"crimson\" is no style"),
            ("256", "\"256\" is no style"),
            ("#12345", "\"#12345\" is no style"),
            ("bold on", "on needs a colour"),
        ] {
            let said = parse_style(text).unwrap_err();
            assert!(said.contains(complaint), "{text}: {said}");
        }
        for name in COLOURS {
            assert!(parse_style(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn every_part_can_be_named_and_none_has_two_names() {
        let mut palette = Palette::TERMINAL;
        for (number, name) in (0..).zip(Palette::PARTS) {
            *palette.part_mut(name).unwrap() = Style::new().fg(Color::Indexed(number));
        }
        for (number, name) in (0..).zip(Palette::PARTS) {
            let expected = Style::new().fg(Color::Indexed(number));
            assert_eq!(*palette.part_mut(name).unwrap(), expected, "{name}");
        }
        assert!(palette.part_mut("colour").is_none());
    }

    #[test]
    fn monochrome_has_no_colour_and_the_states_of_health_still_differ() {
        let palette = Palette::MONOCHROME;
        for mut palette in [palette] {
            for name in Palette::PARTS {
                let style = palette.part_mut(name).unwrap();
                assert!(matches!(style.fg, None | Some(Color::Reset)), "{name}");
                assert_eq!(style.bg, None, "{name}");
            }
        }
        for (name, palette) in Palette::BUILT_IN {
            assert_ne!(palette.good, palette.bad, "{name}");
            assert_ne!(palette.chosen, palette.plain, "{name}");
            assert_ne!(palette.plain, palette.bad, "{name}");
        }
    }
}
