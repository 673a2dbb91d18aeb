//! Changing some lines of a settings file that somebody else wrote.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::{broken, template, Settings, Values};
use crate::error::Error;
use crate::own_file;
use crate::text::escape_path;

/// A settings file, as it was read or written last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// The line, from 1 on, below which keys are named.
    pub keys_line: Option<usize>,
    /// What it says of the settings that can be changed on the screen.
    pub values: Values,
}

impl SettingsFile {
    /// Looks at the file at `path`; one that is not there says what is usual.
    ///
    /// # Errors
    ///
    /// [`Error`] if it cannot be read, or makes no sense.
    pub fn look(path: &Path) -> Result<Self, Error> {
        let (text, exists) = text_of(path)?;
        let settings = Settings::parse(path, &text)?;
        Ok(Self {
            path: path.to_owned(),
            exists,
            keys_line: exists.then(|| keys_line(&text)).flatten(),
            values: settings.kept(),
        })
    }
}

/// Writes `wanted` into the settings file at `path`, as far as it does not say so already.
/// Everything else in it stays byte for byte. One that is not there begins as the template.
/// Tells what the file is then, and whether it was changed.
///
/// # Errors
///
/// [`Error`] if the file cannot be read or written or makes no sense; it is as it was then.
pub fn keep(path: &Path, wanted: &Values) -> Result<(SettingsFile, bool), Error> {
    let failed =
        |error: std::io::Error| Error::failed("io", format!("{}: {error}", escape_path(path)));
    let directory = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty());
    if let Some(directory) = directory {
        let mut builder = fs::DirBuilder::new();
        // Whose settings they are is nobody else's to read, as XDG has it.
        builder.recursive(true).mode(0o700);
        builder.create(directory).map_err(failed)?;
    }
    let held = own_file::Held::take(path).map_err(failed)?;
    let (text, exists) = text_of(path)?;
    let changed = with_values(path, &text, wanted)?;
    if changed == text && exists {
        return Ok((SettingsFile::look(path)?, false));
    }
    held.replace(changed.as_bytes(), 0o644).map_err(failed)?;
    Ok((SettingsFile::look(path)?, true))
}

/// The text of the file and whether there is one; else the text to begin with.
fn text_of(path: &Path) -> Result<(String, bool), Error> {
    match own_file::read_to_string(path) {
        Ok(text) => Ok((text, true)),
        Err(error) if own_file::is_absent(&error) => Ok((template(), false)),
        Err(error) => Err(broken(path, &error.to_string())),
    }
}

/// The text with these values.
fn with_values(path: &Path, text: &str, wanted: &Values) -> Result<String, Error> {
    let before = Settings::parse(path, text)?;
    let now = before.kept();
    let mut changed = text.to_owned();
    for (key, value) in wanted {
        if now.get(key) != Some(value) {
            changed = with_value(path, &changed, key, value)?;
        }
    }
    // Whatever way the file is written in: nothing else in it may have got another meaning.
    let after = Settings::parse(path, &changed)?;
    let mut expected = now;
    expected.extend(wanted.clone());
    let rest = |settings: &Settings| {
        (
            settings.lab.clone(),
            settings.keys.clone(),
            settings.themes.clone(),
        )
    };
    if after.kept() == expected && rest(&after) == rest(&before) {
        Ok(changed)
    } else {
        Err(broken(
            path,
            "it is written in a way that is not understood here; change it by hand",
        ))
    }
}

/// The text with this value: in the place of the one that is there, of the line that is
/// commented out, or below the other settings.
fn with_value(path: &Path, text: &str, key: &str, value: &str) -> Result<String, Error> {
    let document = toml_edit::Document::parse(text);
    let document = document.map_err(|error| broken(path, &error.to_string()))?;
    if let Some(span) = document.get(key).and_then(toml_edit::Item::span) {
        let mut changed = text.to_owned();
        changed.replace_range(span, value);
        return Ok(changed);
    }
    let values = document.iter().filter(|(_, item)| item.is_value());
    let ends = values.filter_map(|(_, item)| Some(item.span()?.end));
    let last_value = ends.max();
    let tables = first_table(text, last_value.unwrap_or(0));
    let setting = format!("{key} = {value}");
    if let Some(line) = commented_out(&text[..tables], key) {
        let mut changed = text.to_owned();
        changed.replace_range(line, &setting);
        return Ok(changed);
    }
    let at = match last_value {
        Some(end) => text[end..].find('\n').map_or(text.len(), |at| end + at + 1),
        None => after_introduction(text),
    };
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let (before, behind) = text.split_at(at);
    let open_line = !before.is_empty() && !before.ends_with('\n');
    let joined = behind.is_empty() || behind.starts_with(['\r', '\n']) || last_value.is_some();
    Ok([
        before,
        if open_line { newline } else { "" },
        &setting,
        newline,
        if joined { "" } else { newline },
        behind,
    ]
    .concat())
}

/// Lines with the places at which they begin.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let begin = at;
        at += line.len();
        (begin, line.trim_end_matches(['\r', '\n']))
    })
}

/// Where the first table begins, behind the values that stand before any.
fn first_table(text: &str, values_end: usize) -> usize {
    lines(text)
        .filter(|(begin, _)| *begin >= values_end)
        .find(|(_, line)| line.trim_start().starts_with('['))
        .map_or(text.len(), |(begin, _)| begin)
}

