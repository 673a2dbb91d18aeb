//! What this machine may assemble without a person: `/etc/dmremap.toml`.
//!
//! A disk that is plugged in can say anything of itself. So a device comes up by itself only
//! if its array is listed here; all others are shown and left alone.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::error::{Error, Exit};
use crate::inspect::KnownMain;
use crate::own_file;
use crate::remap_core::units::{ArrayUuid, IdentityDigest};
use crate::text::{escape_path, escape_str};

/// Where the policy of a machine lies.
pub const PATH: &str = "/etc/dmremap.toml";

/// The file of a lab's own list, in its directory.
pub const LAB_FILE: &str = "dmremap.toml";

/// The file that a machine begins with: nothing is assembled without a person.
pub const TEMPLATE: &str = include_str!("../assets/dmremap.toml");

/// What may be assembled without a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The table `assembly`.
    pub assembly: Assembly,
}

/// What the file says of assembly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Assembly {
    /// Whether the list counts.
    #[serde(rename = "policy")]
    pub mode: Mode,
    /// The list.
    pub allow: Vec<Allowed>,
}

/// Whether anything may be assembled without a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What is listed.
    #[default]
    Listed,
    /// Nothing, whatever is listed.
    None,
}

impl Mode {
    /// As it stands in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::None => "none",
        }
    }
}

/// One array that may be assembled. What an entry says must all be so of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Entry")]
pub struct Allowed {
    /// The array's UUID.
    pub uuid: Option<ArrayUuid>,
    /// The name in its metadata.
    pub name: Option<String>,
    /// The identity of its main, by which main is known as soon as it is there.
    pub main: Option<IdentityDigest>,
}

/// An entry as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default, deserialize_with = "uuid")]
    uuid: Option<ArrayUuid>,
    name: Option<String>,
    #[serde(default, deserialize_with = "identity")]
    main: Option<IdentityDigest>,
}

impl TryFrom<Entry> for Allowed {
    type Error = &'static str;

    fn try_from(entry: Entry) -> Result<Self, Self::Error> {
        let Entry { uuid, name, main } = entry;
        match (&uuid, &name, &main) {
            (None, None, _) => Err("an entry of the list needs a uuid or a name"),
            (None, _, Some(_)) => Err("main says whose it is with a uuid beside it alone"),
            _ => Ok(Self { uuid, name, main }),
        }
    }
}

fn uuid<'de, D: Deserializer<'de>>(input: D) -> Result<Option<ArrayUuid>, D::Error> {
    let text = String::deserialize(input)?;
    parse_uuid(&text).map(Some).map_err(D::Error::custom)
}

fn identity<'de, D: Deserializer<'de>>(input: D) -> Result<Option<IdentityDigest>, D::Error> {
    let text = String::deserialize(input)?;
    // The digits of a UUID without its hyphens.
    let bytes = (text.len() == 32)
        .then(|| uuid::Uuid::try_parse(&text).ok())
        .flatten();
    let digest = bytes.map(|bytes| IdentityDigest::new(bytes.into_bytes()));
    match digest.filter(|digest| !digest.is_none()) {
        Some(digest) => Ok(Some(digest)),
        None => Err(D::Error::custom(
            "an identity has 32 hexadecimal digits, not all of them zero",
        )),
    }
}

/// Reads the UUID of an array, in its hyphenated form.
///
/// # Errors
///
/// What it must be.
pub fn parse_uuid(text: &str) -> Result<ArrayUuid, String> {
    let parsed = (text.len() == 36)
        .then(|| uuid::Uuid::try_parse(text).ok())
        .flatten();
    parsed
        .map(|uuid| ArrayUuid::new(uuid.into_bytes()))
        .ok_or_else(|| {
            let text = escape_str(text);
            format!("{text} is no UUID such as 01234567-89ab-cdef-0123-456789abcdef")
        })
}

