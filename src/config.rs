//! The settings file: what an operator does not want to type each time.

mod edit;
mod template;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Exit};
use crate::own_file;
use crate::text::{escape_path, escape_str, guard};

pub use edit::{keep, SettingsFile};
pub use template::template;

/// What the settings file may say. A command-line option or its environment variable
/// comes before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The lab to work on, as it is written; [`Settings::lab`] makes a path of it.
    pub lab: Option<PathBuf>,
    /// Draw with ASCII characters only.
    pub ascii: bool,
    /// Refuse every change.
    pub read_only: bool,
    /// Whether colour is wanted on a terminal.
    pub color: Option<bool>,
    /// Plan, and carry nothing out.
    pub dry_run: bool,
    /// The theme of the terminal application.
    pub theme: Option<String>,
    /// Whether the terminal application heeds the mouse.
    pub mouse: Option<bool>,
    /// Show times in UTC.
    pub utc: bool,
    /// What the list is sorted by.
    pub sort: Option<String>,
    /// Keys by action.
    pub keys: BTreeMap<String, Words>,
    /// Themes of the operator's own: styles by the part that they are for.
    pub themes: BTreeMap<String, BTreeMap<String, String>>,
}

/// One word, or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Words {
    /// One.
    One(String),
    /// As many as there are.
    Many(Vec<String>),
}

impl Words {
    /// The words.
    pub fn to_vec(&self) -> Vec<String> {
        match self {
            Self::One(word) => vec![word.clone()],
            Self::Many(words) => words.clone(),
        }
    }
}

impl Settings {
    /// The lab to work on.
    ///
    /// # Errors
    ///
    /// [`Error`] if the path names nothing.
    pub fn lab(&self) -> Result<Option<PathBuf>, Error> {
        let lab = self.lab.clone().map(from_home).transpose();
        lab.map_err(|why| {
            Error::failed(FLAW, format!("lab of the settings: {why}"))
                .advise("Mend the settings file, or name the lab: --lab DIR.")
                .exiting(Exit::Usage)
        })
    }

    /// Reads the settings as [`Settings::load`] does; where their file cannot be used, the
    /// usual ones with what is wrong. Who looks needs no settings, and who changes something
    /// must not do it without those that were meant.
    ///
    /// # Errors
    ///
    /// [`Error`] if a file was named that is not there.
    pub fn load_or_usual(named: Option<&Path>) -> Result<(Self, Option<Error>), Error> {
        match Self::load(named) {
            Ok(settings) => Ok((settings, None)),
            Err(error) if named.is_some_and(|path| !path.exists()) => Err(error),
            Err(error) => Ok((Self::default(), Some(error))),
        }
    }

    /// Reads `named`, or the operator's usual settings file if there is one.
    ///
    /// # Errors
    ///
    /// [`Error`] names the file and the line; a named file must exist.
    pub fn load(named: Option<&Path>) -> Result<Self, Error> {
        let usual = usual_path();
        let Some(path) = named.or(usual.as_deref()) else {
            return Ok(Self::default());
        };
        let text = match own_file::read_to_string(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && own_file::is_absent(&error) => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(broken(path, &error.to_string()));
            }
        };
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| {
            // The parser draws the line below its message: nothing for one line of a screen.
            let line = error.span().map(|span| {
                let before = text.get(..span.start).unwrap_or(text);
                1 + before.matches('\n').count()
            });
            let message = escape_str(error.message());
            let why = match line {
                Some(line) => format!("line {line}: {message}"),
                None => message.into_owned(),
            };
            broken(path, &why)
        })
    }

    /// The settings that can be changed on the screen, as they stand in a file: their values
    /// as TOML has them, by their keys.
    pub fn kept(&self) -> Values {
        let text = |text: &Option<String>, usual: &str| {
            toml::Value::String(text.as_deref().unwrap_or(usual).to_owned()).to_string()
        };
        BTreeMap::from([
            ("theme", text(&self.theme, "terminal")),
            ("color", self.color.unwrap_or(true).to_string()),
            ("ascii", self.ascii.to_string()),
            ("mouse", self.mouse.unwrap_or(true).to_string()),
            ("sort", text(&self.sort, "name")),
            ("utc", self.utc.to_string()),
            ("read_only", self.read_only.to_string()),
            ("dry_run", self.dry_run.to_string()),
        ])
    }
}

