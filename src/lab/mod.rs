//! The lab: mapped devices on sparse image files, with the target in userspace.
//!
//! A lab lives in its directory, not in a process. Every action takes the lab's lock for
//! as long as it lasts, so that a screen in one terminal and commands in another work on
//! the same lab at once, and what one process remembers is used only while no other has
//! changed anything.
//!
//! ```text
//! DIR/lab.json          disks, their serials and faults; devices that are up
//! DIR/disks/*.img       the disks; images in DIR itself count as disks without a serial
//! DIR/state/NAME.json   counters, back-off and due times of a device that is up
//! DIR/events.jsonl      what happened
//! DIR/backups/          what repairs overwrote
//! DIR/journal/          the operator's actions, and what they overwrote
//! DIR/dmremap.toml      what it may assemble without a person
//! DIR/lock              who works on the lab
//! ```

mod backup;
mod disk;

pub mod dm_target;
pub mod exercise;
pub mod fault;
mod files;
mod host;
mod lock;
mod log;
pub mod ram;
mod registry;
mod training;
mod walls;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::port::{Access, HostError, IoError, Part, Platform};
use crate::remap_core::units::{BlockSize, Sector, Sectors};
use crate::text::{escape_path, escape_str};
use disk::{describe, LabDisk};
use dm_target::{Arguments, Disks, Now, Record, RequestError, Target};
use lock::{Lock, Mark};
use log::EventLog;
use registry::{MappedDevice, Registry};

/// What a new lab has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Healthy, damaged, foreign and blank disks, to learn on.
    Training,
    /// No disk at all.
    Nothing,
}

/// A lab that was opened.
pub struct Lab {
    directory: PathBuf,
    platform: Arc<dyn Platform>,
    lock: Lock,
    /// Whether a look waits for work that goes on. One that does not tells what is
    /// remembered from before.
    waits: bool,
    /// Whether the last look did.
    behind: bool,
    boot_id: String,
    /// The action up to which what follows was read.
    seen: Option<u64>,
    registry: Registry,
    records: BTreeMap<String, Record>,
    targets: BTreeMap<String, Target>,
    log: EventLog,
}

/// Why a read or write of a mapped device of the lab failed.
#[derive(Debug)]
pub enum LabIoError {
    /// The request itself failed.
    Request(RequestError),
    /// A flush failed: nothing may be taken for durable.
    Flush(IoError),
    /// It did not come to that.
    Host(HostError),
}

