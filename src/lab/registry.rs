//! What the lab's machine consists of: its disks, their serials and faults, and the
//! mapped devices that are up.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::fault::FaultRecord;
use super::files::{read_json, replace_json, unusable};
use crate::port::HostError;
use crate::remap_core::params::{is_valid_name, Options};
use crate::remap_core::units::{BlockSize, IdentityDigest};

const SCHEMA: &str = "dmremap/lab/1";

const REMEDY: &str = "it says which disks the lab has and which devices are up; correct it, or \
                      remove the lab's whole directory to begin anew";

/// The registry, as its file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registry {
    schema: String,
    pub(super) disks: Vec<Disk>,
    pub(super) mapped: Vec<MappedDevice>,
}

/// A disk of the lab. Paths are relative to the lab's directory, or absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disk {
    pub(super) path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) serial: Option<String>,
    pub(super) logical_block_bytes: u32,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) faults: Vec<FaultRecord>,
}

/// A mapped device that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MappedDevice {
    pub(super) name: String,
    pub(super) main: PathBuf,
    pub(super) spare: PathBuf,
    scrub_interval_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    block_size_bytes: Option<u32>,
    read_only: bool,
}

impl Disk {
    /// A disk as it comes from its maker.
    pub(super) fn new(path: PathBuf, serial: Option<String>) -> Self {
        Self {
            path,
            serial,
            logical_block_bytes: BlockSize::B512.bytes(),
            faults: Vec::new(),
        }
    }

    pub(super) fn logical_block(&self) -> BlockSize {
        BlockSize::from_bytes(self.logical_block_bytes).unwrap_or(BlockSize::B512)
    }

    /// What is stable about it: its serial, which a copy of its image does not have.
    pub(super) fn identity(&self) -> IdentityDigest {
        match &self.serial {
            None => IdentityDigest::NONE,
            Some(serial) => {
                let digest = Sha256::new()
                    .chain_update(b"dmremap lab disk serial\0")
                    .chain_update(serial)
                    .finalize();
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&digest[..16]);
                IdentityDigest::new(bytes)
            }
        }
    }
}

impl MappedDevice {
    pub(super) fn new(name: &str, main: PathBuf, spare: PathBuf, options: &Options) -> Self {
        Self {
            name: name.to_owned(),
            main,
            spare,
            scrub_interval_seconds: options.scrub_interval,
            block_size_bytes: options.block_size.map(BlockSize::bytes),
            read_only: options.read_only,
        }
    }

    pub(super) fn options(&self) -> Options {
        Options {
            scrub_interval: self.scrub_interval_seconds,
            block_size: self.block_size_bytes.and_then(BlockSize::from_bytes),
            read_only: self.read_only,
        }
    }
}

impl Registry {
    /// A machine without disks.
    pub(super) fn empty() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            disks: Vec::new(),
            mapped: Vec::new(),
        }
    }

    /// Reads the registry, or `None` if there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, HostError> {
        let registry: Option<Self> = read_json(path, REMEDY)?;
        if let Some(why) = registry.as_ref().and_then(Self::flaw) {
            return Err(unusable(path, &why, REMEDY));
        }
        Ok(registry)
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), HostError> {
        replace_json(path, self)
    }

    /// The path of every disk, registered or in use.
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let disks = self.disks.iter_mut().map(|disk| &mut disk.path);
        let mapped = self.mapped.iter_mut();
        disks.chain(mapped.flat_map(|mapped| [&mut mapped.main, &mut mapped.spare]))
    }

    fn flaw(&self) -> Option<String> {
        if self.schema != SCHEMA {
            return Some(format!(
                "its schema is {:?}, and this program knows {SCHEMA:?}",
                self.schema
            ));
        }
        for disk in &self.disks {
            let bytes = disk.logical_block_bytes;
            if BlockSize::from_bytes(bytes).is_none() {
                return Some(format!("there are no logical blocks of {bytes} bytes"));
            }
        }
        let disks = self.disks.iter().map(|disk| &disk.path);
        let mapped = self.mapped.iter();
        let mapped = mapped.flat_map(|mapped| [&mapped.main, &mapped.spare]);
        if let Some(path) = disks.chain(mapped).find(|path| !is_plain(path)) {
            return Some(format!("{path:?} is no plain path"));
        }
        for (index, mapped) in self.mapped.iter().enumerate() {
            let name = &mapped.name;
            if !is_valid_name(name.as_bytes()) {
                return Some(format!("{name:?} names no device"));
            }
            if self.mapped[..index].iter().any(|other| other.name == *name) {
                return Some(format!("{name:?} is there twice"));
            }
            let unit = mapped.block_size_bytes;
            if unit.is_some_and(|bytes| BlockSize::from_bytes(bytes).is_none()) {
                return Some(format!("{name:?} has an impossible remap unit"));
            }
        }
        None
    }
}

/// Whether a path names a file without going up on the way.
fn is_plain(path: &Path) -> bool {
    let goes_on = |part| matches!(part, Component::RootDir | Component::Normal(_));
    path.file_name().is_some() && path.components().all(goes_on)
}
