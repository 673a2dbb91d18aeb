//! A host without targets: images and devices by their paths, and nothing brought up.

use std::path::Path;
use std::sync::Arc;

use crate::port::{
    Access, Activation, BlockStore, DeviceInfo, Host, HostError, LoggedEvent, Mapped, Platform,
    Reply, Usage, Watcher,
};
use crate::remap_core::message::Message;

/// Why nothing is brought up here.
const NO_TARGETS: &str = "bringing a device up needs a lab (--lab DIR) or device-mapper";

/// Image files and block devices, each where its path says.
pub struct Files {
    platform: Arc<dyn Platform>,
}

impl Files {
    /// The files that `platform` can open.
    pub fn new(platform: Arc<dyn Platform>) -> Self {
        Self { platform }
    }
}

fn no_targets<T>() -> Result<T, HostError> {
    Err(HostError::Refused(NO_TARGETS.to_owned()))
}

impl Host for Files {
    fn lab_directory(&self) -> Option<&Path> {
        None
    }

    fn devices(&mut self) -> Result<Vec<DeviceInfo>, HostError> {
        Ok(Vec::new())
    }

    fn open(&mut self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        self.platform.open(path, access)
    }

    fn usage(&mut self, _path: &Path) -> Result<Usage, HostError> {
        // Whoever else uses it holds it: opening it for writing tells.
        Ok(Usage::Free)
    }

    fn mapped(&mut self) -> Result<Vec<Mapped>, HostError> {
        Ok(Vec::new())
    }

    fn can_activate(&self) -> Result<(), String> {
        Err(NO_TARGETS.to_owned())
    }

    fn activate(&mut self, _activation: &Activation) -> Result<(), HostError> {
        no_targets()
    }

    fn deactivate(&mut self, _name: &str) -> Result<(), HostError> {
        no_targets()
    }

    fn message(&mut self, _name: &str, _message: &Message) -> Result<Reply, HostError> {
        no_targets()
    }

    fn events(&mut self, _after: u64) -> Result<Vec<LoggedEvent>, HostError> {
        Ok(Vec::new())
    }

    fn run_due(&mut self) -> Result<Option<u64>, HostError> {
        Ok(None)
    }

    fn watcher(&mut self) -> Result<Box<dyn Watcher>, HostError> {
        self.platform.watch(&[], &[])
    }
}
