//! How the application is to behave.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::keymap::KeyMap;
use super::sort::Sort;
use super::theme::{parse_style, Palette, Theme};
use crate::config::SettingsFile;

/// How the application is to behave, chosen at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How things look.
    pub theme: Theme,
    /// Every palette that can be chosen, by its name.
    pub palettes: Palettes,
    /// What the keys mean.
    pub keys: KeyMap,
    /// Refuse every action that changes anything.
    pub read_only: bool,
    /// What lacks for changes until the application is started anew, where it is that for
    /// which they are refused.
    pub lack: Option<String>,
    /// Show plans, and carry none out.
    pub dry_run: bool,
    /// Whether a dry run was asked for from the start, so that it stays one.
    pub started_dry: bool,
    /// Heed the mouse.
    pub mouse: bool,
    /// Show times in UTC, whatever the local zone is.
    pub utc: bool,
    /// The order of the list.
    pub sort: Sort,
    /// The list of what may be assembled without a person, where one is named.
    pub policy: Option<PathBuf>,
    /// The settings file, if there is a place for one.
    pub file: Option<SettingsFile>,
    /// What the settings file does not decide, by the setting's key: the option, or the
    /// variable of the environment, that does.
    pub overridden: BTreeMap<&'static str, String>,
    /// What the settings file is to say of what does not end before the application does.
    pub wanted: Wanted,
    /// Whether there is colour, as far as the theme has any.
    pub color: bool,
    /// The name of the palette that there is as soon as there is colour.
    pub palette: Cow<'static, str>,
}

/// Settings that may be turned off only for the next time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Refuse every action that changes anything.
    pub read_only: bool,
    /// Show plans, and carry none out.
    pub dry_run: bool,
}

impl Options {
    /// The usual behaviour, with this look.
    pub const fn with_theme(theme: Theme) -> Self {
        Self {
            theme,
            palettes: Palettes { own: Vec::new() },
            keys: KeyMap::USUAL,
            read_only: false,
            lack: None,
            dry_run: false,
            started_dry: false,
            mouse: true,
            utc: false,
            sort: Sort::BY_NAME,
            policy: None,
            file: None,
            overridden: BTreeMap::new(),
            wanted: Wanted {
                read_only: false,
                dry_run: false,
            },
            color: theme.colour,
            palette: Cow::Borrowed("terminal"),
        }
    }

    /// Why nothing may be changed, if nothing may.
    pub fn no_changes(&self) -> Option<String> {
        let usual = || "Read-only, as with --read-only: nothing is changed.".to_owned();
        self.read_only
            .then(|| self.lack.clone().unwrap_or_else(usual))
    }

    /// Gives the theme its colours, or none.
    pub fn paint(&mut self) {
        let wanted = self.palettes.get(&self.palette).filter(|_| self.color);
        let palette = wanted.unwrap_or(Palette::MONOCHROME);
        self.theme.palette = palette;
        self.theme.colour = palette != Palette::MONOCHROME;
    }
}

/// The palettes that can be chosen: those built in, and the operator's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Palettes {
    own: Vec<(String, Palette)>,
}

/// The styles of a theme of the operator's, by the part that they are for; `base` names
/// the theme that has the others.
pub type PaletteText = BTreeMap<String, String>;

impl Palettes {
    /// The palettes built in and those written down in `own`.
    ///
    /// # Errors
    ///
    /// What is wrong, with the theme's name in front.
    pub fn with(own: &BTreeMap<String, PaletteText>) -> Result<Self, String> {
        let mut palettes = Self::default();
        for (name, parts) in own {
            let palette = palettes.read(parts);
            let palette =
                palette.map_err(|why| format!("theme {}: {why}", crate::text::escape_str(name)))?;
            palettes.own.push((name.clone(), palette));
        }
        Ok(palettes)
    }

    fn read(&self, parts: &PaletteText) -> Result<Palette, String> {
        let base = parts.get("base").map_or("terminal", String::as_str);
        let mut palette = match Palette::BUILT_IN.iter().find(|(name, _)| *name == base) {
            Some((_, palette)) => *palette,
            None => {
                let base = crate::text::escape_str(base);
                return Err(format!("there is no theme \"{base}\" to begin with"));
            }
        };
        for (part, text) in parts.iter().filter(|(part, _)| *part != "base") {
            let style = palette.part_mut(part).ok_or_else(|| {
                let part = crate::text::escape_str(part);
                let parts = Palette::PARTS.join(", ");
                format!("there is no part \"{part}\", but {parts}")
            })?;
            let read = parse_style(text);
            *style = read.map_err(|why| format!("{part}: {}", crate::text::guard(&why)))?;
        }
        Ok(palette)
    }

    /// The palette of this name; the operator's own come first.
    pub fn get(&self, name: &str) -> Option<Palette> {
        let own = self.own.iter().find(|(own, _)| own == name);
        let built_in = || Palette::BUILT_IN.iter().find(|(it, _)| *it == name);
        own.map(|(_, palette)| *palette)
            .or_else(|| built_in().map(|(_, palette)| *palette))
    }

    /// Every name, the operator's own first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.own.iter().map(|(name, _)| name.as_str());
        let is_own = |name: &str| self.own.iter().any(|(own, _)| own == name);
        own.chain(
            Palette::BUILT_IN
                .iter()
                .map(|(name, _)| *name)
                .filter(move |name| !is_own(name)),
        )
    }

    /// The name of a palette.
    pub fn name_of(&self, palette: &Palette) -> Option<&str> {
        self.names().find(|name| self.get(name) == Some(*palette))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::style::Color;

    fn parts(pairs: &[(&str, &str)]) -> PaletteText {
        let pairs = pairs.iter();
        pairs
            .map(|(part, text)| ((*part).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn a_theme_of_ones_own_begins_with_another_one() {
        let own = BTreeMap::from([(
            "mine".to_owned(),
            parts(&[("base", "dark"), ("accent", "bold blue")]),
        )]);
        let palettes = Palettes::with(&own).unwrap();
        let mine = palettes.get("mine").unwrap();
        assert_eq!(mine.accent.fg, Some(Color::Blue));
        assert_eq!(mine.bad, Palette::DARK.bad);
        assert_eq!(palettes.names().next(), Some("mine"));
        assert_eq!(palettes.name_of(&Palette::LIGHT), Some("light"));
    }

    #[test]
    fn what_is_wrong_with_a_theme_is_said() {
        for (text, why) in [
            (("base", "dusk"), "theme x: there is no theme \"dusk\""),
            (("accnt", "red"), "theme x: there is no part \"accnt\""),
            (("accent", "rde"), "theme x: accent: \"rde\" is no style"),
        ] {
            let own = BTreeMap::from([("x".to_owned(), parts(&[text]))]);
            let said = Palettes::with(&own).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }
}