impl std::fmt::Display for LabIoError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::Flush(error) => write!(f, "flush: {error}"),
            Self::Host(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LabIoError {}

impl From<HostError> for LabIoError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

const REGISTRY: &str = "lab.json";
const LOCK: &str = "lock";
const DISKS: &str = "disks";
const STATE: &str = "state";
const EVENTS: &str = "events.jsonl";
const BACKUPS: &str = "backups";

/// The directories that a lab has from the start.
const DIRECTORIES: [&str; 2] = [DISKS, STATE];

impl Lab {
    /// Whether there is a lab in `directory`.
    pub fn is_at(directory: &Path) -> bool {
        directory.join(REGISTRY).is_file()
    }

    /// Opens the lab in `directory`.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`] if there is none, [`HostError::Refused`] if a file of it
    /// cannot be used, with the file's name and what to do.
    pub fn open(directory: &Path, platform: Arc<dyn Platform>) -> Result<Self, HostError> {
        if !Self::is_at(directory) {
            let shown = escape_path(directory);
            return Err(HostError::NotFound(format!("the lab {shown}")));
        }
        let mut lab = Self::at(directory, platform)?;
        training::finish(&lab.directory)?;
        lab.look(|_| Ok(()))?;
        Ok(lab)
    }

    /// Opens the lab in `directory`, or makes one there that has `contents`. A crash in
    /// the middle leaves either no lab or one that this completes.
    ///
    /// # Errors
    ///
    /// [`HostError::Refused`] if the directory holds anything else.
    pub fn open_or_create(
        directory: &Path,
        platform: Arc<dyn Platform>,
        contents: Contents,
    ) -> Result<Self, HostError> {
        if Self::is_at(directory) {
            return Self::open(directory, platform);
        }
        training::check_room(directory)?;
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(files::host_error(directory, error));
            }
            _ => {}
        }
        let mut lab = Self::at(directory, platform)?;
        lab.lock.take()?;
        // Another process may have made it while this one waited.
        let made = match lab.registry_path().is_file() {
            true => Ok(()),
            false => training::create(&lab.directory, &*lab.platform, contents),
        };
        let marked = made.and_then(|()| {
            lab.lock.set_mark(Mark {
                actions: 1,
                busy: false,
            })
        });
        lab.lock.release();
        marked?;
        lab.look(|_| Ok(()))?;
        Ok(lab)
    }

    /// Which part the image at `path` plays in a device that is up in the lab around it;
    /// `None` if it is in no lab, or not in use there. For whoever works on the image
    /// without the lab.
    pub fn part_of(path: &Path) -> Option<(String, Part)> {
        let path = fs::canonicalize(path).ok()?;
        let disks = path.parent().filter(|parent| parent.ends_with(DISKS))?;
        let directory = disks.parent()?;
        let registry = Registry::read(&directory.join(REGISTRY)).ok()??;
        registry.mapped.into_iter().find_map(|device| {
            let part = match () {
                () if directory.join(&device.main) == path => Part::Main,
                () if directory.join(&device.spare) == path => Part::Spare,
                () => return None,
            };
            Some((device.name, part))
        })
    }

    fn at(directory: &Path, platform: Arc<dyn Platform>) -> Result<Self, HostError> {
        let failed = |source| files::host_error(directory, source);
        let directory = fs::canonicalize(directory).map_err(failed)?;
        walls::check(&directory)?;
        Ok(Self {
            lock: Lock::open(&directory.join(LOCK))?,
            waits: true,
            behind: false,
            boot_id: platform.boot_id(),
            log: EventLog::new(directory.join(EVENTS)),
            directory,
            platform,
            seen: None,
            registry: Registry::empty(),
            records: BTreeMap::new(),
            targets: BTreeMap::new(),
        })
    }

    /// Reads whole remap units of a mapped device, from `at` on.
    ///
    /// # Errors
    ///
    /// [`LabIoError`] names the blocks that are lost; every other one was read.
    pub fn read(&mut self, name: &str, at: Sector, buffer: &mut [u8]) -> Result<(), LabIoError> {
        self.with_target(name, |target, disks, now, _| {
            target.read(disks, now, at, buffer)
        })?
        .map_err(LabIoError::Request)
    }

    /// Writes whole remap units of a mapped device, from `at` on. What the spare took in
    /// place of main is durable then; everything is after [`Lab::flush`].
    ///
    /// # Errors
    ///
    /// [`LabIoError`] names the blocks that failed; every other one was written.
    pub fn write(&mut self, name: &str, at: Sector, data: &[u8]) -> Result<(), LabIoError> {
        self.with_target(name, |target, disks, now, _| {
            target.write(disks, now, at, data)
        })?
        .map_err(LabIoError::Request)
    }

    /// Makes every write to a mapped device durable.
    ///
    /// # Errors
    ///
    /// [`LabIoError`]; nothing may be taken for durable then.
    pub fn flush(&mut self, name: &str) -> Result<(), LabIoError> {
        self.with_target(name, |target, disks, now, _| target.flush(disks, now))?
            .map_err(|errno| {
                LabIoError::Flush(IoError {
                    errno,
                    at: Sector::default(),
                })
            })
    }

    /// The size of a mapped device, and its remap unit.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`] if there is no such device.
    pub fn geometry(&mut self, name: &str) -> Result<(Sectors, BlockSize), HostError> {
        self.look(|lab| {
            lab.mapped_device(name)?;
            let record = lab.record(name)?;
            Ok((record.size(), record.block_size()))
        })
    }

    fn registry_path(&self) -> PathBuf {
        self.directory.join(REGISTRY)
    }

    fn record_path(&self, name: &str) -> PathBuf {
        self.directory.join(STATE).join(format!("{name}.json"))
    }

    fn now(&self) -> Now {
        Now {
            uptime: self.platform.uptime(),
            stamp: self.platform.now(),
        }
    }

    /// Does something that changes nothing, while nobody else changes anything; or, where
    /// that is not waited for, with what is remembered.
    fn look<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        self.behind = !self.waits && self.seen.is_some() && !self.lock.try_share()?;
        if self.behind {
            return act(self);
        }
        self.lock.share()?;
        let mut mark = self.lock.mark();
        if matches!(mark, Ok(Mark { busy: true, .. })) {
            self.lock.release();
            self.change(|_| Ok(()))?;
            self.lock.share()?;
            mark = self.lock.mark();
        }
        let outcome = mark
            .and_then(|mark| self.refresh(mark.actions))
            .and_then(|()| act(self));
        self.lock.release();
        outcome
    }

    /// Does something that may change the lab, while nobody else works on it.
    fn change<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        self.lock.take()?;
        let outcome = self.change_locked(act);
        if outcome.is_err() {
            // What is remembered may have got ahead of what is on the disk.
            self.seen = None;
        }
        self.lock.release();
        outcome
    }

    fn change_locked<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        let mark = self.lock.mark()?;
        self.refresh(mark.actions)?;
        let actions = mark.actions.wrapping_add(1);
        let set = |busy| self.lock.set_mark(Mark { actions, busy });
        set(true)?;
        self.seen = Some(actions);
        if mark.busy {
            self.recover();
        }
        let outcome = act(self);
        self.lock.set_mark(Mark {
            actions,
            busy: false,
        })?;
        outcome
    }

    /// Reads what another process changed.
    fn refresh(&mut self, actions: u64) -> Result<(), HostError> {
        if self.seen == Some(actions) {
            return Ok(());
        }
        self.seen = None;
        self.records.clear();
        self.targets.clear();
        self.log.forget();
        let path = self.registry_path();
        let mut registry = Registry::read(&path)?
            .ok_or_else(|| HostError::NotFound(escape_path(&path).into_owned()))?;
        for kept in registry.paths_mut() {
            // One spelling for each image, or a disk in use would pass for a free one.
            *kept = self.for_registry(kept).to_owned();
        }
        self.registry = registry;
        self.seen = Some(actions);
        Ok(())
    }

    /// Makes up for a process that died in the middle of an action: the disks say what
    /// it got done, and the records are brought up to that.
    fn recover(&mut self) {
        let names: Vec<String> = self.names();
        for name in names {
            // A device that cannot be looked at now keeps its record as it is; whoever
            // asks for it is told why.
            let _ = self.with_loaded(&name, |_, _, _, _| ());
        }
        self.remove_leftovers();
    }

    /// Removes records of devices that are not up, and files that never came to be.
    fn remove_leftovers(&self) {
        let directory = self.directory.join(STATE);
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let file = entry.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(".json"));
            let is_up = name.is_some_and(|name| self.names().iter().any(|up| up == name));
            if !is_up {
                // It means nothing to anybody; the next time will do as well.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .registry
            .mapped
            .iter()
            .map(|mapped| mapped.name.clone())
            .collect();
        names.sort();
        names
    }

    fn mapped_device(&self, name: &str) -> Result<&MappedDevice, HostError> {
        self.registry
            .mapped
            .iter()
            .find(|mapped| mapped.name == name)
            .ok_or_else(|| HostError::NotFound(format!("the mapped device {}", escape_str(name))))
    }

    /// What is remembered of an active device.
    fn record(&mut self, name: &str) -> Result<&Record, HostError> {
        if !self.records.contains_key(name) {
            let record = match self.read_record(name)? {
                Some(record) => record,
                // Its counters are gone; what it is, its disks say.
                None => {
                    let (target, _) = self.load(name, None)?;
                    Record::of(&target, self.now(), &self.boot_id)
                }
            };
            self.records.insert(name.to_owned(), record);
        }
        self.records
            .get(name)
            .ok_or_else(|| HostError::NotFound(escape_str(name).into_owned()))
    }

    fn read_record(&self, name: &str) -> Result<Option<Record>, HostError> {
        let path = self.record_path(name);
        let remedy = "remove it to go on: the counters and due times of the device then begin anew";
        let record: Option<Record> = files::read_json(&path, remedy)?;
        match record.as_ref().map(Record::check) {
            Some(Err(why)) => Err(files::unusable(&path, &why, remedy)),
            _ => Ok(record),
        }
    }

    /// Does something with an active target, then keeps what it told.
    fn with_target<T>(
        &mut self,
        name: &str,
        act: impl FnOnce(&mut Target, &mut Disks<'_>, Now, &mut dm_target::KeepBackup<'_>) -> T,
    ) -> Result<T, HostError> {
        self.change(|lab| lab.with_loaded(name, act))
    }

    fn with_loaded<T>(
        &mut self,
        name: &str,
        act: impl FnOnce(&mut Target, &mut Disks<'_>, Now, &mut dm_target::KeepBackup<'_>) -> T,
    ) -> Result<T, HostError> {
        let now = self.now();
        let (mut target, (mut main, mut spare)) = match self.targets.remove(name) {
            Some(target) => (target, self.open_disks(name, Access::Exclusive)?),
            None => {
                let record = self.read_record(name)?;
                self.load(name, record.as_ref())?
            }
        };
        let keeper = backup::Keeper::new(&self.directory, name, &spare, &self.spare_path(name)?);
        let mut keep = |ranges| keeper.keep(ranges);
        let mut disks = Disks {
            main: &mut main,
            spare: &mut spare,
        };
        let outcome = act(&mut target, &mut disks, now, &mut keep);
        drop((main, spare));
        self.keep(name, &mut target, now)?;
        self.targets.insert(name.to_owned(), target);
        Ok(outcome)
    }

    /// Puts an active target together from its disks and from what is remembered of it.
    fn load(
        &self,
        name: &str,
        record: Option<&Record>,
    ) -> Result<(Target, (LabDisk, LabDisk)), HostError> {
        let now = self.now();
        let (mut main, mut spare) = self.open_disks(name, Access::Exclusive)?;
        let mut disks = Disks {
            main: &mut main,
            spare: &mut spare,
        };
        let arguments = self.arguments(name)?;
        let loaded = match record {
            Some(record) => Target::resume(arguments, &mut disks, record, now, &self.boot_id),
            None => Target::activate(arguments, &mut disks, now),
        };
        let target =
            loaded.map_err(|error| HostError::Refused(format!("{}: {error}", escape_str(name))))?;
        Ok((target, (main, spare)))
    }

    /// Keeps what a target counted and told.
    fn keep(&mut self, name: &str, target: &mut Target, now: Now) -> Result<(), HostError> {
        let events = target.take_events();
        self.log.append(name, now.stamp, &events)?;
        let record = Record::of(target, now, &self.boot_id);
        if self.records.get(name) != Some(&record) {
            files::replace_json(&self.record_path(name), &record)?;
            self.records.insert(name.to_owned(), record);
        }
        Ok(())
    }

    fn arguments(&self, name: &str) -> Result<Arguments, HostError> {
        let mapped = self.mapped_device(name)?;
        Ok(Arguments {
            name: name.to_owned(),
            main_path: self.absolute(&mapped.main),
            spare_path: self.absolute(&mapped.spare),
            options: mapped.options(),
        })
    }

    fn spare_path(&self, name: &str) -> Result<PathBuf, HostError> {
        Ok(self.absolute(&self.mapped_device(name)?.spare))
    }

    fn open_disks(&self, name: &str, access: Access) -> Result<(LabDisk, LabDisk), HostError> {
        let mapped = self.mapped_device(name)?;
        let open = |path: &Path| self.open_disk(&self.absolute(path), access);
        Ok((open(&mapped.main)?, open(&mapped.spare)?))
    }

    /// Opens an image with what the registry says of it. Only what lies in the lab is opened
    /// for anything but reading.
    fn open_disk(&self, path: &Path, access: Access) -> Result<LabDisk, HostError> {
        let image = match access {
            Access::Read => self.platform.open(path, access)?,
            Access::Exclusive | Access::HandOver | Access::Damage => self
                .platform
                .open(&walls::image_within(&self.directory, path)?, access)?,
        };
        Ok(describe(image, self.disk(path)))
    }

    /// What the registry says of the disk at an absolute path.
    fn disk(&self, path: &Path) -> Option<&registry::Disk> {
        let kept = self.for_registry(path);
        self.registry.disks.iter().find(|disk| disk.path == kept)
    }

    /// A path of the registry as it can be opened.
    fn absolute(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// An absolute path as the registry keeps it: a lab can be moved with its disks.
    fn for_registry<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.directory).unwrap_or(path)
    }

    /// What an operator's path means: a disk of the lab by its bare name, or a file. The path
    /// is free of links: an image has one name here, whichever way it was named.
    fn resolve(&self, path: &Path) -> Result<PathBuf, HostError> {
        let in_lab = path.parent() == Some(&self.directory.join(DISKS));
        if in_lab && fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
            return Ok(path.to_owned());
        }
        let bare = path.components().count() == 1 && !path.has_root();
        let named = path.to_str().filter(|_| bare).and_then(|name| {
            let directories = [self.directory.join(DISKS), self.directory.clone()];
            let candidates = directories
                .iter()
                .flat_map(|it| [it.join(format!("{name}.img")), it.join(name)]);
            let is_image = |it: &PathBuf| it.is_file() && it.extension() == Some("img".as_ref());
            candidates.into_iter().find(is_image)
        });
        let path = named.as_deref().unwrap_or(path);
        fs::canonicalize(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => HostError::NotFound(escape_path(path).into_owned()),
            _ => files::host_error(path, source),
        })
    }
}
