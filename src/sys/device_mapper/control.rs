//! Device-mapper through its control device.

use std::fs::File;
use std::io;
use std::path::Path;

use devicemapper::{DevId, DmError, DmFlags, DmName, DmOptions, DmResult, DmUuid, DM};
use nix::errno::Errno;

use super::failure::{errno, not_permitted, of_device, of_target};
use super::kernel_log::KernelLog;
use super::watch::EventWatcher;
use super::{facilities, node, sysfs, CONTROL};
use crate::port::block::DeviceNumber;
use crate::port::device_mapper::{
    Control, DeviceMapper, Facilities, Line, Listed, NewDevice, TargetModule,
};
use crate::port::{HostError, Usage, Watcher};
use crate::remap_core::params::{check_name, TARGET_NAME};
use crate::remap_core::units::{Sector, Sectors};
use crate::sys::block::{self, Roots};
use crate::text::{escape_path, escape_str};

/// The room for a target's name in a table, its closing NUL included: the bindings panic
/// over one that is longer.
const TARGET_NAME_BYTES: usize = 16;

/// The kernel's device-mapper. Every request opens the control device anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelDeviceMapper;

/// Opens the control device, and asks for the version that it speaks: opening it may be
/// allowed to more than those who may ask.
fn open() -> Result<(DM, String), Control> {
    // The bindings keep no more of an error than its words.
    let opened = File::open(CONTROL).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Control::Missing,
        io::ErrorKind::PermissionDenied => Control::NotPermitted,
        _ if error.raw_os_error() == Some(Errno::ENODEV as i32) => Control::Missing,
        _ => Control::Failed(error.to_string()),
    });
    opened?;
    let failed = |error: &dyn std::fmt::Display| Control::Failed(error.to_string());
    let control = DM::new().map_err(|error| failed(&error))?;
    match control.version() {
        Ok((major, minor, patch)) => Ok((control, format!("{major}.{minor}.{patch}"))),
        Err(error) => Err(match errno(&error) {
            Some(Errno::EACCES | Errno::EPERM) => Control::NotPermitted,
            Some(errno) => failed(&errno.desc()),
            None => failed(&error),
        }),
    }
}

fn control() -> Result<DM, HostError> {
    match open() {
        Ok((control, _)) => Ok(control),
        Err(Control::NotPermitted) => Err(not_permitted()),
        Err(control) => {
            let lack = facilities::look(control, None).control_lack();
            let words = lack.map(|lack| lack.to_string());
            Err(HostError::Refused(words.unwrap_or_default()))
        }
    }
}

/// The name in the bindings' form. What cannot be a name is no device's.
fn dm_name(name: &str) -> Result<&DmName, HostError> {
    DmName::new(name)
        .map_err(|_| HostError::NotFound(format!("mapped device {}", escape_str(name))))
}

/// The target's version, if the kernel has it.
fn loaded_version(control: &DM) -> DmResult<Option<String>> {
    let versions = control.list_versions()?;
    let ours = versions.into_iter().find(|(name, ..)| name == TARGET_NAME);
    Ok(ours.map(|(_, major, minor, patch)| format!("{major}.{minor}.{patch}")))
}

fn number(device: devicemapper::Device) -> DeviceNumber {
    DeviceNumber {
        major: device.major.into(),
        minor: device.minor.into(),
    }
}

fn lines(targets: Vec<(u64, u64, String, String)>) -> Vec<Line> {
    let line = |(start, length, target, text)| Line {
        start: Sector::new(start),
        length: Sectors::new(length),
        target,
        text,
    };
    targets.into_iter().map(line).collect()
}

/// Removes a device that did not come up, unless it is told that it did.
struct Unfinished<'a> {
    control: &'a DM,
    name: &'a DmName,
    finished: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // What kept it from coming up is what is told.
            let id = DevId::Name(self.name);
            let _ = self.control.device_remove(&id, DmOptions::default());
        }
    }
}

impl KernelDeviceMapper {
    fn describe(name: &str, flags: DmFlags) -> Result<Vec<Line>, HostError> {
        let id = DevId::Name(dm_name(name)?);
        let options = DmOptions::default().set_flags(flags);
        let told = control()?.table_status(&id, options);
        let (_, targets) = told.map_err(|error| of_device(name, &error))?;
        Ok(lines(targets))
    }