/// Where a setting is commented out, above the first table that is commented out as well.
fn commented_out(text: &str, key: &str) -> Option<std::ops::Range<usize>> {
    for (begin, line) in lines(text) {
        let Some(comment) = line.trim_start().strip_prefix('#') else {
            continue;
        };
        let comment = comment.trim_start();
        if comment.starts_with('[') {
            return None;
        }
        let value = comment.strip_prefix(key);
        if value.is_some_and(|value| value.trim_start().starts_with('=')) {
            return Some(begin..begin + line.len());
        }
    }
    None
}

/// The place behind the comment with which a file begins, if a blank line parts that from
/// what follows.
fn after_introduction(text: &str) -> usize {
    let introduction = lines(text).find(|(_, line)| !line.trim_start().starts_with('#'));
    match introduction {
        Some((0, _)) => 0,
        Some((begin, line)) if line.trim().is_empty() => text[begin..]
            .find('\n')
            .map_or(text.len(), |at| begin + at + 1),
        Some(_) => 0,
        None => text.len(),
    }
}

/// The line, from 1 on, of the table of keys, be it commented out.
fn keys_line(text: &str) -> Option<usize> {
    let is_table = |line: &str| line.trim_start().starts_with("[keys]");
    let is_comment = |line: &str| {
        let comment = line.trim_start().strip_prefix('#');
        comment.is_some_and(is_table)
    };
    let found = text.lines().position(is_table);
    let found = found.or_else(|| text.lines().position(is_comment));
    found.map(|line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, values: &[(&'static str, &str)]) -> Result<String, Error> {
        let values = values.iter();
        let values = values.map(|(key, value)| (*key, (*value).to_owned()));
        with_values(Path::new("config.toml"), text, &values.collect())
    }

    #[test]
    fn only_the_value_changes_and_everything_around_it_stays() {
        for (before, key, value, after) in [
            (
                "# mine\ntheme = 'dark' # at night\n\n[keys]\nscrub = \"S\" # big\n",
                "theme",
                "\"light\"",
                "# mine\ntheme = \"light\" # at night\n\n[keys]\nscrub = \"S\" # big\n",
            ),
            (
                "# a\n\n# Say it. \n#ascii = false\n# utc = false\n",
                "utc",
                "true",
                "# a\n\n# Say it. \n#ascii = false\nutc = true\n",
            ),
            // Below what is there, before the tables, with its line ends.
            (
                "theme = \"dark\"\r\n\r\n[keys]\r\nmouse = \"m\"\r\n",
                "mouse",
                "false",
                "theme = \"dark\"\r\nmouse = false\r\n\r\n[keys]\r\nmouse = \"m\"\r\n",
            ),
            (
                "[keys]\nmouse = \"m\"\n",
                "mouse",
                "false",
                "mouse = false\n\n[keys]\nmouse = \"m\"\n",
            ),
            (
                "# Of me.\n\n[keys]\n# sort = \"o\"\n",
                "sort",
                "\"size\"",
                "# Of me.\n\nsort = \"size\"\n\n[keys]\n# sort = \"o\"\n",
            ),
            ("", "utc", "true", "utc = true\n"),
            ("utc = false", "utc", "true", "utc = true"),
            ("utc = true", "ascii", "true", "utc = true\nascii = true\n"),
            // What is commented out below a table is none of the settings.
            (
                "# [keys]\n# mouse = \"M\"\n",
                "mouse",
                "false",
                "# [keys]\n# mouse = \"M\"\nmouse = false\n",
            ),
        ] {
            assert_eq!(changed(before, &[(key, value)]).unwrap(), after);
        }
    }

    #[test]
    fn what_the_file_says_already_is_not_written() {
        for text in ["", "theme = 'dark'\n", "# theme = \"dark\"\ntheme='dark'"] {
            let settings = Settings::parse(Path::new("config.toml"), text).unwrap();
            let values: Vec<_> = settings.kept().into_iter().collect();
            let values: Vec<_> = values.iter().map(|(key, it)| (*key, it.as_str())).collect();
            assert_eq!(changed(text, &values).unwrap(), text);
        }
    }

    #[test]
    fn every_setting_of_the_template_is_uncommented_where_it_stands() {
        let template = template();
        for (key, value) in [
            ("theme", "\"dark\""),
            ("color", "false"),
            ("ascii", "true"),
            ("mouse", "false"),
            ("sort", "\"-size\""),
            ("utc", "true"),
            ("read_only", "true"),
            ("dry_run", "true"),
        ] {
            let text = changed(&template, &[(key, value)]).unwrap();
            assert_eq!(text.lines().count(), template.lines().count(), "{key}");
            let lines = text.lines().zip(template.lines());
            let other: Vec<_> = lines.filter(|(now, before)| now != before).collect();
            assert_eq!(other.len(), 1, "{other:?}");
            assert_eq!(other[0].0, format!("{key} = {value}"));
        }
    }

    #[test]
    fn a_file_that_makes_no_sense_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        fs::write(&path, "theme = \n").unwrap();
        let wanted = Values::from([("utc", "true".to_owned())]);
        let error = keep(&path, &wanted).unwrap_err();
        assert!(error.message.contains("line 1"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "theme = \n");
    }

    #[test]
    fn a_file_is_made_from_the_template_with_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/config.toml");
        assert!(!SettingsFile::look(&path).unwrap().exists);
        let wanted = Values::from([("utc", "true".to_owned())]);
        let (file, changed) = keep(&path, &wanted).unwrap();
        assert!(file.exists && changed);
        assert_eq!(file.values["utc"], "true");
        let text = fs::read_to_string(&path).unwrap();
        let line = text.lines().nth(file.keys_line.unwrap() - 1);
        assert_eq!(line, Some("# [keys]"));
        let (_, changed) = keep(&path, &wanted).unwrap();
        assert!(!changed);
    }
}
