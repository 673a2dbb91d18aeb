//! A real machine as a host: its block devices, image files, and the kernel's targets.

mod activation;
mod changes;
mod partitions;
mod said;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lab::Lab;
use crate::ops::is_same_device;
use crate::port::block::DeviceNumber;
use crate::port::device_mapper::{DeviceMapper, Line, Listed, UUID_PREFIX};
use crate::port::kernel_log::KernelLog;
use crate::port::{
    Access, Activation, BlockDevice, BlockStore, DeviceInfo, Host, HostError, LogEntry,
    LoggedEvent, Mapped, Part, Platform, RemapRow, Reply, TargetLog, Teller, Told, Usage, Watcher,
};
use crate::remap_core::message::Message;
use crate::remap_core::params::{TargetArgs, TARGET_NAME};
use crate::remap_core::units::{BlockSize, MainBlock};
use crate::text::{escape_path, escape_str};

use changes::Changes;
use said::Names;

/// This machine.
pub struct Machine {
    platform: Arc<dyn Platform>,
    device_mapper: Arc<dyn DeviceMapper>,
    /// Where others may log what they did.
    journal: Option<PathBuf>,
    /// What was up when it was last looked at, and is not compared with before yet.
    latest: Option<Vec<Mapped>>,
    changes: Changes,
    heard: Heard,
}

/// The kernel's log as a source of events.
#[derive(Default)]
enum Heard {
    /// Nobody asked for events yet.
    #[default]
    NotYet,
    /// It is read as it grows.
    Listening(Box<dyn KernelLog>, Names),
    /// It cannot be read.
    Deaf,
}

impl Machine {
    /// The machine that `platform` reaches, whose mapped devices `device_mapper` makes.
    /// Its watcher wakes for what comes into the `journal` as well.
    pub fn new(
        platform: Arc<dyn Platform>,
        device_mapper: Arc<dyn DeviceMapper>,
        journal: Option<PathBuf>,
    ) -> Self {
        Self {
            platform,
            device_mapper,
            journal,
            latest: None,
            changes: Changes::default(),
            heard: Heard::default(),
        }
    }

    /// Every mapped device of ours that is up. Others' are passed over, and so are those
    /// that cannot be told to be ours.
    fn ours(&self) -> Result<Vec<Mapped>, HostError> {
        let mut mapped = Vec::new();
        for listed in self.device_mapper.list()? {
            let lines = match self.device_mapper.table(&listed.name) {
                Ok(lines) => lines,
                // It has just gone.
                Err(HostError::NotFound(_)) => continue,
                Err(error) if listed.uuid.starts_with(UUID_PREFIX) => return Err(error),
                Err(_) => continue,
            };
            if let Some(line) = our_line(&lines) {
                mapped.extend(self.describe(&listed, line)?);
            }
        }
        Ok(mapped)
    }

