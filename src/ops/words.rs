//! An operation from the words of a command line: the inverse of the line that a plan
//! shows, for those who type such a line somewhere else than in a shell.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::operation::FORM_OPTIONS;
use super::verbs::{Value, Verb, VERBS};
use super::{CorruptionKind, Operation, Target};
use crate::port::{DeviceInfo, Mapped};
use crate::remap_core::label::MainForm;
use crate::remap_core::message::{Device, Direction, Fault, Message};
use crate::remap_core::params::Options;
use crate::remap_core::units::{ArrayUuid, BlockSize, Blocks, MainBlock, Slot};
use crate::text::{escape_os, escape_str};

/// What words may mean: devices by their short names, mapped devices by theirs.
#[derive(Clone, Debug, Default)]
pub struct Names {
    devices: Vec<(String, PathBuf)>,
    /// The spares of mapped devices that are up.
    up: Vec<(String, PathBuf)>,
    /// Those of others, by what their metadata says: such a name hides no device.
    inactive: Vec<(String, PathBuf)>,
    /// What is meant where nothing is named: the mapped device, if it is up, and where
    /// the copies are.
    pub subject: Option<(Option<String>, PathBuf)>,
}

impl Names {
    /// The names of these devices.
    pub fn of<'a>(devices: &[DeviceInfo], mapped: impl IntoIterator<Item = &'a Mapped>) -> Self {
        let mut names = Self::default();
        for device in devices {
            names
                .devices
                .push((device.name.clone(), device.path.clone()));
        }
        for mapped in mapped {
            names.up.push((mapped.name.clone(), mapped.spare.clone()));
        }
        names
    }

    /// Adds the spare of a mapped device that is not up.
    pub fn add_spare(&mut self, name: &str, spare: &Path) {
        self.inactive.push((name.to_owned(), spare.to_owned()));
    }

    fn device(&self, word: &OsStr) -> PathBuf {
        let found = find(&self.devices, word);
        found.unwrap_or_else(|| PathBuf::from(word))
    }

    fn spare(&self, word: &OsStr) -> PathBuf {
        let named = [&self.up, &self.devices, &self.inactive].into_iter();
        let mut found = named.filter_map(|named| find(named, word));
        found.next().unwrap_or_else(|| PathBuf::from(word))
    }

    fn target(&self, word: &OsStr) -> Result<Target, String> {
        let is_up = find(&self.up, word).is_some();
        let device = find(&self.devices, word).filter(|_| !is_up);
        let is_path = word.as_encoded_bytes().contains(&b'/');
        Ok(match device.or_else(|| is_path.then(|| word.into())) {
            Some(path) => Target::Path(path),
            None => Target::Name(text(word)?.to_owned()),
        })
    }

    fn subject_name(&self) -> Result<String, String> {
        let name = self.subject.as_ref().and_then(|(name, _)| name.clone());
        name.ok_or_else(|| "name a mapped device that is up".to_owned())
    }

    fn subject_spare(&self) -> Result<PathBuf, String> {
        let spare = self.subject.as_ref().map(|(_, spare)| spare.clone());
        spare.ok_or_else(|| "name a device".to_owned())
    }

    fn subject_target(&self) -> Result<Target, String> {
        match self.subject_name() {
            Ok(name) => Ok(Target::Name(name)),
            Err(_) => self.subject_spare().map(Target::Path),
        }
    }
}

fn find(named: &[(String, PathBuf)], word: &OsStr) -> Option<PathBuf> {
    let found = named.iter().find(|(name, _)| OsStr::new(name) == word);
    found.map(|(_, path)| path.clone())
}

fn text(word: &OsStr) -> Result<&str, String> {
    let text = word.to_str();
    text.ok_or_else(|| format!("\"{}\" is no text", escape_os(word)))
}

/// What was said, by the place or the option that it stands at.
struct Said<'a> {
    verb: &'static Verb,
    arguments: Vec<&'a OsStr>,
    options: Vec<(&'static str, Option<&'a OsStr>)>,
}

