//! A host and a journal in memory, for tests of what runs above them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use super::sample;
use crate::lab::ram::RamDisk;
use crate::ops::{self, Operation, Plan, Refusal};
use crate::port::journal::{
    ActionId, ActionRecord, BackupFiles, BackupSide, Begun, Ended, Journal,
};
use crate::port::{
    Access, Activation, BlockStore, Clock, DeviceInfo, Host, HostError, IoError, LoggedEvent,
    Mapped, Platform, Reply, Uptime, Usage, Watcher,
};
use crate::remap_core::message::Message;
use crate::remap_core::units::{BlockSize, IdentityDigest, Millis, Sector, Sectors, Timestamp};

/// What the tests and the host share.
#[derive(Default)]
pub struct World {
    pub disks: BTreeMap<PathBuf, RamDisk>,
    pub devices: Vec<DeviceInfo>,
    pub mapped: Vec<Mapped>,
    pub messages: Vec<(String, Message)>,
    pub events: Vec<LoggedEvent>,
    pub opened: Vec<PathBuf>,
    pub panics: bool,
    /// The disk whose writes are held back.
    pub gate: Arc<Gate>,
}

/// Holds back what is written to one disk for as long as that is wanted.
#[derive(Default)]
pub struct Gate {
    closed: Mutex<Option<PathBuf>>,
    opened: Condvar,
}

impl Gate {
    /// Holds back what is written to this disk from now on.
    pub fn close(&self, path: PathBuf) {
        *self.closed.lock().unwrap() = Some(path);
    }

    /// Lets everything go on.
    pub fn open(&self) {
        *self.closed.lock().unwrap() = None;
        self.opened.notify_all();
    }

    fn pass(&self, path: &Path) {
        let mut closed = self.closed.lock().unwrap();
        while closed.as_deref() == Some(path) {
            closed = self.opened.wait(closed).unwrap();
        }
    }
}

/// A host on a shared world.
#[derive(Clone, Default)]
pub struct FakeHost(pub Arc<Mutex<World>>);

impl FakeHost {
    /// A host of these devices, each of them a disk.
    pub fn new(disks: Vec<(DeviceInfo, RamDisk)>) -> Self {
        let mut world = World::default();
        for (device, disk) in disks {
            world.disks.insert(device.path.clone(), disk);
            world.devices.push(device);
        }
        Self(Arc::new(Mutex::new(world)))
    }

    /// The five copies of a disk, as they lie there.
    pub fn copies(&self, path: &Path) -> Vec<[u8; 512]> {
        let world = self.0.lock().unwrap();
        let read = |slot: crate::remap_core::units::Slot| {
            let mut raw = [0; 512];
            world.disks[path].read_at(slot.sector(), &mut raw).unwrap();
            raw
        };
        crate::remap_core::units::Slot::ALL.map(read).to_vec()
    }

    /// What an operation comes to.
    pub fn plan(&mut self, operation: &Operation) -> Result<Box<Plan>, Refusal> {
        ops::plan(self, &mut context(), operation).map(Box::new)
    }
}

struct Handle {
    path: PathBuf,
    world: Arc<Mutex<World>>,
    gate: Arc<Gate>,
}

impl Handle {
    fn with<T>(&self, act: impl FnOnce(&mut RamDisk) -> T) -> T {
        let mut world = self.world.lock().unwrap();
        act(world.disks.get_mut(&self.path).unwrap())
    }
}

impl BlockStore for Handle {
    fn size(&self) -> Sectors {
        self.with(|disk| disk.size())
    }

    fn logical_block(&self) -> BlockSize {
        self.with(|disk| disk.logical_block())
    }

    fn identity(&self) -> IdentityDigest {
        self.with(|disk| disk.identity())
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        self.with(|disk| disk.read_at(at, buffer))
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        self.gate.pass(&self.path);
        self.with(|disk| disk.write_at(at, data))
    }

    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
}

impl Host for FakeHost {
    fn lab_directory(&self) -> Option<&Path> {
        None
    }

    fn beside(&self) -> Result<Box<dyn Host>, HostError> {
        Ok(Box::new(self.clone()))
    }

    fn devices(&mut self) -> Result<Vec<DeviceInfo>, HostError> {
        let world = self.0.lock().unwrap();
        let (panics, devices) = (world.panics, world.devices.clone());
        drop(world);
        assert!(!panics, "asked to panic");
        Ok(devices)
    }

    fn open(&mut self, path: &Path, _access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        let mut world = self.0.lock().unwrap();
        if !world.disks.contains_key(path) {
            return Err(HostError::NotFound(path.display().to_string()));
        }
        world.opened.push(path.to_owned());
        Ok(Box::new(Handle {
            path: path.to_owned(),
            gate: Arc::clone(&world.gate),
            world: Arc::clone(&self.0),
        }))
    }

