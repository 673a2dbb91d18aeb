//! A real machine as a host: its block devices and image files, without device-mapper.
//!
//! Devices can be looked at and, while nobody uses them, changed; bringing a mapped
//! device up takes a lab.

use std::path::Path;
use std::sync::Arc;

use crate::lab::Lab;
use crate::port::{
    Access, Activation, BlockStore, DeviceInfo, Host, HostError, LoggedEvent, Mapped, Platform,
    Reply, Usage, Watcher,
};
use crate::remap_core::message::Message;
use crate::text::escape_str;

/// This machine.
pub struct Machine {
    platform: Arc<dyn Platform>,
}

impl Machine {
    /// The machine that `platform` reaches.
    pub fn new(platform: Arc<dyn Platform>) -> Self {
        Self { platform }
    }
}

/// Why no mapped device can be up here.
const NO_TARGETS: &str = "mapped devices cannot be brought up here; name a lab with --lab DIR";

fn not_up(name: &str) -> HostError {
    HostError::NotFound(format!("mapped device {}", escape_str(name)))
}

impl Host for Machine {
    fn lab_directory(&self) -> Option<&Path> {
        None
    }

    fn devices(&mut self) -> Result<Vec<DeviceInfo>, HostError> {
        self.platform.block_devices()
    }

    fn open(&mut self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        self.platform.open(path, access)
    }

    fn usage(&mut self, path: &Path) -> Result<Usage, HostError> {
        let usage = self.platform.usage(path)?;
        // A lab's device can be up without a process that holds its images.
        Ok(match (usage, Lab::part_of(path)) {
            (Usage::Free, Some((name, part))) => Usage::Mapped { name, part },
            (usage, _) => usage,
        })
    }

    fn mapped(&mut self) -> Result<Vec<Mapped>, HostError> {
        Ok(Vec::new())
    }

    fn can_activate(&self) -> Result<(), String> {
        Err(NO_TARGETS.to_owned())
    }

    fn activate(&mut self, _activation: &Activation) -> Result<(), HostError> {
        Err(HostError::Refused(NO_TARGETS.to_owned()))
    }

    fn deactivate(&mut self, name: &str) -> Result<(), HostError> {
        Err(not_up(name))
    }

    fn message(&mut self, name: &str, _message: &Message) -> Result<Reply, HostError> {
        Err(not_up(name))
    }

    fn events(&mut self, _after: u64) -> Result<Vec<LoggedEvent>, HostError> {
        Ok(Vec::new())
    }

    fn run_due(&mut self) -> Result<Option<u64>, HostError> {
        Ok(None)
    }

    fn watcher(&mut self) -> Result<Box<dyn Watcher>, HostError> {
        self.platform.watch_devices()
    }
}
