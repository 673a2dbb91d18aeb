//! The real adapters: files, locks, block devices, device-mapper, change notification, clocks, chance.
//!
//! `unsafe` may stand here, each time with its reason, and nowhere else in userspace.
//! Only `main` names this module; everything else is handed a [`Platform`].

mod block;
mod clock;
mod device_mapper;
mod file;
mod history;
mod journal;
mod kernel_log;
mod lock_owner;
#[cfg(feature = "blkid")]
mod second_superblocks;
#[cfg(feature = "blkid")]
mod signature;
mod start_tables;
mod uevent;
mod watch;

pub use block::{
    list as block_devices, list_with as block_devices_with, usage as block_usage, Roots, Tables,
};
pub use device_mapper::KernelDeviceMapper;
pub use history::FileHistory;
pub use journal::FileJournal;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::port::block::DeviceNumber;
use crate::port::device_mapper::{DeviceMapper as _, Line};
use crate::port::{
    Access, BlockDevice, BlockStore, Clock, DeviceInfo, HostError, Platform, Uptime, Usage, Watcher,
};
use crate::privilege;
use crate::remap_core::units::{Millis, Timestamp};
use crate::text::escape_path;
use crate::zone::Zone;

/// The machine that the program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisMachine;

impl Clock for ThisMachine {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn zone(&self) -> Zone {
        clock::zone()
    }
}

impl Uptime for ThisMachine {
    fn uptime(&self) -> Millis {
        clock::uptime()
    }

    fn boot_id(&self) -> String {
        clock::boot_id()
    }
}

impl Platform for ThisMachine {
    fn history(&self, directory: &Path) -> Option<Box<dyn crate::port::history::History>> {
        Some(Box::new(FileHistory::new(directory)))
    }

    fn kernel_log(&self) -> Result<Box<dyn crate::port::kernel_log::KernelLog>, HostError> {
        Ok(Box::new(kernel_log::KernelLogFile::open()?))
    }

    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        Ok(Box::new(file::BlockFile::open(
            path,
            access,
            &Roots::default(),
        )?))
    }

    fn block_devices(&self) -> Result<Vec<DeviceInfo>, HostError> {
        block::list_with(&Roots::default(), &table_of)
    }

    fn usage(&self, path: &Path) -> Result<Usage, HostError> {
        block::usage(&Roots::default(), &table_of, path)
    }

    fn block_device(&self, number: DeviceNumber) -> Option<BlockDevice> {
        block::find(&Roots::default(), number)
    }

    fn forget_partitions(&self, path: &Path) -> Result<(), HostError> {
        block::forget_partitions(&Roots::default(), path)
    }

    fn watch(
        &self,
        replaced: &[PathBuf],
        written: &[PathBuf],
    ) -> Result<Box<dyn Watcher>, HostError> {
        Ok(Box::new(watch::DirectoryWatcher::new(replaced, written)?))
    }

    fn watch_devices(&self) -> Result<Box<dyn Watcher>, HostError> {
        match uevent::DeviceWatcher::new(&Roots::default()) {
            Ok(watcher) => Ok(Box::new(watcher)),
            // Where the kernel's events cannot be heard, new nodes are still seen.
            Err(_) => self.watch(&["/dev".into()], &[]),
        }
    }

    fn start_tables(&self) -> Vec<(PathBuf, Vec<u8>)> {
        start_tables::read(Path::new("/etc"))
    }

    fn settle(&self, limit: Duration) {
        uevent::settle(&Roots::default(), limit);
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), HostError> {
        const SOURCE: &str = "/dev/urandom";
        let io = |source| HostError::Io {
            what: SOURCE.to_owned(),
            source,
        };
        File::open(SOURCE)
            .and_then(|mut source| source.read_exact(bytes))
            .map_err(io)
    }
}

/// The table of a mapped device; to whoever may not ask it tells nothing.
fn table_of(name: &str) -> Vec<Line> {
    KernelDeviceMapper.table(name).unwrap_or_default()
}

/// What the operating system's error on `path` means to whoever asked.
fn host_error(path: &Path, source: std::io::Error) -> HostError {
    let shown = escape_path(path);
    match source.kind() {
        std::io::ErrorKind::NotFound => HostError::NotFound(shown.into_owned()),
        std::io::ErrorKind::PermissionDenied => {
            HostError::NotPermitted(format!("{shown}: permission denied; {}", privilege::need()))
        }
        _ => HostError::Io {
            what: shown.into_owned(),
            source,
        },
    }
}
