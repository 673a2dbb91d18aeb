//! The command line that does what an operation asks for.

use std::ffi::OsString;
use std::path::Path;

use super::operation::FORM_OPTIONS;
use super::{Operation, Target};
use crate::command_line;
use crate::remap_core::message::{Device, Direction, Fault, Message};
use crate::remap_core::params::Options;
use crate::remap_core::units::Slot;

/// The command line of `operation`, for a lab or for this machine.
pub fn line_of(operation: &Operation, lab: Option<&Path>) -> String {
    let mut words = Words(Vec::new());
    if let Some(lab) = lab {
        words.option("--lab", lab);
    }
    words.push(operation.command_name());
    match operation {
        Operation::Create {
            name,
            main,
            spare,
            options,
            replace,
            form,
        } => {
            words.push(name);
            words.devices(main, spare);
            words.options(options);
            words.flag("--replace", *replace);
            for (of, option) in FORM_OPTIONS {
                words.flag(option, *form == Some(of));
            }
        }
        Operation::WriteMetadata { name }
        | Operation::Remove { name }
        | Operation::Cover { name }
        | Operation::Uncover { name } => words.push(name),
        Operation::WriteInactive {
            name,
            main,
            spare,
            options,
            replace,
            adopt,
        } => {
            words.devices(main, spare);
            words.option("--name", name);
            words.options(options);
            words.flag("--replace", *replace);
            words.flag("--adopt", *adopt);
        }
        Operation::Corrupt {
            path,
            slots,
            kind,
            seed,
        } => {
            words.push(path);
            let slots: Vec<String> = slots.iter().map(Slot::to_string).collect();
            words.option("--copy", slots.join(","));
            words.option("--kind", kind.name());
            words.option("--seed", seed.to_string());
        }
        Operation::Repair {
            target,
            from,
            rebuild,
            array,
        } => {
            words.target(target);
            if let Some(slot) = from {
                words.option("--from", slot.to_string());
            }
            words.flag("--rebuild", *rebuild);
            if let Some(array) = array {
                words.option("--array", array.to_string());
            }
        }
        Operation::Migrate {
            path,
            name,
            block_size,
            main,
        } => {
            words.push(path);
            if let Some(main) = main {
                words.option("--main", main);
            }
            if let Some(name) = name {
                words.option("--name", name);
            }
            if let Some(block_size) = block_size {
                words.option("--block-size", block_size.to_string());
            }
        }
        Operation::Reassemble {
            target,
            main,
            name,
            read_only,
        } => {
            words.target(target);
            if let Some(main) = main {
                words.option("--main", main);
            }
            if let Some(name) = name {
                words.option("--as", name);
            }
            words.flag("--read-only", *read_only);
        }
        Operation::Message { name, message } => words.message(name, message),
        Operation::Undo { id } => {
            if let Some(id) = id {
                words.push(id.to_string());
            }
        }
    }
    command_line::line(words.0)
}

struct Words(Vec<OsString>);

impl Words {
    fn push(&mut self, word: impl Into<OsString>) {
        self.0.push(word.into());
    }

    fn option(&mut self, key: &str, value: impl Into<OsString>) {
        self.push(key);
        self.push(value);
    }

    fn flag(&mut self, key: &str, is_set: bool) {
        if is_set {
            self.push(key);
        }
    }

    fn devices(&mut self, main: &Path, spare: &Path) {
        self.option("--main", main);
        self.option("--spare", spare);
    }

    fn options(&mut self, options: &Options) {
        if let Some(block_size) = options.block_size {
            self.option("--block-size", block_size.to_string());
        }
        if options.scrub_interval != Options::default().scrub_interval {
            self.option("--scrub-interval", options.scrub_interval.to_string());
        }
    }

    fn fault(&mut self, fault: &Fault) {
        self.push(match fault.device {
            Device::Main => "main",
            Device::Spare => "spare",
        });
        self.option(
            "--on",
            match fault.direction {
                Direction::Read => "read",
                Direction::Write => "write",
                Direction::Both => "both",
            },
        );
        self.option("--from", fault.from.to_string());
        self.option("--count", fault.count.to_string());
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Name(name) => self.push(name),
            Target::Path(path) => self.push(path),
        }
    }

    /// Scrub, repair and writing metadata are commands of their own.
    fn message(&mut self, name: &str, message: &Message) {
        self.push(name);
        match message {
            Message::Scrub | Message::Repair | Message::WriteMetadata => {}
            Message::ClearFaults => self.push("--clear"),
            Message::Fault(fault) => self.fault(fault),
            other => {
                for word in other.to_string().split(' ') {
                    self.push(word);
                }
            }
        }
    }
}