impl<'a> Said<'a> {
    fn read(verb: &'static Verb, words: &'a [OsString]) -> Result<Self, String> {
        let mut said = Self {
            verb,
            arguments: Vec::new(),
            options: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if !word.as_encoded_bytes().starts_with(b"--") {
                said.arguments.push(word);
                continue;
            }
            let option = verb
                .options
                .iter()
                .find(|(name, _)| OsStr::new(name) == word);
            let Some((name, value)) = option else {
                let word = escape_os(word);
                let options = verb.options.iter().map(|(name, _)| *name);
                let near = crate::text::nearest(&word, options);
                let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
                return Err(format!("{} has no option {word}{hint}", verb.name));
            };
            if said.options.iter().any(|(taken, _)| taken == name) {
                return Err(format!("{name} is there twice"));
            }
            let value = match value {
                Value::Flag => None,
                _ => Some(
                    words
                        .next()
                        .ok_or_else(|| format!("{name} needs a value"))?
                        .as_os_str(),
                ),
            };
            said.options.push((name, value));
        }
        if let Some(surplus) = said.arguments.get(verb.arguments.len()) {
            return Err(format!(
                "{} takes no further word: {}",
                verb.name,
                escape_os(surplus)
            ));
        }
        Ok(said)
    }

    fn argument(&self, place: usize) -> Option<&'a OsStr> {
        self.arguments.get(place).copied()
    }

    fn name(&self) -> Result<Option<String>, String> {
        self.argument(0)
            .map(|word| text(word).map(str::to_owned))
            .transpose()
    }

    fn is_set(&self, option: &str) -> bool {
        self.options.iter().any(|(name, _)| *name == option)
    }

    fn value(&self, option: &str) -> Option<&'a OsStr> {
        let found = self.options.iter().find(|(name, _)| *name == option);
        found.and_then(|(_, value)| *value)
    }

    fn required(&self, option: &str) -> Result<&'a OsStr, String> {
        let value = self.value(option);
        value.ok_or_else(|| format!("{} needs {option}", self.verb.name))
    }

    fn text(&self, option: &str) -> Result<Option<String>, String> {
        let value = self.value(option).map(text).transpose()?;
        Ok(value.map(str::to_owned))
    }

    fn parsed<T: FromStr>(&self, option: &str) -> Result<Option<T>, String>
    where
        T::Err: Display,
    {
        let Some(value) = self.value(option) else {
            return Ok(None);
        };
        let value = text(value)?;
        let parsed = value.parse();
        parsed
            .map(Some)
            .map_err(|error| format!("{option} {}: {error}", escape_str(value)))
    }

    fn slots(&self, option: &str) -> Result<Vec<Slot>, String> {
        let words = text(self.required(option)?)?;
        let slots = words.split(',').map(|word| {
            let slot = word.parse().ok().and_then(Slot::from_index);
            slot.ok_or_else(|| format!("{option} {}: copies are 0 to 4", escape_str(words)))
        });
        let mut slots = slots.collect::<Result<Vec<Slot>, _>>()?;
        slots.sort_unstable();
        slots.dedup();
        Ok(slots)
    }

    fn array(&self) -> Result<Option<ArrayUuid>, String> {
        let Some(value) = self.value("--array") else {
            return Ok(None);
        };
        let array = crate::policy::parse_uuid(text(value)?)?;
        match self.is_set("--rebuild") {
            true => Ok(Some(array)),
            false => Err("--array goes with --rebuild".to_owned()),
        }
    }

    fn form(&self) -> Result<Option<MainForm>, String> {
        let said = FORM_OPTIONS.into_iter();
        let said: Vec<_> = said.filter(|(_, option)| self.is_set(option)).collect();
        match said.as_slice() {
            [(_, one), (_, other), ..] => Err(format!("{one} does not go with {other}")),
            said => Ok(said.first().map(|(form, _)| *form)),
        }
    }

    fn block_size(&self) -> Result<Option<BlockSize>, String> {
        let Some(bytes) = self.parsed::<u32>("--block-size")? else {
            return Ok(None);
        };
        let size = BlockSize::ALL
            .into_iter()
            .find(|size| size.bytes() == bytes);
        size.map(Some)
            .ok_or_else(|| "a remap unit has 512, 1024, 2048 or 4096 bytes".to_owned())
    }

    fn target_options(&self) -> Result<Options, String> {
        let default = Options::default();
        let interval = self.parsed("--scrub-interval")?;
        Ok(Options {
            block_size: self.block_size()?,
            scrub_interval: interval.unwrap_or(default.scrub_interval),
            ..default
        })
    }
}

