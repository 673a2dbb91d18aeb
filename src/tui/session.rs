//! Windows on the session itself: what was done in it, and its settings.

use super::state::{SortBy, State};
use crate::port::journal::ActionRecord;

/// The window of what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actions {
    /// The row under the pointer, newest first.
    pub pointer: usize,
    /// Whether only what can be taken back is shown.
    pub undoable: bool,
}

impl Actions {
    /// The actions that are shown, newest first.
    pub fn rows<'a>(&self, state: &'a State) -> Vec<&'a ActionRecord> {
        let undoable = self.undoable;
        let newest_first = state.journal.iter().rev();
        newest_first
            .filter(|action| !undoable || (action.has_backup && action.undone_by.is_none()))
            .collect()
    }

    /// The action under the pointer.
    pub fn chosen<'a>(&self, state: &'a State) -> Option<&'a ActionRecord> {
        self.rows(state).get(self.pointer).copied()
    }
}

/// A setting of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Colours by part.
    Theme,
    /// ASCII only.
    Ascii,
    /// Whether the mouse is heeded.
    Mouse,
    /// The order of the list.
    Sort,
    /// UTC or the local zone.
    Utc,
    /// Whether what is shown stands still.
    Freeze,
    /// Whether every change is refused.
    ReadOnly,
    /// Whether plans are carried out.
    DryRun,
}

impl Setting {
    /// Every setting, in order.
    pub const ALL: [Self; 8] = [
        Self::Theme,
        Self::Ascii,
        Self::Mouse,
        Self::Sort,
        Self::Utc,
        Self::Freeze,
        Self::ReadOnly,
        Self::DryRun,
    ];

    /// What it is called.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Theme => "Theme",
            Self::Ascii => "ASCII only",
            Self::Mouse => "Mouse",
            Self::Sort => "Sorted by",
            Self::Utc => "Times",
            Self::Freeze => "Frozen",
            Self::ReadOnly => "Read-only",
            Self::DryRun => "Dry run",
        }
    }

    /// What it does.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Theme => "without colour it is monochrome",
            Self::Ascii => "for terminals without other glyphs",
            Self::Mouse => "click, wheel; off to select text with it",
            Self::Sort => "the order of the list",
            Self::Utc => "in the local zone, or in UTC",
            Self::Freeze => "what is shown stands still",
            Self::ReadOnly => "every change is refused",
            Self::DryRun => "plans are shown and not carried out",
        }
    }

    /// Its value now.
    pub fn value(self, state: &State) -> String {
        let options = &state.options;
        let on = |is: bool| if is { "on" } else { "off" }.to_owned();
        match self {
            Self::Theme => {
                let name = options.palettes.name_of(&options.theme.palette);
                crate::text::escape_str(name.unwrap_or("terminal")).into_owned()
            }
            Self::Ascii => on(options.theme.ascii),
            Self::Mouse => on(options.mouse),
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
            Self::Freeze => on(state.frozen.is_some()),
            Self::ReadOnly => on(options.read_only),
            Self::DryRun => on(options.dry_run),
        }
    }
}

/// The order after this one.
pub fn next_order(by: SortBy, back: bool) -> SortBy {
    let count = SortBy::ALL.len();
    let at = SortBy::ALL.iter().position(|it| *it == by).unwrap_or(0);
    let step = if back { count - 1 } else { 1 };
    SortBy::ALL[(at + step) % count]
}

/// These settings as a settings file would have them.
pub fn as_file(state: &State) -> String {
    let options = &state.options;
    let theme = options.palettes.name_of(&options.theme.palette);
    let way = if options.sort.reversed { "-" } else { "" };
    let theme = toml::Value::String(theme.unwrap_or("terminal").to_owned());
    format!(
        "theme = {theme}\nascii = {}\nmouse = {}\nsort = \"{way}{}\"\nutc = {}\nread_only = {}\n\
         dry_run = {}\n",
        options.theme.ascii,
        options.mouse,
        options.sort.by.name(),
        options.utc,
        options.read_only,
        options.dry_run
    )
}
