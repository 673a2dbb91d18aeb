//! The settings file that an operator begins with.

use std::fmt::Write as _;

use crate::tui::{self, Palette, SortBy};

/// A settings file with every setting as it is without one, commented out.
pub fn template() -> String {
    let themes: Vec<&str> = Palette::BUILT_IN.iter().map(|(name, _)| *name).collect();
    let orders: Vec<&str> = SortBy::ALL.iter().map(|by| by.name()).collect();
    let mut text = format!(
        r##"# Settings of dmremap-tui. The usual place of this file is
# ~/.config/dmremap/config.toml. A command-line option comes before its environment
# variable, and that before this file.
#
# What the machine may assemble without a person is not for a person's file to say, but for
# /etc/dmremap.toml: dmremap-tui config --template --machine

# Work on this lab instead of this machine's devices. (--lab, DMREMAP_LAB)
# lab = "/home/me/lab"

# Draw with ASCII characters only. (--ascii, DMREMAP_ASCII)
# ascii = false

# Refuse every change. (--read-only, DMREMAP_READ_ONLY)
# read_only = false

# Show plans and carry none out. (--dry-run, DMREMAP_DRY_RUN)
# dry_run = false

# Colour on a terminal. NO_COLOR in the environment is heeded. (--color, DMREMAP_COLOR)
# color = true

# The theme: {themes}, or one of your own (below).
# (--theme, DMREMAP_THEME)
# theme = "terminal"

# Heed the mouse; M releases it for selecting text. (--no-mouse, DMREMAP_NO_MOUSE)
# mouse = true

# Show times in UTC instead of the local time zone. (--utc, DMREMAP_UTC)
# utc = false

# What the list is sorted by: {orders}; with "-" in front, the other way round.
# sort = "name"

# A theme of your own: the parts of another one, as far as they are to be different.
# Styles are modifiers (bold, dim, italic, underlined, reversed), a colour, "on" and the
# colour behind the text. Colours are the sixteen by their names, 0 to 255, or #rrggbb.
# [themes.mine]
# base = "terminal"
# accent = "bold blue"
# chosen = "white on #204060"
# The parts are {parts}.

# Keys by action: one, or several in brackets; none ([]) leaves an action without a key.
# Below are the usual ones. No key may mean two things in one place; where text is typed
# no character is a command; what confirms a change is no key that asks for one, and lies
# beside none that leaves everything as it is.
# [keys]
"##,
        themes = themes.join(", "),
        orders = orders.join(", "),
        parts = Palette::PARTS.join(", "),
    );
    for (action, keys, help) in tui::usual_keys() {
        let words: Vec<String> = keys.iter().map(|key| toml_string(key)).collect();
        let words = match words.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# {:<40} # {help}", format!("{action} = {words}"));
    }
    text
}

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::tui::{KeyMap, Palettes};

    /// The template with everything in force that it shows.
    fn uncommented() -> String {
        let template = template();
        let lines = template.lines().filter_map(|line| {
            let line = line.strip_prefix("# ")?;
            let is_setting = line.starts_with('[') || line.contains(" = ");
            is_setting.then_some(line)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_template_says_nothing_until_a_line_of_it_is_uncommented() {
        assert_eq!(toml::from_str(&template()), Ok(Settings::default()));
    }

    #[test]
    fn every_line_of_the_template_can_be_uncommented_and_is_the_usual_behaviour() {
        let settings: Settings = toml::from_str(&uncommented()).unwrap();
        let wanted = settings.keys.iter();
        let wanted = wanted.map(|(action, words)| (action.clone(), words.to_vec()));
        let keys = KeyMap::with(&wanted.collect()).unwrap();
        assert_eq!(keys.changes(), tui::usual_keys().count());
        assert!(Palettes::with(&settings.themes)
            .unwrap()
            .get("mine")
            .is_some());
        let usual = Settings {
            lab: settings.lab.clone(),
            keys: settings.keys.clone(),
            themes: settings.themes.clone(),
            color: Some(true),
            mouse: Some(true),
            theme: Some("terminal".to_owned()),
            sort: Some("name".to_owned()),
            ..Settings::default()
        };
        assert_eq!(settings, usual);
    }
}
