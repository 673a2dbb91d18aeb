//! The lab as a host: what there is, what is up, and messages to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::dm_target::{Arguments, Disks, MetadataSeed, Now, Record, Target};
use super::fault::{FaultRange, FaultRecord};
use super::registry::{Disk, MappedDevice};
use super::{files, Lab, DISKS, STATE};
use crate::port::slots::survey;
use crate::port::{
    Access, Activation, BlockStore, DeviceInfo, Host, HostError, LoggedEvent, Mapped, Part, Reply,
    Usage, Watcher,
};
use crate::remap_core::event::Event;
use crate::remap_core::message::{Device, Fault, Message};
use crate::remap_core::params::is_valid_name;
use crate::remap_core::quorum::{judge, Verdict};
use crate::remap_core::units::{ArrayUuid, BlockSize, MainBlock, Millis, Sectors};
use crate::text::{escape_os, escape_path, escape_str};

/// Faults that one disk can have.
const MOST_FAULTS: usize = 4096;

/// How long to wait for a disk that somebody else holds, in milliseconds.
const BUSY_WAIT: u64 = 250;

/// How long to wait before a device that could not be looked at is looked at again, in
/// milliseconds.
const ABSENT_WAIT: u64 = 60_000;

impl Host for Lab {
    fn lab_directory(&self) -> Option<&Path> {
        Some(&self.directory)
    }

    fn beside(&self) -> Result<Box<dyn Host>, HostError> {
        let mut beside = Self::at(&self.directory, self.platform.clone())?;
        beside.waits = false;
        // What is known here is there to be told from the start, whatever goes on.
        (beside.seen, beside.registry) = (self.seen, self.registry.clone());
        Ok(Box::new(beside))
    }

    fn is_behind(&self) -> bool {
        self.behind
    }

    fn devices(&mut self) -> Result<Vec<DeviceInfo>, HostError> {
        self.look(|lab| {
            let mut devices: Vec<DeviceInfo> = Vec::new();
            for path in lab.image_paths()? {
                // An image that vanished meanwhile is not there.
                devices.extend(lab.device_info(&path));
            }
            devices.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
            Ok(devices)
        })
    }

    fn open(&mut self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        self.look(|lab| {
            let path = lab.resolve(path)?;
            if access == Access::Exclusive {
                let by = match lab.used_by_anybody(&path)? {
                    Usage::Free => None,
                    Usage::InUse(by) => Some(by),
                    Usage::Mapped { name, .. } => {
                        Some(format!("the mapped device {}", escape_str(&name)))
                    }
                };
                if let Some(by) = by {
                    let what = escape_path(&path).into_owned();
                    return Err(HostError::Busy { what, by });
                }
            }
            Ok(Box::new(lab.open_disk(&path, access)?) as Box<dyn BlockStore>)
        })
    }

    fn usage(&mut self, path: &Path) -> Result<Usage, HostError> {
        self.look(|lab| {
            let path = lab.resolve(path)?;
            lab.used_by_anybody(&path)
        })
    }

    fn mapped(&mut self) -> Result<Vec<Mapped>, HostError> {
        self.look(|lab| {
            let now = lab.now();
            lab.names()
                .into_iter()
                .map(|name| lab.mapped_now(name, now))
                .collect()
        })
    }

    fn activate(&mut self, activation: &Activation) -> Result<(), HostError> {
        self.change(|lab| lab.bring_up(activation))
    }

    fn deactivate(&mut self, name: &str) -> Result<(), HostError> {
        self.change(|lab| lab.take_down(name))
    }

    fn message(&mut self, name: &str, message: &Message) -> Result<Reply, HostError> {
        match message {
            Message::Fault(fault) => {
                self.change(|lab| lab.add_fault(name, fault))?;
                return Ok(Reply::Done);
            }
            Message::ClearFaults => {
                self.change(|lab| lab.clear_faults(name))?;
                return Ok(Reply::Done);
            }
            _ => {}
        }
        let seed = MetadataSeed {
            array: self.new_array_uuid()?,
        };
        self.with_target(name, |target, disks, now, keep| {
            target.message(disks, now, message, seed, keep)
        })?
        .map_err(|error| HostError::Refused(format!("{}: {error}", escape_str(name))))
    }

    fn events(&mut self, after: u64) -> Result<Vec<LoggedEvent>, HostError> {
        self.look(|lab| lab.log.after(after))
    }

