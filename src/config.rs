//! The settings file: what an operator does not want to type each time.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Exit};
use crate::text::escape_path;

/// What the settings file may say. A command-line option or its environment variable
/// comes before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The lab to work on.
    pub lab: Option<PathBuf>,
    /// Draw with ASCII characters only.
    pub ascii: bool,
    /// Refuse every change.
    pub read_only: bool,
    /// Whether colour is wanted on a terminal.
    pub color: Option<bool>,
}

impl Settings {
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
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(broken(path, &error.to_string()));
            }
        };
        toml::from_str(&text).map_err(|error| broken(path, &error.to_string()))
    }
}

fn broken(path: &Path, why: &str) -> Error {
    let why = crate::text::escape_str(why.trim()).into_owned();
    Error::failed("settings", format!("{}: {why}", escape_path(path)))
        .advise("Mend the file, or name another one with --config.")
        .exiting(Exit::Usage)
}

fn usual_path() -> Option<PathBuf> {
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

/// Our directory below one of the user's, as the XDG base directory specification has it.
fn directory_of(variable: &str, below_home: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let base = named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(below_home)))?;
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
            "lab = \"/x\"\nascii = true\nread_only = true\ncolor = false\n",
        )
        .unwrap();
        let settings = Settings::load(Some(&path)).unwrap();
        let expected = Settings {
            lab: Some("/x".into()),
            ascii: true,
            read_only: true,
            color: Some(false),
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
