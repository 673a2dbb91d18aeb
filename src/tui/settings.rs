//! The settings: what they are now, and what the settings file is to say of them.

use super::sort::SortBy;
use super::state::State;
use crate::config::Values;

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Colours by part.
    Theme,
    /// Whether there is colour.
    Colour,
    /// ASCII only.
    Ascii,
    /// Whether the mouse is heeded.
    Mouse,
    /// The order of the list.
    Sort,
    /// UTC or the local zone.
    Utc,
    /// Whether every change is refused.
    ReadOnly,
    /// Whether plans are carried out.
    DryRun,
    /// Whether what is shown stands still.
    Freeze,
}

impl Setting {
    /// Every setting, in order.
    pub const ALL: [Self; 9] = [
        Self::Theme,
        Self::Colour,
        Self::Ascii,
        Self::Mouse,
        Self::Sort,
        Self::Utc,
        Self::ReadOnly,
        Self::DryRun,
        Self::Freeze,
    ];

    /// What it is called.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Theme => "Theme",
            Self::Colour => "Colour",
            Self::Ascii => "ASCII only",
            Self::Mouse => "Mouse",
            Self::Sort => "Sorted by",
            Self::Utc => "Times",
            Self::ReadOnly => "Read-only",
            Self::DryRun => "Dry run",
            Self::Freeze => "Frozen",
        }
    }

    /// What it does.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Theme => "The colours. Themes of your own are written in the file.",
            Self::Colour => "Without colour, weight and glyphs tell things apart.",
            Self::Ascii => "For terminals that do not draw other characters well.",
            Self::Mouse => "Click and wheel; off, the terminal selects text with it.",
            Self::Sort => "The order of the list.",
            Self::Utc => "In the local time zone, or in UTC.",
            Self::ReadOnly => "Every change is refused, until the end of the application.",
            Self::DryRun => "Plans are shown, and none is carried out.",
            Self::Freeze => "What is shown stands still. It always begins to move again.",
        }
    }

    /// What the settings file calls it; `None` for what ends with the application.
    pub const fn key(self) -> Option<&'static str> {
        match self {
            Self::Theme => Some("theme"),
            Self::Colour => Some("color"),
            Self::Ascii => Some("ascii"),
            Self::Mouse => Some("mouse"),
            Self::Sort => Some("sort"),
            Self::Utc => Some("utc"),
            Self::ReadOnly => Some("read_only"),
            Self::DryRun => Some("dry_run"),
            Self::Freeze => None,
        }
    }

    /// Whether it is on; of the times, whether they are in UTC.
    pub fn is_on(self, state: &State) -> bool {
        let options = &state.options;
        match self {
            Self::Theme | Self::Sort => false,
            Self::Colour => options.color,
            Self::Ascii => options.theme.ascii,
            Self::Mouse => options.mouse,
            Self::Utc => options.utc,
            Self::ReadOnly => options.read_only,
            Self::DryRun => options.dry_run,
            Self::Freeze => state.frozen.is_some(),
        }
    }

    /// Its value now, and at the next start where that is to be another one.
    pub fn value(self, state: &State) -> String {
        let options = &state.options;
        match self {
            Self::Theme => crate::text::escape_str(&options.palette).into_owned(),
            Self::Sort => {
                let way = if options.sort.reversed {
                    ", reversed"
                } else {
                    ""
                };
                format!("{}{way}", options.sort.by.name())
            }
            Self::Utc if options.utc => "UTC".to_owned(),
            Self::Utc => state.zone.name(),
            Self::ReadOnly if options.read_only && !options.wanted.read_only => {
                "on, then off".to_owned()
            }
            Self::DryRun if options.dry_run && !options.wanted.dry_run => "on, then off".to_owned(),
            _ => if self.is_on(state) { "on" } else { "off" }.to_owned(),
        }
    }

    /// What the file is to say of it, as TOML has it.
    fn in_file(self, state: &State) -> String {
        let options = &state.options;
        let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
        match self {
            Self::Theme => text(&options.palette),
            Self::Sort => {
                let way = if options.sort.reversed { "-" } else { "" };
                text(&format!("{way}{}", options.sort.by.name()))
            }
            Self::ReadOnly => options.wanted.read_only.to_string(),
            Self::DryRun => options.wanted.dry_run.to_string(),
            _ => self.is_on(state).to_string(),
        }
    }

    /// The option or the variable that decides this setting instead of the file.
    pub fn overridden(self, state: &State) -> Option<&str> {
        let by = state.options.overridden.get(self.key()?)?;
        Some(by)
    }

    /// Whether the file says something else than what it would say after being written.
    pub fn is_unsaved(self, state: &State) -> bool {
        let file = state.options.file.as_ref();
        let (Some(file), Some(key)) = (file, self.key()) else {
            return false;
        };
        self.overridden(state).is_none() && file.values.get(key) != Some(&self.in_file(state))
    }
}

/// What the settings file is to say: all that nothing else decides.
pub fn to_keep(state: &State) -> Values {
    let settings = Setting::ALL.into_iter();
    settings
        .filter(|setting| setting.overridden(state).is_none())
        .filter_map(|setting| Some((setting.key()?, setting.in_file(state))))
        .collect()
}

/// Whether anything is not as the settings file says.
pub fn is_any_unsaved(state: &State) -> bool {
    Setting::ALL
        .into_iter()
        .any(|setting| setting.is_unsaved(state))
}

/// The order after this one.
pub fn next_order(by: SortBy, back: bool) -> SortBy {
    let count = SortBy::ALL.len();
    let at = SortBy::ALL.iter().position(|it| *it == by).unwrap_or(0);
    let step = if back { count - 1 } else { 1 };
    SortBy::ALL[(at + step) % count]
}

/// These settings as lines of a settings file.
pub fn as_file(state: &State) -> String {
    let settings = Setting::ALL.into_iter();
    settings
        .filter_map(|setting| Some(format!("{} = {}\n", setting.key()?, setting.in_file(state))))
        .collect()
}