    /// What there is to know of a mapped device of ours; none if it has just gone.
    fn describe(&self, listed: &Listed, line: &Line) -> Result<Option<Mapped>, HostError> {
        let unreadable = |what: &str, why: &dyn std::fmt::Display| {
            let name = escape_str(&listed.name);
            HostError::Refused(format!("{name}: its {what} cannot be read: {why}"))
        };
        let words: Vec<&str> = line.text.split_whitespace().collect();
        let args = TargetArgs::parse(&words).map_err(|error| unreadable("table line", &error))?;
        let told = match self.device_mapper.status(&listed.name) {
            Ok(lines) => lines,
            Err(HostError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(status) = our_line(&told) else {
            return Ok(None);
        };
        let status = status.text.parse();
        let status = status.map_err(|error| unreadable("status", &error))?;
        let unit = self.platform.block_device(listed.number);
        Ok(Some(Mapped {
            name: listed.name.clone(),
            main: self.path_of(args.main),
            spare: self.path_of(args.spare),
            size: line.length,
            block_size: unit.map_or(BlockSize::B512, |device| device.logical_block),
            options: args.options,
            status,
        }))
    }

    /// The path of what a table names by number or by path.
    fn path_of(&self, word: &str) -> PathBuf {
        let Some(number) = DeviceNumber::parse(word) else {
            return word.into();
        };
        match self.platform.block_device(number) {
            Some(BlockDevice { path, .. }) => path,
            None => format!("/dev/block/{number}").into(),
        }
    }

    /// Reads on in the kernel's log and keeps what it tells; whether it can be read.
    fn hear(&mut self) -> bool {
        let mut heard = match std::mem::replace(&mut self.heard, Heard::Deaf) {
            Heard::NotYet => match self.platform.kernel_log() {
                Ok(log) => Heard::Listening(log, Names::default()),
                Err(_) => Heard::Deaf,
            },
            heard => heard,
        };
        let Heard::Listening(log, names) = &mut heard else {
            return false;
        };
        let Ok(read) = log.read() else {
            return false;
        };
        for entry in names.tell(&read.records, || self.numbers_of_ours()) {
            if let (Some(device), Told::Event(event)) = (entry.device, entry.told) {
                self.changes.keep(&device, entry.time, event);
            }
        }
        self.heard = heard;
        true
    }

    /// The mapped devices of ours that are up, by their numbers.
    fn numbers_of_ours(&self) -> BTreeMap<DeviceNumber, String> {
        let listed = self.device_mapper.list().unwrap_or_default();
        let is_ours = |listed: &Listed| {
            listed.uuid.starts_with(UUID_PREFIX)
                || self
                    .device_mapper
                    .table(&listed.name)
                    .is_ok_and(|lines| our_line(&lines).is_some())
        };
        let ours = listed.into_iter().filter(is_ours);
        ours.map(|listed| (listed.number, listed.name)).collect()
    }

    /// Refuses a name under which nothing of ours is up.
    fn require_ours(&self, name: &str) -> Result<(), HostError> {
        let lines = self.device_mapper.table(name)?;
        match our_line(&lines) {
            Some(_) => Ok(()),
            None => Err(HostError::Refused(format!(
                "the mapped device {} is not of target {TARGET_NAME}; it is left alone",
                escape_str(name)
            ))),
        }
    }

    /// Blocks that a target moved or is to move, from one on.
    fn remaps(&self, name: &str, from: MainBlock) -> Result<Vec<RemapRow>, HostError> {
        let message = Message::Remaps(from).to_string();
        let answer = self.device_mapper.message(name, &message)?;
        let rows = answer.as_deref().unwrap_or_default().lines();
        rows.map(|line| {
            RemapRow::parse(line).ok_or_else(|| {
                HostError::Refused(format!(
                    "{}: its list of remaps cannot be read: {}",
                    escape_str(name),
                    escape_str(line)
                ))
            })
        })
        .collect()
    }

    /// Every block that a target moved or is to move, up to some more than are compared.
    fn all_remaps(&self, name: &str) -> Result<Vec<RemapRow>, HostError> {
        let mut rows: Vec<RemapRow> = Vec::new();
        let mut from = MainBlock::new(0);
        while rows.len() <= changes::REMAPS_COMPARED {
            let page = self.remaps(name, from)?;
            let Some(next) = page.last().and_then(|last| last.block.get().checked_add(1)) else {
                break;
            };
            from = MainBlock::new(next);
            rows.extend(page);
        }
        Ok(rows)
    }
}

/// The only line of a table or a status, if it is of our target. A device that joins
/// several targets is somebody's own making, and is left to them.
fn our_line(lines: &[Line]) -> Option<&Line> {
    match lines {
        [line] if line.target == TARGET_NAME => Some(line),
        _ => None,
    }
}

/// The part that a device plays in one of these.
fn part_in(mapped: &[Mapped], path: &Path) -> Option<Usage> {
    mapped.iter().find_map(|device| {
        let part = match () {
            () if is_same_device(&device.main, path) => Part::Main,
            () if is_same_device(&device.spare, path) => Part::Spare,
            () => return None,
        };
        let name = device.name.clone();
        Some(Usage::Mapped { name, part })
    })
}

impl Host for Machine {
    fn lab_directory(&self) -> Option<&Path> {
        None
    }

    fn beside(&self) -> Result<Box<dyn Host>, HostError> {
        let (platform, device_mapper) = (self.platform.clone(), self.device_mapper.clone());
        Ok(Box::new(Self::new(
            platform,
            device_mapper,
            self.journal.clone(),
        )))
    }

    fn devices(&mut self) -> Result<Vec<DeviceInfo>, HostError> {
        let mut devices = self.platform.block_devices()?;
        // Whoever may not ask the targets still sees what else uses a device.
        let mapped = self.ours().unwrap_or_default();
        for device in &mut devices {
            if let Some(usage) = part_in(&mapped, &device.path) {
                device.usage = usage;
            }
        }
        Ok(devices)
    }

    fn open(&mut self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        if access == Access::Exclusive {
            // To whoever may not ask the targets the kernel says that it is busy.
            let mapped = self.ours().unwrap_or_default();
            if let Some(Usage::Mapped { name, .. }) = part_in(&mapped, path) {
                return Err(HostError::Busy {
                    what: escape_path(path).into_owned(),
                    by: format!("the mapped device {}", escape_str(&name)),
                });
            }
            // Whoever mounted a loop device of an image keeps nobody from opening the image.
            if let Usage::InUse(by) = self.platform.usage(path)? {
                return Err(HostError::Busy {
                    what: escape_path(path).into_owned(),
                    by,
                });
            }
        }
        self.platform.open(path, access)
    }

    fn usage(&mut self, path: &Path) -> Result<Usage, HostError> {
        let usage = self.platform.usage(path)?;
        let mapped = self.ours().unwrap_or_default();
        if let Some(ours) = part_in(&mapped, path) {
            return Ok(ours);
        }
        // A lab's device can be up without a process that holds its images.
        Ok(match (usage, Lab::part_of(path)) {
            (Usage::Free, Some((name, part))) => Usage::Mapped { name, part },
            (usage, _) => usage,
        })
    }

    fn mapped(&mut self) -> Result<Vec<Mapped>, HostError> {
        let mapped = self.ours()?;
        self.latest = Some(mapped.clone());
        Ok(mapped)
    }

    fn can_activate(&self, devices: &[&Path]) -> Result<(), String> {
        if let Some(lack) = self.device_mapper.facilities().lack() {
            return Err(lack.to_string());
        }
        activation::require_block_devices(devices)
    }

    fn is_name_taken(&mut self, name: &str) -> Result<bool, HostError> {
        let mut listed = self.device_mapper.list()?.into_iter();
        let named = listed.find(|device| device.name == name);
        Ok(named.is_some_and(|device| !activation::is_left_over(&*self.device_mapper, &device)))
    }

    fn activate(&mut self, activation: &Activation) -> Result<(), HostError> {
        activation::bring_up(&*self.platform, &*self.device_mapper, activation)
    }

    fn deactivate(&mut self, name: &str) -> Result<(), HostError> {
        self.require_ours(name)?;
        let removed = activation::take_down(&*self.device_mapper, name);
        if let Err(HostError::Busy { .. }) = removed {
            // It stays up, and its partitions with it.
            activation::bring_up_partitions(&*self.platform, &*self.device_mapper, name)?;
        }
        removed
    }

    fn message(&mut self, name: &str, message: &Message) -> Result<Reply, HostError> {
        self.require_ours(name)?;
        if let Message::Remaps(from) = message {
            return self.remaps(name, *from).map(Reply::Remaps);
        }
        self.device_mapper.message(name, &message.to_string())?;
        Ok(Reply::Done)
    }

    /// What the kernel's log tells of targets; where it cannot be read, what changed
    /// since the last look.
    fn events(&mut self, after: u64) -> Result<Vec<LoggedEvent>, HostError> {
        let is_heard = self.hear();
        if let Some(latest) = self.latest.take() {
            let now = self.platform.now();
            let mut changes = std::mem::take(&mut self.changes);
            match is_heard {
                true => changes.note_names(&latest, now),
                false => changes.note(&latest, now, |name| self.all_remaps(name).ok()),
            }
            self.changes = changes;
        }
        Ok(self.changes.after(after))
    }

    fn target_log(&mut self) -> Result<TargetLog, HostError> {
        let read = self.platform.kernel_log().and_then(|mut log| log.read());
        let unread = match read {
            Ok(read) => {
                return Ok(TargetLog {
                    entries: Names::default().tell(&read.records, || self.numbers_of_ours()),
                    // The first record of all is number 0.
                    overwritten: read.overwritten
                        || read.records.first().is_some_and(|first| first.sequence > 0),
                    unread: None,
                });
            }
            Err(unread) => unread,
        };
        let entry = |logged: LoggedEvent| LogEntry {
            id: logged.id,
            time: logged.time,
            device: Some(logged.device),
            teller: Teller::Comparison,
            told: Told::Event(logged.event),
        };
        Ok(TargetLog {
            entries: self.events(0)?.into_iter().map(entry).collect(),
            overwritten: false,
            unread: Some(unread),
        })
    }

    fn run_due(&mut self) -> Result<Option<u64>, HostError> {
        Ok(None)
    }

    fn watcher(&mut self) -> Result<Box<dyn Watcher>, HostError> {
        let mut watchers = vec![self.platform.watch_devices()?];
        // Where device-mapper cannot be asked there are no events to wait for.
        watchers.extend(self.device_mapper.watcher());
        let journal = self.journal.iter().filter(|directory| directory.is_dir());
        let journal: Vec<PathBuf> = journal.cloned().collect();
        if !journal.is_empty() {
            watchers.extend(self.platform.watch(&[], &journal));
        }
        Ok(watch::join(watchers))
    }
}