impl Allowed {
    /// Whether all that it says is so of a device.
    pub fn fits(&self, uuid: Option<ArrayUuid>, name: Option<&str>) -> bool {
        self.uuid.is_none_or(|wanted| uuid == Some(wanted))
            && self
                .name
                .as_deref()
                .is_none_or(|wanted| name == Some(wanted))
    }

    /// Whether an operator means this entry by its UUID or its name.
    pub fn is_meant_by(&self, word: &str) -> bool {
        self.name.as_deref() == Some(word)
            || self.uuid.is_some_and(|uuid| parse_uuid(word) == Ok(uuid))
    }

    /// Its name and UUID, fit to be shown.
    pub fn describe(&self) -> String {
        match (&self.name, self.uuid) {
            (Some(name), Some(uuid)) => format!("{} ({uuid})", escape_str(name)),
            (Some(name), None) => escape_str(name).into_owned(),
            (None, Some(uuid)) => uuid.to_string(),
            (None, None) => String::new(),
        }
    }
}

impl Policy {
    /// Reads `named`, or the machine's own file. A machine without one lists nothing.
    ///
    /// # Errors
    ///
    /// [`Error`] names the file and the line; a named file must exist.
    pub fn load(named: Option<&Path>) -> Result<Self, Error> {
        Self::in_force(named, None)
    }

    /// Reads the list that counts in the lab in the directory `lab`, or on this machine: the
    /// one that is `named`, else the lab's or the machine's own, which need not be there.
    ///
    /// # Errors
    ///
    /// As those of [`Policy::load`].
    pub fn in_force(named: Option<&Path>, lab: Option<&Path>) -> Result<Self, Error> {
        let path = &path_in_force(named, lab);
        match own_file::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(broken(path, &error.to_string())),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| broken(path, &escape_lines(&error.to_string())))
    }

    /// Whether a device may be assembled without a person.
    pub fn allows(&self, uuid: Option<ArrayUuid>, name: Option<&str>) -> bool {
        let mut listed = self.listed();
        listed.any(|entry| entry.fits(uuid, name))
    }

    /// The array whose main has this identity, if it may be assembled without a person.
    pub fn array_of_main(&self, identity: IdentityDigest) -> Option<&Allowed> {
        let mut listed = self.listed();
        listed.find(|entry| !identity.is_none() && entry.main == Some(identity))
    }

    /// The mains that the list knows by their identity, whether their spares are here or not.
    pub fn known_mains(&self) -> Vec<KnownMain<'_>> {
        let known = self.listed().filter_map(|entry| {
            Some(KnownMain {
                array: entry.uuid?,
                name: entry.name.as_deref(),
                main: entry.main?,
            })
        });
        known.collect()
    }

    /// What is listed, if the list counts.
    pub fn listed(&self) -> impl Iterator<Item = &Allowed> {
        let counts = self.assembly.mode == Mode::Listed;
        self.assembly.allow.iter().filter(move |_| counts)
    }
}

/// Where the list lies that [`Policy::in_force`] reads. A lab's devices are never put on the
/// machine's list.
pub fn path_in_force(named: Option<&Path>, lab: Option<&Path>) -> PathBuf {
    match (named, lab) {
        (Some(named), _) => named.to_owned(),
        (None, Some(lab)) => lab.join(LAB_FILE),
        (None, None) => PATH.into(),
    }
}

fn broken(path: &Path, why: &str) -> Error {
    let why = why.trim();
    Error::failed("policy", format!("{}: {why}", escape_path(path)))
        .advise(
            "Mend the file; until then nothing is assembled by itself. \
             A file to begin with: dmremap-tui config --template --machine",
        )
        .exiting(Exit::Usage)
}

/// The parser draws the line in question below its message; each line is escaped.
fn escape_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(escape_str).collect();
    lines.join("\n")
}

/// What came of a change of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The list says so already.
    Unchanged,
    /// The whole text of the file, as it is to be.
    Text(String),
}

