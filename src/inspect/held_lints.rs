//! Mains that others took past their mapped device: what is read there lacks every block that
//! was moved to the spare.

use std::path::{Path, PathBuf};

use super::{Array, Finding, MainMatch, Scan, Scanned};
use crate::command_line;
use crate::port::{DeviceInfo, Usage};
use crate::remap_core::units::{ArrayUuid, IdentityDigest};
use crate::text::{escape_path, escape_str, guard};

/// Finding of the device `info`, if it is main of `name`, which is not active, and in use.
pub fn held_main(info: &DeviceInfo, name: &str) -> Option<Finding> {
    let Usage::InUse(by) = &info.usage else {
        return None;
    };
    let (main, shown) = (escape_path(&info.path), escape_str(name));
    Some(Finding::error(
        "main-held",
        format!(
            "{main}, main of {shown}, was taken past it: it is in use by {}.",
            guard(by)
        ),
        format!(
            "What is read there lacks every block that was moved to the spare, and what is written there is lost \
             where blocks were moved. Stop what uses it (umount, swapoff, mdadm --stop, vgchange -an, \
             cryptsetup close), then bring {shown} up: {}",
            command_line::line(["reassemble", name])
        ),
    ))
}

/// An array that a machine's list names, as far as its main is known by it.
#[derive(Clone, Copy, Debug)]
pub struct KnownMain<'a> {
    /// The array.
    pub array: ArrayUuid,
    /// Its name.
    pub name: Option<&'a str>,
    /// The identity of its main.
    pub main: IdentityDigest,
}

/// A main that is in use past its mapped device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldMain {
    /// Main.
    pub path: PathBuf,
    /// The array whose main it is.
    pub array: Option<ArrayUuid>,
    /// The name of its mapped device, or the array's UUID.
    pub name: String,
    /// The finding on it.
    pub finding: Finding,
}

impl Scan {
    /// Every main that is in use past its mapped device: mains that their spares tell of, and
    /// those that are `known` without a spare being here.
    pub fn held_mains(&self, known: &[KnownMain<'_>]) -> Vec<HeldMain> {
        let by_spare = self.arrays.iter().filter_map(|array| self.held(array));
        let mut held: Vec<HeldMain> = by_spare.collect();
        for entry in known {
            let is_here = |array: &Array| array.uuid == Some(entry.array);
            if self.arrays.iter().any(is_here) {
                continue;
            }
            let name = entry
                .name
                .map_or_else(|| entry.array.to_string(), str::to_owned);
            let mains = self
                .devices
                .iter()
                .filter(|device| device.is_known_as(entry.main));
            for main in mains {
                let finding = held_main(&main.info, &name);
                held.extend(finding.map(|finding| HeldMain {
                    path: main.info.path.clone(),
                    array: Some(entry.array),
                    name: name.clone(),
                    finding,
                }));
            }
        }
        held
    }

    /// The mains of the arrays that are `known`, as far as they are here.
    pub fn mains(&self, known: &[KnownMain<'_>]) -> Vec<PathBuf> {
        let is_known = |device: &&Scanned| known.iter().any(|it| device.is_known_as(it.main));
        let mains = self.devices.iter().filter(is_known);
        mains.map(|device| device.info.path.clone()).collect()
    }

    /// The main of `array`, if it is in use and the array is not active.
    pub fn held(&self, array: &Array) -> Option<HeldMain> {
        let MainMatch::Found(main) = &array.main else {
            return None;
        };
        if array.active_as.is_some() {
            return None;
        }
        let uuid = || array.uuid.map(|uuid| uuid.to_string()).unwrap_or_default();
        let name = array.name.clone().unwrap_or_else(uuid);
        let info = self.info_of(main)?;
        Some(HeldMain {
            path: main.clone(),
            array: array.uuid,
            finding: held_main(info, &name)?,
            name,
        })
    }

    fn info_of(&self, path: &Path) -> Option<&DeviceInfo> {
        let mut devices = self.devices.iter().map(|device: &Scanned| &device.info);
        devices.find(|info| info.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::port::block::Properties;
    use crate::port::Part;
    use crate::remap_core::event::Severity;
    use crate::remap_core::units::{BlockSize, Sectors};

    const ARRAY: ArrayUuid = ArrayUuid::new([7; 16]);

    fn scan(usage: Usage, active_as: Option<&str>, main: MainMatch) -> Scan {
        let info = DeviceInfo {
            path: "/dev/sda".into(),
            name: "sda".to_owned(),
            size: Sectors::new(100),
            logical_block: BlockSize::B512,
            read_only: false,
            usage,
            faults: 0,
            properties: None,
        };
        let seen = Err(Error::failed("busy", "not looked at"));
        Scan {
            devices: vec![Scanned { info, seen }],
            arrays: vec![Array {
                uuid: Some(ARRAY),
                name: Some("vault".to_owned()),
                spares: vec!["/dev/sdb".into()],
                main,
                active_as: active_as.map(str::to_owned),
            }],
        }
    }

    #[test]
    fn a_main_that_others_use_is_told_unless_its_device_is_active() {
        let main = || MainMatch::Found("/dev/sda".into());
        for by in [
            "md0",
            "dm-3 (vg-lv)",
            "a mount on /srv on sda1",
            "the machine's swap",
        ] {
            let held = scan(Usage::InUse(by.to_owned()), None, main()).held_mains(&[]);
            let [HeldMain { path, finding, .. }] = &held[..] else {
                panic!("{by}: {held:?}");
            };
            assert_eq!(path, Path::new("/dev/sda"));
            assert_eq!(
                (finding.id, finding.severity),
                ("main-held", Severity::Error)
            );
            assert!(finding.summary.contains(by), "{}", finding.summary);
            assert!(
                finding.advice.contains("reassemble vault"),
                "{}",
                finding.advice
            );
        }
        let (name, part) = ("vault".to_owned(), Part::Main);
        for (usage, active_as, main) in [
            (Usage::Free, None, main()),
            (Usage::Mapped { name, part }, Some("vault"), main()),
            (Usage::InUse("dm-0".to_owned()), Some("vault"), main()),
            (Usage::InUse("md0".to_owned()), None, MainMatch::NotFound),
            (Usage::InUse("md0".to_owned()), None, MainMatch::Unknown),
        ] {
            assert_eq!(scan(usage, active_as, main).held_mains(&[]), []);
        }
    }

    #[test]
    fn a_main_that_the_list_knows_is_told_without_its_spare() {
        let properties = Properties {
            identity: IdentityDigest::new([3; 16]),
            ..Properties::default()
        };
        let mut scan = scan(Usage::InUse("md0".to_owned()), None, MainMatch::NotFound);
        scan.devices[0].info.properties = Some(std::sync::Arc::new(properties));
        let known = |array, main| KnownMain {
            array,
            name: Some("attic"),
            main: IdentityDigest::new([main; 16]),
        };
        let other = ArrayUuid::new([8; 16]);
        let held = scan.held_mains(&[known(other, 3)]);
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].array, Some(other));
        assert!(held[0].finding.summary.contains("attic"), "{held:?}");
        assert_eq!(scan.held_mains(&[known(other, 4)]), []);
        // What its spare says is what counts, where that is here.
        assert_eq!(scan.held_mains(&[known(ARRAY, 3)]), []);
    }
}
