// SPDX-License-Identifier: GPL-2.0-or-later
//! The table line: `<main> <spare> [<n> <key> <value>...]`, behind start, length and
//! the target's name. `<n>` counts the words that follow it.

use core::fmt;

use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::units::BlockSize;

/// The target's name in a table.
pub const TARGET_NAME: &str = "dm-remap-v4";

/// The target's version, which the kernel tells of a module that is loaded. Another first number is
/// another table line, status or message; the second one counts what was added to them.
pub const TARGET_VERSION: [u32; 3] = [4, 1, 0];

/// Seconds between two scrubs where the table line says nothing.
pub const DEFAULT_SCRUB_SECONDS: u32 = 3600;

/// Milliseconds from resume to the first scrub.
pub const FIRST_SCRUB_MILLIS: u64 = 100;

/// Why text is no name for a mapped device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// There is none.
    Empty,
    /// It is longer than device-mapper allows.
    TooLong {
        /// Its length, in bytes.
        length: usize,
    },
    /// It holds a byte that device-mapper's own tools would escape.
    Byte {
        /// Which byte, counted from 0; all in front of it are ASCII.
        position: usize,
    },
    /// It means a directory.
    Directory,
    /// It is the kernel's own node beside those of the mapped devices.
    ControlNode,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong { length } => {
                write!(
                    f,
                    "the name has {length} bytes and may have {NAME_LIMIT} at most"
                )
            }
            Self::Byte { position } => {
                write!(
                    f,
                    "character {} is none of 0-9 A-Z a-z # + - . : = @ _",
                    position.saturating_add(1)
                )
            }
            Self::Directory => f.write_str("\".\" and \"..\" are directories, not names"),
            Self::ControlNode => f.write_str("/dev/mapper/control is device-mapper's own"),
        }
    }
}

/// Checks the name of a mapped device: what can be under `/dev/mapper` as it is.
///
/// # Errors
///
/// [`NameError`] says what is wrong with it.
pub fn check_name(name: &[u8]) -> Result<(), NameError> {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(byte);
    match name {
        [] => Err(NameError::Empty),
        b"." | b".." => Err(NameError::Directory),
        b"control" => Err(NameError::ControlNode),
        _ if name.len() > NAME_LIMIT => Err(NameError::TooLong { length: name.len() }),
        _ => match name.iter().position(|byte| !is_allowed(byte)) {
            Some(position) => Err(NameError::Byte { position }),
            None => Ok(()),
        },
    }
}

/// Whether this can name a mapped device.
pub fn is_valid_name(name: &[u8]) -> bool {
    check_name(name).is_ok()
}

/// What the table line may say behind the two devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Seconds between two scrubs; 0 is never.
    pub scrub_interval: u32,
    /// The remap unit, for a spare that has no metadata yet. Metadata decides else.
    pub block_size: Option<BlockSize>,
    /// Whether the device comes up read-only.
    pub read_only: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scrub_interval: DEFAULT_SCRUB_SECONDS,
            block_size: None,
            read_only: false,
        }
    }
}

/// The target's arguments in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetArgs<'a> {
    /// Main, as the table names it: a path or `major:minor`.
    pub main: &'a str,
    /// The spare, likewise.
    pub spare: &'a str,
    /// The rest.
    pub options: Options,
}

/// What is wrong with a table line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamsError<'a> {
    /// Main or the spare is missing.
    MissingDevice,
    /// The count of optional words is no number, or not the number there are.
    Count {
        /// What it says.
        stated: &'a str,
        /// How many words follow.
        follow: usize,
    },
    /// A key is not known.
    UnknownKey(&'a str),
    /// A key comes twice.
    Repeated(&'a str),
    /// A key has no value.
    MissingValue(&'a str),
    /// A value does not fit its key.
    BadValue {
        /// The key.
        key: &'a str,
        /// The value.
        value: &'a str,
    },
}

impl fmt::Display for ParamsError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingDevice => f.write_str("expected <main> <spare>"),
            Self::Count { stated, follow } => write!(
                f,
                "the number of optional words is {}, but {follow} follow",
                stated.escape_debug()
            ),
            Self::UnknownKey(key) => write!(f, "unknown key {}", key.escape_debug()),
            Self::Repeated(key) => write!(f, "{} comes twice", key.escape_debug()),
            Self::MissingValue(key) => write!(f, "{} has no value", key.escape_debug()),
            Self::BadValue { key, value } => {
                write!(
                    f,
                    "{} cannot be {}",
                    key.escape_debug(),
                    value.escape_debug()
                )
            }
        }
    }
}