/// The file at `path` with `entry` on its list; everything else stays as it was written.
///
/// # Errors
///
/// [`Error`] if the file cannot be read or makes no sense.
pub fn with_entry(path: &Path, entry: &Allowed) -> Result<Edited, Error> {
    let text = text_of(path)?;
    let policy = Policy::parse(path, &text)?;
    if policy.assembly.allow.contains(entry) {
        return Ok(Edited::Unchanged);
    }
    // A list names an array once.
    let mut text = remove(path, &text, &policy, |known| match entry.uuid {
        Some(_) => known.uuid == entry.uuid,
        None => known.uuid.is_none() && known.name == entry.name,
    })?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text += &entry_text(entry);
    finished(path, text)
}

/// The file at `path` without the entries that `word` means.
///
/// # Errors
///
/// [`Error`] if the file cannot be read or makes no sense.
pub fn without_entry(path: &Path, word: &str) -> Result<Edited, Error> {
    let text = text_of(path)?;
    let policy = Policy::parse(path, &text)?;
    let mut listed = policy.assembly.allow.iter();
    if !listed.any(|entry| entry.is_meant_by(word)) {
        return Ok(Edited::Unchanged);
    }
    let text = remove(path, &text, &policy, |entry| entry.is_meant_by(word))?;
    finished(path, text)
}

/// The text of the file, or of the one to begin with.
fn text_of(path: &Path) -> Result<String, Error> {
    match own_file::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(TEMPLATE.to_owned()),
        Err(error) => Err(broken(path, &error.to_string())),
    }
}

/// The text without the entries that are `gone`. What stands before and behind an entry is
/// the operator's, comments included, and stays byte for byte.
fn remove(
    path: &Path,
    text: &str,
    policy: &Policy,
    gone: impl Fn(&Allowed) -> bool,
) -> Result<String, Error> {
    let document = toml_edit::Document::parse(text);
    let document = document.map_err(|error| broken(path, &escape_lines(&error.to_string())))?;
    let by_hand = || {
        broken(
            path,
            "its list is not written as [[assembly.allow]]; write it so, or change it by hand",
        )
    };
    let Some(allow) = document.get("assembly").and_then(|it| it.get("allow")) else {
        return Ok(text.to_owned());
    };
    let tables = allow.as_array_of_tables().ok_or_else(by_hand)?;
    let mut left = text.to_owned();
    let entries = tables.iter().zip(&policy.assembly.allow);
    // From the end on, so that what is before stays where it was.
    for (table, entry) in entries.collect::<Vec<_>>().into_iter().rev() {
        if !gone(entry) {
            continue;
        }
        let heading = table.span().ok_or_else(by_hand)?;
        let values = table
            .iter()
            .filter_map(|(_, value)| Some(value.span()?.end));
        let end = values.max().unwrap_or(0).max(heading.end);
        // The line ends with it, and one blank line before it parts it from what stands there.
        let end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
        let blank = text[..heading.start].ends_with("\n\n");
        left.replace_range(heading.start - usize::from(blank)..end, "");
    }
    Ok(left)
}

fn entry_text(entry: &Allowed) -> String {
    let mut text = "\n[[assembly.allow]]\n".to_owned();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key} = {}", toml::Value::String(value));
        }
    };
    put("uuid", entry.uuid.map(|uuid| uuid.to_string()));
    put("name", entry.name.clone());
    put("main", entry.main.map(|main| main.to_string()));
    text
}

/// A changed text, which must still be a policy.
fn finished(path: &Path, text: String) -> Result<Edited, Error> {
    Policy::parse(path, &text)?;
    Ok(Edited::Text(text))
}

/// Changes the file at `path` as `edit` says, which reads it while nobody else of ours
/// changes it. Whether anything was changed.
///
/// # Errors
///
/// [`Error`] of `edit`, or with what the operating system says; the old file is there still
/// then.
pub fn change(
    path: &Path,
    edit: impl FnOnce(&Path) -> Result<Edited, Error>,
) -> Result<bool, Error> {
    let failed = |error: std::io::Error| {
        let code = match error.kind() {
            ErrorKind::PermissionDenied => "not-permitted",
            _ => "io",
        };
        Error::failed(code, format!("{}: {error}", escape_path(path)))
            .advise("The machine's own file takes root to change.")
    };
    let held = own_file::Held::take(path).map_err(failed)?;
    let Edited::Text(text) = edit(path)? else {
        return Ok(false);
    };
    held.replace(text.as_bytes(), 0o644).map_err(failed)?;
    Ok(true)
}

