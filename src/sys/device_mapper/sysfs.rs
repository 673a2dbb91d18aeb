//! Mapped devices as sysfs lists them: to everyone, and with any name that there can be.
//! The ioctl that lists them answers root alone, and one name that is not ASCII makes the
//! whole list unreadable to its bindings.

use std::fs;
use std::io;
use std::path::Path;

use crate::port::block::DeviceNumber;
use crate::port::device_mapper::Listed;
use crate::port::HostError;
use crate::sys::block::require_sysfs;
use crate::sys::host_error;

const SYS: &str = "/sys";
const CLASS: &str = "/sys/class/block";

/// Every mapped device there is, sorted by name.
pub(super) fn list() -> Result<Vec<Listed>, HostError> {
    require_sysfs(Path::new(SYS))?;
    list_in(Path::new(CLASS))
}

fn list_in(class: &Path) -> Result<Vec<Listed>, HostError> {
    let entries = match fs::read_dir(class) {
        Ok(entries) => entries,
        // A container without block devices may have no such directory.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(host_error(class, error)),
    };
    let devices = entries.filter_map(|entry| describe(&entry.ok()?.path()));
    let mut devices: Vec<Listed> = devices.collect();
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(devices)
}

/// A mapped device; none where the directory is another's, or the device has just gone.
fn describe(directory: &Path) -> Option<Listed> {
    let read = |file: &str| {
        let bytes = fs::read(directory.join(file)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    };
    Some(Listed {
        name: read("dm/name")?,
        uuid: read("dm/uuid").unwrap_or_default(),
        number: DeviceNumber::parse(&read("dev")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_devices_are_told_from_others() {
        let class = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &[u8]| {
            let path = class.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("sda/dev", b"8:0\n");
        write("dm-1/dev", b"253:1\n");
        write("dm-1/dm/name", b"vault\n");
        write("dm-1/dm/uuid", b"DMREMAP-x\n");
        write("dm-0/dev", b"253:0\n");
        write("dm-0/dm/name", "gr\u{f6}\u{df}e\n".as_bytes());
        let listed = list_in(class.path()).unwrap();
        let number = |minor| DeviceNumber { major: 253, minor };
        let expected = [
            ("gr\u{f6}\u{df}e", "", number(0)),
            ("vault", "DMREMAP-x", number(1)),
        ];
        let expected = expected.map(|(name, uuid, number)| Listed {
            name: name.to_owned(),
            uuid: uuid.to_owned(),
            number,
        });
        assert_eq!(listed, expected);
        assert_eq!(list_in(Path::new("/nonexistent")).unwrap(), []);
    }
}