    fn run_due(&mut self) -> Result<Option<u64>, HostError> {
        let (due, restarted) = self.look(|lab| Ok((lab.due_times()?, lab.was_restarted())))?;
        let now = self.now().uptime;
        if restarted || due.values().any(|due| *due <= now) {
            self.change(|lab| lab.run_due_now())
        } else {
            Ok(wait_until(due.values().min().copied(), now))
        }
    }

    fn watcher(&mut self) -> Result<Box<dyn Watcher>, HostError> {
        let in_lab = |name: &str| self.directory.join(name);
        self.platform
            .watch(&[self.directory.clone(), in_lab(STATE)], &[in_lab(DISKS)])
    }
}

fn wait_until(due: Option<Millis>, now: Millis) -> Option<u64> {
    due.map(|due| due.get().saturating_sub(now.get()))
}

impl Lab {
    /// Every image there is: those of the registry, those that somebody put beside them
    /// or into the lab's directory, those of active devices.
    fn image_paths(&self) -> Result<Vec<PathBuf>, HostError> {
        let mut paths = Vec::new();
        for directory in [&self.directory, &self.directory.join(DISKS)] {
            let failed = |source| files::host_error(directory, source);
            for entry in fs::read_dir(directory).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.extension().is_some_and(|extension| extension == "img") {
                    paths.push(path);
                }
            }
        }
        let registered = self.registry.disks.iter().map(|disk| &disk.path);
        let mapped = self.registry.mapped.iter();
        let mapped = mapped.flat_map(|mapped| [&mapped.main, &mapped.spare]);
        paths.extend(registered.chain(mapped).map(|path| self.absolute(path)));
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    fn device_info(&self, path: &Path) -> Option<DeviceInfo> {
        let usage = self.used_for(path);
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file);
        let (bytes, read_only) = match found {
            Some(found) => (found.len(), found.permissions().readonly()),
            // An image that a device needs and that is gone must not be missing here, too.
            None if usage != Usage::Free => (0, false),
            None => return None,
        };
        let disk = self.disk(path);
        let logical_block = disk.map_or(BlockSize::B512, Disk::logical_block);
        let in_lab = path.starts_with(&self.directory);
        let name = if in_lab {
            path.file_stem()
        } else {
            path.file_name()
        };
        let faults = disk.into_iter().flat_map(|disk| &disk.faults);
        let bad: u64 = faults
            .map(|fault| FaultRange::from(fault).count.get())
            .fold(0, u64::saturating_add);
        Some(DeviceInfo {
            name: escape_os(name.unwrap_or_default()).into_owned(),
            size: Sectors::from_bytes(bytes),
            logical_block,
            read_only,
            usage,
            faults: bad.div_ceil(logical_block.sectors().get()),
            properties: None,
            path: path.to_owned(),
        })
    }

    /// A mapped device as it is now. Nobody asked its disks yet, and an image that somebody
    /// removed or cut short fails no request before one is made: so it is looked for.
    fn mapped_now(&mut self, name: String, now: Now) -> Result<Mapped, HostError> {
        let Arguments {
            main_path: main,
            spare_path: spare,
            options,
            ..
        } = self.arguments(&name)?;
        let boot_id = self.boot_id.clone();
        let record = match self.record(&name).cloned() {
            Ok(record) => Some(record),
            // Neither its record nor its disks tell of it.
            Err(_) if matches!(self.read_record(&name), Ok(None)) => None,
            Err(error) => return Err(error),
        };
        let mut status = record
            .as_ref()
            .map_or(Record::NOTHING, |record| record.status(now, &boot_id));
        let sizes = record.as_ref().map(Record::disk_sizes);
        let has = |path: &Path, wanted: Option<Sectors>| {
            let found = fs::metadata(path).ok().filter(fs::Metadata::is_file);
            let size = found.map(|found| Sectors::from_bytes(found.len()));
            size.is_some_and(|size| wanted.is_some_and(|wanted| size >= wanted))
        };
        status.main_suspect |= !has(&main, sizes.map(|(main, _)| main));
        if !has(&spare, sizes.map(|(_, spare)| spare)) {
            status.spare_failing = true;
            let judged = self.open_disk(&spare, Access::Read);
            let judged = judged.map(|spare| judge(&survey(&spare)));
            (status.verdict, status.copies) = match judged {
                Ok(judged) if judged.verdict != Verdict::None => {
                    (judged.verdict, judged.states.map(|_, state| state.letter()))
                }
                _ => (Verdict::Lost, Record::NOTHING.copies),
            };
        }
        Ok(Mapped {
            main,
            spare,
            size: record.as_ref().map_or(Sectors::default(), Record::size),
            block_size: record.as_ref().map_or(BlockSize::B512, Record::block_size),
            options,
            status,
            name,
        })
    }

    /// What an image is used for in the lab, or by the machine that the lab is on.
    fn used_by_anybody(&self, path: &Path) -> Result<Usage, HostError> {
        match self.used_for(path) {
            Usage::Free => self.platform.usage(path),
            usage => Ok(usage),
        }
    }

    fn used_for(&self, path: &Path) -> Usage {
        let kept = self.for_registry(path);
        let uses = |mapped: &MappedDevice| {
            let part = |device: &Path, part| (device == kept).then_some(part);
            part(&mapped.main, Part::Main).or_else(|| part(&mapped.spare, Part::Spare))
        };
        self.registry
            .mapped
            .iter()
            .find_map(|mapped| {
                Some(Usage::Mapped {
                    part: uses(mapped)?,
                    name: mapped.name.clone(),
                })
            })
            .unwrap_or(Usage::Free)
    }

    fn bring_up(&mut self, activation: &Activation) -> Result<(), HostError> {
        let name = &activation.name;
        let shown = escape_str(name);
        if !is_valid_name(name.as_bytes()) {
            return Err(HostError::Refused(format!(
                "\"{shown}\" cannot name a mapped device: take 1 to 127 of A-Z a-z 0-9 # + - . : = @ _"
            )));
        }
        if self.mapped_device(name).is_ok() {
            return Err(HostError::Busy {
                what: format!("the name {shown}"),
                by: "a mapped device that is up".to_owned(),
            });
        }
        let paths = [&activation.main, &activation.spare].map(|path| self.resolve(path));
        let [main, spare] = paths;
        let (main, spare) = (main?, spare?);
        if main == spare {
            return Err(HostError::Refused(format!(
                "{} cannot be main and its spare at once",
                escape_path(&main)
            )));
        }
        for path in [&main, &spare] {
            if let Usage::Mapped { name, .. } = self.used_for(path) {
                return Err(HostError::Busy {
                    what: escape_path(path).into_owned(),
                    by: format!("the mapped device {}", escape_str(&name)),
                });
            }
        }
        let now = self.now();
        let mut main_disk = self.open_disk(&main, Access::Exclusive)?;
        let mut spare_disk = self.open_disk(&spare, Access::Exclusive)?;
        activation.require_meant(&main_disk, &spare_disk)?;
        let mut disks = Disks {
            main: &mut main_disk,
            spare: &mut spare_disk,
        };
        let arguments = Arguments {
            name: name.clone(),
            main_path: main.clone(),
            spare_path: spare.clone(),
            options: activation.options,
        };
        let mut target = Target::activate(arguments, &mut disks, now)
            .map_err(|error| HostError::Refused(format!("{shown}: {error}")))?;
        self.records.remove(name);
        // The registry says that it is up: only then it is.
        let events = target.take_events();
        self.keep(name, &mut target, now)?;
        self.registry.mapped.push(MappedDevice::new(
            name,
            self.for_registry(&main).to_owned(),
            self.for_registry(&spare).to_owned(),
            &activation.options,
        ));
        self.registry.save(&self.registry_path())?;
        self.log.append(name, now.stamp, &events)?;
        self.targets.insert(name.clone(), target);
        Ok(())
    }

    fn take_down(&mut self, name: &str) -> Result<(), HostError> {
        self.mapped_device(name)?;
        // Whatever was written to it is to outlive it. That a disk is gone or held by
        // somebody else does not keep the device up.
        let flushed = self.with_loaded(name, |target, disks, now, _| target.flush(disks, now));
        match flushed {
            Ok(_) | Err(HostError::NotFound(_) | HostError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        self.registry.mapped.retain(|mapped| mapped.name != name);
        self.registry.save(&self.registry_path())?;
        self.targets.remove(name);
        self.records.remove(name);
        let record = self.record_path(name);
        match fs::remove_file(&record) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(files::host_error(&record, error));
            }
            _ => {}
        }
        let stamp = self.now().stamp;
        self.log.append(name, stamp, &[Event::Deactivated])
    }

    fn add_fault(&mut self, name: &str, fault: &Fault) -> Result<(), HostError> {
        let unit = self.record(name)?.block_size();
        let mapped = self.mapped_device(name)?;
        let path = self.absolute(match fault.device {
            Device::Main => &mapped.main,
            Device::Spare => &mapped.spare,
        });
        let size = self.open_disk(&path, Access::Read)?.size();
        let past_end = || {
            HostError::Refused(format!(
                "{} has no block {}",
                escape_path(&path),
                fault.from
            ))
        };
        let from = unit.first_sector(fault.from).ok_or_else(past_end)?;
        let there = size.get().checked_sub(from.get()).filter(|rest| *rest > 0);
        let rest = there.ok_or_else(past_end)?;
        let wanted = unit.first_sector(MainBlock::new(fault.count.get()));
        let count = wanted.map_or(rest, |wanted| wanted.get().min(rest));
        let range = FaultRange::bad(fault.direction, from, Sectors::new(count));
        let disk = self.disk_mut(&path);
        if disk.faults.len() >= MOST_FAULTS {
            return Err(HostError::Refused(format!(
                "{} has {MOST_FAULTS} faults already; clear them first",
                escape_path(&path)
            )));
        }
        disk.faults.push(FaultRecord::from(&range));
        self.registry.save(&self.registry_path())
    }

    fn clear_faults(&mut self, name: &str) -> Result<(), HostError> {
        let mapped = self.mapped_device(name)?;
        for path in [&mapped.main, &mapped.spare].map(|path| self.absolute(path)) {
            self.disk_mut(&path).faults.clear();
        }
        self.registry.save(&self.registry_path())
    }

    /// The registry's entry of a disk, made where there is none yet.
    fn disk_mut(&mut self, path: &Path) -> &mut Disk {
        let kept = self.for_registry(path).to_owned();
        let known = self
            .registry
            .disks
            .iter()
            .position(|disk| disk.path == kept);
        let index = known.unwrap_or_else(|| {
            self.registry.disks.push(Disk::new(kept, None));
            self.registry.disks.len() - 1
        });
        &mut self.registry.disks[index]
    }

    fn new_array_uuid(&self) -> Result<ArrayUuid, HostError> {
        let mut bytes = [0; 16];
        self.platform.random(&mut bytes)?;
        let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        Ok(ArrayUuid::new(*uuid.as_bytes()))
    }

    /// When something is due next, for each active device that has anything due.
    fn due_times(&mut self) -> Result<BTreeMap<String, Millis>, HostError> {
        let now = self.now();
        let boot_id = self.boot_id.clone();
        let mut due = BTreeMap::new();
        for name in self.names() {
            if let Some(at) = self.record(&name)?.due(now, &boot_id) {
                due.insert(name, at);
            }
        }
        Ok(due)
    }

    /// Whether a device has due times of an earlier start of the machine.
    fn was_restarted(&self) -> bool {
        let mut records = self.records.values();
        records.any(|record| !record.is_of(&self.boot_id))
    }

    fn run_due_now(&mut self) -> Result<Option<u64>, HostError> {
        let now = self.now();
        self.count_from_this_start()?;
        let mut failed = None;
        let mut busy = false;
        for (name, due) in self.due_times()? {
            if due > now.uptime {
                continue;
            }
            let ran = self.with_loaded(&name, |target, disks, now, keep| {
                target.run_due(disks, now, keep)
            });
            match ran {
                Ok(_) => {}
                Err(HostError::Busy { .. }) => busy = true,
                Err(error) => {
                    self.postpone(&name, ABSENT_WAIT)?;
                    failed.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let next = wait_until(self.due_times()?.into_values().min(), now.uptime);
        Ok(match busy {
            true => Some(BUSY_WAIT),
            false => next,
        })
    }

    /// Makes due times count from this start of the machine, or they would begin to be
    /// waited for anew each time that somebody asks.
    fn count_from_this_start(&mut self) -> Result<(), HostError> {
        for name in self.names() {
            let boot_id = self.boot_id.clone();
            if !self.record(&name)?.is_of(&boot_id) {
                self.postpone(&name, 0)?;
            }
        }
        Ok(())
    }

    /// Puts off what is due on a device that cannot be looked at.
    fn postpone(&mut self, name: &str, wait: u64) -> Result<(), HostError> {
        let (now, boot_id) = (self.now(), self.boot_id.clone());
        let later: Record = self.record(name)?.postponed(now, &boot_id, wait);
        files::replace_json(&self.record_path(name), &later)?;
        self.records.insert(name.to_owned(), later);
        Ok(())
    }
}
