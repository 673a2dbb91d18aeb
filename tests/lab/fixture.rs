//! A lab in a directory of its own, on a clock that stands still.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use dmremap::lab::{Contents, Lab};
use dmremap::port::slots::survey;
use dmremap::port::{
    Access, Activation, BlockStore, Clock, DeviceInfo, Host, HostError, Platform, Uptime, Usage,
    Watcher,
};
use dmremap::remap_core::params::Options;
use dmremap::remap_core::quorum::{judge, Verdict};
use dmremap::remap_core::units::{Millis, Slot, Timestamp};
use dmremap::sys::ThisMachine;

/// This machine, with a clock that stands until it is told to go on.
pub(crate) struct Machine {
    uptime: AtomicU64,
    boot: AtomicU64,
}

impl Machine {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            uptime: AtomicU64::new(5_000_000),
            boot: AtomicU64::new(0),
        })
    }

    pub(crate) fn pass(&self, millis: u64) {
        self.uptime.fetch_add(millis, Ordering::SeqCst);
    }

    /// Starts anew: the clock begins at nought.
    pub(crate) fn reboot(&self) {
        self.boot.fetch_add(1, Ordering::SeqCst);
        self.uptime.store(0, Ordering::SeqCst);
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::new(1_760_000_000 + self.uptime.load(Ordering::SeqCst) / 1000)
    }
}

impl Uptime for Machine {
    fn uptime(&self) -> Millis {
        Millis::new(self.uptime.load(Ordering::SeqCst))
    }

    fn boot_id(&self) -> String {
        format!("boot {}", self.boot.load(Ordering::SeqCst))
    }
}

impl Platform for Machine {
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        ThisMachine.open(path, access)
    }

    fn block_devices(&self) -> Result<Vec<DeviceInfo>, HostError> {
        ThisMachine.block_devices()
    }

    fn usage(&self, path: &Path) -> Result<Usage, HostError> {
        ThisMachine.usage(path)
    }

    fn watch(
        &self,
        replaced: &[PathBuf],
        written: &[PathBuf],
    ) -> Result<Box<dyn Watcher>, HostError> {
        ThisMachine.watch(replaced, written)
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), HostError> {
        ThisMachine.random(bytes)
    }
}

pub(crate) struct Fixture {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) machine: Arc<Machine>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            machine: Machine::new(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("lab")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// A handle of its own, as another process would have.
    pub(crate) fn lab(&self) -> Lab {
        self.try_lab().unwrap()
    }

    pub(crate) fn try_lab(&self) -> Result<Lab, HostError> {
        Lab::open_or_create(&self.path(), self.machine.clone(), Contents::Training)
    }
}

pub(crate) fn verdict(lab: &mut Lab, disk: &str) -> Verdict {
    let store = lab.open(Path::new(disk), Access::Read).unwrap();
    judge(&survey(&*store)).verdict
}

pub(crate) fn vault() -> Activation {
    Activation {
        name: "vault".to_owned(),
        main: PathBuf::from("disk-a"),
        spare: PathBuf::from("disk-b"),
        options: Options::default(),
        meant: Default::default(),
    }
}

pub(crate) fn damage(lab: &mut Lab, disk: &str, slot: Slot) {
    let mut store = lab.open(Path::new(disk), Access::Damage).unwrap();
    store.write_at(slot.sector(), &[0xd6; 512]).unwrap();
}

pub(crate) fn names_of(events: &[dmremap::port::LoggedEvent]) -> Vec<&'static str> {
    events.iter().map(|logged| logged.event.name()).collect()
}