/// Values of settings as TOML has them, by their keys.
pub type Values = BTreeMap<&'static str, String>;

/// The code of the error that a settings file cannot be used.
pub const FLAW: &str = "settings";

/// The error that something in a settings file is not as it must be.
pub fn broken(path: &Path, why: &str) -> Error {
    let why = guard(why.trim()).into_owned();
    Error::failed(FLAW, format!("{}: {why}", escape_path(path)))
        .advise("Mend the file, or name another one with --config.")
        .exiting(Exit::Usage)
}

/// The settings file that is read where none is named.
pub fn usual_path() -> Option<PathBuf> {
    directory_of("XDG_CONFIG_HOME", ".config").map(|directory| directory.join("config.toml"))
}

/// Where the journal and backups of actions outside of a lab are kept.
pub fn state_directory() -> Option<PathBuf> {
    directory_of("XDG_STATE_HOME", ".local/state")
}

/// The lab that `dmremap-tui lab` opens where no directory is named.
pub fn usual_lab() -> Option<PathBuf> {
    directory_of("XDG_DATA_HOME", ".local/share").map(|directory| directory.join("lab"))
}

/// A path as it is typed: `~` at its beginning is the home directory. A shell puts that in its
/// place only where a word begins with it, and nobody does in a file.
///
/// # Errors
///
/// Why it names nothing.
pub fn from_home(path: PathBuf) -> Result<PathBuf, String> {
    if let Ok(below) = path.strip_prefix("~") {
        return match named("HOME") {
            Some(home) if below.as_os_str().is_empty() => Ok(home),
            Some(home) => Ok(home.join(below)),
            None => Err(format!(
                "{} is in the home directory, and HOME names none: write it out",
                escape_path(&path)
            )),
        };
    }
    let shown = escape_path(&path);
    match shown.chars().next() {
        Some('~') => Err(format!(
            "{shown} would be in another user's home directory: write it out, or ./{shown} for \
             what is called so"
        )),
        Some(_) => Ok(path),
        None => Err("it is empty, and names nothing".to_owned()),
    }
}

/// The directory that a variable names; one that names no absolute path names none.
fn named(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(variable)?);
    path.is_absolute().then_some(path)
}

/// Our directory below one of the user's, as the XDG base directory specification has it.
fn directory_of(variable: &str, below_home: &str) -> Option<PathBuf> {
    let base = named(variable).or_else(|| Some(named("HOME")?.join(below_home)))?;
    Some(base.join("dmremap"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_read_and_an_unknown_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(
            &path,
            "lab = \"/x\"\nascii = true\nread_only = true\ncolor = false\ndry_run = true\n\
             theme = \"dark\"\nmouse = false\nutc = true\nsort = \"size\"\n\
             [keys]\nscrub = \"S\"\nup = [\"up\", \"k\"]\n[themes.x]\naccent = \"red\"\n",
        )
        .unwrap();
        let settings = Settings::load(Some(&path)).unwrap();
        let expected = Settings {
            lab: Some("/x".into()),
            ascii: true,
            read_only: true,
            color: Some(false),
            dry_run: true,
            theme: Some("dark".to_owned()),
            mouse: Some(false),
            utc: true,
            sort: Some("size".to_owned()),
            keys: BTreeMap::from([
                ("scrub".to_owned(), Words::One("S".to_owned())),
                (
                    "up".to_owned(),
                    Words::Many(vec!["up".to_owned(), "k".to_owned()]),
                ),
            ]),
            themes: BTreeMap::from([(
                "x".to_owned(),
                BTreeMap::from([("accent".to_owned(), "red".to_owned())]),
            )]),
        };
        assert_eq!(settings, expected);
        std::fs::write(&path, "colour = true\n").unwrap();
        let error = Settings::load(Some(&path)).unwrap_err();
        assert!(error.message.contains("colour"), "{error}");
        assert_eq!(error.exit, Exit::Usage);
    }

    #[test]
    fn a_named_file_must_be_there() {
        let error = Settings::load(Some(Path::new("/nonexistent/config.toml"))).unwrap_err();
        assert_eq!(error.code, "settings");
    }
}