/// The list, for a person.
pub fn list_text(policy: &Policy) -> String {
    let mut out = String::new();
    for entry in &policy.assembly.allow {
        let name = entry.name.as_deref().map(escape_str);
        let uuid = entry.uuid.map(|uuid| uuid.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:<36}  {}",
            uuid.as_deref().unwrap_or("any UUID"),
            name.as_deref().unwrap_or("any name")
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";
    const OTHER: &str = "ffffffff-89ab-cdef-0123-456789abcdef";
    const MAIN: &str = "0123456789abcdef0123456789abcdef";

    fn parse(text: &str) -> Policy {
        Policy::parse(Path::new("policy.toml"), text).unwrap()
    }

    fn array(text: &str) -> Option<ArrayUuid> {
        Some(parse_uuid(text).unwrap())
    }

    fn vault() -> Allowed {
        Allowed {
            uuid: array(UUID),
            name: Some("vault".to_owned()),
            main: Some(IdentityDigest::new(*parse_uuid(UUID).unwrap().bytes())),
        }
    }

    #[test]
    fn nothing_is_allowed_that_is_not_listed() {
        assert_eq!(parse(""), Policy::default());
        assert_eq!(parse(TEMPLATE), Policy::default());
        assert!(!Policy::default().allows(array(UUID), Some("vault")));
        assert!(!Policy::default().allows(None, None));
    }

    #[test]
    fn all_that_an_entry_says_must_be_so() {
        let both = format!("[[assembly.allow]]\nuuid = \"{UUID}\"\nname = \"vault\"\n");
        let named = "[[assembly.allow]]\nname = \"vault\"\n".to_owned();
        let numbered = format!("[[assembly.allow]]\nuuid = \"{UUID}\"\n");
        for (text, uuid, name, expected) in [
            (&both, UUID, "vault", true),
            (&both, UUID, "attic", false),
            (&both, OTHER, "vault", false),
            (&named, OTHER, "vault", true),
            (&named, OTHER, "attic", false),
            (&numbered, UUID, "attic", true),
            (&numbered, OTHER, "attic", false),
        ] {
            let policy = parse(text);
            assert_eq!(policy.allows(array(uuid), Some(name)), expected, "{text}");
            assert!(!policy.allows(None, None), "plain v4 has neither");
            let off = parse(&format!("[assembly]\npolicy = \"none\"\n{text}"));
            assert!(!off.allows(array(uuid), Some(name)), "{text}");
        }
    }

    #[test]
    fn a_main_is_known_by_its_identity() {
        let text = format!("[[assembly.allow]]\nuuid = \"{UUID}\"\nmain = \"{MAIN}\"\n");
        let policy = parse(&text);
        let known = IdentityDigest::new(*parse_uuid(UUID).unwrap().bytes());
        let array = policy.array_of_main(known).unwrap();
        assert_eq!(array.uuid, self::array(UUID));
        assert_eq!(policy.array_of_main(IdentityDigest::NONE), None);
        assert_eq!(policy.array_of_main(IdentityDigest::new([7; 16])), None);
        let off = parse(&format!("[assembly]\npolicy = \"none\"\n{text}"));
        assert_eq!(off.array_of_main(known), None);
    }

    #[test]
    fn what_makes_no_sense_is_told_with_file_and_line() {
        for (text, line, why) in [
            ("[assembly]\npolice = \"none\"\n", 2, "police"),
            ("[assembly]\npolicy = \"all\"\n", 2, "all"),
            (
                "# so\n[[assembly.allow]]\nuuid = \"7\"\n",
                3,
                "7 is no UUID",
            ),
            ("[[assembly.allow]]\n", 1, "needs a uuid or a name"),
            ("[[assembly.allow]]\nname = \"x\"\nmain = \"00\"\n", 3, "32"),
            (
                "[[assembly.allow]]\nname = \"x\"\nmain = \"0123456789abcdef0123456789abcdef\"\n",
                1,
                "with a uuid beside it",
            ),
            ("[[assembly.allow]]\nuid = \"\"\n", 2, "uid"),
            ("theme = \"dark\"\n", 1, "theme"),
        ] {
            let error = Policy::parse(Path::new("/etc/dmremap.toml"), text).unwrap_err();
            assert_eq!(error.exit, Exit::Usage);
            assert!(error.message.starts_with("/etc/dmremap.toml: "), "{error}");
            assert!(
                error.message.contains(&format!("line {line},")),
                "{text}: {error}"
            );
            assert!(error.message.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn an_entry_comes_and_goes_and_everything_else_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dmremap.toml");
        let begun = format!(
            "# Mine.\n[assembly]\npolicy = \"listed\" # as ever\n\n\
             [[assembly.allow]] # the old one\nuuid = \"{OTHER}\"\n"
        );
        fs::write(&path, &begun).unwrap();
        let Edited::Text(text) = with_entry(&path, &vault()).unwrap() else {
            panic!("it was not there");
        };
        assert!(text.starts_with(&begun), "{text}");
        assert!(parse(&text).allows(array(UUID), Some("vault")));
        assert!(change(&path, |path| with_entry(path, &vault())).unwrap());
        assert!(!change(&path, |path| with_entry(path, &vault())).unwrap());
        assert_eq!(with_entry(&path, &vault()), Ok(Edited::Unchanged));
        for word in ["vault", UUID] {
            let without = without_entry(&path, word).unwrap();
            assert_eq!(without, Edited::Text(begun.clone()), "{word}");
        }
        assert_eq!(without_entry(&path, "attic"), Ok(Edited::Unchanged));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn the_first_entry_makes_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dmremap.toml");
        let Edited::Text(text) = with_entry(&path, &vault()).unwrap() else {
            panic!("there was no file");
        };
        assert!(text.starts_with(TEMPLATE.lines().next().unwrap()), "{text}");
        change(&path, |_| Ok(Edited::Text(text))).unwrap();
        assert_eq!(Policy::load(Some(&path)).unwrap().assembly.allow, [vault()]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }

    #[test]
    fn a_list_in_brackets_is_read_and_left_to_the_operator() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dmremap.toml");
        let text = format!("[assembly]\nallow = [{{ uuid = \"{OTHER}\" }}]\n");
        fs::write(&path, &text).unwrap();
        assert!(parse(&text).allows(array(OTHER), None));
        let error = with_entry(&path, &vault()).unwrap_err();
        assert!(error.message.contains("by hand"), "{error}");
    }

    #[test]
    fn an_entry_between_others_goes_with_what_it_says_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dmremap.toml");
        let text = format!(
            "# one\n[[assembly.allow]]\nuuid = \"{UUID}\" # its number\n\n\
             # two\n[[assembly.allow]]\nname = \"attic\"\n\n\
             # three\n[[assembly.allow]]\nname = \"vault\"\n# end\n"
        );
        fs::write(&path, &text).unwrap();
        let left = format!(
            "# one\n[[assembly.allow]]\nuuid = \"{UUID}\" # its number\n\n\
             # two\n\n# three\n[[assembly.allow]]\nname = \"vault\"\n# end\n"
        );
        assert_eq!(without_entry(&path, "attic"), Ok(Edited::Text(left)));
    }

    #[test]
    fn an_entry_of_the_same_array_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dmremap.toml");
        fs::write(
            &path,
            format!("[[assembly.allow]]\nuuid = \"{UUID}\"\nname = \"old\"\n"),
        )
        .unwrap();
        let Edited::Text(text) = with_entry(&path, &vault()).unwrap() else {
            panic!("it says something else");
        };
        assert_eq!(parse(&text).assembly.allow, [vault()]);
    }
}