/// Reads the words of a command that is an operation; its name comes first.
///
/// # Errors
///
/// What makes no sense, in a few words.
pub fn parse(words: &[OsString], names: &Names) -> Result<Operation, String> {
    let (name, rest) = words.split_first().ok_or("a command is missing")?;
    let Some(verb) = VERBS.iter().find(|verb| OsStr::new(verb.name) == name) else {
        let name = escape_os(name);
        let near = crate::text::nearest(&name, VERBS.iter().map(|verb| verb.name));
        let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
        return Err(format!("there is no command {name}{hint}"));
    };
    let said = Said::read(verb, rest)?;
    let mapped = || match said.name()? {
        Some(name) => Ok(name),
        None => names.subject_name(),
    };
    let spare = || match said.argument(0) {
        Some(word) => Ok(names.spare(word)),
        None => names.subject_spare(),
    };
    let target = || match said.argument(0) {
        Some(word) => names.target(word),
        None => names.subject_target(),
    };
    let device = |option| said.required(option).map(|word| names.device(word));
    Ok(match verb.name {
        "create" => Operation::Create {
            name: said.name()?.ok_or("the new device needs a name")?,
            main: device("--main")?,
            spare: device("--spare")?,
            options: said.target_options()?,
            replace: said.is_set("--replace"),
            form: said.form()?,
        },
        "write-metadata" if said.is_set("--main") || said.is_set("--spare") => {
            let name = said.name()?.or(said.text("--name")?);
            Operation::WriteInactive {
                name: name.ok_or("write-metadata needs --name")?,
                main: device("--main")?,
                spare: device("--spare")?,
                options: said.target_options()?,
                replace: said.is_set("--replace"),
                adopt: said.is_set("--adopt"),
            }
        }
        "write-metadata" => Operation::WriteMetadata { name: mapped()? },
        "reassemble" => Operation::Reassemble {
            target: target()?,
            main: said.value("--main").map(|word| names.device(word)),
            name: said.text("--as")?,
            read_only: said.is_set("--read-only"),
        },
        "remove" => Operation::Remove { name: mapped()? },
        "cover" => Operation::Cover { name: mapped()? },
        "uncover" => Operation::Uncover { name: mapped()? },
        "scrub" => Operation::Message {
            name: mapped()?,
            message: Message::Scrub,
        },
        "repair" => Operation::Repair {
            target: target()?,
            from: match said.value("--from") {
                Some(_) => said.slots("--from")?.first().copied(),
                None => None,
            },
            rebuild: said.is_set("--rebuild"),
            array: said.array()?,
        },
        "corrupt" => Operation::Corrupt {
            path: spare()?,
            slots: said.slots("--copy")?,
            kind: said.parsed("--kind")?.unwrap_or(CorruptionKind::BitFlip),
            seed: said.parsed("--seed")?.unwrap_or(1),
        },
        "migrate" => Operation::Migrate {
            path: spare()?,
            name: said.text("--name")?,
            block_size: said.block_size()?,
            main: said.value("--main").map(|word| names.device(word)),
        },
        "undo" => Operation::Undo {
            id: match said.argument(0) {
                None => None,
                Some(word) => {
                    let id = text(word)?.parse();
                    Some(id.map_err(|_| format!("{} is no action", escape_os(word)))?)
                }
            },
        },
        _ => Operation::Message {
            name: mapped()?,
            message: fault(&said)?,
        },
    })
}

