//! Partitions of a mapped device: the kernel makes none of its own for device-mapper, so each is
//! a linear device beside it, named and numbered as `kpartx` does it, by which udev, libblkid
//! and `lsblk` know it for a partition.

use std::path::Path;

use crate::port::block::{DeviceNumber, Partition};
use crate::port::device_mapper::{DeviceMapper, Line, Listed, NewDevice};
use crate::port::{Access, HostError, Platform};
use crate::remap_core::units::{Sector, Sectors};

/// A mapped device that is up, as far as its partitions follow from it.
pub(super) struct Whole<'a> {
    pub(super) name: &'a str,
    pub(super) uuid: &'a str,
    pub(super) number: DeviceNumber,
    pub(super) size: Sectors,
    pub(super) read_only: bool,
}

/// The partition of this number on `whole`, as a device.
fn device(whole: &Whole<'_>, partition: &Partition) -> NewDevice {
    NewDevice {
        name: format!("{}-part{}", whole.name, partition.number),
        uuid: format!("part{}-{}", partition.number, whole.uuid),
        line: Line {
            start: Sector::new(0),
            length: partition.length,
            target: "linear".to_owned(),
            text: format!("{} {}", whole.number, partition.start),
        },
        read_only: whole.read_only,
    }
}

/// Makes a device of each partition of `whole` that has none yet. A table that cannot be read
/// has no partitions, and neither has one that goes past the end of the device.
///
/// # Errors
///
/// [`HostError`] of the first that cannot be made; what this call made is gone again then.
pub(super) fn make(
    platform: &dyn Platform,
    device_mapper: &dyn DeviceMapper,
    whole: &Whole<'_>,
) -> Result<(), HostError> {
    let path = platform.block_device(whole.number).map(|block| block.path);
    let store = path.and_then(|path| platform.open(&path, Access::Read).ok());
    let partitions = store.and_then(|store| store.partitions().ok());
    let mut partitions = partitions.unwrap_or_default();
    let fits = |partition: &Partition| {
        let end = partition.start.get().checked_add(partition.length.get());
        partition.length.get() > 0 && end.is_some_and(|end| end <= whole.size.get())
    };
    partitions.retain(fits);
    let there = all_of(device_mapper, whole.uuid)?;
    let devices = partitions.iter().map(|partition| device(whole, partition));
    let missing = devices.filter(|device| there.iter().all(|known| known.uuid != device.uuid));
    let mut made: Vec<String> = Vec::new();
    for device in missing {
        if let Err(error) = device_mapper.create(&device) {
            for name in made {
                // What kept the others from coming up is what is told.
                let _ = device_mapper.remove(&name);
            }
            return Err(error);
        }
        made.push(device.name);
    }
    Ok(())
}

/// Removes the devices of the partitions of the mapped device with this UUID.
///
/// # Errors
///
/// [`HostError::Busy`] names the first that is in use; those before it are gone then.
pub(super) fn remove(device_mapper: &dyn DeviceMapper, uuid: &str) -> Result<(), HostError> {
    for partition in all_of(device_mapper, uuid)? {
        device_mapper.remove(&partition.name)?;
    }
    Ok(())
}

/// The devices of the partitions of the mapped device with this UUID.
fn all_of(device_mapper: &dyn DeviceMapper, uuid: &str) -> Result<Vec<Listed>, HostError> {
    let mut listed = device_mapper.list()?;
    listed.retain(|device| whole_of(&device.uuid) == Some(uuid));
    Ok(listed)
}

/// The UUID of the mapped device that the device of this UUID is a partition of.
fn whole_of(uuid: &str) -> Option<&str> {
    let (number, whole) = uuid.strip_prefix("part")?.split_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(whole)
}

/// Has the kernel forget the partitions of the disks at `paths`: what lies on them is reached
/// through the mapped device alone. Partitions that are in use stay, and so does what the
/// kernel keeps for other reasons, for the device is up either way.
pub(super) fn forget_below(platform: &dyn Platform, paths: [&Path; 2]) {
    for path in paths {
        let _ = platform.forget_partitions(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_and_told_as_kpartx_does_it() {
        let whole = Whole {
            name: "vault",
            uuid: "DMREMAP-x-1",
            number: DeviceNumber {
                major: 253,
                minor: 4,
            },
            size: Sectors::new(4096),
            read_only: true,
        };
        let partition = Partition {
            number: 5,
            start: Sector::new(2048),
            length: Sectors::new(100),
            uuid: None,
            label: None,
            boots: false,
        };
        let device = device(&whole, &partition);
        assert_eq!(device.name, "vault-part5");
        assert_eq!(device.uuid, "part5-DMREMAP-x-1");
        assert_eq!(device.line.text, "253:4 2048");
        assert_eq!(device.line.length, Sectors::new(100));
        assert!(device.read_only);
        assert_eq!(whole_of(&device.uuid), Some("DMREMAP-x-1"));
        for other in [
            "DMREMAP-x-1",
            "part-DMREMAP-x-1",
            "part5",
            "partx-y",
            "LVM-part5-z",
            "",
        ] {
            assert_eq!(whole_of(other), None, "{other}");
        }
    }
}
