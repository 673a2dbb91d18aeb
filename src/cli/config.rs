//! The settings that are in force, and a file to begin with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{ColorChoice, Global};
use super::session::{print_bytes, wants_color};
use crate::config::{self, Settings, SettingsFile};
use crate::error::{Error, Exit};
use crate::policy::{self, Policy};
use crate::report::{self, style::Style};
use crate::tui::{self, KeyMap, Options, Palette, Palettes, Sort, Theme, Wanted};

/// Prints a file to begin with: a person's, or the machine's.
pub(super) fn print_template(is_machine: bool) -> Result<Exit, Error> {
    match is_machine {
        true => print_bytes(policy::TEMPLATE.as_bytes()),
        false => print_bytes(config::template().as_bytes()),
    }
}

/// Shows the settings that are in force, after making sure that all of them can be used.
pub(super) fn run(global: &Global) -> Result<Exit, Error> {
    let (settings, flaw) = Settings::load_or_usual(global.config.as_deref())?;
    let style = Style {
        ascii: global.ascii || settings.ascii,
        color: wants_color(global, settings.color),
    };
    let options = options(global, &settings, style)?;
    let file = file_of(global);
    let lab = match &global.lab {
        Some(lab) => Some(lab.clone()),
        None => settings.lab()?,
    };
    let policy = Policy::in_force(global.policy.as_deref(), lab.as_deref())?.assembly;
    let theme = options.palettes.name_of(&options.theme.palette);
    // Whoever asks whether a file is in order is told by the status as well.
    let exit = flaw.as_ref().map_or(Exit::Done, |flaw| flaw.exit);
    if let Some(flaw) = flaw {
        super::warn(&flaw, global.json);
    }
    let rows = [
        ("settings", file.as_deref().map(report::path_text)),
        ("lab", lab.as_deref().map(report::path_text)),
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
        print_bytes(format!("{}\n", report::object("config", json)).as_bytes())?;
        return Ok(exit);
    }
    let mut text = String::new();
    for (name, value) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<10} {}", value.as_deref().unwrap_or("none"));
    }
    print_bytes(text.as_bytes())?;
    Ok(exit)
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
    let place = global.config.clone().or_else(config::usual_path);
    // Of one that cannot be used it is told where the settings are read.
    let settings_file = place.as_deref().and_then(|it| SettingsFile::look(it).ok());
    let named = global.theme.as_ref().or(settings.theme.as_ref());
    let palette = match named {
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
    let mut options = Options {
        theme: Theme {
            ascii: style.ascii || locale_without_glyphs().is_some(),
            colour: style.color,
            palette,
        },
        palettes,
        keys,
        read_only: global.read_only || settings.read_only,
        policy: global.policy.clone(),
        lack: None,
        dry_run: global.dry_run || settings.dry_run,
        started_dry: global.dry_run || settings.dry_run,
        mouse: !global.no_mouse && settings.mouse.unwrap_or(true),
        utc: global.utc || settings.utc,
        sort,
        file: settings_file,
        overridden: overridden(global, style),
        wanted: Wanted {
            read_only: settings.read_only,
            dry_run: settings.dry_run,
        },
        color: style.color,
        palette: named.map_or("terminal".into(), |name| name.clone().into()),
    };
    options.paint();
    Ok(options)
}

/// The variable that says that the terminal's characters are not Unicode, with its value, if
/// one does. Where none says anything, as on many a server, the terminal is taken to know it.
fn locale_without_glyphs() -> Option<String> {
    let said = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let (name, value) = said
        .filter_map(|name| Some((name, std::env::var(name).ok()?)))
        .find(|(_, value)| !value.is_empty())?;
    let codeset = value.to_ascii_lowercase().replace('-', "");
    let shown = crate::text::escape_str(&value).into_owned();
    (!codeset.contains("utf8")).then(|| format!("{name}={shown}"))
}

/// What the settings file does not decide, and what does, by the setting's key.
fn overridden(global: &Global, style: Style) -> BTreeMap<&'static str, String> {
    let mut overridden = global.origins.clone();
    if let Some(locale) = locale_without_glyphs().filter(|_| !overridden.contains_key("ascii")) {
        overridden.insert("ascii", locale);
    }
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if global.color == ColorChoice::Auto {
        overridden.remove("color");
        if no_color && !style.color {
            overridden.insert("color", "NO_COLOR".to_owned());
        }
    }
    overridden
}