    /// Why the kernel will not have a device of this name or lasting name.
    fn taken(self, device: &NewDevice) -> HostError {
        let listed = self.list().unwrap_or_default();
        let same_array = listed
            .iter()
            .find(|other| other.uuid == device.uuid && other.name != device.name);
        match same_array {
            Some(other) => HostError::Busy {
                what: format!("what {} is made of", escape_str(&device.name)),
                by: format!("the mapped device {}", escape_str(&other.name)),
            },
            None => HostError::Busy {
                what: format!("the name {}", escape_str(&device.name)),
                by: "a mapped device that is up".to_owned(),
            },
        }
    }

    /// Why a table could not be loaded.
    fn not_loaded(self, device: &NewDevice, error: &DmError, log: &mut KernelLog) -> HostError {
        let facilities = self.facilities();
        let is_there = matches!(facilities.target, TargetModule::Loaded(_));
        match errno(error) {
            Some(Errno::EINVAL) if device.line.target == TARGET_NAME && !is_there => {
                HostError::Refused(facilities.refused_module().to_string())
            }
            Some(Errno::EBUSY) => HostError::Busy {
                what: format!("a disk of {}", escape_str(&device.name)),
                by: "somebody else: it is mounted, or part of another device".to_owned(),
            },
            _ => of_target(&device.name, error, log),
        }
    }

    /// Who has a mapped device open, as far as that can be known.
    fn holder(self, name: &str) -> String {
        let listed = self.list().unwrap_or_default();
        let device = listed.into_iter().find(|device| device.name == name);
        let node = device.map(|device| format!("/dev/dm-{}", device.number.minor));
        let usage = node.map(|node| {
            let tables = |name: &str| self.table(name).unwrap_or_default();
            block::usage(&Roots::default(), &tables, Path::new(&node))
        });
        match usage {
            Some(Ok(Usage::InUse(by))) => by,
            _ => format!(
                "a process that has {} open",
                escape_path(&Path::new("/dev/mapper").join(name))
            ),
        }
    }
}

/// Refuses what the kernel or the bindings could not take.
fn check(device: &NewDevice) -> Result<(), HostError> {
    let refuse = |why: String| Err(HostError::Refused(why));
    if let Err(error) = check_name(device.name.as_bytes()) {
        return refuse(format!("{}: {error}", escape_str(&device.name)));
    }
    let target = &device.line.target;
    if target.is_empty() || target.len() >= TARGET_NAME_BYTES || target.contains('\0') {
        return refuse(format!("{} cannot name a target", escape_str(target)));
    }
    if device.line.text.contains('\0') {
        return refuse("a table line cannot hold a NUL".to_owned());
    }
    Ok(())
}

impl DeviceMapper for KernelDeviceMapper {
    fn list(&self) -> Result<Vec<Listed>, HostError> {
        sysfs::list()
    }

    fn table(&self, name: &str) -> Result<Vec<Line>, HostError> {
        Self::describe(name, DmFlags::DM_STATUS_TABLE)
    }

    fn status(&self, name: &str) -> Result<Vec<Line>, HostError> {
        Self::describe(name, DmFlags::DM_NOFLUSH)
    }

    fn dependencies(&self, name: &str) -> Result<Vec<DeviceNumber>, HostError> {
        let id = DevId::Name(dm_name(name)?);
        let devices = control()?.table_deps(&id, DmOptions::default());
        let devices = devices.map_err(|error| of_device(name, &error))?;
        Ok(devices.into_iter().map(number).collect())
    }

    fn message(&self, name: &str, message: &str) -> Result<Option<String>, HostError> {
        let id = DevId::Name(dm_name(name)?);
        let control = control()?;
        let mut log = KernelLog::from_now();
        let answer = control.target_msg(&id, None, message);
        let (_, text) = answer.map_err(|error| of_target(name, &error, &mut log))?;
        Ok(text)
    }