    fn usage(&mut self, path: &Path) -> Result<Usage, HostError> {
        let world = self.0.lock().unwrap();
        let device = world.devices.iter().find(|device| device.path == path);
        let device = device.ok_or(HostError::NotFound(path.display().to_string()))?;
        Ok(device.usage.clone())
    }

    fn mapped(&mut self) -> Result<Vec<Mapped>, HostError> {
        Ok(self.0.lock().unwrap().mapped.clone())
    }

    fn activate(&mut self, activation: &Activation) -> Result<(), HostError> {
        Err(HostError::Refused(activation.name.clone()))
    }

    fn deactivate(&mut self, name: &str) -> Result<(), HostError> {
        let mut world = self.0.lock().unwrap();
        world.mapped.retain(|mapped| mapped.name != name);
        Ok(())
    }

    fn message(&mut self, name: &str, message: &Message) -> Result<Reply, HostError> {
        let mut world = self.0.lock().unwrap();
        world.messages.push((name.to_owned(), *message));
        let Message::Remaps(from) = message else {
            return Ok(Reply::Done);
        };
        // Ten at a time, so that asking for all of them takes many messages.
        let rows = sample::remaps(25).into_iter();
        let rows = rows.filter(|row| row.block >= *from).take(10).collect();
        Ok(Reply::Remaps(rows))
    }

    fn events(&mut self, after: u64) -> Result<Vec<LoggedEvent>, HostError> {
        let world = self.0.lock().unwrap();
        let later = world.events.iter().filter(|event| event.id > after);
        Ok(later.cloned().collect())
    }

    fn run_due(&mut self) -> Result<Option<u64>, HostError> {
        Ok(None)
    }

    fn watcher(&mut self) -> Result<Box<dyn Watcher>, HostError> {
        Err(HostError::Refused("nothing changes by itself".to_owned()))
    }
}

/// A journal in memory, shared by its clones.
#[derive(Clone, Default)]
struct MemoryJournal(Arc<Mutex<Logged>>);

#[derive(Default)]
struct Logged {
    actions: Vec<ActionRecord>,
    backups: Vec<Option<[Vec<u8>; 2]>>,
}

impl Journal for MemoryJournal {
    fn ready(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn beside(&self) -> Box<dyn Journal> {
        Box::new(self.clone())
    }

    fn actions(&mut self) -> Result<Vec<ActionRecord>, HostError> {
        Ok(self.0.lock().unwrap().actions.clone())
    }

    fn begin(
        &mut self,
        begun: &Begun,
        backup: Option<BackupFiles<'_>>,
    ) -> Result<ActionId, HostError> {
        let mut logged = self.0.lock().unwrap();
        let id = ActionId::new(logged.actions.len() as u64 + 1);
        logged.actions.push(ActionRecord {
            id,
            time: Timestamp::new(sample::MIDNIGHT),
            begun: begun.clone(),
            has_backup: backup.is_some(),
            ended: None,
            undone_by: None,
        });
        let kept = backup.map(|files| [files.before.to_vec(), files.after.to_vec()]);
        logged.backups.push(kept);
        Ok(id)
    }

    fn end(&mut self, id: ActionId, ended: &Ended) -> Result<(), HostError> {
        let mut logged = self.0.lock().unwrap();
        let action = logged.actions.iter_mut().find(|action| action.id == id);
        action.unwrap().ended = Some(ended.clone());
        Ok(())
    }

    fn backup(&mut self, id: ActionId, side: BackupSide) -> Result<Vec<u8>, HostError> {
        let index = usize::try_from(id.get() - 1).unwrap();
        let [before, after] = self.0.lock().unwrap().backups[index].clone().unwrap();
        Ok(match side {
            BackupSide::Before => before,
            BackupSide::After => after,
        })
    }
}

/// Time that stands still, and chance that repeats itself.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::new(sample::MIDNIGHT)
    }
}

impl Uptime for Still {
    fn uptime(&self) -> Millis {
        Millis::new(0)
    }

    fn boot_id(&self) -> String {
        String::new()
    }
}

impl Platform for Still {
    fn open(&self, path: &Path, _access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        Err(HostError::NotFound(path.display().to_string()))
    }

    fn block_devices(&self) -> Result<Vec<DeviceInfo>, HostError> {
        Ok(Vec::new())
    }

    fn usage(&self, _path: &Path) -> Result<Usage, HostError> {
        Ok(Usage::Free)
    }

    fn watch(
        &self,
        _replaced: &[PathBuf],
        _written: &[PathBuf],
    ) -> Result<Box<dyn Watcher>, HostError> {
        Err(HostError::Refused("nothing changes by itself".to_owned()))
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), HostError> {
        bytes.fill(0x5a);
        Ok(())
    }
}

/// What planning and carrying out need, with an empty journal.
pub fn context() -> ops::Context {
    ops::Context {
        journal: Box::new(MemoryJournal::default()),
        platform: Arc::new(Still),
        read_only: false,
        progress: ops::Progress::silent(),
    }
}