impl<'a> TargetArgs<'a> {
    /// Reads the words behind the target's name.
    ///
    /// # Errors
    ///
    /// [`ParamsError`] names the word that does not fit.
    pub fn parse(words: &[&'a str]) -> Result<Self, ParamsError<'a>> {
        let (main, spare, rest) = match words {
            [main, spare, rest @ ..] if !main.is_empty() && !spare.is_empty() => {
                (*main, *spare, rest)
            }
            _ => return Err(ParamsError::MissingDevice),
        };
        let options = match rest {
            [] => Options::default(),
            [stated, pairs @ ..] => {
                if stated.parse() != Ok(pairs.len()) {
                    return Err(ParamsError::Count {
                        stated,
                        follow: pairs.len(),
                    });
                }
                Options::parse(pairs)?
            }
        };
        Ok(Self {
            main,
            spare,
            options,
        })
    }
}

impl Options {
    fn parse<'a>(words: &[&'a str]) -> Result<Self, ParamsError<'a>> {
        let mut options = Self::default();
        let (mut scrub, mut block, mut read_only) = (false, false, false);
        for pair in words.chunks(2) {
            let (key, value) = match pair {
                [key, value] => (*key, *value),
                [key] => return Err(ParamsError::MissingValue(key)),
                _ => continue,
            };
            let bad = ParamsError::BadValue { key, value };
            let seen = match key {
                "scrub_interval" => {
                    options.scrub_interval = value.parse().map_err(|_| bad)?;
                    &mut scrub
                }
                "block_size" => {
                    let bytes = value.parse().map_err(|_| bad)?;
                    options.block_size = Some(BlockSize::from_bytes(bytes).ok_or(bad)?);
                    &mut block
                }
                "read_only" => {
                    options.read_only = match value {
                        "0" => false,
                        "1" => true,
                        _ => return Err(bad),
                    };
                    &mut read_only
                }
                _ => return Err(ParamsError::UnknownKey(key)),
            };
            if core::mem::replace(seen, true) {
                return Err(ParamsError::Repeated(key));
            }
        }
        Ok(options)
    }
}

impl fmt::Display for TargetArgs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Options::default();
        let scrub = self.options.scrub_interval != default.scrub_interval;
        let block = self.options.block_size;
        let read_only = self.options.read_only;
        write!(f, "{} {}", self.main, self.spare)?;
        let pairs = [scrub, block.is_some(), read_only];
        let words = pairs
            .iter()
            .filter(|there| **there)
            .count()
            .saturating_mul(2);
        if words > 0 {
            write!(f, " {words}")?;
        }
        if scrub {
            write!(f, " scrub_interval {}", self.options.scrub_interval)?;
        }
        if let Some(block) = block {
            write!(f, " block_size {block}")?;
        }
        if read_only {
            f.write_str(" read_only 1")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_line_prints_as_it_was_read() {
        let lines = [
            "/dev/sda /dev/sdb",
            "8:0 8:16 2 scrub_interval 0",
            "8:0 8:16 4 scrub_interval 60 block_size 4096",
            "8:0 8:16 6 scrub_interval 1 block_size 512 read_only 1",
        ];
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(TargetArgs::parse(&words).unwrap().to_string(), line);
        }
    }

    #[test]
    fn each_wrong_word_is_named() {
        let bad = |key, value| ParamsError::BadValue { key, value };
        let cases = [
            ("", ParamsError::MissingDevice),
            ("a", ParamsError::MissingDevice),
            (
                "a b x",
                ParamsError::Count {
                    stated: "x",
                    follow: 0,
                },
            ),
            (
                "a b 2",
                ParamsError::Count {
                    stated: "2",
                    follow: 0,
                },
            ),
            (
                "a b 3 read_only 1",
                ParamsError::Count {
                    stated: "3",
                    follow: 2,
                },
            ),
            ("a b 1 read_only", ParamsError::MissingValue("read_only")),
            ("a b 2 colour 1", ParamsError::UnknownKey("colour")),
            (
                "a b 4 read_only 1 read_only 1",
                ParamsError::Repeated("read_only"),
            ),
            ("a b 2 read_only 2", bad("read_only", "2")),
            ("a b 2 block_size 513", bad("block_size", "513")),
            ("a b 2 block_size 8192", bad("block_size", "8192")),
            ("a b 2 scrub_interval -1", bad("scrub_interval", "-1")),
            (
                "a b 2 scrub_interval 4294967296",
                bad("scrub_interval", "4294967296"),
            ),
        ];
        for (line, error) in cases {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(TargetArgs::parse(&words), Err(error), "{line}");
        }
    }

    #[test]
    fn names_are_what_can_be_under_dev_mapper() {
        let long = [b'x'; 128];
        for (name, expected) in [
            (&b"my-storage"[..], Ok(())),
            (b"0-9A-Za-z#+-.:=@_", Ok(())),
            (&long[..127], Ok(())),
            (b"", Err(NameError::Empty)),
            (b".", Err(NameError::Directory)),
            (b"..", Err(NameError::Directory)),
            (b"control", Err(NameError::ControlNode)),
            (b"controls", Ok(())),
            (&long, Err(NameError::TooLong { length: 128 })),
            (b"a b", Err(NameError::Byte { position: 1 })),
            (b"a/b", Err(NameError::Byte { position: 1 })),
            (b"x\n", Err(NameError::Byte { position: 1 })),
            ("ö".as_bytes(), Err(NameError::Byte { position: 0 })),
        ] {
            assert_eq!(check_name(name), expected, "{name:?}");
        }
    }
}
