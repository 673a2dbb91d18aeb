//! The machine's block devices, from sysfs and the mount table.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::host_error;
use crate::port::{DeviceInfo, HostError, Usage};
use crate::remap_core::units::{BlockSize, Sectors};
use crate::text::{escape_os, escape_str};

const CLASS: &str = "/sys/class/block";

/// Every block device that has a size, sorted by name.
pub(super) fn list() -> Result<Vec<DeviceInfo>, HostError> {
    let class = Path::new(CLASS);
    let entries = match std::fs::read_dir(class) {
        Ok(entries) => entries,
        // A container without block devices may have no such directory.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(host_error(class, error)),
    };
    let mounts = mounts();
    let devices = entries.filter_map(|entry| describe(&entry.ok()?.path(), &mounts));
    let mut devices: Vec<DeviceInfo> = devices.filter(|device| device.size.get() > 0).collect();
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(devices)
}

/// What the block device or image file at `path` is used for.
pub(super) fn usage(path: &Path) -> Result<Usage, HostError> {
    let metadata = std::fs::metadata(path).map_err(|error| host_error(path, error))?;
    if !metadata.file_type().is_block_device() {
        return Ok(Usage::Free);
    }
    let (major, minor) = (
        nix::sys::stat::major(metadata.rdev()),
        nix::sys::stat::minor(metadata.rdev()),
    );
    let device = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    Ok(usage_of(&device, &mounts()))
}

fn describe(device: &Path, mounts: &BTreeMap<String, String>) -> Option<DeviceInfo> {
    let name = device.file_name()?;
    let number = |file: &str| read(&device.join(file))?.parse::<u64>().ok();
    // A partition has no queue of its own: its disk's is one directory up.
    let unit = ["queue/logical_block_size", "../queue/logical_block_size"];
    let device_directory = std::fs::canonicalize(device).ok()?;
    let logical_block = unit.iter().find_map(|file| {
        let bytes = read(&device_directory.join(file))?.parse().ok()?;
        BlockSize::from_bytes(bytes)
    });
    Some(DeviceInfo {
        path: Path::new("/dev").join(name),
        name: escape_os(name).into_owned(),
        size: Sectors::new(number("size")?),
        logical_block: logical_block.unwrap_or(BlockSize::B512),
        read_only: number("ro") == Some(1),
        usage: usage_of(&device_directory, mounts),
        faults: 0,
    })
}

fn usage_of(device: &Path, mounts: &BTreeMap<String, String>) -> Usage {
    let holders = std::fs::read_dir(device.join("holders"))
        .into_iter()
        .flatten();
    let mut holders = holders.filter_map(|holder| Some(holder.ok()?.file_name()));
    if let Some(holder) = holders.next() {
        return Usage::InUse(escape_os(&holder).into_owned());
    }
    let number = read(&device.join("dev"));
    match number.and_then(|number| mounts.get(&number)) {
        Some(place) => Usage::InUse(format!("a mount on {place}")),
        None => Usage::Free,
    }
}

fn read(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// Where each device number is mounted. Without a mount table nothing is known to be.
fn mounts() -> BTreeMap<String, String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let entries = table.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(2);
        let number = words.next()?;
        let place = words.nth(1)?;
        Some((number.to_owned(), escape_str(place).into_owned()))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names_sizes_and_places_below_dev() {
        for device in list().unwrap() {
            assert_eq!(device.path, Path::new("/dev").join(&device.name));
            assert!(device.size.get() > 0, "{device:?}");
        }
    }

    #[test]
    fn an_image_file_is_free_and_a_missing_one_is_not_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(usage(file.path()).unwrap(), Usage::Free);
        let missing = usage(Path::new("/nonexistent/disk"));
        assert!(matches!(missing, Err(HostError::NotFound(_))));
    }
}