fn fault(said: &Said<'_>) -> Result<Message, String> {
    if said.is_set("--clear") {
        return Ok(Message::ClearFaults);
    }
    let device = match said.argument(1).and_then(OsStr::to_str) {
        Some("main") => Device::Main,
        Some("spare") => Device::Spare,
        _ => return Err("fault needs main or spare, or --clear".to_owned()),
    };
    let direction = match said.value("--on").and_then(OsStr::to_str) {
        Some("read") => Direction::Read,
        Some("write") => Direction::Write,
        None | Some("both") => Direction::Both,
        Some(_) => return Err("--on takes read, write or both".to_owned()),
    };
    Ok(Message::Fault(Fault {
        device,
        direction,
        from: MainBlock::new(said.parsed("--from")?.unwrap_or(0)),
        count: Blocks::new(said.parsed("--count")?.unwrap_or(1)),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::command::line_of;
    use super::*;
    use crate::port::journal::ActionId;

    fn read(line: &str, names: &Names) -> Result<Operation, String> {
        let words = crate::command_line::split(line).unwrap();
        parse(&words, names)
    }

    fn every_operation() -> Vec<Operation> {
        let path = |name: &str| Path::new("/dev/it's").join(name);
        let options = Options {
            scrub_interval: 60,
            block_size: Some(BlockSize::B4096),
            ..Options::default()
        };
        let name = || "vault".to_owned();
        let message = |message| Operation::Message {
            name: name(),
            message,
        };
        let mut all = vec![
            Operation::Create {
                name: name(),
                main: path("a"),
                spare: path("b"),
                options,
                replace: true,
                form: Some(MainForm::Labelled),
            },
            Operation::WriteMetadata { name: name() },
            Operation::WriteInactive {
                name: name(),
                main: path("a"),
                spare: path("b"),
                options: Options::default(),
                replace: false,
                adopt: true,
            },
            Operation::Migrate {
                path: path("b"),
                name: Some(name()),
                block_size: Some(BlockSize::B512),
                main: Some(path("a")),
            },
            Operation::Reassemble {
                target: Target::Path(path("b")),
                main: Some(path("a")),
                name: Some(name()),
                read_only: true,
            },
            Operation::Remove { name: name() },
            Operation::Cover { name: name() },
            Operation::Uncover { name: name() },
            Operation::Undo { id: None },
            Operation::Undo {
                id: Some(ActionId::new(7)),
            },
            message(Message::Scrub),
            message(Message::ClearFaults),
            message(Message::Fault(Fault {
                device: Device::Main,
                direction: Direction::Write,
                from: MainBlock::new(100),
                count: Blocks::new(8),
            })),
        ];
        all.extend(CorruptionKind::ALL.map(|kind| Operation::Corrupt {
            path: path("b"),
            slots: vec![Slot::S0, Slot::S3],
            kind,
            seed: 7,
        }));
        for target in [Target::Name(name()), Target::Path(path("b"))] {
            all.push(Operation::Repair {
                target,
                from: Some(Slot::S2),
                rebuild: true,
                array: Some(ArrayUuid::new([7; 16])),
            });
        }
        all
    }

    #[test]
    fn the_line_that_a_plan_shows_is_read_as_the_operation_it_was_made_from() {
        for operation in every_operation() {
            let line = line_of(&operation, None);
            let words = crate::command_line::split(&line).unwrap();
            let read = parse(&words[1..], &Names::default());
            assert_eq!(read, Ok(operation), "{line}");
        }
    }

    #[test]
    fn nothing_named_means_what_is_shown() {
        let names = Names {
            subject: Some((Some("vault".to_owned()), "/d/b".into())),
            ..Names::default()
        };
        let scrub = read("scrub", &names).unwrap();
        assert_eq!(scrub, read("scrub vault", &Names::default()).unwrap());
        let corrupt = read("corrupt --copy 1,4 --kind torn", &names).unwrap();
        let named = read("corrupt /d/b --copy 4,1 --kind torn --seed 1", &names);
        assert_eq!(corrupt, named.unwrap());
        assert!(read("scrub", &Names::default()).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (line, said) in [
            ("scrubb vault", "did you mean scrub?"),
            ("repair vault --form 1", "did you mean --from?"),
            ("corrupt b", "corrupt needs --copy"),
            ("corrupt b --copy 5", "copies are 0 to 4"),
            ("corrupt b --copy 1 --copy 2", "--copy is there twice"),
            ("corrupt b --copy", "--copy needs a value"),
            ("corrupt b --copy 1 --kind soft", "--kind soft"),
            ("create x --main a", "create needs --spare"),
            ("create --main a --spare b", "needs a name"),
            ("remove a b", "takes no further word: b"),
            ("fault vault disk", "main or spare"),
            ("undo x", "x is no action"),
            ("migrate b --block-size 100", "512, 1024, 2048 or 4096"),
        ] {
            let error = read(line, &Names::default()).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
