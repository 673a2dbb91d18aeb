//! The settings that are in force, and a file to begin with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::Global;
use super::session::{print_bytes, wants_color};
use crate::config::{self, Settings};
use crate::error::{Error, Exit};
use crate::policy::{self, Policy};
use crate::report::{self, style::Style};
use crate::tui::{self, KeyMap, Options, Palette, Palettes, Sort, SortBy, Theme};

/// Prints a file to begin with: a person's, or the machine's.
pub(super) fn print_template(is_machine: bool) -> Result<Exit, Error> {
    match is_machine {
        true => print_bytes(policy::TEMPLATE.as_bytes()),
        false => print_bytes(template().as_bytes()),
    }
}

/// Shows the settings that are in force, after making sure that all of them can be used.
pub(super) fn run(global: &Global) -> Result<Exit, Error> {
    let settings = Settings::load(global.config.as_deref())?;
    let style = Style {
        ascii: global.ascii || settings.ascii,
        color: wants_color(global, settings.color),
    };
    let options = options(global, &settings, style)?;
    let file = file_of(global);
    let policy = Policy::load(global.policy.as_deref())?.assembly;
    let theme = options.palettes.name_of(&options.theme.palette);
    let lab = global.lab.as_ref().or(settings.lab.as_ref());
    let rows = [
        ("settings", file.as_deref().map(report::path_text)),
        ("lab", lab.map(|lab| report::path_text(lab))),
        ("ascii", Some(style.ascii.to_string())),
        ("color", Some(style.color.to_string())),
        (
            "read_only",
            Some((global.read_only || settings.read_only).to_string()),
        ),
        (
            "dry_run",
            Some((global.dry_run || settings.dry_run).to_string()),
        ),
        ("theme", theme.map(crate::text::escape_str).map(Into::into)),
        ("mouse", Some(options.mouse.to_string())),
        ("utc", Some(options.utc.to_string())),
        ("sort", Some(options.sort.by.name().to_owned())),
        ("own_keys", Some(options.keys.changes().to_string())),
        ("policy", Some(policy.mode.name().to_owned())),
        ("allowed", Some(policy.allow.len().to_string())),
    ];
    if global.json {
        let json = json!({
            "settings": rows[0].1,
            "lab": rows[1].1,
            "ascii": style.ascii,
            "color": style.color,
            "read_only": global.read_only || settings.read_only,
            "dry_run": global.dry_run || settings.dry_run,
            "theme": rows[6].1,
            "mouse": options.mouse,
            "utc": options.utc,
            "sort": options.sort.by.name(),
            "own_keys": options.keys.changes(),
            "policy": policy.mode.name(),
            "allowed": policy.allow.len(),
        });
        return print_bytes(format!("{}\n", report::object("config", json)).as_bytes());
    }
    let mut text = String::new();
    for (name, value) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<10} {}", value.as_deref().unwrap_or("none"));
    }
    print_bytes(text.as_bytes())
}

/// The settings file that is read: the one named, or the usual one where it is there.
fn file_of(global: &Global) -> Option<PathBuf> {
    let usual = || config::usual_path().filter(|path| path.exists());
    global.config.clone().or_else(usual)
}

/// How the terminal application is to behave: options and their environment variables
/// come before the settings file.
///
/// # Errors
///
/// [`Error`] names the file and what in it cannot be used.
pub(super) fn options(
    global: &Global,
    settings: &Settings,
    style: Style,
) -> Result<Options, Error> {
    let file = file_of(global);
    let wrong =
        |why: String| config::broken(file.as_deref().unwrap_or(Path::new("config.toml")), &why);
    let palettes = Palettes::with(&settings.themes).map_err(wrong)?;
    let wanted = settings.keys.iter();
    let wanted = wanted.map(|(action, words)| (action.clone(), words.to_vec()));
    let keys = KeyMap::with(&wanted.collect()).map_err(|error| wrong(format!("keys: {error}")))?;
    let palette = match global.theme.as_ref().or(settings.theme.as_ref()) {
        None => Palette::TERMINAL,
        Some(name) => palettes.get(name).ok_or_else(|| {
            let names: Vec<&str> = palettes.names().collect();
            let shown = crate::text::escape_str(name);
            let names = crate::text::escape_str(&names.join(", ")).into_owned();
            Error::failed("theme", format!("there is no theme {shown}"))
                .advise(format!("The themes are {names}."))
                .exiting(Exit::Usage)
        })?,
    };
    let sort = match &settings.sort {
        None => Sort::BY_NAME,
        Some(word) => tui::parse_sort(word).map_err(|why| wrong(format!("sort: {why}")))?,
    };
    Ok(Options {
        theme: Theme {
            ascii: style.ascii,
            colour: style.color && palette != Palette::MONOCHROME,
            palette: if style.color {
                palette
            } else {
                Palette::MONOCHROME
            },
        },
        palettes,
        keys,
        read_only: global.read_only || settings.read_only,
        dry_run: global.dry_run || settings.dry_run,
        started_dry: global.dry_run || settings.dry_run,
        started_colourless: !style.color,
        mouse: !global.no_mouse && settings.mouse.unwrap_or(true),
        utc: global.utc || settings.utc,
        sort,
        settings: file.as_deref().map(report::path_text),
    })
}

/// A settings file with every setting as it is without one, commented out.
fn template() -> String {
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