    fn create(&self, device: &NewDevice) -> Result<DeviceNumber, HostError> {
        check(device)?;
        let name = dm_name(&device.name)?;
        let uuid = DmUuid::new(&device.uuid)
            .map_err(|_| HostError::Refused(format!("{}: no UUID", escape_str(&device.uuid))))?;
        let control = control()?;
        let mut options = DmOptions::default();
        if device.read_only {
            options = options.set_flags(DmFlags::DM_READONLY);
        }
        let created = control.device_create(name, Some(uuid), options);
        let created = created.map_err(|error| match errno(&error) {
            Some(Errno::EBUSY) => self.taken(device),
            _ => of_device(&device.name, &error),
        })?;
        let mut unfinished = Unfinished {
            control: &control,
            name,
            finished: false,
        };
        let id = DevId::Name(name);
        let Line {
            start,
            length,
            target,
            text,
        } = &device.line;
        let table = [(start.get(), length.get(), target.clone(), text.clone())];
        let mut log = KernelLog::from_now();
        control
            .table_load(&id, &table, options)
            .map_err(|error| self.not_loaded(device, &error, &mut log))?;
        control
            .device_suspend(&id, DmOptions::default())
            .map_err(|error| of_target(&device.name, &error, &mut log))?;
        let number = number(created.device());
        node::make(&device.name, number)?;
        unfinished.finished = true;
        Ok(number)
    }

    fn suspend(&self, name: &str) -> Result<(), HostError> {
        let id = DevId::Name(dm_name(name)?);
        let options = DmOptions::default().set_flags(DmFlags::DM_SUSPEND);
        let suspended = control()?.device_suspend(&id, options);
        suspended.map_err(|error| of_device(name, &error)).map(drop)
    }

    fn resume(&self, name: &str) -> Result<(), HostError> {
        let id = DevId::Name(dm_name(name)?);
        let control = control()?;
        let mut log = KernelLog::from_now();
        let resumed = control.device_suspend(&id, DmOptions::default());
        resumed
            .map_err(|error| of_target(name, &error, &mut log))
            .map(drop)
    }

    fn rename(&self, name: &str, to: &str) -> Result<(), HostError> {
        if let Err(error) = check_name(to.as_bytes()) {
            return Err(HostError::Refused(format!("{}: {error}", escape_str(to))));
        }
        let control = control()?;
        let renamed = control.device_rename(dm_name(name)?, &DevId::Name(dm_name(to)?));
        let renamed = renamed.map_err(|error| match errno(&error) {
            Some(Errno::EBUSY) => HostError::Busy {
                what: format!("the name {}", escape_str(to)),
                by: "a mapped device that is up".to_owned(),
            },
            _ => of_device(name, &error),
        })?;
        node::clear(name);
        node::make(to, number(renamed.device()))
    }

    fn remove(&self, name: &str) -> Result<(), HostError> {
        let id = DevId::Name(dm_name(name)?);
        let removed = control()?.device_remove(&id, DmOptions::default());
        removed.map_err(|error| match errno(&error) {
            Some(Errno::EBUSY) => HostError::Busy {
                what: escape_str(name).into_owned(),
                by: self.holder(name),
            },
            _ => of_device(name, &error),
        })?;
        node::clear(name);
        Ok(())
    }

    fn watcher(&self) -> Result<Box<dyn Watcher>, HostError> {
        Ok(Box::new(EventWatcher::new(control()?)))
    }

    fn facilities(&self) -> Facilities {
        match open() {
            Ok((control, version)) => {
                let loaded = loaded_version(&control).unwrap_or_default();
                facilities::look(Control::Open(version), loaded)
            }
            Err(control) => facilities::look(control, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, target: &str, text: &str) -> NewDevice {
        NewDevice {
            name: name.to_owned(),
            uuid: "DMREMAP-x".to_owned(),
            line: Line {
                start: Sector::new(0),
                length: Sectors::new(8),
                target: target.to_owned(),
                text: text.to_owned(),
            },
            read_only: false,
        }
    }

    #[test]
    fn what_the_kernel_could_not_take_is_refused_beforehand() {
        assert!(check(&device("vault", TARGET_NAME, "8:0 8:16")).is_ok());
        assert!(check(&device("vault", "a-target-name-15", "8:0 8:16")).is_err());
        for (name, target, text) in [
            ("a/b", TARGET_NAME, ""),
            ("", TARGET_NAME, ""),
            ("vault", "", ""),
            ("vault", "a\0b", ""),
            ("vault", TARGET_NAME, "8:0\08:16"),
        ] {
            let refused = check(&device(name, target, text));
            assert!(matches!(refused, Err(HostError::Refused(_))), "{name:?}");
        }
    }
}
